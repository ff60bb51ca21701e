"""The path of one image from the bucket to the table."""

"""What happens to an image between the bucket and the table."""

"""What we are made of: hashes of the pinned packages, and bills of materials."""

"""What is kept on the disk: what is wanted, remembered and approved, and what has happened."""

"""What one feature needs of another, in the words of the one that needs it; features do not know each other."""

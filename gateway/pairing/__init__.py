"""Which sensors each tracker listens to."""

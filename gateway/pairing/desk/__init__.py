"""Where people ask, want, approve and follow."""

"""Which sensors each tracker shall listen to, in a terminal: how it stands, what to do next, and changes of it."""

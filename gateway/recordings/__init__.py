"""Recordings in a terminal: where each of them is, what needs a person, and new ones given to the gateway."""

"""Bytes to values and back: pure functions without clock, socket, task or logger."""

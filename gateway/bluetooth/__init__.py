"""Bluetooth sensors near the gateway: what is in the air, what it is, and who holds it."""

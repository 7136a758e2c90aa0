"""How recordings come in: the watched folder, and files that are sent to the gateway."""

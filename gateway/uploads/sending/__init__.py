"""How recordings get out: whose turn it is, what is sent, and what becomes of it."""

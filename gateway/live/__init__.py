"""The local live stream: one client's protocol and the server that carries it."""

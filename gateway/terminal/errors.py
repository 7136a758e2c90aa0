"""What a command says when it cannot do what it was asked for."""


class CommandError(Exception):
    """What was asked for cannot be done; a sentence says why and what to do."""

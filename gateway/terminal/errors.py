"""What a command says when it cannot do what it was asked for."""

from gateway.live.requests import RequestError
from gateway.terminal.layout import plain


class CommandError(Exception):
    """What was asked for cannot be done; a sentence says why and what to do."""


class RefusedError(CommandError):
    """The gateway does not do it, in its words.

    Attributes:
        code: Why.
        facts: What a program may want to know of that.
    """

    def __init__(self, error: RequestError) -> None:
        super().__init__(plain(str(error)))
        self.code = str(error.code)
        self.facts = error.facts

"""What a command says when it cannot do what it was asked for."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.terminal.layout import plain


class CommandError(Exception):
    """What was asked for cannot be done; a sentence says why and what to do."""


class RefusedError(CommandError):
    """The gateway does not do it, in its words.

    Attributes:
        code: Why.
        facts: What a program may want to know of that.
    """

    def __init__(self, code: str, text: str, facts: Mapping[str, object] = MappingProxyType({})) -> None:
        super().__init__(plain(text))
        self.code = code
        self.facts = facts

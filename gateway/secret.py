"""What must not be shown: a value that prints as asterisks wherever it goes by mistake."""

import hmac
from typing import Self

MASK = "***"


class Secret:
    """A text that has to be asked for by name.

    `repr`, `str` and `format` give asterisks, and so does what pickle makes of it. There is no way to make JSON of it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: only where it is sent, hashed or shown to its owner."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, _form: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # An environment variable may hold bytes that are no UTF-8.
        ours, theirs = (it.reveal().encode(errors="surrogatepass") for it in (self, other))
        return hmac.compare_digest(ours, theirs)

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self  # `dataclasses.asdict` copies, and what it gives is still shown masked

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        return Secret, (MASK,)

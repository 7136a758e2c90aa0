"""Which of several things a person means, who types a part of what it is called."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from gateway.terminal.errors import CommandError
from gateway.terminal.layout import plain

_T = TypeVar("_T")

_MOST_NAMED = 4


def find(
    things: Sequence[_T],
    typed: str,
    known_as: Callable[[_T], Iterable[str]],
    called: Callable[[_T], str],
    *,
    if_nothing: str,
    if_nobody: str,
) -> _T:
    """The one that a person means.

    Args:
        things: All there are.
        typed: All of what one is known as, or a part that only it has, in any case.
        known_as: All that a person may call it by.
        called: How the choice between several tells it from the others.
        if_nothing: The sentence for somebody who typed nothing.
        if_nobody: The sentence if it is none, in which `{}` becomes what was typed.

    Raises:
        CommandError: If nothing was typed, or it is none, or one of several.
    """
    sought = plain(typed).strip().casefold()
    if not sought:
        raise CommandError(if_nothing)
    known = [(thing, [plain(word).strip().casefold() for word in known_as(thing)]) for thing in things]
    matches = [thing for thing, words in known if sought in words]
    matches = matches or [thing for thing, words in known if any(sought in word for word in words)]
    if not matches:
        raise CommandError(if_nobody.format(repr(plain(typed))))
    if len(matches) > 1:
        others = ["others"] if len(matches) > _MOST_NAMED else []
        *told, last = [*map(called, matches[:_MOST_NAMED]), *others]
        raise CommandError(f"{plain(typed)!r} may be {', '.join(told)} or {last}: give one of these.")
    return matches[0]

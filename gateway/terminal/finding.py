"""Which of several things a person means, who types a part of what it is called."""

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import TypeVar

from gateway.terminal.errors import CommandError
from gateway.terminal.layout import plain

_T = TypeVar("_T")

_MOST_NAMED = 4
_SIMILAR = 0.75
"""How much of a word has to be right to be taken for another with a slip in it, as `difflib` measures it."""


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
        near = _nearest(sought, known)
        hint = "" if near is None else f" Perhaps {called(near)} is meant."
        raise CommandError(if_nobody.format(repr(plain(typed))) + hint)
    if len(matches) > 1:
        others = ["others"] if len(matches) > _MOST_NAMED else []
        *told, last = [*map(called, matches[:_MOST_NAMED]), *others]
        raise CommandError(f"{plain(typed)!r} may be {', '.join(told)} or {last}: give one of these.")
    return matches[0]


def _nearest(sought: str, known: Iterable[tuple[_T, Iterable[str]]]) -> _T | None:
    """The one that somebody may have meant who has mistyped what it is known as."""
    owners = {word: thing for thing, words in known for word in words}
    near = get_close_matches(sought, owners, n=1, cutoff=_SIMILAR)
    return owners[near[0]] if near else None

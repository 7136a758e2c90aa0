"""What somebody who looks at the certificates finds: which one to serve, and what is wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.tls.moment import DAY_MS, Moment
from gateway.tls.pem import Authority, Leaf

RENEWED_AHEAD_MS = 30 * DAY_MS
TOLD_AHEAD_MS = 14 * DAY_MS
"""Others that renew certificates do so a month ahead; by then they have not."""
AUTHORITY_TOLD_AHEAD_MS = 90 * DAY_MS
"""Somebody has to go to every laptop."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong, as `gateway.problems` tells it."""

    code: str
    text: str
    action: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found.

    Attributes:
        leaf: The certificate to serve.
        authority: Of the club, if it has signed that and is in order.
        is_own: Whether the club's authority has signed it.
        troubles: What is wrong.
    """

    leaf: Leaf
    authority: Authority | None
    is_own: bool
    troubles: tuple[Trouble, ...]


def is_due(leaf: Leaf, places: frozenset[str], moment: Moment) -> bool:
    """Whether a certificate of our own has to be replaced.

    Laptops judge by their clocks, not by ours: one that is not sure decides only where waiting helps nobody. Such a
    clock is usually behind, because a Pi starts with the time at which it was switched off.
    """
    if not places <= leaf.places:
        return True
    if moment.is_sure:
        return not leaf.not_before_ms <= moment.ms < leaf.not_after_ms - RENEWED_AHEAD_MS
    return moment.ms >= leaf.not_after_ms


def uncovered(leaf: Leaf, names: Iterable[str]) -> Iterator[str]:
    """The names that a certificate does not stand for; a star does for one label."""
    return (name for name in names if leaf.places.isdisjoint({name, f"*.{name.partition('.')[2]}"}))

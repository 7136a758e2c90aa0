"""What the wall clock shows, and how far it is believed: a Pi has no clock of its own, and starts with an old time."""

from dataclasses import dataclass
from datetime import UTC, datetime

OWN_DATE = datetime(2026, 4, 1, tzinfo=UTC)
"""This program, and what it is built with, is younger than that: a clock that shows less is wrong."""

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of the wall clock.

    Attributes:
        ms: Epoch ms.
        is_sure: Whether it is known to be right, more or less.
    """

    ms: int
    is_sure: bool

    @property
    def utc(self) -> datetime:
        """The same, as what certificates are made with."""
        return datetime.fromtimestamp(self.ms / 1000, UTC)


def believed(utc_ms: int, *, is_sure: bool) -> Moment:
    """The time to go by: what the clock shows, or our own date where that cannot be."""
    own_ms = int(OWN_DATE.timestamp() * 1000)
    return Moment(utc_ms, is_sure) if utc_ms >= own_ms else Moment(own_ms, is_sure=False)


def day(ms: int) -> str:
    """A date for people."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")

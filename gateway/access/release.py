"""A release: what lets an athlete be shown, who wears which tracker since when, and what is told of that."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

_AHEAD_MS = 60_000
"""A beginning so far in the future was taken from a clock that has been set since."""


class Release(msgspec.Struct, frozen=True):
    """What lets an athlete be shown.

    Attributes:
        since_ms: Rows measured from here on may be kept, epoch ms by the trackers' clock; None until that is known.
        given_ms: When it was given, epoch ms by the wall clock: for people.
        basis: On what ground, in the words of who gave it.
        by: Who gave it.
    """

    since_ms: int | None
    given_ms: int
    basis: str
    by: str


class Wearer(msgspec.Struct, frozen=True):
    """Who wears a tracker.

    Attributes:
        athlete: Their name, or the tracker's serial number where it has none.
        since_ms: Rows measured from here on are theirs, epoch ms; 0 if nobody is known to have worn it before them,
            None until the time is known.
    """

    athlete: str
    since_ms: int | None


class AthleteReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an athlete stands.

    Attributes:
        athlete: Their name, or the tracker's serial number where it has none.
        trackers: Serial numbers of what they wear.
        is_released: Whether they have a release.
        given_ms: When it was given, epoch ms.
        basis: On what ground.
        by: Who gave it.
        is_waiting: It begins when the cloud has answered for the first time.
    """

    athlete: str
    trackers: tuple[str, ...]
    is_released: bool
    given_ms: int | None = None
    basis: str | None = None
    by: str | None = None
    is_waiting: bool = False


class ReleasesReport(msgspec.Struct, frozen=True):
    """How all athletes stand.

    Attributes:
        is_required: Whether an athlete needs a release; if not, everybody is shown.
        athletes: In the order of the configuration.
        trouble: What is wrong with keeping them, as one sentence; None if nothing is.
    """

    is_required: bool
    athletes: tuple[AthleteReport, ...]
    trouble: str | None = None


_Dated = TypeVar("_Dated", Release, Wearer)


def reported(athlete: str, trackers: Iterable[str], release: Release | None) -> AthleteReport:
    """How an athlete stands who wears these trackers; without a release if there is none."""
    if release is None:
        return AthleteReport(athlete, tuple(trackers), is_released=False)
    return AthleteReport(
        athlete,
        tuple(trackers),
        is_released=True,
        given_ms=release.given_ms,
        basis=release.basis,
        by=release.by,
        is_waiting=release.since_ms is None,
    )


def dated(it: _Dated, reference_ms: int) -> _Dated:
    """The same with a beginning: now, where it waits for the time, or was begun by a clock that was wrong."""
    if it.since_ms is not None and it.since_ms <= reference_ms + _AHEAD_MS:
        return it
    return msgspec.structs.replace(it, since_ms=reference_ms)

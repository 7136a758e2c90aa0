"""What people call trackers, and which one they mean."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from gateway.terminal.finding import find
from gateway.terminal.layout import plain


class Wearer(Protocol):
    """A tracker and who wears it."""

    @property
    def serial_number(self) -> str:
        """On its label."""

    @property
    def name(self) -> str | None:
        """Of its athlete."""

    @property
    def number(self) -> int | None:
        """Of the athlete's shirt."""


_W = TypeVar("_W", bound=Wearer)


def athlete(wearer: Wearer) -> str:
    """Who wears it, without the number; the tracker itself if nobody in particular."""
    return plain(wearer.name or "").strip() or plain(wearer.serial_number)


def called(wearer: Wearer) -> str:
    """A tracker as people speak of it: "10 Ada Lindqvist"."""
    return athlete(wearer) if wearer.number is None else f"{wearer.number} {athlete(wearer)}"


def identified(wearer: Wearer) -> str:
    """A tracker with its serial number: "10 Ada Lindqvist (SIM-0001)"."""
    name, serial = called(wearer), plain(wearer.serial_number)
    return f"{name} ({serial})" if athlete(wearer) != serial else name


def find_tracker(trackers: Sequence[_W], typed: str) -> _W:
    """The tracker that a person means.

    Args:
        trackers: All there are.
        typed: Serial number, athlete or the number of the shirt of one, or a part that only it has, in any case.

    Raises:
        CommandError: If it is none, or one of several.
    """
    return find(
        trackers,
        typed,
        _known_as,
        identified,
        if_nothing="Say which tracker: its serial number, its athlete or the number of the shirt, or a part of it; "
        "`insiders-gateway pair list` lists them.",
        if_nobody="No tracker and no athlete is called {}: `insiders-gateway pair list` lists them.",
    )


def _known_as(tracker: Wearer) -> list[str]:
    """All that a person may call a tracker by."""
    number = [] if tracker.number is None else [str(tracker.number)]
    return [tracker.serial_number, tracker.name or "", *number, called(tracker)]

"""How trackers, and who wears them, are named to people."""

from collections.abc import Mapping
from typing import Protocol


class Wearer(Protocol):
    """Who wears a tracker."""

    @property
    def serial_number(self) -> str:
        """Printed on the tracker."""

    @property
    def athlete(self) -> str | None:
        """Display name; None if nobody in particular wears it."""

    @property
    def number(self) -> int | None:
        """Jersey number."""


Wearers = Mapping[str, Wearer]
"""By serial number, in the order of the roster."""


def label(wearer: Wearer) -> str:
    """A tracker in the middle of a sentence: "Ada Lindqvist (SIM-0001)"."""
    return f"{wearer.athlete} ({wearer.serial_number})" if wearer.athlete else f"tracker {wearer.serial_number}"


def listed(labels: list[str], most: int = 3) -> str:
    """Some of them, "A, B, C and 4 more"."""
    if len(labels) > most:
        return f"{', '.join(labels[:most])} and {len(labels) - most} more"
    return " and ".join(filter(None, (", ".join(labels[:-1]), *labels[-1:])))


def printable(text: str, most: int = 40) -> str:
    """What a stranger wrote, on one line and not too long."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"

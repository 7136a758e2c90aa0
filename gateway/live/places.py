"""How many may be connected at once, in all and from one address."""

from collections import Counter
from enum import Enum, auto

STANDING = 800
"""Connections beyond the places that may stay until they have been told so: an open file each."""


class Place(Enum):
    """What somebody who comes in gets."""

    SEAT = auto()
    STANDING = auto()  # to be told that there is no seat
    NONE = auto()


class Places:
    """Counts who is here."""

    def __init__(self, most: int, most_per_address: int, standing: int = STANDING) -> None:
        """Make an empty room.

        Args:
            most: Seats.
            most_per_address: Of them, for connections from one address.
            standing: Who may wait at the wall.
        """
        self._most = most
        self._most_per_address = most_per_address
        self._most_standing = standing
        self._seated = Counter[str]()
        self._standing = 0

    def enter(self, address: str) -> Place:
        """Somebody comes from an address; unless that gives `NONE`, `leave` ends it."""
        if self._seated.total() < self._most and self._seated[address] < self._most_per_address:
            self._seated[address] += 1
            return Place.SEAT
        if self._standing < self._most_standing:
            self._standing += 1
            return Place.STANDING
        return Place.NONE

    def leave(self, address: str, place: Place) -> None:
        """Somebody goes who had a place."""
        if place is Place.SEAT:
            self._seated[address] -= 1
            if not self._seated[address]:
                del self._seated[address]
        elif place is Place.STANDING:
            self._standing -= 1

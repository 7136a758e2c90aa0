"""How many may be connected at once, in all and from one address.

Whoever has shown a credential may have every seat; all others together have some, so that no crowd of strangers, who
need not even say a word, keeps out those who are let in.
"""

from collections import Counter
from enum import Enum, auto

STANDING = 800
"""Connections beyond the places that may stay until they have been told so: an open file each."""

GUESTS = 4
"""One in so many seats is for connections that have shown no credential yet."""

GUESTS_PER_ADDRESS = 2
"""Likewise of the seats of one address: a browser opens six connections for the page on which it shows a code."""


class Place(Enum):
    """What somebody who comes in gets."""

    SEAT = auto()
    GUEST = auto()  # a seat, too, for somebody whom nobody knows
    STANDING = auto()  # to be told that there is no seat, unless they show that one is theirs
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
        self._guests = Counter[str]()
        self._standing = 0

    def enter(self, address: str) -> Place:
        """Somebody comes from an address; unless that gives `NONE`, `leave` ends it."""
        if self._has_seat(address) and self._has_seat_for_guest(address):
            self._guests[address] += 1
            return Place.GUEST
        if self._standing < self._most_standing:
            self._standing += 1
            return Place.STANDING
        return Place.NONE

    def recognise(self, address: str, place: Place) -> Place:
        """Somebody who is here has shown that they are let in; their place from now on."""
        if place is Place.GUEST or (place is Place.STANDING and self._has_seat(address)):
            self.leave(address, place)
            self._seated[address] += 1
            return Place.SEAT
        return place

    def leave(self, address: str, place: Place) -> None:
        """Somebody goes who had a place."""
        if place is Place.SEAT:
            _drop(self._seated, address)
        elif place is Place.GUEST:
            _drop(self._guests, address)
        elif place is Place.STANDING:
            self._standing -= 1

    def _has_seat(self, address: str) -> bool:
        taken, taken_here = self._seated.total() + self._guests.total(), self._seated[address] + self._guests[address]
        return taken < self._most and taken_here < self._most_per_address

    def _has_seat_for_guest(self, address: str) -> bool:
        is_room = self._guests.total() * GUESTS < self._most
        return is_room and self._guests[address] * GUESTS_PER_ADDRESS < self._most_per_address


def _drop(seats: Counter[str], address: str) -> None:
    seats[address] -= 1
    if not seats[address]:
        del seats[address]

"""Which sensor is held to the gateway: the one that is much stronger than every other, for a while."""

from collections.abc import Mapping
from dataclasses import dataclass

LEAD_DB = 10
"""Ten times the power: two straps on one bench, a hand's breadth apart, differ by less."""

HELD_S = 5.0
"""Whoever carries a strap past the gateway is gone by then."""

ROOM_DBM = -70
"""Also a sensor that nobody competes with has to be nearer than one that is worn on the other side of the room."""

PAUSE_S = 3.0
"""After so long without news nobody knows who was ahead meanwhile."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Who is ahead.

    Attributes:
        leader: The strongest sensor; None if there is none.
        ahead_db: By how much, of the next one or of what a sensor in the room may have; negative if it has less.
        for_s: For how long it has been ahead by enough.
    """

    leader: str | None
    ahead_db: int
    for_s: float

    @property
    def is_held(self) -> bool:
        """Whether it is to be offered."""
        return self.for_s >= HELD_S


class Lead:
    """Fed with the strengths of all sensors, as often as they are told."""

    def __init__(self) -> None:
        self._ahead: str | None = None
        self._since_s = self._told_s = 0.0

    def heard(self, strengths_dbm: Mapping[str, int], now_s: float) -> Standing:
        """Take in how strong each sensor is that is in the air.

        Args:
            strengths_dbm: By the sensor's id.
            now_s: Monotonic.
        """
        strongest = sorted(strengths_dbm.items(), key=lambda item: item[1], reverse=True)
        leader, strength_dbm = strongest[0] if strongest else (None, ROOM_DBM)
        ahead_db = strength_dbm - max([ROOM_DBM, *(next_dbm for _, next_dbm in strongest[1:2])])
        is_ahead = leader is not None and ahead_db >= LEAD_DB
        if not is_ahead or leader != self._ahead or now_s - self._told_s > PAUSE_S:
            self._ahead, self._since_s = leader if is_ahead else None, now_s
        self._told_s = now_s
        return Standing(leader, ahead_db, now_s - self._since_s if is_ahead else 0.0)

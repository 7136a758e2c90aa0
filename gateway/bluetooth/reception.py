"""How well and how often one device is heard."""

from collections import deque
from statistics import median, median_low

MOST_PER_S = 20
"""Advertisements of one address that are looked at in a second: twice what a lively strap sends."""

_RSSI_SAMPLES, _GAPS = 7, 15
_FEWEST_GAPS = 3
_EVENT_S = 0.015
"""One advertising event may be told twice, as advertisement and as answer to the scan; the next is 20 ms away."""

_NEW_STRETCH_S = 12.0
"""After such a silence it was elsewhere or off: that is no interval, and its strength then says nothing of now. The
longest advertising interval is 10.24 s."""

_BAR_DBM = (-90, -80, -70, -60)
_BAR_PLAY_DB = 2
"""So far beyond a border a strength has to be to count as beyond: a strap on the border would flicker all day."""


class Reception:
    """Times are seconds of one monotonic clock.

    Attributes:
        first_seen_s: When it was heard first.
        last_seen_s: When it was heard last.
    """

    __slots__ = ("_bars", "_event_s", "_gaps_s", "_rssi_dbm", "_second", "_this_second", "first_seen_s", "last_seen_s")

    def __init__(self, now_s: float) -> None:
        self.first_seen_s = self.last_seen_s = now_s
        self._event_s = now_s
        self._rssi_dbm: deque[int] = deque(maxlen=_RSSI_SAMPLES)
        self._gaps_s: deque[float] = deque(maxlen=_GAPS)
        self._second, self._this_second = int(now_s), 0
        self._bars = -1

    def admits(self, now_s: float) -> bool:
        """Whether this advertisement is not one too many of its second; counts it."""
        if int(now_s) != self._second:
            self._second, self._this_second = int(now_s), 0
        self._this_second += 1
        return self._this_second <= MOST_PER_S

    def heard(self, rssi_dbm: int, now_s: float) -> None:
        """An advertisement was received."""
        gap_s = now_s - self._event_s
        if gap_s >= _NEW_STRETCH_S:
            self._rssi_dbm.clear()
            self._bars = -1
        elif gap_s >= _EVENT_S:
            self._gaps_s.append(gap_s)
        if gap_s >= _EVENT_S:
            self._event_s = now_s
        self.last_seen_s = now_s
        self._rssi_dbm.append(rssi_dbm)
        strength_dbm = median_low(self._rssi_dbm)
        if self._bars < 0:
            self._bars = _bars(strength_dbm)
        else:
            self._bars = min(max(self._bars, _bars(strength_dbm - _BAR_PLAY_DB)), _bars(strength_dbm + _BAR_PLAY_DB))

    @property
    def rssi_dbm(self) -> int | None:
        """The median of the last seven: one reflection, or one body in between, moves nothing."""
        return median_low(self._rssi_dbm) if self._rssi_dbm else None

    @property
    def bars(self) -> int:
        """Strength for people, 0 to 4."""
        return max(0, self._bars)

    @property
    def interval_s(self) -> float | None:
        """How often it is heard: the median of recent gaps, so that lost packets do not count; None before a few."""
        return median(self._gaps_s) if len(self._gaps_s) >= _FEWEST_GAPS else None


def _bars(strength_dbm: int) -> int:
    return sum(strength_dbm >= bar_dbm for bar_dbm in _BAR_DBM)

"""Whether a tracker's times can be right. Pure: judged against UTC as somebody who knows it tells it.

A tracker dates its rows itself, from its satellite receiver. One that has not found the time yet, or that has lost
count of the weeks, sends good measurements under wrong times, and such a row must never be taken for now.
"""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]

AHEAD_MS = 2 * 60_000
"""How far in the future a right time may seem to lie: the reference is not exact."""

BEHIND_MS = 14 * 86_400_000
"""How late a row may come: longer than any tracker was ever heard to keep its rows."""

MOST_ON_TOP = 300
"""Rows from the future that can hide others: as many as the latest-data endpoint gives."""

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_ROLLOVER_MS = 1024 * 7 * _DAY_MS
_ROLLOVER_SLACK_MS = 36 * _HOUR_MS
_EPOCH_YEARS = {1970: "of computers", 1980: "of GPS"}


def plausible(t_ms: Times, reference_ms: int | None) -> slice:
    """Which of some ascending times can be right; all of them while the reference is not known."""
    start, stop = 0, len(t_ms)
    if reference_ms is not None and stop:
        earliest_ms, latest_ms = reference_ms - BEHIND_MS, reference_ms + AHEAD_MS
        # Nearly always both ends are right, and looking at two numbers is cheaper than searching.
        if t_ms[-1] > latest_ms:
            stop = int(np.searchsorted(t_ms, latest_ms, "right"))
        if t_ms[0] < earliest_ms:
            start = int(np.searchsorted(t_ms, earliest_ms))
    return slice(start, stop)


def diagnosis(error_ms: int, reference_ms: int) -> str:
    """What is wrong with a clock, as the end of the sentence "its clock ...".

    Args:
        error_ms: Its time minus the right one.
        reference_ms: The right one, epoch ms.
    """
    weeks_off = round(error_ms / _ROLLOVER_MS)
    if weeks_off and abs(error_ms - weeks_off * _ROLLOVER_MS) <= _ROLLOVER_SLACK_MS:
        return f"is {1024 * abs(weeks_off)} weeks {_direction(error_ms)}, as after a roll-over of the GPS week number"
    year = datetime.fromtimestamp((reference_ms + error_ms) / 1000, UTC).year
    if year in _EPOCH_YEARS:
        return f"says {year}, the beginning of time {_EPOCH_YEARS[year]}: it has not been set"
    size_ms = abs(error_ms)
    if size_ms < 2 * _HOUR_MS - _HOUR_MS // 4:
        return f"is {size_ms / 60_000:.0f} minutes {_direction(error_ms)}"
    if size_ms < 2 * _DAY_MS:
        return f"is {size_ms / _HOUR_MS:.1f} hours {_direction(error_ms)}"
    return f"is {size_ms / _DAY_MS:.0f} days {_direction(error_ms)} and says {year}"


class RowsOnTop:
    """The times of a tracker's rows from the future.

    They lie on top of every answer that begins with the newest until their time has come, and may hide the right ones.
    """

    def __init__(self) -> None:
        self._t_ms: Times = np.empty(0, np.int64)

    def __bool__(self) -> bool:
        return len(self._t_ms) > 0

    def known(self, t_ms: Times) -> NDArray[np.bool_]:
        """Which of some times are remembered."""
        return np.isin(t_ms, self._t_ms)

    def add(self, t_ms: Times) -> NDArray[np.bool_]:
        """Remember times; returns which of them were not known."""
        is_new = ~self.known(t_ms)
        if is_new.any():
            self._t_ms = np.union1d(self._t_ms, t_ms)[-MOST_ON_TOP:]
        return is_new

    def count(self, reference_ms: int | None) -> int:
        """How many lie on top of the right ones now."""
        if reference_ms is None:
            return 0
        return len(self._t_ms) - int(np.searchsorted(self._t_ms, reference_ms, "right"))


def _direction(error_ms: int) -> str:
    return "ahead" if error_ms > 0 else "behind"

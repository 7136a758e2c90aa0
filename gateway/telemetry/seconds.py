"""The last minutes of all trackers, one value a second: little enough to look at all of them every second."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gateway.telemetry.channel import Channel
from insiders_codecs.live import Arrivals
from insiders_codecs.samples import SAMPLE_PERIOD_MS, Column

Values = NDArray[np.float32]

SPAN_S = 300
"""How far back from a tracker's newest row."""

_COLUMNS = (Column.SPEED, Column.HEART_RATE, Column.POWER)
_PLACES = {column: place for place, column in enumerate(_COLUMNS)}
_MOST_ROWS = SPAN_S * 1000 // SAMPLE_PERIOD_MS


class Seconds:
    """Follows the rings of some channels, and reads each row once.

    A second's speed is the slowest of its rows; of heart rate and power, which come once a second, it has the last.

    Attributes:
        channels: Whose; rows of all that this gives are in their order.
    """

    def __init__(self, channels: Iterable[Channel]) -> None:
        self.channels = tuple(channels)
        count = len(self.channels)
        self._values = np.full((len(_COLUMNS), count, SPAN_S), np.nan, np.float32)
        self._newest_s = np.full(count, -1, np.int64)
        self._read = [0] * count
        self._withdrawn = [0] * count

    def update(self) -> None:
        """Take in the rows that have come since the last time."""
        for place, channel in enumerate(self.channels):
            ring = channel.ring
            if ring.withdrawn != self._withdrawn[place]:
                self._withdrawn[place] = ring.withdrawn
                self._newest_s[place] = -1
                self._values[:, place] = np.nan  # overwritten, and not only forgotten: they were taken back
            if ring.newest_ms is None or ring.newest == self._read[place]:
                continue
            if ring.newest - self._read[place] > _MOST_ROWS:
                self._read[place] = max(self._read[place], ring.since(ring.newest_ms - SPAN_S * 1000))
            while (arrivals := ring.read(self._read[place], _MOST_ROWS)) is not None:
                self._read[place] = arrivals.last
                if not arrivals.is_misdated:
                    self._came(place, arrivals)

    def last(self, column: Column, count: int) -> Values:
        """Each tracker's last seconds up to its own newest, that one last; NaN where nothing was measured.

        Args:
            column: Speed, heart rate or power.
            count: How many seconds.

        Returns:
            Shape (channels, count).
        """
        slots = (self._newest_s[:, np.newaxis] - np.arange(count - 1, -1, -1)) % SPAN_S
        values = np.take_along_axis(self._values[_PLACES[column]], slots, axis=1)
        values[self._newest_s < 0] = np.nan
        return values

    def between(self, column: Column, from_s: int, to_s: int) -> Values:
        """The same seconds of all trackers, NaN where nothing was measured, or it is too long ago.

        Args:
            column: Speed, heart rate or power.
            from_s: The first, epoch seconds.
            to_s: The one after the last; at most `SPAN_S` later.

        Returns:
            Shape (channels, to_s - from_s).
        """
        seconds = np.arange(from_s, to_s)
        newest_s = self._newest_s[:, np.newaxis]
        is_known = (newest_s - SPAN_S < seconds) & (seconds <= newest_s)
        return np.where(is_known, self._values[_PLACES[column]][:, seconds % SPAN_S], np.float32(np.nan))

    def _came(self, place: int, arrivals: Arrivals) -> None:
        seconds = arrivals.block.t_ms // 1000
        self._advance(place, int(seconds.max()))
        is_recent = seconds > self._newest_s[place] - SPAN_S
        slots = seconds % SPAN_S
        rows = arrivals.block.values
        for column, table in zip(_COLUMNS, self._values[:, place], strict=True):
            values = rows[column]
            is_measured = is_recent & ~np.isnan(values)
            if column is Column.SPEED:
                np.fmin.at(table, slots[is_measured], values[is_measured])
            else:
                table[slots[is_measured]] = values[is_measured]

    def _advance(self, place: int, newest_s: int) -> None:
        """Make room for the seconds up to a newer one."""
        before_s = int(self._newest_s[place])
        if newest_s > before_s:
            count = SPAN_S if before_s < 0 else min(newest_s - before_s, SPAN_S)
            self._values[:, place, np.arange(newest_s - count + 1, newest_s + 1) % SPAN_S] = np.nan
            self._newest_s[place] = newest_s

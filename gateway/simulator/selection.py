"""Rows of a tracker by time: batches cut to spans, counted and paged without touching their contents."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gateway.simulator.delivery import ROW_MS, ROWS_PER_BATCH, Times

Span = tuple[int, int]
"""First and last instant, both inclusive, epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Some rows of a tracker in order of time.

    Attributes:
        batches: Batch numbers, ascending, shape (n,).
        times: Time of the first row of each batch, shape (n,).
        low, high: The chosen rows of each batch are low <= row < high, never empty, shape (n,).
    """

    batches: Times
    times: Times
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of rows."""
        return int((self.high - self.low).sum())

    @property
    def last_ms(self) -> int:
        """Time of the newest row; the selection must not be empty."""
        return int(self.times[-1] + (self.high[-1] - 1) * ROW_MS)

    def rows(self, start: int, stop: int) -> "Selection":
        """The rows from number `start` to before `stop`, counted from 0."""
        # A page number may be larger than any column can hold.
        start, stop = min(start, self.size), min(stop, self.size)
        ends = np.cumsum(self.high - self.low)
        begins = ends - (self.high - self.low)
        kept = (ends > start) & (begins < stop)
        low = self.low[kept] + np.maximum(0, start - begins[kept])
        high = self.high[kept] - np.maximum(0, ends[kept] - stop)
        return Selection(self.batches[kept], self.times[kept], low, high)

    def newest(self, count: int) -> "Selection":
        """The last `count` rows."""
        size = self.size
        return self.rows(max(0, size - count), size)

    def whole(self) -> "Selection":
        """Only the batches that were not cut."""
        kept = self.high - self.low == ROWS_PER_BATCH
        return Selection(self.batches[kept], self.times[kept], self.low[kept], self.high[kept])

    def ranges(self, apart_ms: int) -> list[tuple[int, int, int]]:
        """First instant, last instant and number of rows of each run without a hole of `apart_ms` or more."""
        if not self.batches.size:
            return []
        first = self.times + self.low * ROW_MS
        last = self.times + (self.high - 1) * ROW_MS
        cuts = np.flatnonzero(first[1:] - last[:-1] >= apart_ms) + 1
        edges = [0, *cuts.tolist(), self.batches.size]
        counts = np.concatenate([[0], np.cumsum(self.high - self.low)])
        return [(int(first[a]), int(last[b - 1]), int(counts[b] - counts[a])) for a, b in pairwise(edges)]


def select(batches: Times, times: Times, spans: list[Span]) -> Selection:
    """The rows of the batches that lie in any of the spans, which must not overlap and be in order."""
    parts = [_within(batches, times, span) for span in spans]
    if not parts:
        parts = [_within(batches[:0], times[:0], (0, 0))]
    return Selection(
        np.concatenate([part.batches for part in parts]),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.high for part in parts]),
    )


def _within(batches: Times, times: Times, span: Span) -> Selection:
    first_ms, last_ms = span
    low = np.clip(-((times - first_ms) // ROW_MS), 0, ROWS_PER_BATCH)
    high = np.clip((last_ms - times) // ROW_MS + 1, 0, ROWS_PER_BATCH)
    kept = high > low
    return Selection(batches[kept], times[kept], low[kept], high[kept])

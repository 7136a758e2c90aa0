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
    """Some rows of a tracker, in order of time unless shuffled.

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
        counts = self.high - self.low
        ends = np.cumsum(counts)
        begins = ends - counts
        size = int(ends[-1]) if ends.size else 0
        start, stop = min(start, size), min(stop, size)
        kept = (ends > start) & (begins < stop)
        low = self.low[kept] + np.maximum(0, start - begins[kept])
        high = self.high[kept] - np.maximum(0, ends[kept] - stop)
        return Selection(self.batches[kept], self.times[kept], low, high)

    def newest(self, count: int) -> "Selection":
        """The last `count` rows."""
        size = self.size
        return self.rows(max(0, size - count), size)

    def shuffled(self, key: tuple[int, ...]) -> "Selection":
        """The same rows with their batches in an order that the key determines."""
        order = np.random.default_rng(key).permutation(self.batches.size)
        return Selection(self.batches[order], self.times[order], self.low[order], self.high[order])

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


def select(batches: Times, times: Times, spans: list[Span], measured_ms: Times | None = None) -> Selection:
    """The rows of the batches that lie in any of the spans, ascending in time.

    Args:
        batches: Batch numbers.
        times: The time of each batch's first row, ascending.
        spans: Must not overlap and be in order.
        measured_ms: The instants that decide what lies in a span, the times themselves unless given.
    """
    deciding = times if measured_ms is None else measured_ms
    empty = np.empty(0, dtype=np.int64)
    cuts = [_cut(deciding, span) for span in spans] or [(empty, empty, empty)]
    kept, low, high = (np.concatenate(columns) for columns in zip(*cuts, strict=True))
    order = np.argsort(times[kept], kind="stable")
    kept = kept[order]
    return Selection(batches[kept], times[kept], low[order], high[order])


def wholly_within(first_ms: Times, spans: list[Span]) -> NDArray[np.bool_]:
    """Whether each batch, given by the instant of its first row, lies in one of the spans with all its rows."""
    last_ms = first_ms + (ROWS_PER_BATCH - 1) * ROW_MS
    within = np.zeros(first_ms.size, dtype=np.bool_)
    for start_ms, stop_ms in spans:
        within |= (first_ms >= start_ms) & (last_ms <= stop_ms)
    return within


def _cut(first_ms: Times, span: Span) -> tuple[Times, Times, Times]:
    """Places of the batches that have rows in a span, and the first and the end of those rows."""
    low = np.clip(-((first_ms - span[0]) // ROW_MS), 0, ROWS_PER_BATCH)
    high = np.clip((span[1] - first_ms) // ROW_MS + 1, 0, ROWS_PER_BATCH)
    kept = np.flatnonzero(high > low)
    return kept, low[kept], high[kept]

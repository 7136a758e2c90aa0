"""The instants of a tracker's time that have no row, as sorted stretches between two rows.

Everything is done on whole columns: a page of history lands in thousands of holes at once.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from insiders_codecs.samples import SAMPLE_PERIOD_MS

LARGEST_STEP_MS = SAMPLE_PERIOD_MS * 3 // 2
"""Rows further apart have a hole between them: the phase of a tracker may shift, its rate does not."""


class GapReason(StrEnum):
    """Why rows are missing."""

    UPSTREAM_OUTAGE = "upstream_outage"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    DEVICE_SILENT = "device_silent"
    RING_OVERRUN = "ring_overrun"
    CLOCK_STEP = "clock_step"
    GATEWAY_RESTART = "gateway_restart"


REASONS = tuple(GapReason)
"""What the numbers in `Holes.reason` mean."""

Times = NDArray[np.int64]


class Holes:
    """Disjoint stretches of time without rows, ascending.

    Attributes:
        after_ms: Time of the row before each hole, epoch ms, int64, shape (n,).
        before_ms: Time of the row after it, shape (n,).
        gap: Number of the gap it belongs to, 0 while it belongs to none, shape (n,).
        reason: Why it is there, an index into `REASONS`, shape (n,).
    """

    def __init__(self) -> None:
        self.after_ms: Times = np.empty(0, np.int64)
        self.before_ms: Times = np.empty(0, np.int64)
        self.gap: Times = np.empty(0, np.int64)
        self.reason: NDArray[np.int8] = np.empty(0, np.int8)

    def __len__(self) -> int:
        return len(self.after_ms)

    @property
    def rows(self) -> Times:
        """Rows that fit into each hole at the sample rate, shape (n,)."""
        return rows_between(self.after_ms, self.before_ms)

    def extend(self, edges_ms: Times, reason: GapReason) -> bool:
        """Take in rows that are newer than all before.

        Args:
            edges_ms: Time of the newest row so far, and then those of the new ones, ascending.
            reason: Why nothing lies between the first two; between others the tracker left something out.

        Returns:
            Whether there is a hole between the first two.
        """
        wide = np.flatnonzero(np.diff(edges_ms) > LARGEST_STEP_MS)
        if not len(wide):
            return False
        is_first = bool(wide[0] == 0)
        reasons = np.full(len(wide), REASONS.index(GapReason.DEVICE_SILENT), np.int8)
        if is_first:
            reasons[0] = REASONS.index(reason)
        self.after_ms = np.concatenate((self.after_ms, edges_ms[wide]))
        self.before_ms = np.concatenate((self.before_ms, edges_ms[wide + 1]))
        self.gap = np.concatenate((self.gap, np.zeros(len(wide), np.int64)))
        self.reason = np.concatenate((self.reason, reasons))
        return is_first

    def prepend(self, after_ms: int, before_ms: int, gap: int, reason: GapReason) -> None:
        """Add one hole before all others."""
        self.after_ms = np.insert(self.after_ms, 0, after_ms)
        self.before_ms = np.insert(self.before_ms, 0, before_ms)
        self.gap = np.insert(self.gap, 0, gap)
        self.reason = np.insert(self.reason, 0, REASONS.index(reason))

    def fill(self, t_ms: Times) -> dict[int, int]:
        """Take in rows that are not newer than all before; what lies in no hole changes nothing.

        Args:
            t_ms: Their times, ascending.

        Returns:
            Rows that came into the holes of each gap, by its number.
        """
        owner = np.searchsorted(self.after_ms, t_ms, "left") - 1
        is_inside = owner >= 0
        is_inside[is_inside] = t_ms[is_inside] < self.before_ms[owner[is_inside]]
        inside, owner = t_ms[is_inside], owner[is_inside]
        if not len(inside):
            return {}
        touched = np.unique(owner)
        # Rows cut their hole: what remains are the steps between neighbouring edges of the same hole that are too wide.
        edges = np.concatenate((self.after_ms[touched], inside, self.before_ms[touched]))
        edges.sort()
        parent = np.searchsorted(self.after_ms, edges[:-1], "right") - 1
        is_touched = np.zeros(len(self), np.bool_)
        is_touched[touched] = True
        is_left = (
            (edges[1:] - edges[:-1] > LARGEST_STEP_MS) & (edges[1:] <= self.before_ms[parent]) & is_touched[parent]
        )
        pieces, parent = np.flatnonzero(is_left), parent[is_left]
        gaps, counts = np.unique(self.gap[owner], return_counts=True)
        gap, reason = self.gap[parent], self.reason[parent]
        self._remove(touched)
        at = np.searchsorted(self.after_ms, edges[pieces])
        self.after_ms = np.insert(self.after_ms, at, edges[pieces])
        self.before_ms = np.insert(self.before_ms, at, edges[pieces + 1])
        self.gap = np.insert(self.gap, at, gap)
        self.reason = np.insert(self.reason, at, reason)
        return dict(zip(gaps.tolist(), counts.tolist(), strict=True))

    def between(self, from_ms: int, to_ms: int) -> slice:
        """Where the holes stand that lie within two instants."""
        start, stop = np.searchsorted(self.after_ms, (from_ms, to_ms))
        return slice(int(start), int(stop))

    def carve(self, from_ms: int, to_ms: int) -> list[int]:
        """Take the instants of ``[from_ms, to_ms]`` out of the holes; returns the gaps that lost some."""
        cut = np.flatnonzero((self.after_ms < to_ms) & (self.before_ms > from_ms))
        gap, reason = self.gap[cut], self.reason[cut]
        after_ms, before_ms = self.after_ms[cut], self.before_ms[cut]
        self._remove(cut)
        self.after_ms = np.concatenate((self.after_ms, after_ms, np.maximum(after_ms, to_ms)))
        self.before_ms = np.concatenate((self.before_ms, np.minimum(before_ms, from_ms), before_ms))
        self.gap = np.concatenate((self.gap, gap, gap))
        self.reason = np.concatenate((self.reason, reason, reason))
        self._remove(np.flatnonzero(self.before_ms - self.after_ms <= LARGEST_STEP_MS))
        order = np.argsort(self.after_ms)
        self.after_ms, self.before_ms = self.after_ms[order], self.before_ms[order]
        self.gap, self.reason = self.gap[order], self.reason[order]
        return sorted(set(gap.tolist()))

    def cut(self, after_ms: int, before_ms: int, spans: Sequence[tuple[int, int]]) -> bool:
        """Cut one hole into the given stretches of instants and what lies between them; False if it is not there."""
        place = int(np.searchsorted(self.after_ms, after_ms))
        if place == len(self) or (int(self.after_ms[place]), int(self.before_ms[place])) != (after_ms, before_ms):
            return False
        after, before = [after_ms], []
        for first_ms, last_ms in spans:
            before += [first_ms, min(last_ms + SAMPLE_PERIOD_MS, before_ms)]
            after += [max(first_ms - SAMPLE_PERIOD_MS, after_ms), last_ms]
        before.append(before_ms)
        pieces = [(a, b) for a, b in zip(after, before, strict=True) if b - a > LARGEST_STEP_MS]
        gap, reason = self.gap[place], self.reason[place]
        self._remove(np.array([place]))
        self.after_ms = np.insert(self.after_ms, place, [a for a, _ in pieces])
        self.before_ms = np.insert(self.before_ms, place, [b for _, b in pieces])
        self.gap = np.insert(self.gap, place, [gap] * len(pieces))
        self.reason = np.insert(self.reason, place, [reason] * len(pieces))
        return True

    def drop(self, gaps: list[int]) -> None:
        """Forget the holes of some gaps."""
        self._remove(np.flatnonzero(np.isin(self.gap, gaps)))

    def _remove(self, places: NDArray[np.intp]) -> None:
        self.after_ms = np.delete(self.after_ms, places)
        self.before_ms = np.delete(self.before_ms, places)
        self.gap = np.delete(self.gap, places)
        self.reason = np.delete(self.reason, places)


def rows_between(after_ms: Times, before_ms: Times) -> Times:
    """Rows that fit between two rows at the sample rate, at least one where they are too far apart; shape (n,)."""
    return (before_ms - after_ms - LARGEST_STEP_MS + SAMPLE_PERIOD_MS - 1) // SAMPLE_PERIOD_MS

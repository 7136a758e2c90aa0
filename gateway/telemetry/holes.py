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
    """Stretches of time without rows, ascending; no instant lies in two.

    The ends of a hole are no part of it. A piece of one that was cut ends with the instants of the next pieces that
    are nearest to it, as if they had rows.

    Attributes:
        after_ms: Time of the row before each hole, epoch ms, int64, shape (n,).
        before_ms: Time of the row after it, ascending too, shape (n,).
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
        # Where two pieces meet, a row whose phase is not that of their instants ends a step of both.
        is_shared = (owner > 0) & (inside < self.before_ms[owner - 1])
        touched = np.unique(np.concatenate((owner, owner[is_shared] - 1)))
        # Rows cut their hole: what remains are the steps between neighbouring edges of the same hole that are too wide.
        edges = np.concatenate((self.after_ms[touched], inside, inside[is_shared], self.before_ms[touched]))
        parent = np.concatenate((touched, owner, owner[is_shared] - 1, touched))
        order = np.lexsort((edges, parent))
        edges, parent = edges[order], parent[order]
        pieces = np.flatnonzero((np.diff(edges) > LARGEST_STEP_MS) & (np.diff(parent) == 0))
        gaps, counts = np.unique(self.gap[owner], return_counts=True)
        gap, reason = self.gap[parent[pieces]], self.reason[parent[pieces]]
        self._remove(touched)
        self._insert(np.searchsorted(self.after_ms, edges[pieces]), edges[pieces], edges[pieces + 1], gap, reason)
        return dict(zip(gaps.tolist(), counts.tolist(), strict=True))

    def between(self, from_ms: int, to_ms: int) -> slice:
        """Where the holes stand that lie within two instants, all of each."""
        start = int(np.searchsorted(self.after_ms, from_ms))
        return slice(start, max(start, int(np.searchsorted(self.before_ms, to_ms, "right"))))

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

    def cut(
        self, after_ms: int, before_ms: int, spans: Sequence[tuple[int, int]], inside: GapReason, outside: GapReason
    ) -> bool:
        """Cut one hole into the given spans and what lies between them.

        Args:
            after_ms: Its bounds, as they are now.
            before_ms: Likewise.
            spans: First and last instants, ascending. They need not lie on the hole's own instants: each of those
                goes to one piece.
            inside: The reason of the pieces in a span.
            outside: The reason of the others.

        Returns:
            Whether there is such a hole.
        """
        place = int(np.searchsorted(self.after_ms, after_ms))
        if place == len(self) or (int(self.after_ms[place]), int(self.before_ms[place])) != (after_ms, before_ms):
            return False
        count = int(self.rows[place])
        steps = np.rint((np.array(spans, np.int64).reshape(-1, 2) - after_ms) / SAMPLE_PERIOD_MS).astype(np.int64)
        # Instants are numbered from 1; pieces, by turns outside and inside, end with these. Those without any are none.
        ends = np.concatenate(([0], (np.clip(steps, 1, count) - (1, 0)).ravel(), [count]))
        ends = np.maximum.accumulate(ends)
        pieces = np.flatnonzero(np.diff(ends))
        after = after_ms + SAMPLE_PERIOD_MS * ends[pieces]
        before = after_ms + SAMPLE_PERIOD_MS * (ends[pieces + 1] + 1)
        before[-1] = before_ms
        reason = np.array([REASONS.index(outside), REASONS.index(inside)], np.int8)[pieces % 2]
        gap = np.full(len(pieces), self.gap[place])
        self._remove(np.array([place]))
        self._insert(np.full(len(pieces), place), after, before, gap, reason)
        return True

    def drop(self, gaps: list[int]) -> None:
        """Forget the holes of some gaps."""
        self._remove(np.flatnonzero(np.isin(self.gap, gaps)))

    def _insert(
        self, at: NDArray[np.intp], after_ms: Times, before_ms: Times, gap: Times, reason: NDArray[np.int8]
    ) -> None:
        self.after_ms = np.insert(self.after_ms, at, after_ms)
        self.before_ms = np.insert(self.before_ms, at, before_ms)
        self.gap = np.insert(self.gap, at, gap)
        self.reason = np.insert(self.reason, at, reason)

    def _remove(self, places: NDArray[np.intp]) -> None:
        self.after_ms = np.delete(self.after_ms, places)
        self.before_ms = np.delete(self.before_ms, places)
        self.gap = np.delete(self.gap, places)
        self.reason = np.delete(self.reason, places)


def rows_between(after_ms: Times, before_ms: Times) -> Times:
    """Rows that fit between two rows at the sample rate, at least one where they are too far apart; shape (n,)."""
    return (before_ms - after_ms - LARGEST_STEP_MS + SAMPLE_PERIOD_MS - 1) // SAMPLE_PERIOD_MS

"""Holes in a tracker's samples, and the typed records that tell of them.

A hole is the time between two rows that are further apart than the sample rate allows. Rows come late as a rule, so a
hole is not worth a word until the data has moved on a while; then it becomes a gap, closed because its end is known,
and repaired when its rows come after all. While nothing comes because the cloud does not answer, the gap is open.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from insiders_codecs.samples import SAMPLE_PERIOD_MS

GRACE_MS = 5_000
"""How far the data must have moved past a hole before it is a gap: ordinary lateness is shorter."""

OUTAGE_AFTER_S = 3.0
"""How long the cloud must have left a tracker's polls unanswered before its gap is opened."""

_LARGEST_STEP_MS = SAMPLE_PERIOD_MS * 3 // 2
_KEPT = 200
"""Gaps remembered per tracker. The oldest finished ones give way, after everybody has been told of them."""


class GapReason(StrEnum):
    """Why rows are missing."""

    UPSTREAM_OUTAGE = "upstream_outage"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    DEVICE_SILENT = "device_silent"


class GapState(StrEnum):
    """How a gap stands: still growing, bounded, or filled."""

    OPEN = "open"
    CLOSED = "closed"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of one tracker's time without rows.

    Attributes:
        id: Number of the gap, unique for its tracker.
        from_ms: Time of the last row before it, epoch ms.
        to_ms: Time of the first row after it, epoch ms; None while it is open.
        rows: Rows missing at the sample rate; None while it is open.
        reason: Why they are missing.
        state: How it stands.
    """

    id: int
    from_ms: int
    to_ms: int | None
    rows: int | None
    reason: GapReason
    state: GapState


@dataclass(frozen=True, slots=True)
class Hole:
    """The time between two rows, exclusive of both, in epoch ms."""

    after_ms: int
    before_ms: int
    reason: GapReason

    @property
    def rows(self) -> int:
        """Rows that fit into it at the sample rate."""
        return max(1, round((self.before_ms - self.after_ms) / SAMPLE_PERIOD_MS) - 1)


class GapTracker:
    """Follows the holes of one tracker. Pure bookkeeping: it is told what came and what failed."""

    def __init__(self) -> None:
        self.newest_ms: int | None = None
        self._holes: dict[Hole, int | None] = {}  # hole -> id of its gap, once it is one
        self._gaps: dict[int, Gap] = {}
        self._open: int | None = None
        self._failure: GapReason | None = None
        self._changed: dict[int, Gap] = {}
        self._next_id = 1

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The gaps remembered, oldest first."""
        return tuple(self._gaps.values())

    def oldest_hole_ms(self, not_before_ms: int) -> int | None:
        """Where the oldest hole begins whose end lies after the given time; None if there is none."""
        return min((hole.after_ms for hole in self._holes if hole.before_ms > not_before_ms), default=None)

    def rows_came(self, times: list[int]) -> None:
        """Take note of an answer of the cloud.

        Args:
            times: Times of the rows that were new, ascending, epoch ms; may be empty.
        """
        if self.newest_ms is None and times:
            self.newest_ms = times[0]
        if self.newest_ms is None:
            self._failure = None
            return
        if not times and self._open is None:
            self._failure = None  # a hiccup is over; what stays away from here on does so for another reason
        for t_ms in times:
            if t_ms > self.newest_ms:
                self._end_open(self.newest_ms, t_ms)
                self.newest_ms = t_ms
            else:
                self._fill(t_ms)
        self._name_gaps()

    def poll_failed(self, reason: GapReason, unread_s: float) -> None:
        """Take note that the cloud gave no answer: what is missing from here on is missing for that reason.

        Args:
            reason: What kept the cloud from answering; of several the first is told.
            unread_s: Seconds since its last answer for this tracker.
        """
        self._failure = self._failure or reason
        if self._open is None and self.newest_ms is not None and unread_s >= OUTAGE_AFTER_S:
            self._open = self._new_id()
            self._put(Gap(self._open, self.newest_ms, None, None, self._failure, GapState.OPEN))

    def changes(self) -> list[Gap]:
        """The gaps that changed since the last call, each in its present form."""
        changed, self._changed = list(self._changed.values()), {}
        return changed

    def forget(self) -> None:
        """Drop all knowledge of rows; a gap that was open is told to be over."""
        if self._open is not None and self.newest_ms is not None:
            self._put(replace(self._gaps[self._open], to_ms=self.newest_ms, rows=0, state=GapState.REPAIRED))
        self.newest_ms = None
        self._open = self._failure = None
        self._holes.clear()
        self._gaps.clear()

    def _fill(self, t_ms: int) -> None:
        hole = next((hole for hole in self._holes if hole.after_ms < t_ms < hole.before_ms), None)
        if hole is None:
            return
        gap_id = self._holes.pop(hole)
        for piece in (replace(hole, before_ms=t_ms), replace(hole, after_ms=t_ms)):
            if piece.before_ms - piece.after_ms > _LARGEST_STEP_MS:
                self._holes[piece] = gap_id  # the first piece left keeps the gap's number
                if gap_id is not None:
                    self._put(self._closed(gap_id, piece))
                gap_id = None
        if gap_id is not None:
            self._put(replace(self._gaps[gap_id], rows=0, state=GapState.REPAIRED))

    def _end_open(self, newest_ms: int, t_ms: int) -> None:
        """A newer row came: what was open until now is a hole of known size, or cost nothing."""
        gap_id, self._open = self._open, None
        reason, self._failure = self._failure or GapReason.DEVICE_SILENT, None
        if t_ms - newest_ms > _LARGEST_STEP_MS:
            hole = Hole(newest_ms, t_ms, reason)
            self._holes[hole] = gap_id
            if gap_id is not None:
                self._put(self._closed(gap_id, hole))
        elif gap_id is not None:
            self._put(replace(self._gaps[gap_id], to_ms=t_ms, rows=0, state=GapState.REPAIRED))

    def _name_gaps(self) -> None:
        if self.newest_ms is None:
            return
        for hole, gap_id in self._holes.items():
            if gap_id is None and hole.before_ms < self.newest_ms - GRACE_MS:
                self._holes[hole] = new_id = self._new_id()
                self._put(self._closed(new_id, hole))
        while len(self._gaps) > _KEPT:
            oldest = next(iter(self._gaps))
            del self._gaps[oldest]
            self._holes = {hole: gap_id for hole, gap_id in self._holes.items() if gap_id != oldest}

    def _closed(self, gap_id: int, hole: Hole) -> Gap:
        return Gap(gap_id, hole.after_ms, hole.before_ms, hole.rows, hole.reason, GapState.CLOSED)

    def _put(self, gap: Gap) -> None:
        self._gaps[gap.id] = gap
        self._changed[gap.id] = gap

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

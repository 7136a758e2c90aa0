"""The typed records that tell of holes in a tracker's samples.

Rows come late as a rule, so a hole is not worth a word until the data has moved on a while; then it becomes a gap,
closed because its end is known. What comes after all makes it smaller: a gap keeps its number for as long as anything
of it is missing, however many holes it has fallen into, and is repaired when nothing is. While nothing comes because
the cloud does not answer, the gap is open.

Every instant of the sample rate between the first row and the newest either has a row or lies in exactly one hole.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.telemetry.gap import Gap, GapState, GapTotals, Hole
from gateway.telemetry.holes import LARGEST_STEP_MS, REASONS, GapReason, Holes, Times

GRACE_MS = 5_000
"""How far the data must have moved past a hole before it is a gap: ordinary lateness is shorter."""

OUTAGE_AFTER_S = 3.0
"""How long the cloud must have left a tracker's polls unanswered before its gap is opened."""

KEPT = 500
"""Gaps remembered per tracker. Repaired ones give way first, then the oldest, after everybody has been told of them."""


_SILENT = REASONS.index(GapReason.DEVICE_SILENT)

_LASTING = (GapReason.CLOCK_STEP, GapReason.GATEWAY_RESTART)
"""What an answer without newer rows does not end, because it says nothing about the time before."""


class GapTracker:
    """Follows the holes of one tracker. Pure bookkeeping: it is told what came and what failed.

    Attributes:
        newest_ms: Time of the newest row, epoch ms; None before the first.
        revision: Grows with every change of a gap.
        generation: How often everything was forgotten.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.generation = 0
        self._changed: dict[int, Gap] = {}
        self._last_id = 0
        self._clear()

    def _clear(self) -> None:
        self.newest_ms: int | None = None
        self._first_ms: int | None = None
        self._wanted_ms: int | None = None  # where the past before the first row begins
        self._failure: GapReason | None = None
        self._open: int | None = None
        self._holes = Holes()
        self._has_unnamed = False
        self._gaps: dict[int, Gap] = {}
        self._found: dict[int, tuple[int, int]] = {}  # bounds of each closed gap when it was found
        self._begun = 0
        self._dropped: Counter[GapReason] = Counter()
        self._repaired = 0

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The gaps remembered, oldest first."""
        return tuple(self._gaps.values())

    @property
    def totals(self) -> GapTotals:
        """Sums over all gaps, remembered or not."""
        missing = self._dropped + _by_reason(self._holes, np.full(len(self._holes), fill_value=True))
        return GapTotals(self._begun, missing, self._repaired)

    def oldest_hole_ms(self, not_before_ms: int) -> int | None:
        """Where the oldest hole begins whose end lies after the given time; None if there is none."""
        place = int(np.searchsorted(self._holes.before_ms, not_before_ms, "right"))
        return int(self._holes.after_ms[place]) if place < len(self._holes) else None

    def holes(self, not_before_ms: float) -> list[Hole]:
        """The holes of closed gaps whose end lies after the given time, ascending."""
        holes = self._holes
        places = np.flatnonzero((holes.before_ms > not_before_ms) & (holes.gap > 0))
        columns = (holes.gap, holes.after_ms, holes.before_ms, holes.reason)
        return [
            Hole(gap, after_ms, before_ms, REASONS[reason])
            for gap, after_ms, before_ms, reason in zip(*(column[places].tolist() for column in columns), strict=True)
        ]

    # What happens

    def rows_came(self, t_ms: Times) -> None:
        """Take note of an answer of the cloud about its newest rows.

        Args:
            t_ms: Times of the rows that were new, ascending, epoch ms; may be empty.
        """
        newest_ms = self.newest_ms
        self.filled(t_ms)
        # Answered and nothing newer: what stays away from here on does so for another reason than a hiccup.
        if newest_ms == self.newest_ms and self._open is None and self._failure not in _LASTING:
            self._failure = None

    def filled(self, t_ms: Times) -> None:
        """Take note of rows that say nothing about whether the cloud answers now, such as those of history.

        Args:
            t_ms: Times of the rows that were new, ascending, epoch ms; may be empty.
        """
        if not len(t_ms):
            return
        newest_ms = self._begin(int(t_ms[0])) if self.newest_ms is None else self.newest_ms
        newer = t_ms[np.searchsorted(t_ms, newest_ms, "right") :]
        if len(newer) < len(t_ms) and len(self._holes):
            for gap_id, rows in self._holes.fill(t_ms[: len(t_ms) - len(newer)]).items():
                if gap_id:
                    self._repaired += rows
                    self._measure(self._gaps[gap_id], rows)
        if len(newer):
            self._extend(newest_ms, newer)
            self.newest_ms = newest_ms = int(newer[-1])
        if self._has_unnamed:
            self._name_gaps(newest_ms - GRACE_MS)

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

    def misdated(self) -> None:
        """Take note that rows came whose times are wrong: what is missing from here to the next good one is theirs."""
        if self._open is None:
            self._failure = GapReason.CLOCK_STEP

    def began(self, from_ms: int) -> None:
        """Say that what the tracker measured from a time on is wanted too, although nobody listened then."""
        if self._first_ms is None:
            self._wanted_ms = from_ms
        elif self._first_ms - from_ms > LARGEST_STEP_MS:
            gap = Gap(self._new_id(), from_ms, self._first_ms, None, GapReason.GATEWAY_RESTART, GapState.CLOSED)
            self._holes.prepend(from_ms, self._first_ms, gap.id, gap.reason)
            self._found[gap.id] = (from_ms, self._first_ms)
            self._first_ms = from_ms
            self._measure(gap)

    def not_ours(self, from_ms: int, to_ms: int) -> None:
        """Take note that what was measured in ``[from_ms, to_ms]`` is somebody else's: none of it is missing."""
        for gap_id in self._holes.carve(from_ms, to_ms):
            if gap_id:
                self._measure(self._gaps[gap_id])
        if self._has_unnamed and self.newest_ms is not None:
            self._name_gaps(self.newest_ms - GRACE_MS)  # what is left of a young hole may be older than the hole was

    def proved_silent(self, from_ms: int, to_ms: int) -> None:
        """Take note that the cloud has none of the rows that are missing between two instants.

        Then the tracker never sent them, whatever was thought before; unless it sent them with a wrong time.
        """
        holes, within = self._holes, self._holes.between(from_ms, to_ms)
        reasons = holes.reason[within]
        explained = (reasons != _SILENT) & (reasons != REASONS.index(GapReason.CLOCK_STEP))
        reasons[explained] = _SILENT
        for gap_id in np.unique(holes.gap[within][explained]).tolist():
            if gap_id:
                self._measure(self._gaps[gap_id])

    def traced(self, hole: Hole, known: Sequence[tuple[int, int]]) -> None:
        """Take note of where in a hole the cloud has rows that will not be read: those are lost, the rest is silence.

        Args:
            hole: As `holes` gave it; if it has changed since, nothing is concluded.
            known: First and last instants of stretches with rows, ascending, inside the hole.
        """
        # What kept us from reading them stays the reason; if nothing did, they were older than what is kept here.
        lost = GapReason.RING_OVERRUN if hole.reason is GapReason.DEVICE_SILENT else hole.reason
        rest = hole.reason if hole.reason is GapReason.CLOCK_STEP else GapReason.DEVICE_SILENT
        if not self._holes.cut(hole.after_ms, hole.before_ms, known, lost, rest):
            return
        if hole.gap in self._gaps:
            self._measure(self._gaps[hole.gap])

    def settle(self, gap_id: int) -> None:
        """Take note that history has nothing more to bring for a gap, at least for now."""
        gap = self._gaps.get(gap_id)
        if gap is not None and gap.state is GapState.CLOSED and not gap.is_settled:
            self._put(replace(gap, is_settled=True))

    def changes(self) -> list[Gap]:
        """The gaps that changed since the last call, each in its present form."""
        changed, self._changed = list(self._changed.values()), {}
        return changed

    def forget(self) -> None:
        """Drop all knowledge of rows; a gap that was open is told to be over. Numbers go on."""
        if self._open is not None and self.newest_ms is not None:
            self._put(replace(self._gaps[self._open], to_ms=self.newest_ms, rows=0, state=GapState.REPAIRED))
        self._clear()
        self.generation += 1
        self.revision += 1

    # Over a restart

    def dump(self) -> dict[str, Any]:
        """All of it, as plain values."""
        holes = self._holes
        state = _State(
            newest_ms=self.newest_ms,
            first_ms=self._first_ms,
            wanted_ms=self._wanted_ms,
            open=self._open,
            last_id=self._last_id,
            begun=self._begun,
            repaired=self._repaired,
            dropped=dict(self._dropped),
            gaps=list(self._gaps.values()),
            found=self._found,
            holes=list(
                zip(
                    holes.after_ms.tolist(),
                    holes.before_ms.tolist(),
                    holes.gap.tolist(),
                    [REASONS[reason] for reason in holes.reason.tolist()],
                    strict=True,
                )
            ),
        )
        plain: dict[str, Any] = msgspec.to_builtins(state, str_keys=True)
        return plain

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Go on from a dump: what is missing until the next row is missing because of the restart.

        Raises:
            msgspec.ValidationError: If it is no dump.
        """
        state = msgspec.convert(plain, _State, strict=False)
        self.newest_ms, self._first_ms, self._wanted_ms = state.newest_ms, state.first_ms, state.wanted_ms
        self._open = state.open
        self._last_id, self._begun, self._repaired = state.last_id, state.begun, state.repaired
        self._dropped = Counter(state.dropped)
        self._gaps = {gap.id: gap for gap in state.gaps}
        self._found = state.found
        holes = self._holes
        holes.after_ms, holes.before_ms, holes.gap = (
            np.array([hole[place] for hole in state.holes], np.int64) for place in range(3)
        )
        holes.reason = np.array([REASONS.index(hole[3]) for hole in state.holes], np.int8)
        self._has_unnamed = bool((holes.gap == 0).any())
        self._failure = self._gaps[self._open].reason if self._open else GapReason.GATEWAY_RESTART
        self._changed = dict(self._gaps)
        self.revision += 1

    # How it is done

    def _begin(self, first_ms: int) -> int:
        self.newest_ms = self._first_ms = first_ms
        self._failure = None
        if self._wanted_ms is not None:
            self.began(self._wanted_ms)
        return first_ms

    def _extend(self, newest_ms: int, newer: Times) -> None:
        """Newer rows came: what was open until now is a hole of known size, or cost nothing."""
        opened, self._open = self._gaps.get(self._open or 0), None
        reason, self._failure = self._failure or GapReason.DEVICE_SILENT, None
        known = len(self._holes)
        is_hole = self._holes.extend(np.concatenate(([newest_ms], newer)), reason)
        self._has_unnamed |= len(self._holes) > known
        if opened is None:
            return
        if is_hole:
            self._holes.gap[known] = opened.id
            self._found[opened.id] = (newest_ms, int(newer[0]))
            self._measure(opened)
        else:
            self._put(replace(opened, to_ms=int(newer[0]), rows=0, state=GapState.REPAIRED))

    def _name_gaps(self, until_ms: int) -> None:
        """Make gaps of the holes whose grace is over."""
        holes = self._holes
        unnamed = np.flatnonzero(holes.gap == 0)
        due = unnamed[holes.before_ms[unnamed] < until_ms]
        self._has_unnamed = len(due) < len(unnamed)
        if not len(due):
            return
        columns = (due, holes.after_ms[due], holes.before_ms[due], holes.rows[due], holes.reason[due])
        for place, after_ms, before_ms, rows, reason in zip(*(column.tolist() for column in columns), strict=True):
            gap_id = self._new_id()
            holes.gap[place] = gap_id
            self._found[gap_id] = (after_ms, before_ms)
            self._put(Gap(gap_id, after_ms, before_ms, rows, REASONS[reason], GapState.CLOSED))
        if len(self._gaps) > KEPT:
            self._drop(len(self._gaps) - KEPT)

    def _measure(self, gap: Gap, rows_came: int = 0) -> None:
        """Tell of a gap anew, after its holes have changed."""
        holes, (from_ms, to_ms) = self._holes, self._found[gap.id]
        within = holes.between(from_ms, to_ms)
        repaired = gap.rows_repaired + rows_came
        if within.start == within.stop:
            self._put(Gap(gap.id, from_ms, to_ms, 0, gap.reason, GapState.REPAIRED, repaired))
            return
        reasons = [reason for reason in np.unique(holes.reason[within]).tolist() if reason != _SILENT]
        self._put(
            Gap(
                gap.id,
                int(holes.after_ms[within.start]),
                int(holes.before_ms[within.stop - 1]),
                int(holes.rows[within].sum()),
                REASONS[reasons[0] if reasons else _SILENT],
                GapState.CLOSED,
                repaired,
                gap.is_settled,
            )
        )

    def _drop(self, count: int) -> None:
        """Forget gaps; what they miss stays counted."""
        ids = [gap.id for gap in self._gaps.values() if gap.state is GapState.REPAIRED][:count]
        ids += [gap.id for gap in self._gaps.values() if gap.state is GapState.CLOSED][: count - len(ids)]
        is_dropped = np.isin(self._holes.gap, ids)
        self._dropped.update(_by_reason(self._holes, is_dropped))
        self._holes.drop(ids)
        for gap_id in ids:
            del self._gaps[gap_id]
            self._found.pop(gap_id, None)

    def _put(self, gap: Gap) -> None:
        self._gaps[gap.id] = gap
        self._changed[gap.id] = gap
        self.revision += 1

    def _new_id(self) -> int:
        self._last_id += 1
        self._begun += 1
        return self._last_id


class _State(msgspec.Struct):
    newest_ms: int | None
    first_ms: int | None
    wanted_ms: int | None
    open: int | None
    last_id: int
    begun: int
    repaired: int
    dropped: dict[GapReason, int]
    gaps: list[Gap]
    found: dict[int, tuple[int, int]]
    holes: list[tuple[int, int, int, GapReason]]


def _by_reason(holes: Holes, chosen: NDArray[np.bool_]) -> Counter[GapReason]:
    """Rows missing in the chosen holes, mask of shape (n,)."""
    rows = np.bincount(holes.reason[chosen], weights=holes.rows[chosen], minlength=len(REASONS))
    return Counter({reason: int(count) for reason, count in zip(REASONS, rows, strict=True) if count})

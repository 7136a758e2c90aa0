"""Holes in the samples, and the gap records that tell of them."""

from collections import Counter

import msgpack
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from gateway.telemetry.gap import Gap, GapState, Hole
from gateway.telemetry.gaps import GRACE_MS, KEPT, OUTAGE_AFTER_S, GapTracker
from gateway.telemetry.holes import REASONS, GapReason

SILENT, OUTAGE = GapReason.DEVICE_SILENT, GapReason.UPSTREAM_OUTAGE


def came(gaps: GapTracker, t_ms: list[int]) -> None:
    gaps.rows_came(np.array(t_ms, np.int64))


def times(start: int, stop: int) -> list[int]:
    return list(range(start, stop, 100))


def test_rows_at_the_sample_rate_are_no_gap() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 10_000))
    came(gaps, [])
    assert gaps.changes() == []
    assert gaps.oldest_hole_ms(0) is None


def test_a_hole_becomes_a_gap_only_when_the_data_has_moved_on() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    came(gaps, times(2000, 2000 + GRACE_MS))
    assert gaps.changes() == []
    assert gaps.oldest_hole_ms(0) == 900
    came(gaps, times(2000 + GRACE_MS, 2300 + GRACE_MS))
    assert gaps.changes() == [Gap(1, 900, 2000, 10, SILENT, GapState.CLOSED)]
    assert gaps.changes() == []


def test_a_late_batch_within_the_grace_leaves_no_record() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000) + times(2000, 3000))
    came(gaps, times(1000, 2000))
    came(gaps, times(3000, 20_000))
    assert gaps.changes() == []
    assert gaps.oldest_hole_ms(0) is None


def test_rows_that_come_after_all_shrink_and_then_repair_the_gap() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000) + times(3000, 20_000))
    assert [gap.rows for gap in gaps.changes()] == [20]
    came(gaps, times(1000, 2000))
    assert gaps.changes() == [Gap(1, 1900, 3000, 10, SILENT, GapState.CLOSED, 10)]
    came(gaps, times(2000, 3000))
    assert gaps.changes() == [Gap(1, 900, 3000, 0, SILENT, GapState.REPAIRED, 20)]


def test_a_row_in_the_middle_leaves_one_gap_with_two_holes() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000) + times(3000, 20_000))
    gaps.changes()
    came(gaps, [2000])
    assert gaps.changes() == [Gap(1, 900, 3000, 19, SILENT, GapState.CLOSED, 1)]
    assert gaps.holes(0) == [Hole(1, 900, 2000, SILENT), Hole(1, 2000, 3000, SILENT)]
    came(gaps, times(1000, 2000))
    assert gaps.changes() == [Gap(1, 2000, 3000, 9, SILENT, GapState.CLOSED, 11)]


@pytest.mark.parametrize("reason", [OUTAGE, GapReason.UPSTREAM_RATE_LIMITED])
def test_an_outage_opens_a_gap_that_closes_with_what_is_missing(reason: GapReason) -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(reason, 1.0)
    assert gaps.changes() == []
    gaps.poll_failed(reason, OUTAGE_AFTER_S)
    gaps.poll_failed(reason, 8.0)
    assert gaps.changes() == [Gap(1, 900, None, None, reason, GapState.OPEN)]
    came(gaps, times(41_000, 71_000))
    assert gaps.changes() == [Gap(1, 900, 41_000, 400, reason, GapState.CLOSED)]


def test_an_outage_that_cost_nothing_is_repaired_at_once() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(OUTAGE, 5.0)
    came(gaps, times(1000, 6000))
    assert [(gap.state, gap.rows) for gap in gaps.changes()] == [(GapState.REPAIRED, 0)]


def test_the_reason_is_what_happened_before_the_rows_came_back() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    came(gaps, times(3000, 9000))
    gaps.poll_failed(OUTAGE, 1.0)
    came(gaps, times(11_000, 20_000))
    assert [gap.reason for gap in gaps.changes()] == [SILENT, OUTAGE]


def test_of_several_failures_the_first_is_the_reason() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(GapReason.UPSTREAM_RATE_LIMITED, OUTAGE_AFTER_S / 2)
    gaps.poll_failed(OUTAGE, OUTAGE_AFTER_S)
    assert [gap.reason for gap in gaps.changes()] == [GapReason.UPSTREAM_RATE_LIMITED]


@pytest.mark.parametrize(("step_ms", "rows"), [(150, 0), (151, 1), (250, 1), (251, 2), (1000, 9)])
def test_rows_are_missing_where_a_step_is_more_than_half_a_period_too_long(step_ms: int, rows: int) -> None:
    gaps = GapTracker()
    came(gaps, [0, step_ms, *times(step_ms + 100, 20_000)])
    assert [gap.rows for gap in gaps.changes()] == ([rows] if rows else [])


def test_a_gap_is_settled_once_and_stays_so_when_rows_come_after_all() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000) + times(3000, 20_000))
    gaps.changes()
    gaps.settle(1)
    assert [gap.is_settled for gap in gaps.changes()] == [True]
    gaps.settle(1)
    assert gaps.changes() == []
    gaps.filled(np.array(times(1000, 2000)))
    assert [(gap.rows, gap.is_settled) for gap in gaps.changes()] == [(10, True)]


def test_what_gaps_miss_that_are_no_longer_remembered_stays_counted() -> None:
    gaps = GapTracker()
    count = 2 * KEPT
    came(gaps, [*range(0, 1000 * count, 1000), 1000 * count + GRACE_MS])
    assert gaps.oldest_hole_ms(-1) != 0
    missing = 9 * (count - 1) + GRACE_MS // 100 + 9
    assert (gaps.totals.rows_missing, gaps.totals.rows_repaired) == ({SILENT: missing}, 0)


def test_without_any_row_there_is_nothing_to_miss() -> None:
    gaps = GapTracker()
    gaps.poll_failed(OUTAGE, 100.0)
    came(gaps, [])
    assert gaps.changes() == []


def test_what_is_forgotten_is_not_missed() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(OUTAGE, 5.0)
    gaps.forget()
    gaps.changes()
    came(gaps, times(50_000, 60_000))
    assert gaps.changes() == []
    assert gaps.gaps == ()


def test_a_gap_is_told_as_soon_as_the_grace_is_over_and_not_before() -> None:
    gaps = GapTracker()
    came(gaps, [0, 900])
    came(gaps, [900 + GRACE_MS])
    assert gaps.changes() == []
    came(gaps, [901 + GRACE_MS])
    assert [gap.to_ms for gap in gaps.changes()] == [900]


def test_a_hole_can_be_filled_for_as_long_as_its_end_lies_inside_the_window() -> None:
    gaps = GapTracker()
    came(gaps, [0, 100, 2000, 2100, 9000])
    assert gaps.oldest_hole_ms(1999) == 100
    assert gaps.oldest_hole_ms(2000) == 2100
    assert gaps.oldest_hole_ms(9000) is None


def test_a_reason_holds_until_the_next_answer_and_no_longer() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(OUTAGE, 1.0)
    came(gaps, times(3000, 4000))
    came(gaps, times(6000, 20_000))
    assert [gap.reason for gap in gaps.changes()] == [OUTAGE, SILENT]


def test_an_outage_that_cost_nothing_ends_with_the_first_row_that_came() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(OUTAGE, 5.0)
    came(gaps, times(1000, 6000))
    (gap,) = gaps.changes()
    assert (gap.from_ms, gap.to_ms) == (900, 1000)


def test_only_so_many_gaps_are_remembered_and_everybody_is_told_of_all() -> None:
    gaps = GapTracker()
    count = 2 * KEPT
    came(gaps, [*range(0, 1000 * count, 1000), 1000 * count + GRACE_MS])
    told = gaps.changes()
    assert [gap.id for gap in told] == list(range(1, len(told) + 1))
    assert len(told) >= count - 1
    assert [gap.id for gap in gaps.gaps] == [gap.id for gap in told[-KEPT:]]
    came(gaps, [500])
    assert gaps.changes() == [], "what is no longer remembered is no longer followed"
    assert gaps.oldest_hole_ms(-1) == gaps.gaps[0].from_ms


def test_what_is_forgotten_leaves_no_hole_and_its_number_to_nobody() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000) + times(3000, 20_000))
    assert [gap.id for gap in gaps.changes()] == [1]
    gaps.forget()
    assert gaps.newest_ms is None
    came(gaps, times(50_000, 51_000) + times(53_000, 70_000))
    assert gaps.oldest_hole_ms(-1) == 50_900
    assert [(gap.id, gap.from_ms) for gap in gaps.changes()] == [(2, 50_900)]


def test_a_hiccup_before_a_tracker_fell_silent_is_not_why_it_is_silent() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(OUTAGE, 1.0)
    came(gaps, [])
    came(gaps, times(600_000, 610_000))
    assert [gap.reason for gap in gaps.changes()] == [SILENT]


def test_an_answer_with_late_rows_only_ends_a_hiccup_too() -> None:
    gaps = GapTracker()
    came(gaps, [0, 100, 800, 900])
    gaps.poll_failed(OUTAGE, 1.0)
    came(gaps, [200])
    came(gaps, times(50_000, 60_000))
    assert gaps.changes()[-1].reason is SILENT


def test_history_says_nothing_about_why_nothing_newer_comes() -> None:
    gaps = GapTracker()
    came(gaps, [0, 100, 800, 900])
    gaps.poll_failed(OUTAGE, 1.0)
    gaps.filled(np.array([200], np.int64))
    gaps.filled(np.array([], np.int64))
    came(gaps, times(50_000, 60_000))
    assert gaps.changes()[-1].reason is OUTAGE


def test_rows_with_a_wrong_time_explain_what_is_missing_until_the_next_good_one() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.misdated()
    came(gaps, [])
    came(gaps, times(9_000, 10_000) + times(12_000, 20_000))
    assert [(gap.from_ms, gap.reason) for gap in gaps.changes()] == [(900, GapReason.CLOCK_STEP), (9_900, SILENT)]


def test_an_outage_stays_an_outage_when_rows_with_a_wrong_time_come() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(OUTAGE, 5.0)
    gaps.misdated()
    came(gaps, times(41_000, 42_000))
    assert gaps.changes() == [Gap(1, 900, 41_000, 400, OUTAGE, GapState.CLOSED)]


@pytest.mark.parametrize("is_late", [False, True])
def test_the_past_before_the_first_row_is_one_gap_at_once(is_late: bool) -> None:
    gaps = GapTracker()
    if is_late:
        came(gaps, times(10_000, 11_000))
    gaps.began(4_000)
    if not is_late:
        assert gaps.changes() == []
        came(gaps, times(10_000, 11_000))
    assert gaps.changes() == [Gap(1, 4_000, 10_000, 59, GapReason.GATEWAY_RESTART, GapState.CLOSED)]
    gaps.filled(np.array(times(4_100, 9_000), np.int64))
    assert gaps.changes() == [Gap(1, 8_900, 10_000, 10, GapReason.GATEWAY_RESTART, GapState.CLOSED, 49)]


def test_a_past_that_begins_with_the_first_row_is_no_gap() -> None:
    gaps = GapTracker()
    gaps.began(900)
    came(gaps, times(1000, 2000))
    assert gaps.changes() == []


def test_what_was_measured_for_somebody_else_is_not_missing() -> None:
    gaps = GapTracker()
    gaps.began(0)
    came(gaps, times(60_000, 61_000))
    gaps.not_ours(20_000, 40_000)
    (gap,) = gaps.gaps
    assert (gap.from_ms, gap.to_ms, gap.rows, gap.rows_repaired) == (0, 60_000, 199 + 199, 0)
    gaps.not_ours(-(2**60), 50_000)
    (gap,) = gaps.gaps
    assert (gap.from_ms, gap.to_ms, gap.rows) == (50_000, 60_000, 99)
    gaps.changes()
    gaps.not_ours(60_000, 2**60)
    assert gaps.changes() == []


def test_what_the_cloud_does_not_have_either_is_silence() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(OUTAGE, 5.0)
    came(gaps, times(41_000, 50_000))
    gaps.filled(np.array(times(20_000, 30_000), np.int64))
    gaps.changes()
    gaps.proved_silent(900, 20_000)
    assert [gap.reason for gap in gaps.changes()] == [OUTAGE], "of the rest it is not known"
    assert gaps.totals.rows_missing == {OUTAGE: 110, SILENT: 190}
    gaps.proved_silent(20_000, 41_000)
    assert [(gap.id, gap.rows, gap.reason) for gap in gaps.changes()] == [(1, 300, SILENT)]
    gaps.proved_silent(900, 41_000)
    assert gaps.changes() == [], "it is told once"


def test_a_restart_that_was_planned_is_a_gap_with_that_reason() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000) + times(2000, 20_000))
    after = GapTracker()
    after.restore(gaps.dump())
    assert after.changes() == list(gaps.gaps), "whoever listens to the new process has heard of none"
    came(after, times(30_000, 31_000))
    came(after, times(31_000, 40_000))
    assert [(gap.id, gap.from_ms, gap.to_ms, gap.reason) for gap in after.changes()] == [
        (2, 19_900, 30_000, GapReason.GATEWAY_RESTART)
    ]


def test_a_first_answer_without_newer_rows_does_not_make_a_restart_a_silence() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    restored = GapTracker()
    restored.restore(gaps.dump())
    came(restored, [])
    came(restored, times(8000, 20_000))
    assert [gap.reason for gap in restored.gaps] == [GapReason.GATEWAY_RESTART]


def test_an_outage_goes_on_over_a_restart() -> None:
    gaps = GapTracker()
    came(gaps, times(0, 1000))
    gaps.poll_failed(OUTAGE, 5.0)
    after = GapTracker()
    after.restore(gaps.dump())
    came(after, times(30_000, 31_000))
    assert after.changes() == [Gap(1, 900, 30_000, 290, OUTAGE, GapState.CLOSED)]


def test_a_hole_between_two_that_are_filled_stays_one_hole() -> None:
    gaps = GapTracker()
    came(gaps, [0, 1000, 2000, 3000, *times(3100, 20_000)])
    gaps.filled(np.array([500, 2500], np.int64))
    assert [(hole.after_ms, hole.before_ms) for hole in gaps.holes(-1)] == [
        (0, 500),
        (500, 1000),
        (1000, 2000),
        (2000, 2500),
        (2500, 3000),
    ]


def test_a_page_of_history_lands_in_thousands_of_holes_without_a_step_per_row() -> None:
    """Every second row is missing, and comes in two pages: a loop over rows and holes would be 300 million steps."""
    gaps = GapTracker()
    gaps.began(-100)
    came(gaps, [5_000_000])
    gaps.filled(np.arange(0, 5_000_000, 200))
    assert len(gaps.holes(-100)) == 25_000
    gaps.filled(np.arange(100, 2_500_000, 200))
    assert [(gap.from_ms, gap.rows, gap.rows_repaired) for gap in gaps.gaps] == [(2_500_000, 12_500, 37_500)]
    gaps.filled(np.arange(2_500_100, 5_000_000, 200))
    assert [(gap.rows, gap.state) for gap in gaps.gaps] == [(0, GapState.REPAIRED)]


GRID = 100
EARLIEST = -600

runs = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), max_size=3)
"""Instants without rows and then with rows, by turns, from the beginning of a hole."""


class Bookkeeping(RuleBasedStateMachine):
    """Compares a tracker with the plain set of instants that have a row."""

    def __init__(self) -> None:
        super().__init__()
        self.gaps = GapTracker()
        self.received: set[int] = set()
        self.first: int | None = None
        self.told: dict[int, Gap] = {}
        self.disowned: set[int] = set()
        self.reasons: dict[int, GapReason] = {}

    @initialize(begins=st.booleans())
    def begin(self, begins: bool) -> None:
        if begins:
            self.gaps.began(EARLIEST)
            self.first = EARLIEST  # the instants after it are wanted

    def take(self, steps: set[int]) -> NDArray[np.int64]:
        """Those that are new, as the ring hands them on."""
        new = sorted({GRID * step for step in steps} - self.received)
        if new and not self.received:
            self.first = new[0] - GRID if self.first is None or self.first > new[0] else self.first
        self.received.update(new)
        return np.array(new, np.int64)

    @rule(start=st.integers(-5, 250), length=st.integers(0, 60), left_out=st.sets(st.integers(0, 60), max_size=20))
    def rows(self, start: int, length: int, left_out: set[int]) -> None:
        self.gaps.rows_came(self.take({start + step for step in range(length) if step not in left_out}))

    @rule(steps=st.sets(st.integers(0, 250), max_size=40))
    def page(self, steps: set[int]) -> None:
        if self.received:
            self.gaps.filled(self.take(steps))

    @precondition(lambda self: self.received)
    @rule(seconds=st.integers(1, 30))
    def live(self, seconds: int) -> None:
        start = max(self.received) // GRID + 1
        self.gaps.rows_came(self.take(set(range(start, start + 10 * seconds))))

    @rule(unread_s=st.floats(0, 10))
    def fail(self, unread_s: float) -> None:
        self.gaps.poll_failed(OUTAGE, unread_s)

    @rule()
    def misdate(self) -> None:
        self.gaps.misdated()

    @rule(start=st.integers(-10, 250), length=st.integers(0, 100))
    def prove(self, start: int, length: int) -> None:
        from_ms, to_ms = GRID * start, GRID * (start + length)
        for after_ms, before_ms, reason in self.stretches():
            if from_ms <= after_ms and before_ms <= to_ms and reason is not GapReason.CLOCK_STEP:
                self.reasons.update(dict.fromkeys(range(after_ms + GRID, before_ms, GRID), SILENT))
        self.gaps.proved_silent(from_ms, to_ms)

    @precondition(lambda self: self.received)
    @rule(place=st.integers(0, 20), runs=runs, off_ms=st.integers(1 - GRID // 2, GRID // 2 - 1))
    def trace(self, place: int, runs: list[tuple[int, int]], off_ms: int) -> None:
        """The cloud's times need not lie on our instants; each is that of the nearest."""
        holes = self.gaps.holes(-(10**9))
        if place >= len(holes):
            return
        hole = holes[place]
        instants = list(range(hole.after_ms + GRID, hole.before_ms, GRID))
        known: list[tuple[int, int]] = []
        stop = 0
        for left_out, length in runs:
            start, stop = stop + left_out, stop + left_out + length
            if instants[start:stop]:
                known.append((instants[start:stop][0] + off_ms, instants[start:stop][-1] + off_ms))
        self.gaps.traced(hole, known)
        lost = GapReason.RING_OVERRUN if hole.reason is SILENT else hole.reason
        rest = hole.reason if hole.reason is GapReason.CLOCK_STEP else SILENT
        for t_ms in instants:
            is_lost = any(first_ms <= t_ms + off_ms <= last_ms for first_ms, last_ms in known)
            self.reasons[t_ms] = lost if is_lost else rest

    @precondition(lambda self: self.received)
    @rule(start=st.integers(-10, 250), length=st.integers(0, 100))
    def disown(self, start: int, length: int) -> None:
        self.gaps.not_ours(GRID * start, GRID * (start + length))
        before = GRID * start, GRID * (start + length)
        missing = {t for t in range(before[0], before[1] + 1, GRID) if t < max(self.received)} - self.received
        self.disowned |= {t for t in missing if self.first is not None and t > self.first}

    @rule()
    def restart(self) -> None:
        packed = msgpack.packb(self.gaps.dump())
        self.gaps = GapTracker()
        self.gaps.restore(msgpack.unpackb(packed))
        assert msgpack.packb(self.gaps.dump()) == packed

    def stretches(self) -> list[tuple[int, int, GapReason]]:
        holes = self.gaps._holes
        reasons = [REASONS[reason] for reason in holes.reason.tolist()]
        return list(zip(holes.after_ms.tolist(), holes.before_ms.tolist(), reasons, strict=True))

    @invariant()
    def every_instant_is_received_or_in_one_hole(self) -> None:
        if not self.received:
            assert self.gaps.newest_ms is None
            return
        assert self.gaps.newest_ms == max(self.received)
        assert self.first is not None
        wanted = set(range(self.first + GRID, max(self.received) + 1, GRID))
        reasons = [(t, why) for after, before, why in self.stretches() for t in range(after + GRID, before, GRID)]
        instants = [t_ms for t_ms, _ in reasons]
        assert sorted(instants) == sorted(wanted - self.received - self.disowned)
        assert instants == sorted(instants), "holes are in order and do not overlap"
        assert self.gaps.totals.rows_missing == Counter(reason for _, reason in reasons)
        assert all(self.reasons.get(t_ms, reason) is reason for t_ms, reason in reasons), (
            "what is left keeps its reason"
        )
        self.reasons = dict(reasons)

    @invariant()
    def gaps_are_their_holes(self) -> None:
        holes = self.gaps.holes(-(10**9))
        for gap in self.gaps.gaps:
            mine = [hole for hole in holes if hole.gap == gap.id]
            assert bool(mine) == (gap.state is GapState.CLOSED)
            if mine:
                assert (gap.from_ms, gap.to_ms) == (mine[0].after_ms, mine[-1].before_ms)
                assert gap.rows == sum((hole.before_ms - hole.after_ms) // GRID - 1 for hole in mine)
                assert gap.reason in {hole.reason for hole in mine}
        assert {hole.gap for hole in holes} <= {gap.id for gap in self.gaps.gaps}
        if self.gaps.newest_ms is not None:
            grace = self.gaps._holes.before_ms[self.gaps._holes.gap == 0]
            assert (grace >= self.gaps.newest_ms - GRACE_MS).all()
        assert self.gaps.totals.gaps == len(self.gaps.gaps)
        assert self.gaps.totals.rows_repaired == sum(gap.rows_repaired for gap in self.gaps.gaps)

    @invariant()
    def who_listens_knows_all(self) -> None:
        for gap in self.gaps.changes():
            before = self.told.get(gap.id)
            if before is not None:
                assert gap.rows_repaired >= before.rows_repaired
                assert before.state is not GapState.REPAIRED or gap == before, "what is repaired stays so"
            self.told[gap.id] = gap
        assert self.told == {gap.id: gap for gap in self.gaps.gaps}


Bookkeeping.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestBookkeeping = Bookkeeping.TestCase

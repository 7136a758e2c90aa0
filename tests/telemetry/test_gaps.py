"""Holes in the samples, and the gap records that tell of them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.gaps import _KEPT, GRACE_MS, OUTAGE_AFTER_S, Gap, GapReason, GapState, GapTracker

SILENT, OUTAGE = GapReason.DEVICE_SILENT, GapReason.UPSTREAM_OUTAGE


def times(start: int, stop: int) -> list[int]:
    return list(range(start, stop, 100))


def test_rows_at_the_sample_rate_are_no_gap() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 10_000))
    gaps.rows_came([])
    assert gaps.changes() == []
    assert gaps.oldest_hole_ms(0) is None


def test_a_hole_becomes_a_gap_only_when_the_data_has_moved_on() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000))
    gaps.rows_came(times(2000, 2000 + GRACE_MS))
    assert gaps.changes() == []
    assert gaps.oldest_hole_ms(0) == 900
    gaps.rows_came(times(2000 + GRACE_MS, 2300 + GRACE_MS))
    assert gaps.changes() == [Gap(1, 900, 2000, 10, SILENT, GapState.CLOSED)]
    assert gaps.changes() == []


def test_a_late_batch_within_the_grace_leaves_no_record() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000) + times(2000, 3000))
    gaps.rows_came(times(1000, 2000))
    gaps.rows_came(times(3000, 20_000))
    assert gaps.changes() == []
    assert gaps.oldest_hole_ms(0) is None


def test_rows_that_come_after_all_shrink_and_then_repair_the_gap() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000) + times(3000, 20_000))
    assert [gap.rows for gap in gaps.changes()] == [20]
    gaps.rows_came(times(1000, 2000))
    assert gaps.changes() == [Gap(1, 1900, 3000, 10, SILENT, GapState.CLOSED)]
    gaps.rows_came(times(2000, 3000))
    assert [(gap.id, gap.rows, gap.state) for gap in gaps.changes()] == [(1, 0, GapState.REPAIRED)]


def test_a_row_in_the_middle_makes_two_gaps_of_one() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000) + times(3000, 20_000))
    gaps.changes()
    gaps.rows_came([2000])
    assert [(gap.id, gap.from_ms, gap.to_ms, gap.rows) for gap in gaps.changes()] == [
        (1, 900, 2000, 10),
        (2, 2000, 3000, 9),
    ]


@pytest.mark.parametrize("reason", [OUTAGE, GapReason.UPSTREAM_RATE_LIMITED])
def test_an_outage_opens_a_gap_that_closes_with_what_is_missing(reason: GapReason) -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000))
    gaps.poll_failed(reason, 1.0)
    assert gaps.changes() == []
    gaps.poll_failed(reason, OUTAGE_AFTER_S)
    gaps.poll_failed(reason, 8.0)
    assert gaps.changes() == [Gap(1, 900, None, None, reason, GapState.OPEN)]
    gaps.rows_came(times(41_000, 71_000))
    assert gaps.changes() == [Gap(1, 900, 41_000, 400, reason, GapState.CLOSED)]


def test_an_outage_that_cost_nothing_is_repaired_at_once() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000))
    gaps.poll_failed(OUTAGE, 5.0)
    gaps.rows_came(times(1000, 6000))
    assert [(gap.state, gap.rows) for gap in gaps.changes()] == [(GapState.REPAIRED, 0)]


def test_the_reason_is_what_happened_before_the_rows_came_back() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000))
    gaps.rows_came(times(3000, 9000))
    gaps.poll_failed(OUTAGE, 1.0)
    gaps.rows_came(times(11_000, 20_000))
    assert [gap.reason for gap in gaps.changes()] == [SILENT, OUTAGE]


def test_without_any_row_there_is_nothing_to_miss() -> None:
    gaps = GapTracker()
    gaps.poll_failed(OUTAGE, 100.0)
    gaps.rows_came([])
    assert gaps.changes() == []


def test_what_is_forgotten_is_not_missed() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000))
    gaps.poll_failed(OUTAGE, 5.0)
    gaps.forget()
    gaps.changes()
    gaps.rows_came(times(50_000, 60_000))
    assert gaps.changes() == []
    assert gaps.gaps == ()


def test_a_gap_is_told_as_soon_as_the_grace_is_over_and_not_before() -> None:
    gaps = GapTracker()
    gaps.rows_came([0, 900])
    gaps.rows_came([900 + GRACE_MS])
    assert gaps.changes() == []
    gaps.rows_came([901 + GRACE_MS])
    assert [gap.to_ms for gap in gaps.changes()] == [900]


def test_a_hole_can_be_filled_for_as_long_as_its_end_lies_inside_the_window() -> None:
    gaps = GapTracker()
    gaps.rows_came([0, 100, 2000, 2100, 9000])
    assert gaps.oldest_hole_ms(1999) == 100
    assert gaps.oldest_hole_ms(2000) == 2100
    assert gaps.oldest_hole_ms(9000) is None


def test_a_reason_holds_until_the_next_answer_and_no_longer() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000))
    gaps.poll_failed(OUTAGE, 1.0)
    gaps.rows_came(times(3000, 4000))
    gaps.rows_came(times(6000, 20_000))
    assert [gap.reason for gap in gaps.changes()] == [OUTAGE, SILENT]


def test_an_outage_that_cost_nothing_ends_with_the_first_row_that_came() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000))
    gaps.poll_failed(OUTAGE, 5.0)
    gaps.rows_came(times(1000, 6000))
    (gap,) = gaps.changes()
    assert (gap.from_ms, gap.to_ms) == (900, 1000)


def test_only_so_many_gaps_are_remembered_and_everybody_is_told_of_all() -> None:
    gaps = GapTracker()
    count = 2 * _KEPT
    gaps.rows_came([*range(0, 1000 * count, 1000), 1000 * count + GRACE_MS])
    told = gaps.changes()
    assert [gap.id for gap in told] == list(range(1, len(told) + 1))
    assert len(told) >= count - 1
    assert [gap.id for gap in gaps.gaps] == [gap.id for gap in told[-_KEPT:]]
    gaps.rows_came([500])
    assert gaps.changes() == [], "what is no longer remembered is no longer followed"
    assert gaps.oldest_hole_ms(-1) == gaps.gaps[0].from_ms


def test_what_is_forgotten_leaves_no_hole_and_its_number_to_nobody() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000) + times(3000, 20_000))
    assert [gap.id for gap in gaps.changes()] == [1]
    gaps.forget()
    assert gaps.newest_ms is None
    gaps.rows_came(times(50_000, 51_000) + times(53_000, 70_000))
    assert gaps.oldest_hole_ms(-1) == 50_900
    assert [(gap.id, gap.from_ms) for gap in gaps.changes()] == [(2, 50_900)]


@given(st.lists(st.lists(st.integers(0, 120), max_size=8).map(lambda ts: sorted({100 * t for t in ts})), max_size=14))
def test_after_any_order_of_arrival_the_gaps_are_the_holes_of_the_sorted_times(batches: list[list[int]]) -> None:
    gaps = GapTracker()
    seen: set[int] = set()
    told: dict[int, Gap] = {}
    first: int | None = None
    for batch in batches:
        # The ring hands on only what is new; before the first row ever there is no hole.
        new = [t_ms for t_ms in batch if t_ms not in seen]
        first = first if first is not None else min(new, default=None)
        gaps.rows_came(new)
        seen.update(new)
        told |= {gap.id: gap for gap in gaps.changes()}
    known = sorted(t_ms for t_ms in seen if first is not None and t_ms >= first)
    holes = {(a, b) for a, b in pairwise(known) if b - a > 150}
    closed = {(gap.from_ms, gap.to_ms) for gap in told.values() if gap.state is GapState.CLOSED}
    newest = max(known, default=0)
    assert closed <= holes
    assert {hole for hole in holes if hole[1] < newest - GRACE_MS} <= closed
    assert gaps.oldest_hole_ms(-1) == min((a for a, _ in holes), default=None)


def test_a_hiccup_before_a_tracker_fell_silent_is_not_why_it_is_silent() -> None:
    gaps = GapTracker()
    gaps.rows_came(times(0, 1000))
    gaps.poll_failed(OUTAGE, 1.0)
    gaps.rows_came([])
    gaps.rows_came(times(600_000, 610_000))
    assert [gap.reason for gap in gaps.changes()] == [SILENT]

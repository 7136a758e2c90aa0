"""What becomes of a hole that was traced: of which parts the cloud has rows, and what comes of them after all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.gap import GapState
from gateway.telemetry.gaps import GapTracker
from gateway.telemetry.holes import LARGEST_STEP_MS, GapReason

SILENT, OUTAGE, OVERRUN = GapReason.DEVICE_SILENT, GapReason.UPSTREAM_OUTAGE, GapReason.RING_OVERRUN

Stretch = tuple[int, int, GapReason]


def with_hole(before_ms: int, reason: GapReason = SILENT) -> GapTracker:
    """A hole of which the first row is that of time 0, as a gap."""
    gaps = GapTracker()
    gaps.rows_came(np.array([0]))
    if reason is not SILENT:
        gaps.poll_failed(reason, 5.0)
    gaps.rows_came(np.arange(before_ms, before_ms + 10_000, 100))
    return gaps


def traced(gaps: GapTracker, *known: tuple[int, int]) -> None:
    (hole,) = gaps.holes(-1)
    gaps.traced(hole, known)


def stretches(gaps: GapTracker) -> list[Stretch]:
    return [(hole.after_ms, hole.before_ms, hole.reason) for hole in gaps.holes(-1)]


def test_the_parts_share_their_borders_and_no_instant() -> None:
    gaps = with_hole(1000)
    traced(gaps, (300, 500))
    assert stretches(gaps) == [(0, 300, SILENT), (200, 600, OVERRUN), (500, 1000, SILENT)]
    assert gaps.totals.rows_missing == {SILENT: 6, OVERRUN: 3}


def test_rows_that_come_into_two_parts_leave_what_lies_between_them_missing() -> None:
    gaps = with_hole(1000)
    traced(gaps, (300, 500))
    gaps.filled(np.array([100, 400]))
    assert stretches(gaps) == [
        (100, 300, SILENT),
        (200, 400, OVERRUN),
        (400, 600, OVERRUN),
        (500, 1000, SILENT),
    ]
    assert [(gap.rows, gap.rows_repaired) for gap in gaps.gaps] == [(7, 2)]


def test_rows_at_the_border_of_a_part_leave_its_other_instants_missing() -> None:
    gaps = with_hole(1000, OUTAGE)
    traced(gaps, (100, 700))
    gaps.filled(np.array([700, 900]))
    assert stretches(gaps) == [(0, 700, OUTAGE), (700, 900, SILENT)]


@pytest.mark.parametrize("off_ms", [-49, -10, 10, 49])
def test_times_of_the_cloud_that_are_not_our_instants_are_those_of_the_nearest(off_ms: int) -> None:
    gaps = with_hole(1000)
    traced(gaps, (300 + off_ms, 500 - off_ms))
    assert stretches(gaps) == [(0, 300, SILENT), (200, 600, OVERRUN), (500, 1000, SILENT)]


def test_a_row_of_the_cloud_beside_one_of_ours_is_that_of_the_nearest_instant_that_is_missing() -> None:
    gaps = with_hole(160)
    traced(gaps, (10, 10))
    assert stretches(gaps) == [(0, 160, OVERRUN)]


def test_two_rows_of_the_cloud_beside_the_same_instant_are_one() -> None:
    gaps = with_hole(1000)
    traced(gaps, (1, 1), (120, 120))
    assert stretches(gaps) == [(0, 200, OVERRUN), (100, 1000, SILENT)]


def test_what_is_proved_of_one_part_says_nothing_about_the_next() -> None:
    gaps = with_hole(1000, OUTAGE)
    traced(gaps, (300, 500))
    gaps.proved_silent(0, 300)
    gaps.proved_silent(500, 1000)
    gaps.proved_silent(400, 1000)
    assert stretches(gaps) == [(0, 300, SILENT), (200, 600, OUTAGE), (500, 1000, SILENT)]
    gaps.proved_silent(200, 600)
    assert gaps.totals.rows_missing == {SILENT: 9}


def test_what_is_traced_once_more_is_traced_in_its_part() -> None:
    gaps = with_hole(1000)
    traced(gaps, (300, 500))
    gaps.traced(gaps.holes(-1)[1], [(300, 300), (500, 500)])
    assert stretches(gaps) == [
        (0, 300, SILENT),
        (200, 400, OVERRUN),
        (300, 500, SILENT),
        (400, 600, OVERRUN),
        (500, 1000, SILENT),
    ]


times_ms = st.lists(st.integers(1, 3000), max_size=8, unique=True).map(sorted)


@given(times_ms, st.integers(LARGEST_STEP_MS + 1, 3000))
def test_a_trace_loses_no_row_and_makes_none_up(edges: list[int], before_ms: int) -> None:
    """Wherever the cloud's ranges lie, the parts miss as many rows as the hole did."""
    gaps = with_hole(before_ms)
    (gap,) = gaps.gaps
    known = [(first, last) for first, last in zip(edges[::2], edges[1::2], strict=False) if last < before_ms]
    traced(gaps, *known)
    assert sum(gaps.totals.rows_missing.values()) == gap.rows
    assert bool(known) == bool(gaps.totals.rows_missing[OVERRUN])


@given(times_ms, st.lists(st.integers(50, LARGEST_STEP_MS), min_size=60, max_size=60), st.sets(st.integers(0, 59)))
def test_rows_of_any_phase_repair_all_of_it(edges: list[int], steps: list[int], early: set[int]) -> None:
    """No part stays missing between rows that have no hole between them, in whatever order they came."""
    gaps = with_hole(3000)
    traced(gaps, *((first, last) for first, last in zip(edges[::2], edges[1::2], strict=False) if last < 3000))
    t_ms = np.cumsum(steps)
    is_early = np.isin(np.arange(60), list(early)) & (t_ms < 3000)
    gaps.filled(t_ms[is_early])
    gaps.filled(t_ms[~is_early & (t_ms < 3000)])
    assert stretches(gaps) == []
    assert [gap.state for gap in gaps.gaps] == [GapState.REPAIRED]

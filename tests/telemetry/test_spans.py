"""What history is asked for, cut and joined."""

from dataclasses import dataclass

import pytest

from gateway.telemetry.spans import PART_MS, Span, claimed, joined, parts


@dataclass(frozen=True)
class Listed:
    """A range as the cloud lists it."""

    start_ms: int
    stop_ms: int
    size: int | None = 1


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([(50, 60), (0, 10)], [(0, 10), (50, 60)]),
        ([(0, 10), (20, 30)], [(0, 30)]),
        ([(0, 10), (21, 30)], [(0, 10), (21, 30)]),
        ([(0, 100), (20, 30), (105, 106)], [(0, 106)]),
    ],
)
def test_spans_that_lie_close_together_become_one(spans: list[Span], expected: list[Span]) -> None:
    assert joined(spans, 10) == expected


@pytest.mark.parametrize(
    ("listed", "rows"),
    [
        ([], 0),
        ([Listed(100, 200, 5), Listed(800, 900, 7)], 12),
        ([Listed(99, 200, 5)], None),
        ([Listed(800, 901, 7)], None),
        ([Listed(100, 900, None)], None),
    ],
)
def test_ranges_tell_how_many_rows_there_are_only_where_they_lie_inside(listed: list[Listed], rows: int | None) -> None:
    assert claimed((100, 900), listed) == rows


def test_a_part_reaches_a_second_beyond_its_range_whose_times_may_have_lost_their_fraction() -> None:
    asked = (0, 100_000)
    assert parts([asked], asked, [Listed(50_000, 60_000)]) == [(49_000, 61_000)]
    assert parts([(55_000, 60_500)], asked, [Listed(50_000, 60_000)]) == [(55_000, 60_500)]
    assert parts([asked], (49_500, 60_200), [Listed(50_000, 60_000)]) == [(49_500, 60_200)]
    assert parts([(61_001, 70_000)], asked, [Listed(50_000, 60_000)]) == []


def test_parts_are_cut_from_the_newest_end_share_their_borders_and_hold_one_page() -> None:
    asked = (0, 2 * PART_MS + 1)
    assert parts([asked], asked, [Listed(0, asked[1])]) == [(0, 1), (1, PART_MS + 1), (PART_MS + 1, 2 * PART_MS + 1)]
    asked = (0, PART_MS)
    assert parts([asked], asked, [Listed(0, PART_MS), Listed(0, PART_MS)]) == [asked]

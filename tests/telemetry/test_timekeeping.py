"""Which times can be right, and how a wrong clock is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.timekeeping import AHEAD_MS, BEHIND_MS, MOST_ON_TOP, RowsOnTop, diagnosis, plausible

NOW_MS = 1_795_000_000_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def times(*t_ms: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(t_ms, np.int64)


def test_two_minutes_ahead_and_fourteen_days_behind_are_the_last_times_that_can_be_right() -> None:
    edges = times(NOW_MS - BEHIND_MS - 1, NOW_MS - BEHIND_MS, NOW_MS, NOW_MS + AHEAD_MS, NOW_MS + AHEAD_MS + 1)
    assert plausible(edges, NOW_MS) == slice(1, 4)


def test_nothing_is_judged_while_nobody_knows_the_time() -> None:
    assert plausible(times(0, NOW_MS, 10**13), None) == slice(0, 3)
    assert plausible(times(), NOW_MS) == slice(0, 0)


@given(st.lists(st.integers(0, 2**44), unique=True, max_size=30), st.integers(0, 2**44))
def test_what_is_plausible_is_exactly_what_lies_between_the_two_limits(t_ms: list[int], reference_ms: int) -> None:
    ascending = times(*sorted(t_ms))
    within = [t for t in ascending.tolist() if reference_ms - BEHIND_MS <= t <= reference_ms + AHEAD_MS]
    assert ascending[plausible(ascending, reference_ms)].tolist() == within


@pytest.mark.parametrize(
    ("error_ms", "words"),
    [
        (3 * MINUTE_MS, "is 3 minutes ahead"),
        (2 * HOUR_MS, "is 2.0 hours ahead"),
        (26 * HOUR_MS, "is 26.0 hours ahead"),
        (-20 * DAY_MS, "is 20 days behind and says 2026"),
        (-NOW_MS + DAY_MS, "says 1970, the beginning of time of computers: it has not been set"),
        (315_964_800_000 - NOW_MS, "says 1980, the beginning of time of GPS: it has not been set"),
        (-1024 * 7 * DAY_MS, "is 1024 weeks behind, as after a roll-over of the GPS week number"),
        (-1024 * 7 * DAY_MS + DAY_MS, "is 1024 weeks behind, as after a roll-over of the GPS week number"),
        (1024 * 7 * DAY_MS, "is 1024 weeks ahead, as after a roll-over of the GPS week number"),
        (-2048 * 7 * DAY_MS, "is 2048 weeks behind, as after a roll-over of the GPS week number"),
        (3_155_760_000_000 - NOW_MS, "is 15750 days ahead and says 2070"),
    ],
)
def test_a_wrong_clock_is_named_as_a_person_would(error_ms: int, words: str) -> None:
    assert diagnosis(error_ms, NOW_MS) == words


@given(st.integers(-NOW_MS, 2**45 - NOW_MS))
def test_every_error_a_row_can_have_has_a_name(error_ms: int) -> None:
    assert diagnosis(error_ms, NOW_MS)


def test_rows_from_the_future_lie_on_top_until_their_time_has_come() -> None:
    on_top = RowsOnTop()
    assert on_top.count(NOW_MS) == 0
    assert on_top.add(times(NOW_MS + HOUR_MS, NOW_MS + HOUR_MS + 100)).tolist() == [True, True]
    assert on_top.add(times(NOW_MS + HOUR_MS + 100, NOW_MS + HOUR_MS + 200)).tolist() == [False, True]
    assert on_top.count(NOW_MS) == 3
    assert on_top.count(NOW_MS + HOUR_MS + 100) == 1
    assert on_top.count(NOW_MS + 2 * HOUR_MS) == 0
    assert on_top.count(None) == 0


def test_more_rows_than_an_answer_holds_are_not_remembered() -> None:
    on_top = RowsOnTop()
    on_top.add(times(*range(NOW_MS, NOW_MS + 100_000, 100)))
    assert on_top.count(0) == MOST_ON_TOP
    newest = times(*range(NOW_MS + 100_000 - 100 * MOST_ON_TOP, NOW_MS + 100_000, 100))
    assert not on_top.add(newest).any(), "those that an answer may bring again are the newest ones"

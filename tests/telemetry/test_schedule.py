"""When a tracker is polled, and for how many rows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.ring import LIVE_WINDOW_MS
from gateway.telemetry.schedule import MOST_ROWS, Known, PollSchedule

STEADY = Known(newest_ms=1_000_000, hole_ms=None)


def test_the_first_poll_is_at_once_and_for_the_whole_window() -> None:
    schedule = PollSchedule(50.0)
    assert schedule.next_s == 50.0
    assert schedule.unread_s(50.0) == math.inf
    assert schedule.rows(50.0, Known(None, None)) == MOST_ROWS


def test_a_live_tracker_is_asked_each_second_for_what_can_be_new_and_a_batch_more() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(0.0, 0.0, 0.1, 300)
    assert schedule.next_s == 1.0
    assert schedule.rows(1.0, STEADY) == 20


def test_a_tracker_that_falls_silent_is_asked_less_and_less_and_always_inside_the_window() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(0.0, 0.0, 0.0, 10)
    intervals = []
    for _ in range(200):
        asked = schedule.next_s
        schedule.answered(asked, asked, asked, 0)
        intervals.append(schedule.next_s - asked)
    assert intervals[:8] == [1.0] * 8
    assert sorted(set(intervals)) == [1.0, 2.0, 15.0]
    assert intervals == sorted(intervals)
    assert max(intervals) * 1000 < LIVE_WINDOW_MS / 1.5


def test_one_new_row_wakes_it_up() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(500.0, 500.0, 500.0, 0)
    assert schedule.next_s == 515.0
    schedule.answered(515.0, 515.0, 515.2, 4)
    assert schedule.next_s == 516.0


def test_turns_that_pass_while_the_cloud_is_slow_are_skipped_not_queued() -> None:
    schedule = PollSchedule(0.0)
    assert schedule.answered(0.0, 0.0, 0.3, 10) == 0
    assert schedule.answered(1.0, 1.0, 4.5, 10) == 3
    assert schedule.next_s == 5.0
    assert schedule.rows(5.0, STEADY) == 50


def test_after_an_outage_all_that_can_be_new_is_asked_for() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(0.0, 0.0, 0.0, 10)
    assert schedule.rows(12.0, STEADY) == 130
    assert schedule.rows(40.0, STEADY) == MOST_ROWS


def test_failures_slow_it_down_to_a_limit_and_an_answer_ends_that() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(0.0, 0.0, 0.0, 10)
    waits = []
    for _ in range(6):
        asked = schedule.next_s
        schedule.failed(asked, asked)
        waits.append(schedule.next_s - asked)
    assert waits == [1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    assert schedule.failures == 6
    asked = schedule.next_s
    schedule.answered(asked, asked, asked, 10)
    assert (schedule.next_s, schedule.failures) == (asked + 1.0, 0)


def test_a_hole_is_looked_into_now_and_then_and_not_each_second() -> None:
    schedule = PollSchedule(0.0)
    schedule.rows(0.0, Known(None, None))
    schedule.answered(0.0, 0.0, 0.0, 10)
    hole = Known(newest_ms=1_000_000, hole_ms=1_000_000 - 20_000)
    asked = []
    for second in range(1, 8):
        asked.append(schedule.rows(float(second), hole))
        schedule.answered(float(second), float(second), float(second), 10)
    assert asked == [20, 20, 220, 20, 20, 220, 20]


def test_a_stream_that_brings_rows_puts_the_poll_off_and_three_seconds_after_its_last_row_it_is_asked_again() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(0.0, 0.0, 0.0, 300)
    for second in range(1, 10):
        schedule.streamed(second + 0.5, has_hole=False)
        assert schedule.next_s == second + 3.5
    assert schedule.rows(12.5, STEADY) == 40, "all that came since, and an overlap"
    assert schedule.overdue_s(12.5) == 2.0


def test_when_the_stream_ends_the_tracker_is_asked_at_once_unless_the_cloud_is_failing() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(0.0, 0.0, 0.0, 300)
    schedule.streamed(5.0, has_hole=False)
    schedule.resume(5.2)
    assert schedule.next_s == 5.2
    schedule.failed(5.2, 5.3)
    schedule.resume(5.4)
    assert schedule.next_s == 6.2


def test_a_sleeping_tracker_that_a_stream_wakes_is_asked_soon_if_the_stream_stops_at_once() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(500.0, 500.0, 500.0, 0)
    assert schedule.next_s == 515.0
    schedule.streamed(501.0, has_hole=False)
    assert schedule.next_s == 504.0


def test_a_stream_does_not_bring_a_failing_poll_forward() -> None:
    schedule = PollSchedule(0.0)
    for second in (0.0, 1.0, 3.0, 7.0):
        schedule.failed(second, second)
    assert schedule.next_s == 11.0
    schedule.streamed(7.5, has_hole=False)
    assert schedule.next_s == 11.0
    schedule.streamed(10.5, has_hole=False)
    assert schedule.next_s == 13.5


def test_a_hole_is_looked_into_although_a_stream_brings_rows() -> None:
    schedule = PollSchedule(0.0)
    schedule.rows(0.0, Known(None, None))
    schedule.answered(0.0, 0.0, 0.0, 10)
    hole = Known(newest_ms=1_000_000, hole_ms=1_000_000 - 20_000)
    asked = []
    now_s = 0.0
    while now_s < 12.0:
        now_s += 1.0
        schedule.streamed(now_s, has_hole=True)
        if schedule.next_s <= now_s:
            asked.append((now_s, schedule.rows(now_s, hole)))
            schedule.answered(now_s, now_s, now_s, 0)
    assert asked == [(3.0, 210), (6.0, 210), (9.0, 210), (12.0, 210)]


def test_an_answer_that_was_under_way_while_the_stream_brought_rows_does_not_bring_the_polls_back() -> None:
    schedule = PollSchedule(0.0)
    schedule.streamed(0.5, has_hole=False)
    assert schedule.answered(0.0, 0.0, 0.7, 0) == 0
    assert schedule.next_s == 3.5
    assert schedule.unread_s(0.7) == pytest.approx(0.2), "the stream has read further than the poll"


def test_a_poll_that_waited_long_for_its_turn_has_read_until_it_went_out() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(0.0, 4.0, 4.2, 10)
    assert schedule.rows(5.0, STEADY) == 20


def test_a_tracker_is_overdue_by_what_has_passed_since_its_turn() -> None:
    schedule = PollSchedule(10.0)
    assert schedule.overdue_s(12.0) == 2.0
    schedule.answered(12.0, 12.0, 12.0, 10)
    assert schedule.overdue_s(13.0) == 0.0
    assert schedule.overdue_s(12.4) == pytest.approx(-0.6)
    schedule.answered(500.0, 500.0, 500.0, 0)
    assert schedule.overdue_s(516.0) == 1.0, "a sleeping one has its own turn"


def test_only_a_sleeping_tracker_is_peeked_at_and_only_where_its_newest_time_tells_something() -> None:
    schedule = PollSchedule(0.0)
    assert not schedule.peeks(100.0, STEADY), "nothing has been read yet"
    schedule.answered(0.0, 0.0, 0.0, 10)
    assert [schedule.peeks(now_s, STEADY) for now_s in (1.0, 59.0, 60.0)] == [False, False, True]
    assert not schedule.peeks(60.0, Known(None, None)), "it never had rows"
    assert not schedule.peeks(60.0, Known(1_000_000, 990_000)), "late rows may fill the hole"
    assert not schedule.peeks(60.0, Known(1_000_000, None, rows_on_top=1)), "the newest time is in the future for ever"


def test_rows_from_the_future_are_asked_for_beside_the_others() -> None:
    schedule = PollSchedule(0.0)
    schedule.answered(0.0, 0.0, 0.0, 10)
    assert schedule.rows(1.0, Known(1_000_000, None, rows_on_top=7)) == 27
    assert schedule.rows(1.0, Known(1_000_000, None, rows_on_top=300)) == MOST_ROWS


@given(
    st.floats(0, 1e6),
    st.lists(
        st.tuples(st.floats(0, 90), st.sampled_from(["answer", "failure", "stream"]), st.integers(0, 300)), max_size=30
    ),
    st.integers(0, 10**13),
    st.none() | st.integers(0, LIVE_WINDOW_MS),
)
def test_whatever_happens_the_next_poll_lies_ahead_and_the_number_of_rows_is_one_the_cloud_takes(
    start_s: float, happenings: list[tuple[float, str, int]], newest_ms: int, hole_age_ms: int | None
) -> None:
    schedule = PollSchedule(start_s)
    known = Known(newest_ms, None if hole_age_ms is None else newest_ms - hole_age_ms)
    for delay_s, happening, rows in happenings:
        asked_s = schedule.next_s
        assert 1 <= schedule.rows(asked_s, known) <= MOST_ROWS
        now_s = asked_s + delay_s
        if happening == "stream":
            schedule.streamed(now_s, has_hole=known.hole_ms is not None)
            assert schedule.next_s <= max(now_s + 3.0, asked_s)
            continue
        is_answer = happening == "answer"
        missed = schedule.answered(asked_s, asked_s, now_s, rows) if is_answer else schedule.failed(asked_s, now_s)
        assert missed >= 0
        # A turn that falls on the very moment of the answer may be taken or skipped.
        assert now_s - 1e-6 <= schedule.next_s <= now_s + 15.0 + 1e-6

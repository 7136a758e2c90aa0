"""The cloud's time from its Date headers."""

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.reference import ReferenceClock

EPOCH_S = 1_795_000_000.0
"""The cloud's time when our clock says 0."""


def date(cloud_s: float) -> str:
    return formatdate(math.floor(cloud_s), usegmt=True)


def error_s(clock: ReferenceClock, now_s: float, offset_s: float = EPOCH_S) -> float:
    utc_ms = clock.utc_ms(now_s)
    assert utc_ms is not None
    return utc_ms / 1000 - (now_s + offset_s)


def test_nothing_is_known_before_the_first_date() -> None:
    clock = ReferenceClock()
    assert clock.utc_ms(5.0) is None
    clock.answered(None, 0.0, 0.1)
    assert clock.utc_ms(5.0) is None


@given(
    st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 1.0), st.floats(0.2, 3.0)), min_size=1, max_size=60),
    st.floats(0, 1),
)
def test_the_true_time_is_never_further_away_than_the_first_answer_allows(
    answers: list[tuple[float, float, float]], phase_s: float
) -> None:
    """Answers of any duration, made at any instant of it."""
    clock = ReferenceClock()
    now_s = 0.0
    allowed_s = math.inf
    for duration_s, part, pause_s in answers:
        made_s = now_s + part * duration_s
        clock.answered(date(EPOCH_S + phase_s + made_s), now_s, now_s + duration_s)
        now_s += duration_s + pause_s
        # Half of what this answer alone would allow, plus what two oscillators may drift apart in the whole test.
        allowed_s = min(allowed_s, (1 + duration_s) / 2 + 0.05)
        assert abs(error_s(clock, now_s, EPOCH_S + phase_s)) <= allowed_s + 0.001


def test_a_minute_of_polls_brings_it_within_a_few_hundredths_of_a_second() -> None:
    clock = ReferenceClock()
    for turn in range(60):
        sent_s = turn * 1.017
        clock.answered(date(EPOCH_S + sent_s + 0.02), sent_s, sent_s + 0.04)
    assert abs(error_s(clock, 61.5)) < 0.04


def test_it_follows_an_oscillator_that_runs_50_ppm_wrong_for_a_day() -> None:
    clock = ReferenceClock()
    for now_s in range(0, 86_400, 7):
        clock.answered(date(EPOCH_S + now_s * 1.00005 + 0.02), now_s, now_s + 0.04)
    assert abs(error_s(clock, 86_400, EPOCH_S + 86_400 * 0.00005)) < 0.5


@pytest.mark.parametrize("jump_s", [-86_400.0, -5.0, 5.0, 3600.0, 1024 * 7 * 86_400.0])
def test_a_cloud_clock_that_jumps_is_followed_from_the_second_answer_on(jump_s: float) -> None:
    clock = ReferenceClock()
    for now_s in range(10):
        clock.answered(date(EPOCH_S + now_s), now_s, now_s + 0.1)
    clock.answered(date(EPOCH_S + jump_s + 10), 10, 10.1)
    assert abs(error_s(clock, 10.1)) < 0.6
    clock.answered(date(EPOCH_S + jump_s + 11), 11, 11.1)
    assert abs(error_s(clock, 11.1, EPOCH_S + jump_s)) < 0.6


def test_single_wrong_dates_change_nothing() -> None:
    clock = ReferenceClock()
    for now_s in range(100):
        wrong_s = -7200.0 if now_s % 2 else 0.0
        clock.answered(date(EPOCH_S + now_s + wrong_s), now_s, now_s + 0.1)
        assert abs(error_s(clock, now_s + 0.1)) < 0.6


def test_wrong_dates_in_a_row_that_contradict_each_other_change_nothing() -> None:
    clock = ReferenceClock()
    for now_s in range(100):
        wrong_s = 7200.0 * (now_s % 3)
        clock.answered(date(EPOCH_S + now_s + wrong_s), now_s, now_s + 0.1)
        assert abs(error_s(clock, now_s + 0.1)) < 0.6


def test_after_a_day_without_an_answer_the_first_is_believed_whatever_the_oscillators_did() -> None:
    clock = ReferenceClock()
    for sent_s in (0.0, 60.5, 121.0):
        clock.answered(date(EPOCH_S + sent_s + 0.02), sent_s, sent_s + 0.04)
    drift_s = 86_400 * 0.00005
    clock.answered(date(EPOCH_S + 86_400 + drift_s), 86_400.0, 86_400.04)
    assert abs(error_s(clock, 86_400.04, EPOCH_S + drift_s)) < 1.0


@given(st.text())
def test_what_is_no_date_is_ignored(text: str) -> None:
    clock = ReferenceClock()
    for header in (text, "yesterday", "Wed, 99 Oct 2015 07:28:40 GMT", "", "Wed, 21 Oct 2015 07:28:40 +9999999"):
        clock.answered(header, 0.0, 0.1)


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2015 07:28:40 GMT", "Wed, 21 Oct 2015 07:28:40 -0000"])
def test_a_date_is_in_utc(header: str) -> None:
    clock = ReferenceClock()
    clock.answered(header, 0.0, 0.0)
    assert clock.utc_ms(0.0) == 1_445_412_520_500

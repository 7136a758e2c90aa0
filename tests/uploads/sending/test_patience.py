"""How long is waited for what."""

import math

from hypothesis import given
from hypothesis import strategies as st

from gateway.uploads.sending.patience import (
    RESEND_S,
    STALE_S,
    Line,
    after_refusal_s,
    again_s,
    lookup_s,
    poll_s,
    resend_s,
)
from gateway.uploads.standing import Standing

TROUBLE = Standing("it rains", "wait")


def test_what_did_not_get_through_waits_from_two_seconds_to_a_quarter_of_an_hour() -> None:
    assert [again_s(failures, 1.0) for failures in (1, 2, 3, 9, 10, 10_000)] == [2, 4, 8, 512, 900, 900]


def test_a_refusal_is_never_tried_again_soon() -> None:
    assert [after_refusal_s(tries) for tries in (1, 2, 3, 4, 5, 10_000)] == [60, 240, 900, 900, 900, 900]


def test_lookups_begin_after_half_a_minute_and_double() -> None:
    assert [lookup_s(asked) for asked in (0, 1, 2, 3, 4, 5, 6, 10_000)] == [30, 60, 120, 240, 480, 900, 900, 900]


def test_polls_begin_after_a_second_and_become_rare() -> None:
    assert [poll_s(asked, 0) for asked in range(6)] == [1, 2, 5, 10, 15, 22.5]
    assert poll_s(50, 0) == poll_s(10_000, STALE_S - 1) == 300
    assert poll_s(0, STALE_S) == poll_s(50, math.inf) == 3600


@given(st.integers(0, 1000))
def test_polls_never_become_more_frequent(asked: int) -> None:
    assert poll_s(asked, 0) <= poll_s(asked + 1, 0) <= 300


@given(st.floats(0, 1e6), st.none() | st.floats(0, 1e9))
def test_whoever_knows_more_of_the_hour_decides(known_s: float, sent_ago_s: float | None) -> None:
    left_s = resend_s(known_s, sent_ago_s)
    assert 0 <= left_s <= RESEND_S
    assert (left_s == 0) == (max(known_s, sent_ago_s or 0) >= RESEND_S)


def test_a_line_that_fails_is_tried_ever_less_up_to_once_a_minute() -> None:
    line, waits = Line(), []
    for _ in range(8):
        line = line.failed(TROUBLE, 100.0, 1.0)
        waits.append(line.wait_s(100.0))
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert line.trouble == TROUBLE


def test_a_line_that_is_held_opens_when_it_was_said_or_when_a_person_wants() -> None:
    line = Line().held(TROUBLE, 100.0, 3600.0)
    assert [line.wait_s(now_s) for now_s in (100.0, 3699.0, 3700.0, 9999.0)] == [3600, 1, 0, 0]
    assert line.impatient(200.0).wait_s(200.0) == 0
    assert line.impatient(200.0).trouble == TROUBLE
    assert Line().impatient(200.0).wait_s(0.0) == Line().wait_s(0.0) == 0

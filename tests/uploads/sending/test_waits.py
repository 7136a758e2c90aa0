"""What waits for what: everybody for the line, and each for itself."""

from dataclasses import replace

import pytest

from gateway.uploads.sending.outcome import Outcome, Verdict, Wait
from gateway.uploads.sending.waits import Waits
from gateway.uploads.standing import Standing

ONE, OTHER = "1" * 64, "2" * 64
NOW_S = 1000.0


def outcome(wait: Wait, *, is_for_all: bool = False, pause_s: float | None = None) -> Outcome:
    return Outcome(Verdict.POSTPONED, "code", "it rains", "wait", wait, is_for_all, pause_s)


@pytest.fixture
def waits() -> Waits:
    return Waits(lambda: 1.0)


def all_s(waits: Waits, now_s: float = NOW_S) -> tuple[float, float, float]:
    """How long the line, the one and the other have to wait."""
    return waits.line_s(now_s), waits.left_s(ONE, now_s), waits.left_s(OTHER, now_s)


def test_at_first_nobody_waits(waits: Waits) -> None:
    assert all_s(waits) == (0, 0, 0)
    assert waits.trouble(ONE, NOW_S) is None


def test_one_that_does_not_get_through_waits_longer_every_time_and_nobody_else(waits: Waits) -> None:
    seen = []
    for _ in range(11):
        waits.ended(ONE, outcome(Wait.AGAIN), 0, NOW_S)
        seen.append(all_s(waits))
    assert seen == [(0, left_s, 0) for left_s in (2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900)]
    assert all_s(waits, NOW_S + 899) == (0, 1, 0)
    waits.got_through(ONE)
    assert all_s(waits) == (0, 0, 0)


def test_what_concerns_everybody_lets_everybody_wait_and_the_next_that_gets_through_ends_it(waits: Waits) -> None:
    for left_s in (2, 4, 8, 16, 32, 60, 60):
        waits.ended(ONE, outcome(Wait.NOTHING, is_for_all=True), 0, NOW_S)
        assert all_s(waits) == (left_s, 0, 0)
    assert waits.trouble(ONE, NOW_S) == Standing("it rains", "wait")
    assert waits.trouble(OTHER, NOW_S + 60) is None
    waits.ended(ONE, outcome(Wait.REFUSAL), 1, NOW_S)
    assert all_s(waits) == (0, 60, 0)


def test_a_pause_that_is_asked_for_is_kept(waits: Waits) -> None:
    waits.ended(ONE, outcome(Wait.NOTHING, is_for_all=True, pause_s=3600.0), 0, NOW_S)
    assert all_s(waits) == (3600, 0, 0)


def test_refusals_count_by_tries_and_not_by_what_this_process_has_seen(waits: Waits) -> None:
    waits.ended(ONE, outcome(Wait.REFUSAL), 3, NOW_S)
    assert all_s(waits) == (0, 900, 0)
    waits.ended(OTHER, outcome(Wait.REFUSAL), 0, NOW_S)
    assert all_s(waits) == (0, 900, 60)


def test_a_person_does_not_wait_and_what_is_forgotten_begins_anew(waits: Waits) -> None:
    for sha256 in (ONE, OTHER):
        waits.postpone(sha256, NOW_S)
    waits.fail_line(Standing("it rains", "wait"), NOW_S)
    waits.hurry(ONE, NOW_S)
    assert all_s(waits) == (0, 0, 2)
    waits.keep({ONE})
    assert all_s(waits) == (0, 0, 0)
    waits.postpone(OTHER, NOW_S)
    assert all_s(waits) == (0, 0, 2)


CUT = replace(outcome(Wait.AGAIN), is_cut=True)


def test_one_that_is_always_cut_waits_for_hours_after_ten_times_and_says_so(waits: Waits) -> None:
    for _ in range(9):
        waits.ended(ONE, CUT, 0, NOW_S)
    assert waits.left_s(ONE, NOW_S) == 512
    assert waits.trouble(ONE, NOW_S) is None
    seen = []
    for _ in range(5):
        waits.ended(ONE, CUT, 0, NOW_S)
        seen.append(waits.left_s(ONE, NOW_S) / 3600)
    assert seen == [1, 2, 4, 6, 6]
    told = waits.trouble(ONE, NOW_S)
    assert told is not None
    assert told.text == "it was cut off in the middle 14 times in a row"
    assert told.action.startswith("send it over a better line, ")
    assert waits.trouble(OTHER, NOW_S) is None
    waits.hurry(ONE, NOW_S)
    assert (waits.left_s(ONE, NOW_S), waits.trouble(ONE, NOW_S)) == (0, None)


def test_only_cuts_count_for_that_and_what_has_left_whole_ends_them(waits: Waits) -> None:
    for _ in range(9):
        waits.ended(ONE, CUT, 0, NOW_S)
        waits.ended(ONE, outcome(Wait.AGAIN), 0, NOW_S)
        waits.ended(ONE, outcome(Wait.NOTHING), 0, NOW_S)
    assert waits.left_s(ONE, NOW_S) == 900
    waits.ended(ONE, CUT, 0, NOW_S)
    assert waits.left_s(ONE, NOW_S) == 3600
    waits.ended(ONE, outcome(Wait.REFUSAL), 1, NOW_S)
    waits.ended(ONE, CUT, 0, NOW_S)
    assert waits.left_s(ONE, NOW_S) == 2


def test_what_is_in_the_way_of_one_is_told_of_that_one(waits: Waits) -> None:
    own = Standing("it has no wings", "give it some")
    waits.postpone(ONE, NOW_S, own)
    waits.fail_line(Standing("it rains", "wait"), NOW_S)
    assert (waits.trouble(ONE, NOW_S), waits.trouble(OTHER, NOW_S)) == (own, Standing("it rains", "wait"))
    assert waits.failures(ONE) == 1

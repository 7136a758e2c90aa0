"""Questions about a recording's time, in the words that a person reads."""

from datetime import datetime, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uploads.recording import Clue, Span
from gateway.uploads.sending.attaching import (
    NEAR_MS,
    TOLERANCE_MS,
    Stretch,
    asked_for,
    ownership_question,
    use_question,
)

ZURICH = ZoneInfo("Europe/Zurich")
HOUR_MS = 3_600_000


def ms(text: str, zone: tzinfo = ZURICH) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def used(start: str, stop: str) -> Stretch:
    return Stretch(ms(start), ms(stop))


def moment(text: str) -> Span:
    return Span(ms(text), ms(text), Clue.NAME)


TUESDAY = moment("2026-11-17T10:00")
FROM_TUESDAY = "this file is from Tuesday 17 November 2026"
TUESDAY_ALL = Span(ms("2026-11-17T00:00"), ms("2026-11-18T00:00"), Clue.NAME)


@pytest.mark.parametrize(
    ("stretch", "question"),
    [
        (
            used("2026-11-16T17:00", "2026-11-16T18:30"),
            f"{FROM_TUESDAY}, and the tracker was last used on Monday 16 November 2026",
        ),
        (
            used("2026-11-19T17:00", "2026-11-19T18:30"),
            f"{FROM_TUESDAY}, and the tracker was not used then, but on Thursday 19 November 2026",
        ),
        (
            used("2026-11-17T14:00", "2026-11-17T15:00"),
            f"{FROM_TUESDAY} at 10:00, and the tracker was not used then, but on Tuesday 17 November 2026 at 14:00",
        ),
        (used("2026-11-17T12:59", "2026-11-17T15:00"), None),
        (used("2026-11-17T06:00", "2026-11-17T07:01"), None),
        (used("2026-11-17T09:00", "2026-11-17T11:00"), None),
        (used("2026-11-13T09:00", "2026-11-13T11:00"), None),
        (used("2026-11-21T09:00", "2026-11-21T11:00"), None),
    ],
)
def test_use_at_another_time_is_a_question(stretch: Stretch, question: str | None) -> None:
    assert use_question(TUESDAY, [stretch], ZURICH) == question


def test_one_that_fits_is_enough_and_the_nearest_is_named() -> None:
    before, after = used("2026-11-15T10:00", "2026-11-15T11:00"), used("2026-11-18T10:00", "2026-11-18T11:00")
    question = use_question(TUESDAY, [before, after], ZURICH)
    assert question is not None
    assert question.endswith("but on Wednesday 18 November 2026")
    assert use_question(TUESDAY, [before, after, used("2026-11-17T09:00", "2026-11-17T09:01")], ZURICH) is None
    assert use_question(TUESDAY, [], ZURICH) is None


def test_a_date_alone_is_the_whole_day() -> None:
    evening = used("2026-11-17T21:00", "2026-11-17T22:00")
    assert use_question(TUESDAY_ALL, [evening], ZURICH) is None
    assert use_question(TUESDAY, [evening], ZURICH) is not None
    question = use_question(TUESDAY_ALL, [used("2026-11-18T04:00", "2026-11-18T05:00")], ZURICH)
    assert question is not None
    assert question.startswith("this file is from Tuesday 17 November 2026, and")


def test_ownership_says_since_and_until_when() -> None:
    later = used("2026-11-18T08:00", "2999-01-01T00:00")
    before = used("2026-10-01T08:00", "2026-11-16T08:00")
    said = f"{FROM_TUESDAY}, and the tracker "
    assert ownership_question(TUESDAY, [later], ZURICH) == f"{said}became ours only on Wednesday 18 November 2026"
    assert ownership_question(TUESDAY, [before], ZURICH) == f"{said}was ours until Monday 16 November 2026"
    assert ownership_question(TUESDAY, [before, later], ZURICH) is not None
    assert ownership_question(TUESDAY, [used("2026-11-17T12:00", "2999-01-01T00:00")], ZURICH) is None
    assert ownership_question(TUESDAY, [], ZURICH) is None


def test_of_the_same_day_the_hours_are_said() -> None:
    question = ownership_question(TUESDAY, [used("2026-11-17T14:30", "2999-01-01T00:00")], ZURICH)
    assert question == (
        "this file is from Tuesday 17 November 2026 at 10:00, and the tracker became ours only on "
        "Tuesday 17 November 2026 at 14:30"
    )


def test_days_are_told_in_the_zone_that_is_handed_in() -> None:
    late = moment("2026-11-17T23:30")
    question = use_question(late, [used("2026-11-15T10:00", "2026-11-15T11:00")], ZoneInfo("Asia/Tokyo"))
    assert question is not None
    assert question.startswith("this file is from Wednesday 18 November 2026,")


def test_only_what_was_ours_is_asked_for_and_nothing_twice() -> None:
    near = Stretch(TUESDAY.start_ms - NEAR_MS, TUESDAY.stop_ms + NEAR_MS)
    assert list(asked_for(TUESDAY, [])) == [near]
    first, second = used("2026-11-01T00:00", "2026-11-17T09:00"), used("2026-11-17T09:00", "2999-01-01T00:00")
    assert list(asked_for(TUESDAY, [second, first, first])) == [near]
    gap = used("2026-11-17T10:00", "2026-11-18T00:00")
    assert list(asked_for(TUESDAY, [first, gap])) == [Stretch(near.start_ms, first.stop_ms), gap]
    assert list(asked_for(TUESDAY, [used("2026-01-01T00:00", "2026-02-01T00:00")])) == []


_INSTANT = st.integers(ms("2026-01-01T00:00") // HOUR_MS, ms("2026-03-01T00:00") // HOUR_MS).map(lambda h: h * HOUR_MS)
_STRETCH = st.tuples(_INSTANT, _INSTANT).map(lambda ends: Stretch(min(ends), max(ends)))
_SPAN = _STRETCH.map(lambda it: Span(it.start_ms, it.stop_ms, Clue.NAME))


@given(_SPAN, st.lists(_STRETCH, max_size=5))
def test_what_overlaps_is_never_a_question_and_what_is_asked_reaches_as_far_as_matters(
    span: Span, stretches: list[Stretch]
) -> None:
    overlaps = any(
        it.start_ms <= span.stop_ms + TOLERANCE_MS and it.stop_ms >= span.start_ms - TOLERANCE_MS for it in stretches
    )
    assert (use_question(span, stretches, ZURICH) is None) or not overlaps
    assert (ownership_question(span, stretches, ZURICH) is None) == (overlaps or not stretches)
    windows = list(asked_for(span, stretches))
    assert all(window.start_ms < window.stop_ms for window in windows)
    assert all(before.stop_ms < after.start_ms for before, after in pairwise(windows))


@given(st.integers(-(10**17), 10**17), st.integers(-(10**17), 10**17))
def test_no_time_that_a_broken_clock_can_write_fails(made_ms: int, other_ms: int) -> None:
    span = Span(made_ms, made_ms, Clue.MODIFIED)
    ownership_question(span, [Stretch(other_ms, other_ms)], ZURICH)
    use_question(span, [Stretch(other_ms, other_ms)], ZURICH)

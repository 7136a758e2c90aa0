"""When to ask again."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.cloud.retry import RetryBudget, backoff_s, retry_after_s

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("header", "date", "expected"),
    [
        ("7", None, 7),
        (" 7 ", None, 7),
        ("2.5", None, 2.5),
        ("0", None, 1),
        ("-5", None, 1),
        ("1000000000", None, 900),
        ("9" * 5000, None, 900),
        ("nan", None, 5),
        ("soon", None, 5),
        ("", None, 5),
        (None, None, 5),
        ("Wed, 21 Oct 2015 07:28:40 GMT", DATE, 40),
        ("Wed, 21 Oct 2015 07:27:00 GMT", DATE, 1),
        ("Wed, 21 Oct 2099 07:28:00 GMT", DATE, 900),
        ("Wed, 21 Oct 2015 07:28:40 GMT", None, 5),
        ("Wed, 21 Oct 2015 07:28:40 GMT", "yesterday", 5),
        ("Wed, 99 Oct 2015 07:28:40 GMT", DATE, 5),
    ],
)
def test_a_retry_after_is_seconds_or_a_date_measured_from_the_answers_own(
    header: str | None, date: str | None, expected: float
) -> None:
    assert retry_after_s(header, date) == expected


@given(st.none() | st.text(), st.none() | st.text())
@example("9" * 5000, None)
@example("-" * 5000, DATE)
def test_whatever_the_header_says_the_wait_is_between_a_second_and_a_quarter_of_an_hour(
    header: str | None, date: str | None
) -> None:
    assert 1 <= retry_after_s(header, date) <= 900


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_a_pause_never_exceeds_its_cap_nor_the_exponential(failures: int, jitter: float) -> None:
    pause_s = backoff_s(failures, jitter)
    assert 0 <= pause_s <= 15
    if failures < 5:
        assert pause_s <= 0.5 * 2 ** (failures - 1)


def test_the_jitter_spreads_over_the_whole_pause() -> None:
    assert backoff_s(4, 0.0) == 0
    assert math.isclose(backoff_s(4, 0.5), 2.0)
    assert math.isclose(backoff_s(4, 1.0), 4.0)


def test_after_the_first_ten_only_every_tenth_request_may_be_retried() -> None:
    budget = RetryBudget()
    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]
    granted = 0
    for _ in range(1000):
        budget.earn()
        granted += budget.spend()
    assert 99 <= granted <= 100

"""How old the rows of one tracker were when they arrived, over the last minute."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.ages import Ages


def test_nothing_is_told_before_the_first_arrival_and_a_minute_after_the_last() -> None:
    ages = Ages()
    assert ages.median_ms(0.0) is None
    ages.add(800, 5.0)
    assert ages.median_ms(64.9) == 800
    assert ages.median_ms(65.0) is None


def test_one_slow_second_is_not_the_median() -> None:
    ages = Ages()
    for second in range(60):
        ages.add(4_000 if second == 30 else 900, 1000.0 + second)
    assert ages.median_ms(1059.5) == 900


def test_a_clock_that_is_ahead_gives_a_negative_age() -> None:
    ages = Ages()
    ages.add(-300, 0.0)
    assert ages.median_ms(0.0) == -300


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(-1000, 10**6)), max_size=200))
def test_it_is_the_worst_of_each_second_whatever_came_before(arrivals: list[tuple[int, int]]) -> None:
    ages, worst = Ages(), dict[int, int]()
    now_s = 0
    for second, age_ms in sorted(arrivals, key=lambda arrival: arrival[0]):
        now_s = second
        worst[second] = max(age_ms, worst.get(second, age_ms))
        ages.add(age_ms, float(second))
    held = [age_ms for second, age_ms in worst.items() if second > now_s - 60]
    assert ages.median_ms(now_s + 0.9) == (round(statistics.median(held)) if held else None)

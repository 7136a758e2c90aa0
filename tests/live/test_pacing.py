"""Speeds that are kept by waiting, and by having something in hand."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.stream.pacing import Bucket, Pace


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(1, 100)), min_size=1, max_size=50), st.sampled_from([0, 50]))
def test_over_any_time_a_pace_lets_no_more_through_than_its_speed_its_burst_and_one_portion(
    portions: list[tuple[float, float]], burst: float
) -> None:
    pace, now_s, sent = Pace(10, burst), 0.0, 0.0
    for pause_s, amount in portions:
        now_s = max(now_s + pause_s, pace.due_s)
        assert sent <= 10 * now_s + burst + 1e-6
        pace.spend(amount, now_s)
        sent += amount


def test_a_pace_that_was_not_used_has_nothing_in_hand() -> None:
    pace = Pace(10)
    pace.spend(10, 100.0)
    assert pace.due_s == 101.0
    pace.spend(10, 200.0)
    assert pace.due_s == 201.0


@given(st.lists(st.floats(0, 2), max_size=200))
def test_a_bucket_gives_its_burst_and_then_its_speed(pauses: list[float]) -> None:
    bucket, now_s, taken = Bucket(5, 20, 0.0), 0.0, 0
    for pause_s in pauses:
        now_s += pause_s
        taken += bucket.take(now_s)
        assert taken <= 20 + 5 * now_s + 1e-6


def test_a_bucket_refuses_nobody_who_keeps_to_its_speed() -> None:
    bucket = Bucket(4, 2, 0.0)
    assert all(bucket.take(place / 4) for place in range(1000))
    assert [bucket.take(250.0) for _ in range(3)] == [True, True, False]

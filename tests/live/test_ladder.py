"""The ladder as a table: what a client that lags gets, and when it gets everything again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.stream.ladder import CLOSE_LAG_S, GRACE_S, Ladder, Level

N, C, S, L = Level.NORMAL, Level.CONFLATED, Level.SHED, Level.LOST

STEPS = [
    # seconds that pass, lag, blocked, excused -> level
    pytest.param([(11, 2.0, 0, False, N), (0.5, 2.1, 0, False, C)], id="conflated above two seconds"),
    pytest.param([(11, 0, 2.1, False, C)], id="a connection that takes nothing lags as long"),
    pytest.param([(11, 8.0, 0, False, C), (0.5, 8.1, 0, False, S)], id="shed above eight seconds"),
    pytest.param([(11, 0, 4.0, False, C), (0.5, 0, 4.1, False, S)], id="shed when blocked above four seconds"),
    pytest.param([(11, 9, 0, False, S)], id="two steps at once"),
    pytest.param([(11, 30, 0, False, S), (0.5, 30.1, 0, False, L)], id="closed above thirty seconds"),
    pytest.param([(9.9, 9, 5, False, N), (0.1, 9, 5, False, S)], id="nothing in the first ten seconds"),
    pytest.param([(5, 30.1, 0, False, L)], id="but an end"),
    pytest.param([(60, 9, 9, True, N), (0.5, 9, 9, False, S)], id="nothing while the past is sent"),
    pytest.param([(60, 30.1, 0, True, L)], id="but an end then, too"),
    pytest.param(
        [(11, 3, 0, False, C), (1, 0.4, 0, False, C), (4.9, 0.4, 0, False, C), (0.1, 0.4, 0, False, N)],
        id="normal after five seconds below half a second",
    ),
    pytest.param(
        [(11, 3, 0, False, C), (1, 0.4, 0, False, C), (3, 0.5, 0, False, C), (4, 0.4, 0, False, C)],
        id="one lapse, and they begin anew",
    ),
    pytest.param(
        [(11, 9, 0, False, S), (1, 0.9, 0, False, S), (5, 0.9, 0, False, N)],
        id="from shed to normal after five seconds below one second",
    ),
    pytest.param([(11, 9, 0, False, S), (1, 3, 0, False, S), (60, 3, 0, False, S)], id="no step down but to normal"),
    pytest.param([(11, 3, 0, False, C), (1, 0, 0, True, C), (5, 0, 0, True, N)], id="who is excused may recover"),
]


@pytest.mark.parametrize("steps", STEPS)
def test_the_ladder(steps: list[tuple[float, float, float, bool, Level]]) -> None:
    ladder, now_s = Ladder(100.0), 100.0
    for passed_s, lag_s, blocked_s, is_excused, level in steps:
        now_s += passed_s
        assert ladder.step(now_s, lag_s, blocked_s, is_excused=is_excused) is level


@given(st.lists(st.tuples(st.floats(0.5, 3), st.floats(0, 1.9), st.floats(0, 1.9)), max_size=60))
def test_who_never_lags_two_seconds_never_notices_the_ladder(steps: list[tuple[float, float, float]]) -> None:
    ladder, now_s = Ladder(0.0), 0.0
    for passed_s, lag_s, blocked_s in steps:
        now_s += passed_s
        assert ladder.step(now_s, lag_s, blocked_s, is_excused=False) is N


@given(st.lists(st.tuples(st.floats(0.1, 3), st.floats(0, 40), st.floats(0, 40), st.booleans()), max_size=60))
def test_whatever_happened_who_keeps_up_for_five_seconds_is_treated_like_everybody(
    steps: list[tuple[float, float, float, bool]],
) -> None:
    ladder, now_s = Ladder(0.0), 0.0
    for passed_s, lag_s, blocked_s, is_excused in steps:
        now_s += passed_s
        if ladder.step(now_s, lag_s, blocked_s, is_excused=is_excused) is L:
            return
    assert max(lag_s for lag_s in (0.0, *(step[1] for step in steps))) <= CLOSE_LAG_S
    ladder.step(now_s + GRACE_S, 0.0, 0.0, is_excused=False)
    assert ladder.step(now_s + GRACE_S + 5, 0.0, 0.0, is_excused=False) is N

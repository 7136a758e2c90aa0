"""What comes back every so often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.schedule import FAR_MS, Schedule


@given(every=st.integers(1, 500), lasts=st.integers(0, 600), first=st.integers(-900, 900), at=st.integers(-900, 900))
def test_the_next_change_is_the_next_instant_at_which_the_answer_differs(
    every: int, lasts: int, first: int, at: int
) -> None:
    schedule = Schedule(every, lasts, first)
    change = schedule.next_change_ms(at)
    until = range(at + 1, min(change, at + 2 * every))
    assert all(schedule.covers(t) == schedule.covers(at) for t in until)
    if change < FAR_MS:
        assert schedule.covers(change) != schedule.covers(at)
    else:
        assert lasts == 0 or lasts >= every


@pytest.mark.parametrize(
    ("every", "lasts", "expected"), [(180, 60, 60), (180, 0, 0), (0, 60, 0), (60, 60, 180), (60, 90, 180)]
)
def test_it_happens_for_its_share_of_the_time(every: int, lasts: int, expected: int) -> None:
    """Never if one of the lengths is 0, always if it lasts as long as its period."""
    schedule = Schedule(every, lasts, 120)
    assert sum(schedule.covers(t) for t in range(180)) == expected
    assert schedule.covers(120) == (expected > 0)

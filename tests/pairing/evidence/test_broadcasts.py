"""The heart rates that straps broadcast."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.pairing.evidence.broadcasts import MOST_STRAPS, Broadcasts
from gateway.pairing.evidence.proof import NEWEST_S, SPAN_S, Rates

STRAP, OTHER = "a0:9e:1a:00:00:01", "a0:9e:1a:00:00:02"


def told(series: Rates) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in series]


def test_each_second_has_its_value_and_silence_has_none() -> None:
    broadcasts = Broadcasts()
    for second, rate in [(1000, 71), (1001, 72), (1004, 75)]:
        broadcasts.heard({STRAP: rate}, second)
    assert told(broadcasts.series(STRAP, 1005))[-7:] == [None, 71, 72, None, None, 75, None]
    assert told(broadcasts.series(STRAP, 1005))[:-7] == [None] * (SPAN_S - 7)


def test_a_strap_that_is_silent_is_none_that_broadcasts_and_is_forgotten() -> None:
    broadcasts = Broadcasts()
    broadcasts.heard({STRAP: 71, OTHER: 80}, 1000)
    broadcasts.heard({OTHER: 80}, 1000 + NEWEST_S - 1)
    assert broadcasts.straps(1000 + NEWEST_S - 1) == (STRAP, OTHER)
    assert broadcasts.straps(1000 + NEWEST_S) == (OTHER,)
    broadcasts.heard({OTHER: 80}, 1000 + SPAN_S)
    broadcasts.heard({STRAP: 90, OTHER: 80}, 1001 + SPAN_S)
    assert told(broadcasts.series(STRAP, 1001 + SPAN_S)) == [None] * (SPAN_S - 1) + [90]


def test_there_is_room_for_a_club_and_for_the_next_when_one_has_left() -> None:
    broadcasts = Broadcasts()
    club = {f"strap {number}": 70 for number in range(MOST_STRAPS)}
    broadcasts.heard(club | {"guest": 70}, 1000)
    assert broadcasts.straps(1000) == tuple(club)
    del club["strap 0"]
    broadcasts.heard(club, 1100)
    broadcasts.heard(club | {"guest": 70}, 1000 + SPAN_S)
    assert set(broadcasts.straps(1000 + SPAN_S)) == set(club) | {"guest"}


@given(st.dictionaries(st.integers(0, 3 * SPAN_S), st.integers(30, 220), min_size=1))
def test_the_series_is_what_was_heard_within_the_span(heard: dict[int, int]) -> None:
    broadcasts = Broadcasts()
    for second in range(max(heard) + 1):
        broadcasts.heard({STRAP: heard[second]} if second in heard else {}, second)
    newest = max(heard)
    expected = [heard.get(second) for second in range(newest - SPAN_S + 1, newest + 1)]
    assert told(broadcasts.series(STRAP, newest)) == expected

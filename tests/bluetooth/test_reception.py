"""How well and how often a device is heard."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bluetooth.reception import MOST_PER_S, Reception


def heard(times_s: list[float], rssi_dbm: int = -60) -> Reception:
    reception = Reception(times_s[0])
    for now_s in times_s:
        reception.heard(rssi_dbm, now_s)
    return reception


def test_strength_is_the_median_of_the_last_seven() -> None:
    reception = Reception(0.0)
    assert reception.rssi_dbm is None
    for second, rssi_dbm in enumerate([-30, -70, -71, -72, -73, -74, -75, -76]):
        reception.heard(rssi_dbm, second)
    assert reception.rssi_dbm == -73


@given(st.lists(st.integers(-66, -60), min_size=7, max_size=40), st.lists(st.integers(-126, 20), max_size=3))
def test_three_wild_values_of_seven_move_the_strength_nowhere(calm: list[int], wild: list[int]) -> None:
    reception = Reception(0.0)
    for second, rssi_dbm in enumerate(calm + wild):
        reception.heard(rssi_dbm, second)
    strength = reception.rssi_dbm
    assert strength is not None
    assert -66 <= strength <= -60


def test_a_device_that_comes_back_is_not_shown_at_its_old_strength() -> None:
    reception = heard([0.0, 1.0, 2.0, 3.0, 4.0], rssi_dbm=-40)
    reception.heard(-90, 60.0)
    assert reception.rssi_dbm == -90


@pytest.mark.parametrize(("rssi_dbm", "bars"), [(-40, 4), (-60, 4), (-61, 3), (-71, 2), (-81, 1), (-90, 1), (-91, 0)])
def test_bars(rssi_dbm: int, bars: int) -> None:
    assert heard([0.0], rssi_dbm).bars == bars


def test_before_it_is_heard_there_are_no_bars() -> None:
    assert Reception(0.0).bars == 0


@pytest.mark.parametrize("interval_s", [0.1, 0.5, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("loss", [0.0, 0.2, 0.35])
def test_the_interval_is_learned_though_packets_are_lost(interval_s: float, loss: float) -> None:
    chance = random.Random(1)
    # Each event is delayed by up to 10 ms, as Bluetooth prescribes.
    times_s = [event * interval_s + chance.uniform(0, 0.01) for event in range(200) if chance.random() >= loss]
    learned_s = heard(times_s).interval_s
    assert learned_s is not None
    assert learned_s == pytest.approx(interval_s, abs=0.011)


def test_an_event_that_is_told_twice_is_one() -> None:
    times_s = [second + echo for second in range(20) for echo in (0.0, 0.004)]
    assert heard(times_s).interval_s == pytest.approx(1.0)


def test_an_absence_is_no_interval() -> None:
    times_s = [absence * 100.0 + event for absence in range(8) for event in (0.0, 1.0)]
    assert heard(times_s).interval_s == 1.0


def test_too_little_is_known_of_the_interval_at_first() -> None:
    assert heard([0.0, 1.0, 2.0]).interval_s is None
    assert heard([0.0, 1.0, 2.0, 3.0]).interval_s == 1.0


def test_first_and_last_seen() -> None:
    reception = heard([3.0, 4.0, 9.0])
    assert (reception.first_seen_s, reception.last_seen_s) == (3.0, 9.0)


def test_a_second_has_room_for_twenty() -> None:
    reception = Reception(0.0)
    admitted = [reception.admits(5.0 + i / 100) for i in range(100)]
    assert admitted == [True] * MOST_PER_S + [False] * (100 - MOST_PER_S)
    assert reception.admits(6.0)


def test_bars_do_not_flicker_where_a_strength_lies_on_a_border() -> None:
    reception = Reception(0.0)
    shown = set[int]()
    for event in range(200):
        reception.heard((-79, -80, -81)[event // 9 % 3], float(event))
        shown.add(reception.bars)
    assert shown == {2}
    for event in range(200, 220):
        reception.heard(-84, float(event))
    assert reception.bars == 1


def test_bars_begin_anew_after_an_absence() -> None:
    reception = Reception(0.0)
    for event in range(20):
        reception.heard(-79, float(event))
    reception.heard(-81, 1000.0)
    assert reception.bars == 1

"""Counters and clocks that wrap around to revolutions a minute, against a simulated wheel and crank."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insiders_codecs.cycling_power import crank_rate, wheel_rate
from insiders_codecs.revolutions import HOLD_S, SILENT_S, RevolutionRate, Revolutions

START_S = 5000.0


@dataclass
class Sensor:
    """Something that turns, as its sensor counts it; the real turns and times never wrap around."""

    ticks_per_s: int
    count_bits: int
    turns: int = 0
    t_s: float = 0.0

    def turn(self, period_s: float) -> None:
        self.turns += 1
        self.t_s += period_s

    def tell(self) -> Revolutions:
        return Revolutions(self.turns % 2**self.count_bits, int(self.t_s * self.ticks_per_s) % 2**16)

    def rate(self) -> RevolutionRate:
        return crank_rate() if self.count_bits == 16 else wheel_rate()


def crank(turns: int = 0, t_s: float = 0.0) -> Sensor:
    return Sensor(1024, 16, turns, t_s)


def wheel(turns: int = 0, t_s: float = 0.0) -> Sensor:
    return Sensor(2048, 32, turns, t_s)


SENSORS = st.one_of(
    st.builds(crank, st.sampled_from([0, 2**16 - 3, 2**17 - 1]), st.floats(0, 200)),
    st.builds(wheel, st.sampled_from([0, 2**16 - 3, 2**32 - 3]), st.floats(0, 200)),
)


def messages(sensor: Sensor, period_s: float, gaps_s: list[float], blur_s: list[float]) -> Iterator[tuple[float, int]]:
    """Turns steadily and tells after each gap: the time of arrival, and how many turns there were since the start."""
    start_s, first = sensor.t_s, sensor.turns
    now_s = start_s
    for gap_s, late_s in zip(gaps_s, blur_s, strict=True):
        now_s += gap_s
        while sensor.t_s + period_s <= now_s:
            sensor.turn(period_s)
        yield START_S + now_s - start_s + late_s, sensor.turns - first


@given(
    SENSORS,
    st.floats(35, 250),
    st.lists(st.tuples(st.floats(0.2, 1.2) | st.floats(10, 400), st.floats(0, 0.15)), min_size=3, max_size=20),
)
@example(crank(2**16 - 3, 60.0), 90.0, [(1.0, 0.0)] * 12)
@example(wheel(2**32 - 3, 30.0), 90.0, [(1.0, 0.0)] * 12)
@example(crank(), 60.0, [(64.0, 0.0)] * 4)
@example(crank(), 60.0, [(64.5, 0.1)] * 4)
@example(wheel(), 60.0, [(32.0, 0.0), (31.9, 0.1), (96.1, 0.0)])
def test_a_steady_turn_is_measured_through_wraps_of_counter_and_clock_and_missed_messages(
    sensor: Sensor, steady_rpm: float, timing: list[tuple[float, float]]
) -> None:
    """The clock wraps every 64 s (crank) or 32 s (wheel); gaps of 400 s are several times that."""
    rate = sensor.rate()
    told: set[int] = set()
    gaps_s, blur_s = [gap for gap, _ in timing], [late for _, late in timing]
    for now_s, turns in messages(sensor, 60 / steady_rpm, gaps_s, blur_s):
        rate.update(sensor.tell(), now_s)
        told.add(turns)
        rpm = rate.rpm(now_s)
        if len(told) == 1:
            assert rpm is None or rpm == 0
        else:
            # Each end of what is at least one turn is cut down to a whole tick.
            assert rpm == pytest.approx(steady_rpm, rel=1.5 * steady_rpm / 60 / sensor.ticks_per_s)


@given(SENSORS, st.lists(st.floats(0.25, 1.8), min_size=2, max_size=30))
def test_a_changing_turn_is_measured_from_one_event_to_the_next(sensor: Sensor, periods_s: list[float]) -> None:
    rate = sensor.rate()
    rate.update(sensor.tell(), START_S)
    begin_s = sensor.t_s
    for period_s in periods_s:
        sensor.turn(period_s)
        now_s = START_S + sensor.t_s - begin_s
        rate.update(sensor.tell(), now_s)
        assert rate.rpm(now_s) == pytest.approx(60 / period_s, rel=1.5 / period_s / sensor.ticks_per_s)


def test_nothing_is_known_before_the_second_event() -> None:
    rate = crank_rate()
    assert rate.rpm(0) is None
    rate.update(Revolutions(1000, 500), 10)
    assert rate.rpm(10) is None
    rate.update(Revolutions(1000, 500), 11)
    assert rate.rpm(11) is None


def test_the_same_event_holds_the_rate_for_two_seconds_and_is_a_standstill_then() -> None:
    rate = crank_rate()
    rate.update(Revolutions(10, 0), 0.0)
    rate.update(Revolutions(11, 1024), 1.0)
    read = []
    for quarter in range(1, 17):
        now_s = 1.0 + quarter / 4
        rate.update(Revolutions(11, 1024), now_s)
        read.append(rate.rpm(now_s))
    assert read == [60.0] * 8 + [0.0] * 8


def test_a_sensor_that_never_turned_stands_still() -> None:
    rate = crank_rate()
    for second in range(5):
        rate.update(Revolutions(0, 0), second)
    assert rate.rpm(4) == 0


def test_after_a_standstill_the_first_turn_is_as_slow_as_it_took_and_the_next_is_right() -> None:
    """Five minutes, so that the crank's clock has wrapped around four times."""
    sensor, rate = crank(7, 3.0), crank_rate()
    for second in range(301):
        rate.update(sensor.tell(), START_S + second)
    sensor.turn(300)
    rate.update(sensor.tell(), START_S + 300.5)
    assert rate.rpm(START_S + 300.5) == pytest.approx(60 / 300, rel=1e-3)
    sensor.turn(0.75)
    rate.update(sensor.tell(), START_S + 301.25)
    assert rate.rpm(START_S + 301.25) == pytest.approx(80, rel=2e-3)


def test_without_messages_the_rate_is_soon_unknown_and_not_zero() -> None:
    rate = crank_rate()
    rate.update(Revolutions(10, 0), 0.0)
    rate.update(Revolutions(11, 1024), 1.0)
    assert rate.rpm(1 + HOLD_S) == 60
    assert rate.rpm(1 + SILENT_S) == 60
    assert rate.rpm(1.1 + SILENT_S) is None
    rate.update(Revolutions(21, 11 * 1024), 11.0)
    assert rate.rpm(11.0) == 60


def test_a_silence_longer_than_the_clock_is_no_sprint() -> None:
    """65 s for one turn, of which the crank's clock shows only one second."""
    rate = crank_rate()
    rate.update(Revolutions(10, 0), 0.0)
    rate.update(Revolutions(11, 1024), 65.0)
    assert rate.rpm(65.0) == pytest.approx(60 / 65, rel=1e-3)


@given(SENSORS, st.integers(100, 60_000), st.floats(1, 60), st.integers(0, 0xFFFF), st.integers(0, 3))
@example(crank(), 5000, 2.0, 2048, 0)
def test_a_counter_that_was_set_back_gives_no_rate_until_it_has_counted_on(
    sensor: Sensor, turns: int, silence_s: float, ticks: int, counted: int
) -> None:
    sensor.turns = turns
    rate = sensor.rate()
    for _ in range(3):
        rate.update(sensor.tell(), START_S + sensor.t_s)
        sensor.turn(0.6)
    now_s = START_S + sensor.t_s + silence_s
    restarted = Sensor(sensor.ticks_per_s, sensor.count_bits, counted, ticks / sensor.ticks_per_s)
    rate.update(restarted.tell(), now_s)
    assert rate.rpm(now_s) is None
    restarted.turn(0.75)
    rate.update(restarted.tell(), now_s + 0.75)
    assert rate.rpm(now_s + 0.75) == pytest.approx(80, rel=2e-3)


@given(st.booleans(), st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 0xFFFF), st.floats(0, 1e5))))
def test_whatever_a_sensor_tells_the_rate_is_unknown_or_possible(
    is_crank: bool, told: list[tuple[int, int, float]]
) -> None:
    rate, highest_rpm, mask = (crank_rate(), 500, 2**16 - 1) if is_crank else (wheel_rate(), 2000, 2**32 - 1)
    now_s = START_S
    for count, event_ticks, gap_s in told:
        now_s += gap_s
        rate.update(Revolutions(count & mask, event_ticks), now_s)
        rpm = rate.rpm(now_s)
        assert rpm is None or 0 <= rpm <= highest_rpm


def test_an_event_time_that_moves_without_a_turn_is_no_event() -> None:
    """Some sensors stamp the message and not the turn: the rate is then that of the turns between."""
    rate = crank_rate()
    rate.update(Revolutions(10, 0), 0.0)
    rate.update(Revolutions(11, 1024), 1.0)
    rate.update(Revolutions(11, 2048), 2.0)
    assert rate.rpm(2.0) == 60
    rate.update(Revolutions(13, 3072), 3.0)
    assert rate.rpm(3.0) == 60


def test_a_turn_at_the_same_time_is_a_fault_and_no_rate() -> None:
    rate = crank_rate()
    rate.update(Revolutions(10, 100), 0.0)
    rate.update(Revolutions(11, 100), 1.0)
    assert rate.rpm(1.0) is None

"""The athletes: believable, and a function of the seed alone."""

import numpy as np
import pytest

from gateway.simulator.football import PITCH_LENGTH_M, PITCH_WIDTH_M, Squad
from gateway.simulator.gnss import METRES_PER_DEGREE
from gateway.simulator.motion import SECONDS_PER_BLOCK, TICK_S
from gateway.simulator.physiology import follow
from gateway.simulator.ride import Pack
from gateway.simulator.world import LOOP, PITCH, Second, World

SECONDS = 15 * 60  # more than one football period and one lap
TRACKERS = 6


@pytest.fixture(scope="module")
def seconds() -> list[list[Second]]:
    world = World(TRACKERS, seed=7)
    return [[world.second(tracker, second) for second in range(SECONDS)] for tracker in range(TRACKERS)]


def column(seconds: list[Second], name: str) -> np.ndarray:
    return np.array([value for second in seconds for value in getattr(second, name)], dtype=float)


def east_north(tracker: int, seconds: list[Second]) -> tuple[np.ndarray, np.ndarray]:
    latitude, longitude = PITCH if tracker % 2 == 0 else LOOP
    north = (column(seconds, "latitude") / 1e7 - latitude) * METRES_PER_DEGREE
    east = (column(seconds, "longitude") / 1e7 - longitude) * METRES_PER_DEGREE * np.cos(np.radians(latitude))
    return east, north


def test_same_seed_gives_the_same_seconds_in_any_order(seconds: list[list[Second]]) -> None:
    """What is asked first, and what was forgotten meanwhile, changes nothing."""
    world = World(TRACKERS, seed=7)
    for second in (899, 0, 601, 599, 60, 600, 59, 300):
        for tracker in (3, 0, 5, 2):
            assert world.second(tracker, second) == seconds[tracker][second]
    assert World(TRACKERS, seed=8).second(0, 300) != seconds[0][300]


def test_a_far_away_second_needs_nothing_before_it() -> None:
    """A jump of the clock by a day costs one period, not a day."""
    world = World(2, seed=7)
    assert world.second(0, 86_400 + 17) == World(2, seed=7).second(0, 86_400 + 17)
    assert len(world._squad._periods) == 1


@pytest.mark.parametrize("tracker", range(TRACKERS))
def test_speed_is_displacement_over_time(seconds: list[list[Second]], tracker: int) -> None:
    """Over one second, within what the receiver's noise allows."""
    east, north = east_north(tracker, seconds[tracker])
    velocity = (east[10:] - east[:-10]) + 1j * (north[10:] - north[:-10])
    speed = column(seconds[tracker], "speed") / 1000
    path = np.convolve(speed, np.ones(10) / 10, mode="valid")[1:]
    excess = np.abs(velocity) - path  # turns make it negative: a way round is longer than the displacement
    assert np.percentile(excess, 99) < 0.35
    assert np.median(np.abs(excess)) < 0.2


@pytest.mark.parametrize("tracker", range(TRACKERS))
def test_nobody_accelerates_beyond_human_limits(seconds: list[list[Second]], tracker: int) -> None:
    """Less than 8 m/s² from row to row, over period and lap borders too; nobody sprints at 12 m/s on foot."""
    speed = column(seconds[tracker], "speed") / 1000
    assert np.abs(np.diff(speed)).max() / TICK_S < 8
    assert speed.min() >= 0
    assert 6 < speed.max() < (10 if tracker % 2 == 0 else 17)


@pytest.mark.parametrize("tracker", range(TRACKERS))
def test_positions_never_jump(seconds: list[list[Second]], tracker: int) -> None:
    """No teleport at a border between minutes, periods or laps."""
    east, north = east_north(tracker, seconds[tracker])
    assert np.hypot(np.diff(east), np.diff(north)).max() / TICK_S < 18
    assert np.abs(np.diff(column(seconds[tracker], "altitude"))).max() / 1000 < 2.5


@pytest.mark.parametrize("tracker", range(0, TRACKERS, 2))
def test_players_stay_on_the_pitch_and_use_it(seconds: list[list[Second]], tracker: int) -> None:
    east, north = east_north(tracker, seconds[tracker])
    assert np.abs(east).max() <= PITCH_LENGTH_M / 2
    assert np.abs(north).max() <= PITCH_WIDTH_M / 2
    assert np.ptp(east) > 25


@pytest.mark.parametrize("tracker", range(TRACKERS))
def test_heart_rates_are_human_and_steady(seconds: list[list[Second]], tracker: int) -> None:
    rates = np.array([second.heart_rate for second in seconds[tracker]])
    assert rates.min() >= 40
    assert rates.max() <= 205
    assert np.ptp(rates) > 15
    assert np.abs(np.diff(rates)).max() <= 6


@pytest.mark.parametrize("tracker", [1, 3, 5])
def test_a_riders_heart_follows_power_with_a_lag(seconds: list[list[Second]], tracker: int) -> None:
    """The correlation with what was ridden before is best some 15 to 90 s back, and clearly better than with now."""
    rates = np.array([second.heart_rate for second in seconds[tracker]], dtype=float)
    power = np.array([second.power for second in seconds[tracker]], dtype=float)
    matches = [np.corrcoef(rates[lag:], power[: len(power) - lag])[0, 1] for lag in range(120)]
    assert 15 <= int(np.argmax(matches)) <= 90
    assert max(matches) > matches[0] + 0.1


def test_a_players_heart_follows_effort_with_a_lag(seconds: list[list[Second]]) -> None:
    rates = np.array([second.heart_rate for second in seconds[0]], dtype=float)
    speed = (column(seconds[0], "speed") / 1000).reshape(-1, 10).mean(axis=1)
    matches = [np.corrcoef(rates[lag:], speed[: len(speed) - lag])[0, 1] for lag in range(60)]
    assert 3 <= int(np.argmax(matches)) <= 45
    assert max(matches) > matches[0]


def test_hearts_rise_in_half_a_minute_and_fall_more_slowly() -> None:
    up = follow(np.ones((30, 1)), np.zeros(1))[-1, 0]
    down = follow(np.zeros((30, 1)), np.ones(1))[-1, 0]
    assert up == pytest.approx(1 - np.exp(-1), abs=0.02)
    assert down > 1 - up


def test_riders_coast_climb_and_stop_together(seconds: list[list[Second]]) -> None:
    """Power and cadence fall to zero together on descents; the road has hills; the pack stops at the junction."""
    for tracker in (1, 3, 5):
        power = np.array([second.power for second in seconds[tracker]])
        cadence = np.array([second.cadence for second in seconds[tracker]])
        assert (cadence[power == 0] == 0).all()
        assert (power == 0).mean() > 0.03
        assert 100 < power[power > 0].mean() < 350
        assert np.ptp(column(seconds[tracker], "altitude")) / 1000 > 20
        assert any(second.standstill for second in seconds[tracker])
    ahead, behind = east_north(1, seconds[1]), east_north(5, seconds[5])
    assert np.median(np.hypot(ahead[0] - behind[0], ahead[1] - behind[1])) < 30


def test_players_have_no_power_meter_and_sometimes_stand(seconds: list[list[Second]]) -> None:
    assert {second.power for second in seconds[0]} == {None}
    assert {second.cadence for second in seconds[0]} == {None}
    assert 0.02 < np.mean([second.standstill for second in seconds[0]]) < 0.6


def test_altitude_updates_once_a_second_and_the_battery_falls_slowly(seconds: list[list[Second]]) -> None:
    for tracker in range(TRACKERS):
        altitude = column(seconds[tracker], "altitude").reshape(-1, 10)
        assert (np.ptp(altitude, axis=1) == 0).all()
        battery = [second.battery for second in seconds[tracker]]
        assert (np.diff(battery) <= 0).all()
        assert 1 <= battery[0] - battery[-1] <= 6


def test_receiver_noise_wanders_rather_than_jitters(seconds: list[list[Second]]) -> None:
    """While a player stands the position drifts by far less than the receiver is wrong by."""
    east, _ = east_north(0, seconds[0])
    true = Squad(TRACKERS // 2, 7).block(1).east[:, 0]
    error = east[600:1200] - true
    assert np.abs(np.diff(error)).max() < 0.15
    assert np.abs(error).max() > 0.15


def test_groups_of_any_size_can_be_built() -> None:
    for size in (1, 2, 15):
        assert Squad(size, 3).block(0).heart_rate.shape == (SECONDS_PER_BLOCK, size)
        assert Pack(size, 3).block(0).power.shape == (SECONDS_PER_BLOCK, size)


def test_a_thousand_trackers_cost_a_hundred_athletes_and_are_all_different() -> None:
    """At one instant no two say the same, and a block of all is no larger."""
    world = World(1000, seed=7)
    first = [world.second(tracker, 300) for tracker in range(1000)]
    assert len({(tuple(second.latitude), tuple(second.longitude)) for second in first}) == 1000
    assert {second.power is None for second in first[::2]} == {True}
    assert {second.power is None for second in first[1::2]} == {False}
    assert {block.positions.shape[1] for block in world._blocks.values()} == {100}
    assert len(world._blocks) == 10

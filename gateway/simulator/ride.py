"""A group ride: a pack on a hilly loop that stops at one junction each lap.

One lap of the road captain is integrated from power and resistance at the start; every rider then passes the same
points a little later, with a lag that drifts as the pack rotates. So the whole ride is a table and any moment of it can
be computed by itself.
"""

from dataclasses import dataclass

import numpy as np

from gateway.simulator.motion import SECONDS_PER_BLOCK, TICK_S, TICKS_PER_BLOCK, TICKS_PER_SECOND, Motion
from gateway.simulator.physiology import Floats, Hearts, breathing, follow

_RADIUS_M = 900.0
_POINTS = 4096
_STOP_S = 9.0

# A rider with bicycle on a good road: kg, rolling resistance, drag area in m², air density in kg/m³.
_MASS_KG = 82.0
_ROLLING = 0.0045
_DRAG_AREA_M2 = 0.32
_AIR = 1.2
_GRAVITY = 9.81

_BRAKING = 1.1  # m/s², a calm stop in a group
_GAP_S = 0.22  # wheel to wheel in time
_LENGTH_M = 1.9  # and in the queue at the junction
_PERIOD_S = (150.0, 420.0)  # how slowly riders drift through the pack


@dataclass(frozen=True, slots=True)
class _Road:
    """The loop by distance: east, north, altitude in m, gradient, each of shape (_POINTS + 1,)."""

    distance: Floats
    east: Floats
    north: Floats
    altitude: Floats
    gradient: Floats

    @property
    def length_m(self) -> float:
        return float(self.distance[-1])


@dataclass(frozen=True, slots=True)
class _Lap:
    """The captain's lap by tick: distance in m, speed in m/s, power in W; a whole number of seconds long."""

    distance: Floats
    speed: Floats
    power: Floats

    @property
    def duration_s(self) -> float:
        return self.speed.size * TICK_S


class Pack:
    """All riders of the group."""

    def __init__(self, riders: int, seed: int) -> None:
        rng = np.random.default_rng((seed, 3))
        self._seed = seed
        self._place = np.arange(riders, dtype=np.float64)
        self._drift_s = rng.uniform(0.2, 0.6, riders)
        self._drift_rate = 2 * np.pi / rng.uniform(*_PERIOD_S, riders)
        self._drift_phase = rng.uniform(0, 2 * np.pi, riders)
        self._lateral_m = rng.uniform(-0.8, 0.8, riders)
        # In the wind the captain works; behind, a third less. Riders differ in weight as well.
        self._share = np.where(self._place == 0, 1.0, 0.72) * rng.uniform(0.9, 1.1, riders)
        self._gear_m = rng.uniform(5.8, 6.6, riders)
        self._road = _road(rng)
        self._lap = _lap(self._road)
        hearts = Hearts(riders, rng)
        effort = _effort(self._lap.power[::TICKS_PER_SECOND, None] * self._share)
        twice = np.concatenate([effort, effort])  # after one lap the heart repeats itself, so that laps join smoothly
        self._heart_rate = hearts.rates(follow(twice, np.full(riders, 0.6))[len(effort) :])

    def block(self, number: int) -> Motion:
        """The block with this number, counted from the start of the world."""
        time_s = ((number * TICKS_PER_BLOCK + np.arange(TICKS_PER_BLOCK)) * TICK_S)[:, None]
        angle = self._drift_rate * time_s + self._drift_phase
        lag = _GAP_S * self._place + self._drift_s * (1 + np.sin(angle))
        lag_rate = self._drift_s * self._drift_rate * np.cos(angle)
        own_s = (time_s - lag) % self._lap.duration_s
        ticks = np.arange(self._lap.speed.size + 1) * TICK_S
        travelled = np.interp(own_s, ticks, np.append(self._lap.distance, self._road.length_m))
        speed = np.interp(own_s, ticks, np.append(self._lap.speed, self._lap.speed[0])) * (1 - lag_rate)
        east, north, altitude = self._points((travelled - _LENGTH_M * self._place) % self._road.length_m)
        at_s = own_s[::TICKS_PER_SECOND].astype(np.int64)
        rows = at_s * TICKS_PER_SECOND
        rng = np.random.default_rng((self._seed, 4, number))
        unsteady = 1 + 0.06 * rng.standard_normal((SECONDS_PER_BLOCK, self._place.size))
        power = np.maximum(0, self._lap.power[rows] * self._share * unsteady)
        turning = self._lap.power[rows] > 0
        legs = 60 * self._lap.speed[rows] / self._gear_m
        cadence = np.where(turning, np.clip(legs * np.sqrt(unsteady.clip(0.5)), 40, 108), 0)
        heart_rate = breathing(self._heart_rate[at_s, np.arange(self._place.size)], rng)
        return Motion(east, north, speed, altitude, heart_rate, power, cadence)

    def _points(self, distance: Floats) -> tuple[Floats, Floats, Floats]:
        road = self._road
        east = np.interp(distance, road.distance, road.east)
        north = np.interp(distance, road.distance, road.north)
        # Beside the captain's line by a constant distance: outwards from the middle of the loop is close to its normal.
        outwards = self._lateral_m / np.hypot(east, north)
        return east * (1 + outwards), north * (1 + outwards), np.interp(distance, road.distance, road.altitude)


def _road(rng: np.random.Generator) -> _Road:
    angle = np.linspace(0, 2 * np.pi, _POINTS + 1)
    turns = rng.uniform(0, 2 * np.pi, 2)
    radius = _RADIUS_M * (1 + 0.18 * np.cos(2 * angle + turns[0]) + 0.07 * np.cos(3 * angle + turns[1]))
    east, north = radius * np.cos(angle), radius * np.sin(angle)
    distance = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(east), np.diff(north)))])
    share = 2 * np.pi * distance / distance[-1]
    hills = rng.uniform(0, 2 * np.pi, 3)
    altitude = 140 + 22 * np.sin(share + hills[0]) + 9 * np.sin(2 * share + hills[1]) + 3 * np.sin(5 * share + hills[2])
    return _Road(distance, east, north, altitude, np.gradient(altitude, distance))


def _lap(road: _Road) -> _Lap:
    standing = int(_STOP_S / TICK_S)
    distances = [0.0] * standing
    speeds = [0.0] * standing
    powers = [0.0] * standing
    length = road.length_m
    gradient = road.gradient.tolist()
    per_metre = _POINTS / length
    at = speed = 0.0
    while length - at > 0.02:
        slope = gradient[int(at * per_metre)]
        power = _chosen_power(speed, slope)
        resistance = _MASS_KG * _GRAVITY * (_ROLLING + slope) + 0.5 * _AIR * _DRAG_AREA_M2 * speed * speed
        acceleration = (power * 0.97 / max(speed, 2.5) - resistance) / _MASS_KG
        wanted = speed + max(-1.5, min(1.3, acceleration)) * TICK_S
        allowed = min(16.0, (2 * _BRAKING * (length - at)) ** 0.5, 0.05 + 2 * (length - at))
        if wanted > allowed:
            power = 0.0
        speed = max(0.05, min(wanted, allowed))
        at = min(length, at + speed * TICK_S)
        distances.append(at)
        speeds.append(speed)
        powers.append(power)
    missing = -len(speeds) % TICKS_PER_SECOND
    distances += [length] * missing
    speeds += [0.0] * missing
    powers += [0.0] * missing
    return _Lap(np.array(distances), np.array(speeds), np.array(powers))


def _chosen_power(speed: float, slope: float) -> float:
    """W the captain puts out: hard from the line, more uphill, nothing on a fast descent."""
    if speed < 5:
        return 360.0
    if slope < -0.012 and speed > 11.0:
        return 0.0
    return 215.0 + 70.0 * max(-1.0, min(1.0, slope / 0.04))


def _effort(power: Floats) -> Floats:
    return np.clip(0.25 + 0.6 * power / 260.0, 0.2, 0.97)

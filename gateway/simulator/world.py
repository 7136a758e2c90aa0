"""All athletes and their trackers' measurements: any second of any tracker is a function of the seed.

Trackers at even places of the list play football, the others ride. Values are kept as whole numbers in the precision
the cloud serves, by blocks of a minute that are computed when first asked for and may be forgotten.

There are a hundred athletes at most. Trackers beyond do what those do, each hundred a minute after the one before: so
a thousand trackers cost what a hundred do, and no two are at one place at one time.
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.simulator.football import Squad
from gateway.simulator.gnss import Receiver, degrees7
from gateway.simulator.motion import SECONDS_PER_BLOCK, TICKS_PER_BLOCK, TICKS_PER_SECOND, Motion
from gateway.simulator.ride import Pack

# Fictitious places, in the middle of an ocean.
PITCH = (45.0, -30.0)
LOOP = (45.1, -30.1)

_BLOCKS_KEPT = 64
_ATHLETES_MAXIMUM = 100
_STANDSTILL_M_S = 0.3


@dataclass(frozen=True, slots=True)
class Second:
    """One second of one tracker: ten positions, and one value of everything else.

    Attributes:
        latitude, longitude: 1e-7 degrees, ten each.
        speed, altitude: mm/s and mm, ten each.
        heart_rate: bpm; None without a strap.
        power, cadence: W and rpm; None without a power meter.
        battery: Percent.
        standstill: 0 or 1.
    """

    latitude: list[int]
    longitude: list[int]
    speed: list[int]
    altitude: list[int]
    heart_rate: int | None
    power: int | None
    cadence: int | None
    battery: int
    standstill: int


class World:
    """Measurements of `trackers` trackers, numbered from 0, from second 0 on."""

    def __init__(self, trackers: int, seed: int) -> None:
        self._minutes_ahead = (trackers - 1) // _ATHLETES_MAXIMUM
        trackers = min(trackers, _ATHLETES_MAXIMUM)
        rng = np.random.default_rng((seed, 0))
        self._players = np.arange(0, trackers, 2)
        self._riders = np.arange(1, trackers, 2)
        self._trackers = trackers
        self._squad = Squad(self._players.size, seed)
        self._pack = Pack(self._riders.size, seed) if self._riders.size else None
        self._receiver = Receiver(trackers, seed)
        self._charge = rng.uniform(62, 99, trackers)
        self._drain_per_s = 1 / rng.uniform(240, 330, trackers)
        self._blocks: OrderedDict[int, _Block] = OrderedDict()

    def second(self, tracker: int, second: int) -> Second:
        """What a tracker measured in one second, both counted from 0."""
        number, row = divmod(second, SECONDS_PER_BLOCK)
        repetition, tracker = divmod(tracker, _ATHLETES_MAXIMUM)
        block = self._block(number + self._minutes_ahead - repetition)
        ticks = slice(row * TICKS_PER_SECOND, (row + 1) * TICKS_PER_SECOND)
        latitude, longitude, speed, altitude = block.positions[:, tracker, ticks].tolist()
        heart_rate, power, cadence, battery, standstill = block.readings[:, tracker, row].tolist()
        return Second(
            latitude=latitude,
            longitude=longitude,
            speed=speed,
            altitude=altitude,
            heart_rate=heart_rate,
            power=None if power < 0 else power,
            cadence=None if cadence < 0 else cadence,
            battery=battery,
            standstill=standstill,
        )

    def _block(self, number: int) -> "_Block":
        block = self._blocks.get(number)
        if block is None:
            block = self._blocks[number] = self._measure(number)
        self._blocks.move_to_end(number)
        if len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return block

    def _measure(self, number: int) -> "_Block":
        east_error, north_error, altitude_error, speed_error = self._receiver.errors(number)
        positions = np.empty((4, self._trackers, TICKS_PER_BLOCK), dtype=np.int32)
        readings = np.empty((5, self._trackers, SECONDS_PER_BLOCK), dtype=np.int16)
        groups: list[tuple[NDArray[np.int64], Motion, tuple[float, float]]] = [
            (self._players, self._squad.block(number), PITCH)
        ]
        if self._pack is not None:
            groups.append((self._riders, self._pack.block(number), LOOP))
        for who, motion, place in groups:
            latitude, longitude = degrees7(motion.east + east_error[:, who], motion.north + north_error[:, who], *place)
            moving = np.maximum(0, motion.speed + speed_error[:, who] * (motion.speed > 0.02))
            # The receiver works out altitude once a second and repeats it in between.
            once = (motion.altitude + altitude_error[:, who])[::TICKS_PER_SECOND]
            altitude = np.repeat(once, TICKS_PER_SECOND, axis=0)
            positions[0, who], positions[1, who] = latitude.T, longitude.T
            positions[2, who] = np.rint(moving * 1000).astype(np.int32).T
            positions[3, who] = np.rint(altitude * 1000).astype(np.int32).T
            for row, values in enumerate((motion.heart_rate, motion.power, motion.cadence)):
                readings[row, who] = np.rint(values).astype(np.int16).T
        seconds = number * SECONDS_PER_BLOCK + np.arange(SECONDS_PER_BLOCK)
        charge = self._charge[:, None] - self._drain_per_s[:, None] * seconds
        readings[3] = np.maximum(3, np.rint(charge)).astype(np.int16)
        still = positions[2].reshape(self._trackers, SECONDS_PER_BLOCK, TICKS_PER_SECOND).max(axis=2)
        readings[4] = still < _STANDSTILL_M_S * 1000
        return _Block(positions, readings)


@dataclass(frozen=True, slots=True)
class _Block:
    """A minute of all trackers.

    Attributes:
        positions: Latitude, longitude, speed, altitude as in `Second`, shape (4, trackers, TICKS_PER_BLOCK).
        readings: Heart rate, power, cadence, battery, standstill, shape (5, trackers, SECONDS_PER_BLOCK); -1 is none.
    """

    positions: NDArray[np.int32]
    readings: NDArray[np.int16]

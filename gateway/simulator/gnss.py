"""What a satellite receiver makes of a true position: correlated error, fine noise, degrees."""

import numpy as np
from numpy.typing import NDArray

from gateway.simulator.motion import TICK_S, TICKS_PER_BLOCK
from gateway.simulator.physiology import Floats

Degrees7 = NDArray[np.int32]

METRES_PER_DEGREE = 111_194.927  # of latitude, on a sphere of 6371 km
_WAVES = 6
_SLOWEST_S, _FASTEST_S = 240.0, 20.0
_WAVE_M = 0.28  # each; together an error of about a metre that wanders over minutes
_VERTICAL = 1.8  # how much worse altitude is
_FINE_M = 0.01
_SPEED_M_S = 0.03  # speed comes from the Doppler shift, not from positions


class Receiver:
    """The receivers of all trackers: each has its own error, a function of time."""

    def __init__(self, trackers: int, seed: int) -> None:
        rng = np.random.default_rng((seed, 5))
        self._seed = seed
        self._trackers = trackers
        shape = (_WAVES, 3, trackers)
        self._rate = 2 * np.pi / np.exp(rng.uniform(np.log(_FASTEST_S), np.log(_SLOWEST_S), shape))
        self._phase = rng.uniform(0, 2 * np.pi, shape)
        self._size = _WAVE_M * rng.uniform(0.6, 1.4, shape) * np.array([1, 1, _VERTICAL])[None, :, None]

    def errors(self, block: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Errors of east, north and altitude in m and of speed in m/s, each of shape (TICKS_PER_BLOCK, trackers)."""
        time_s = (block * TICKS_PER_BLOCK + np.arange(TICKS_PER_BLOCK)) * TICK_S
        slow = np.zeros((3, TICKS_PER_BLOCK, self._trackers))
        for rate, phase, size in zip(self._rate, self._phase, self._size, strict=True):
            slow += size[:, None] * np.sin(time_s[None, :, None] * rate[:, None] + phase[:, None])
        fine = np.random.default_rng((self._seed, 6, block)).standard_normal((3, TICKS_PER_BLOCK, self._trackers))
        return slow[0] + _FINE_M * fine[0], slow[1] + _FINE_M * fine[1], slow[2], _SPEED_M_S * fine[2]


def degrees7(east: Floats, north: Floats, latitude: float, longitude: float) -> tuple[Degrees7, Degrees7]:
    """Latitude and longitude in units of 1e-7 degrees for metres from a place, on a flat earth around it."""
    latitudes = latitude + north / METRES_PER_DEGREE
    longitudes = longitude + east / (METRES_PER_DEGREE * np.cos(np.radians(latitude)))
    return np.rint(latitudes * 1e7).astype(np.int32), np.rint(longitudes * 1e7).astype(np.int32)

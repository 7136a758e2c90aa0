"""What a group of athletes really does during one block of a minute, before any receiver adds its noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TICK_S = 0.1
SECONDS_PER_BLOCK = 60
TICKS_PER_SECOND = 10
TICKS_PER_BLOCK = SECONDS_PER_BLOCK * TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Motion:
    """One block of a group; columns are athletes.

    Attributes:
        east, north: Metres from the place of the session, shape (TICKS_PER_BLOCK, athletes).
        speed: m/s, same shape.
        altitude: Metres, same shape.
        heart_rate: bpm, shape (SECONDS_PER_BLOCK, athletes).
        power, cadence: W and rpm, shape (SECONDS_PER_BLOCK, athletes); -1 where nobody measures them.
    """

    east: NDArray[np.float64]
    north: NDArray[np.float64]
    speed: NDArray[np.float64]
    altitude: NDArray[np.float64]
    heart_rate: NDArray[np.float64]
    power: NDArray[np.float64]
    cadence: NDArray[np.float64]

"""How a heart follows effort: first order, quick to rise and slow to fall."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Time constants of a trained heart at the start and after the end of an effort, seconds.
RISE_S = 30.0
FALL_S = 60.0


def follow(effort: Floats, start: Floats) -> Floats:
    """The share of the heart-rate reserve in use.

    Args:
        effort: Share of the reserve the work asks for, 0 to 1, shape (seconds, athletes).
        start: The share in use before the first second, shape (athletes,).

    Returns:
        The share in use after each second, shape of `effort`.
    """
    level = start.copy()
    levels = np.empty_like(effort)
    for second, asked in enumerate(effort):
        level += (asked - level) / np.where(asked > level, RISE_S, FALL_S)
        levels[second] = level
    return levels


BREATHING_BPM = 0.8
"""How much a beating heart is off its mean from second to second: it goes faster while its owner breathes in."""


def breathing(rates: Floats, rng: np.random.Generator) -> Floats:
    """Heart rates as a strap measures them, which never stand still."""
    return rates + BREATHING_BPM * rng.standard_normal(rates.shape)


class Hearts:
    """Resting and maximal heart rates of a group of athletes."""

    def __init__(self, athletes: int, rng: np.random.Generator) -> None:
        self._resting = rng.uniform(46, 64, athletes)
        self._maximal = rng.uniform(178, 202, athletes)

    def rates(self, levels: Floats) -> Floats:
        """Beats per minute for shares of the reserve, shape (..., athletes)."""
        return self._resting + (self._maximal - self._resting) * levels

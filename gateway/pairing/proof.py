"""Which tracker sends the heart rate that a strap broadcasts: the proof of who wears it. Pure.

A strap with two links goes on to broadcast its heart rate while a tracker has it, and the tracker records the same
heart. Both come once a second, by two clocks that are a few seconds apart, with holes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.pairing.observation import Match

Rates = NDArray[np.float32]

SPAN_S = 180
"""How much of both is compared."""

LAG_S = 6
"""How many seconds the clocks may be apart, either way."""

FEWEST_S = 60
"""Seconds in which both have a value, of which there must be so many."""

LEAST_RANGE_BPM = 8
"""How far the heart must have moved in them: hearts at rest are all alike."""

TOLERANCE_BPM = 1
"""How far values of the same heart are apart: both are rounded, at different instants."""

LEAST_AGREEMENT = 0.8
"""In how large a share of these seconds the same heart agrees at least: values of a broadcast stand for some seconds
when an advertisement is lost."""

LEAST_LEAD = 0.25
"""By how much it must agree better than the next best tracker."""


def whose(broadcast: Rates, serial_numbers: Sequence[str], rates: Rates) -> Match:
    """Where a broadcast heart rate is found.

    Args:
        broadcast: One value a second, NaN where there was none, shape (n,).
        serial_numbers: Of the trackers.
        rates: What these send in the same seconds, and in the `LAG_S` before and after them: shape
            (trackers, n + 2 `LAG_S`).
    """
    windows = np.lib.stride_tricks.sliding_window_view(rates, len(broadcast), axis=1)
    is_both = ~np.isnan(windows) & ~np.isnan(broadcast)
    seconds = is_both.sum(axis=2)
    agreed = (np.abs(windows - broadcast) <= TOLERANCE_BPM).sum(axis=2)
    highest = np.where(is_both, broadcast, -np.inf).max(axis=2)
    lowest = np.where(is_both, broadcast, np.inf).min(axis=2)
    is_enough = (seconds >= FEWEST_S) & (highest - lowest >= LEAST_RANGE_BPM)
    agreement = np.where(is_enough, agreed / np.maximum(seconds, 1), 0.0).max(axis=1)
    if not is_enough.any():
        return Match(None, 0.0, int(seconds.max(initial=0)))
    best = int(agreement.argmax())
    rested_s = int(seconds[best][is_enough[best]].max())
    runner_up = float(np.delete(agreement, best).max(initial=0.0))
    lead = float(agreement[best]) - runner_up
    if agreement[best] < LEAST_AGREEMENT or lead < LEAST_LEAD:
        return Match(None, float(1 - agreement[best]), rested_s)
    return Match(serial_numbers[best], lead, rested_s)

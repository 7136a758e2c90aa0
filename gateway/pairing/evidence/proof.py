"""Which tracker sends the heart rate that a strap broadcasts: the proof of who wears it. Pure.

A strap with two links goes on to broadcast its heart rate while a tracker has it, and the tracker records the same
heart. Both come once a second, by two clocks that are a few seconds apart, with holes. At the lag of the clocks that
suits a tracker best, its *agreement* is the share of the seconds with both values in which these are the same.

A match is claimed if agreement and the lead over the next best tracker are large; hearts of a team that does the same
drill rise and fall together, but not beat by beat. Its confidence is Cohen's kappa with the next best tracker as
chance: (agreement - next best) / (1 - next best), which is in how many of the seconds that the next best does not
explain this one does.

How often it errs, by 15 000 comparisons each of teams of thirty that do the same drill, drawn as in
`tests/pairing/evidence/test_proof.py`: of the straps that are on a tracker 99.5 % are found, and none is claimed for
another; of those that are on none, none is claimed for any. Where the hearts of a team differ half as much as people's
do, 95 % are found, still none is claimed for another, and of those on no tracker one in a thousand is claimed for one,
with a confidence of 0.6 to 0.8, where true ones have 0.8 to 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.pairing.observation import Match

Rates = NDArray[np.float32]

SPAN_S = 180
"""How much of both is compared."""

LAG_S = 5
"""How many seconds the clocks may be apart, either way."""

FEWEST_S = 60
"""Seconds in which both have a value, of which there must be so many."""

LEAST_RANGE_BPM = 8
"""How far the heart must have moved in them: hearts at rest are all alike."""

TOLERANCE_BPM = 1
"""How far values of the same heart are apart: both are rounded, at different instants."""

LEAST_AGREEMENT = 0.8
"""Of a tracker that has the strap: a broadcast stands still for some seconds when advertisements are lost."""

LEAST_LEAD = 0.25
"""By how much it must agree better than the next best tracker."""

GAP_S = 5
"""So long a tracker is without heart rate when it takes another strap; what it sent before proves nothing."""

NEWEST_S, FEWEST_NEWEST_S = 30, 5
"""What was so must be so still: in the newest seconds there must be a few with both values, and most must agree."""


def whose(broadcast: Rates, serial_numbers: Sequence[str], rates: Rates) -> Match:
    """Where a broadcast heart rate is found.

    Args:
        broadcast: One value a second, NaN where there was none, shape (n,).
        serial_numbers: Of the trackers.
        rates: What these send in the same seconds, and in the `LAG_S` before and after them: shape
            (trackers, n + 2 `LAG_S`).

    Returns:
        The tracker; or none, with the confidence that no tracker sends the same, which is 0 where nothing can be said.
    """
    sending = np.flatnonzero(~np.isnan(rates).all(axis=1))
    if not sending.size:
        return Match(None, 0.0, 0)
    rates = _of_one_strap(rates[sending])
    differences = _windows(rates, len(broadcast)) - broadcast
    is_both = ~np.isnan(differences)
    agrees = np.abs(differences, out=differences) <= TOLERANCE_BPM
    seconds = np.count_nonzero(is_both, axis=2)
    agreements = np.count_nonzero(agrees, axis=2) / np.maximum(seconds, 1)
    ranked = np.where(seconds >= FEWEST_S, agreements, 0.0)
    by_tracker = ranked.max(axis=1)
    best = int(by_tracker.argmax())
    lag = int(ranked[best].argmax())
    agreement, next_best = float(by_tracker[best]), float(np.delete(by_tracker, best).max(initial=0.0))
    if agreement < LEAST_AGREEMENT:
        # Who has sent for a moment only may be the one.
        possible = np.where(seconds.any(axis=1), agreements.max(axis=1), 1.0)
        is_enough = seconds.max() >= FEWEST_S
        return Match(None, 1.0 - float(possible.max()) if is_enough else 0.0, int(seconds.max()))
    found_s = int(seconds[best, lag])
    if agreement - next_best < LEAST_LEAD or not _is_telling(broadcast, is_both[best, lag], agrees[best, lag]):
        return Match(None, 0.0, found_s)
    return Match(serial_numbers[sending[best]], (agreement - next_best) / (1.0 - next_best), found_s)


def _is_telling(broadcast: Rates, is_both: NDArray[np.bool_], agrees: NDArray[np.bool_]) -> bool:
    """Whether a heart that moved was compared, and not only long ago."""
    newest_s = np.count_nonzero(is_both[-NEWEST_S:])
    return bool(
        np.ptp(broadcast[is_both]) >= LEAST_RANGE_BPM
        and newest_s >= FEWEST_NEWEST_S
        and 2 * np.count_nonzero(agrees[-NEWEST_S:]) >= newest_s
    )


def _of_one_strap(rates: Rates) -> Rates:
    """What each tracker has sent since the last time that it may have taken another strap; the rest is NaN."""
    is_missing, length = np.isnan(rates), rates.shape[1]
    newest = length - 1 - (~is_missing[:, ::-1]).argmax(axis=1)
    stops = np.arange(GAP_S, length + 1)
    # What has not come yet is no gap.
    is_gap = np.logical_and.reduce(_windows(is_missing, GAP_S), axis=2) & (stops <= newest[:, np.newaxis])
    since = np.where(is_gap, stops, 0).max(axis=1)
    return np.where(np.arange(length) >= since[:, np.newaxis], rates, np.float32(np.nan))


def _windows(values: NDArray[Any], length: int) -> NDArray[Any]:
    """All stretches of a length, shape (trackers, places, length), a view."""
    return np.lib.stride_tricks.sliding_window_view(values, length, axis=1)

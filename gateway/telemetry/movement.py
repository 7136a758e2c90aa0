"""Whether athletes run: the sign that they train, which a walking technician does not give."""

import numpy as np
from numpy.typing import NDArray

from gateway.telemetry.delivery import is_of_now
from gateway.telemetry.seconds import Seconds
from insiders_codecs.samples import Column

RUN_M_PER_S = 2.0
"""Faster than people walk."""

RUN_S = 3
"""For how long it takes: a tracker that is thrown, or a position that jumps, is as fast for a moment."""

_WITHIN_S = 10
"""How far back from the newest row: rows may come many at a time."""


def runs(seconds: Seconds, now_s: float) -> NDArray[np.bool_]:
    """Which trackers were carried at a run in the last seconds.

    Args:
        seconds: Of the trackers, up to date.
        now_s: Now, by the monotonic clock.

    Returns:
        Shape (channels,); False where a tracker brings no rows of now.
    """
    windows = np.lib.stride_tricks.sliding_window_view(seconds.last(Column.SPEED, _WITHIN_S), RUN_S, axis=1)
    slowest = np.minimum.reduce(windows, axis=2)
    does_run: NDArray[np.bool_] = np.fmax.reduce(slowest, axis=1) >= RUN_M_PER_S
    return does_run & is_of_now(seconds, now_s)

"""Whether a tracker's sensor shows in its rows: the only sign that it is connected."""

import numpy as np

from gateway.telemetry.channel import Channel, Presence
from insiders_codecs.samples import Column

WITHIN_MS = 10_000
"""How far back from the newest row a value may lie: sensors report once a second, and a strap may lose a few beats."""


def delivers(channel: Channel, column: Column, now_s: float) -> bool | None:
    """Whether values of a sensor come; None if nobody can know, because the tracker itself brings no rows of now.

    Args:
        channel: Of the tracker.
        column: What the sensor measures. A heart rate of 0 is none; a power of 0 is a rider who coasts.
        now_s: Now, by the monotonic clock.
    """
    newest_ms = channel.ring.newest_ms
    if newest_ms is None or channel.presence(now_s) not in {Presence.LIVE, Presence.STALE}:
        return None
    values = channel.ring.between(newest_ms - WITHIN_MS, newest_ms + 1).column(column)
    measured = values[~np.isnan(values)]
    return bool(measured.any()) if column is Column.HEART_RATE else measured.size > 0

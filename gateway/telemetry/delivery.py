"""Whether a tracker's sensor shows in its rows: the only sign that it is connected."""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from gateway.telemetry.channel import Channel, Presence
from gateway.telemetry.seconds import Seconds
from insiders_codecs.samples import Column

WITHIN_MS = 10_000
"""How far back from the newest row a value may lie: sensors report once a second, and a strap may lose a few beats."""

FLAT_S = 30
"""For how long a value has to stand still until it counts as none: a strap that was taken off goes on with its last."""

MOVES_M_PER_S = 1.0
"""An athlete at rest has a resting heart, and pushes no pedal."""

_MOST, _FIRST_S = 2 / 3, 3
"""Of the seconds, and how soon one must have a value: some are lost, and who trains stands still now and then."""


class Delivery(StrEnum):
    """What comes of a tracker's sensor."""

    FLOWING = "flowing"
    FLAT = "flat"
    NOTHING = "nothing"
    TRACKER_SILENT = "tracker_silent"


def delivers(channel: Channel, column: Column, now_s: float) -> bool | None:
    """Whether values of a sensor come; None if nobody can know, because the tracker itself brings no rows of now.

    Args:
        channel: Of the tracker.
        column: What the sensor measures. A heart rate of 0 is none; a power of 0 is a rider who coasts.
        now_s: Now, by the monotonic clock.
    """
    newest_ms = channel.ring.newest_ms
    if newest_ms is None or not _is_of_now(channel, now_s):
        return None
    values = channel.ring.between(newest_ms - WITHIN_MS, newest_ms + 1).column(column)
    measured = values[~np.isnan(values)]
    return bool(measured.any()) if column is Column.HEART_RATE else measured.size > 0


def deliveries(seconds: Seconds, column: Column, now_s: float) -> Sequence[Delivery]:
    """What comes of each tracker's sensor, in the order of the channels.

    Values that stand still for `FLAT_S` while the athlete moves are flat: the sensor is connected, and measures
    nothing.

    Args:
        seconds: Of the trackers, up to date.
        column: What the sensor measures.
        now_s: Now, by the monotonic clock.
    """
    values = seconds.last(column, FLAT_S)
    is_measured = values > 0 if column is Column.HEART_RATE else ~np.isnan(values)
    comes = is_measured[:, -WITHIN_MS // 1000 :].any(axis=1)
    moves = (seconds.last(Column.SPEED, FLAT_S) >= MOVES_M_PER_S).mean(axis=1) >= _MOST
    # A sensor that was connected in between is not judged yet.
    is_long = (is_measured.mean(axis=1) >= _MOST) & is_measured[:, :_FIRST_S].any(axis=1)
    lowest = np.where(is_measured, values, np.inf).min(axis=1)
    highest = np.where(is_measured, values, -np.inf).max(axis=1)
    is_flat = is_long & moves & (lowest == highest)
    told = np.where(is_flat, Delivery.FLAT, Delivery.FLOWING)
    told = np.where(comes, told, Delivery.NOTHING)
    told = np.where(is_of_now(seconds, now_s), told, Delivery.TRACKER_SILENT)
    return [Delivery(text) for text in told.tolist()]


def is_of_now(seconds: Seconds, now_s: float) -> NDArray[np.bool_]:
    """Which trackers bring rows of now, shape (channels,)."""
    return np.array([_is_of_now(channel, now_s) for channel in seconds.channels], np.bool_)


def _is_of_now(channel: Channel, now_s: float) -> bool:
    return channel.presence(now_s) in {Presence.LIVE, Presence.STALE}

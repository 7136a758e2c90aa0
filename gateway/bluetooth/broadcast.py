"""The heart rate that a device advertises, as long as it is new."""

from insiders_codecs.polar import PolarHeartRate

FRESH_S = 5.0
"""How long a value counts after its frame counter moved. Source: Polar's BLE SDK."""


class Broadcast:
    """One device's advertised heart rate. Times are seconds of one monotonic clock.

    A strap that was taken off goes on with its last value, and with a counter that stands. So a value counts once the
    counter has been seen to move, and not before.
    """

    __slots__ = ("_heard_s", "_moved_s", "_newest")

    def __init__(self) -> None:
        self._newest: PolarHeartRate | None = None
        self._heard_s = 0.0
        self._moved_s: float | None = None

    def heard(self, value: PolarHeartRate | None, now_s: float) -> None:
        """An advertisement was received, with a heart rate or without."""
        if value is None:
            return
        before, was_heard_s = self._newest, self._heard_s
        self._newest, self._heard_s = value, now_s
        if before is None or now_s - was_heard_s >= FRESH_S:
            # Nothing to compare with, or too long ago: the counter may have moved at any time since.
            self._moved_s = None
        elif _is_newer(value, before):
            self._moved_s = now_s

    def value(self, now_s: float) -> PolarHeartRate | None:
        """The heart rate now; None if none is advertised, or an old one, or the sensor measures none."""
        if self._newest is None or self._moved_s is None or now_s - self._moved_s >= FRESH_S:
            return None
        return self._newest if self._newest.heart_rate_bpm else None

    @property
    def is_contact(self) -> bool | None:
        """Whether the sensor touched the skin when it last told; None if it never did."""
        return None if self._newest is None else self._newest.is_contact


def _is_newer(value: PolarHeartRate, before: PolarHeartRate) -> bool:
    if value.frame_counter != before.frame_counter:
        return True
    return not value.has_counter and value.heart_rate_bpm != before.heart_rate_bpm

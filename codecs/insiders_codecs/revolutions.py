"""Turns of a wheel or a crank: from counters and clocks that wrap around to revolutions a minute."""

from dataclasses import dataclass

HOLD_S = 2.0
"""How long the same event, told again and again, is a slow turn and no standstill. Below 30 rpm both take turns."""

SILENT_S = 3.0
"""A sensor tells once a second at least. Without a word for longer than this nobody knows how fast it turns."""

_CLOCK_TICKS = 1 << 16


@dataclass(frozen=True, slots=True)
class Revolutions:
    """What a sensor tells in every message, whether anything turned since the last or not.

    Attributes:
        count: Revolutions since the sensor was switched on; begins anew at a power of two.
        event_ticks: When the last one was complete, by the sensor's 16-bit clock.
    """

    count: int
    event_ticks: int


class RevolutionRate:
    """Revolutions a minute, measured from one event to the next by the sensor's own clock.

    The times of our clock, which radio and computer blur, only tell how often the sensor's clock has wrapped around
    meanwhile. So messages may be missed, for minutes too.
    """

    def __init__(self, ticks_per_s: int, count_bits: int, highest_rpm: float) -> None:
        """A rate that is not known yet.

        Args:
            ticks_per_s: The sensor's clock.
            count_bits: Of the counter.
            highest_rpm: What turns faster is a counter that was set back, by a change of battery for example.
        """
        self._ticks_per_s = ticks_per_s
        self._count_mask = (1 << count_bits) - 1
        self._highest_rpm = highest_rpm
        self._event: Revolutions | None = None
        self._event_s = self._told_s = 0.0
        self._rpm: float | None = None

    def update(self, revolutions: Revolutions, now_s: float) -> None:
        """Take what a message tells.

        Args:
            revolutions: Of one message; the order of arrival is the order of sending.
            now_s: When it arrived, monotonic.
        """
        self._told_s = now_s
        if self._event is not None and revolutions.count == self._event.count:
            return
        if self._event is not None:
            self._rpm = self._between(self._event, revolutions, now_s - self._event_s)
        self._event, self._event_s = revolutions, now_s

    def rpm(self, now_s: float) -> float | None:
        """The rate now; None if it is not known: before the second event, after a reset, and when no message comes."""
        if self._event is None or now_s - self._told_s > SILENT_S:
            return None
        return 0.0 if self._told_s - self._event_s > HOLD_S else self._rpm

    def _between(self, before: Revolutions, after: Revolutions, arrivals_s: float) -> float | None:
        ticks = after.event_ticks - before.event_ticks
        ticks += round((arrivals_s * self._ticks_per_s - ticks) / _CLOCK_TICKS) * _CLOCK_TICKS
        if ticks <= 0:
            return None
        rpm = 60 * self._ticks_per_s * ((after.count - before.count) & self._count_mask) / ticks
        return rpm if rpm <= self._highest_rpm else None

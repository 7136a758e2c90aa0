"""What time it is in the cloud: its Date headers, carried forward by our monotonic clock.

The wall clock of a Pi without battery may be years off, and a tracker's clock too; the cloud's is kept by people.
"""

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

_RESOLUTION_S = 1.0
"""A Date header gives whole seconds, cut off. Source: RFC 9110, section 5.6.7."""

_DRIFT = 1e-4
"""How much faster or slower than the cloud's our oscillator may run; a Pi's does by less than half of it."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Between what the difference of the cloud's clock and ours lies, seconds."""

    low_s: float
    high_s: float

    def widened(self, by_s: float) -> "_Bounds":
        return _Bounds(self.low_s - by_s, self.high_s + by_s)

    def within(self, other: "_Bounds") -> "_Bounds | None":
        """What both allow; None if they contradict each other."""
        both = _Bounds(max(self.low_s, other.low_s), min(self.high_s, other.high_s))
        return both if both.low_s <= both.high_s else None


class ReferenceClock:
    """Learns the cloud's time from its answers; told the monotonic time, seconds.

    Each answer bounds the difference of the two clocks: it was made between sending and receiving, within the second
    that its header names. What all answers allow together is soon as narrow as the fastest answer was quick. An answer
    that contradicts them is believed when a second one agrees with it: a clock was set, and not one header wrong.
    """

    def __init__(self) -> None:
        self._bounds: _Bounds | None = None
        self._bounded_s = 0.0
        self._doubt: _Bounds | None = None

    def answered(self, date: str | None, sent_s: float, received_s: float) -> None:
        """Take in an answer's Date header; what is no date is ignored.

        Args:
            date: The header.
            sent_s: When the request went out.
            received_s: When the head of the answer had arrived.
        """
        try:
            time = parsedate_to_datetime(date or "")
            second_s = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return
        new = _Bounds(second_s - received_s, second_s + _RESOLUTION_S - sent_s)
        if self._bounds is None:
            agreed: _Bounds | None = new
        else:
            agreed = self._bounds.widened(_DRIFT * max(0.0, received_s - self._bounded_s)).within(new)
        if agreed is None and self._doubt is not None:
            agreed = self._doubt.within(new)
        self._doubt = new if agreed is None else None
        if agreed is not None:
            self._bounds, self._bounded_s = agreed, received_s

    def utc_ms(self, now_s: float) -> int | None:
        """The cloud's time, epoch milliseconds; None before its first answer."""
        if self._bounds is None:
            return None
        return round((now_s + (self._bounds.low_s + self._bounds.high_s) / 2) * 1000)

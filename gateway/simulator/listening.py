"""Whose heart and whose bicycle a tracker hears, through the sensors it is connected with."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.simulator.bluetooth import HEART_RATE, POWER
from gateway.simulator.world import Second


@dataclass(frozen=True, slots=True)
class Stuck:
    """What a sensor that nobody uses any more goes on with: the heart rate it had last, and no power."""

    heart_rate: int = 0
    power: int = 0
    cadence: int = 0


Heard = int | Stuck | None
"""The athlete at a place, a sensor that nobody uses, or nothing for want of a sensor."""


class Listening:
    """Of one tracker: at first and for ever before that it hears its own athlete.

    Args:
        athlete: The place of the athlete who carries the tracker.
    """

    def __init__(self, athlete: int) -> None:
        self._athlete = athlete
        self._since: dict[str, list[tuple[float, Heard]]] = {HEART_RATE: [], POWER: []}

    def change(self, slot: str, heard: Heard, now_ms: int) -> None:
        """From now on a slot hears this."""
        if self.heard(slot, now_ms) != heard:
            self._since[slot].append((now_ms, heard))

    def heard(self, slot: str, at_ms: float) -> Heard:
        """What a slot heard at an instant."""
        changes = self._since[slot]
        place = bisect_right(changes, at_ms, key=lambda change: change[0])
        return changes[place - 1][1] if place else self._athlete

    def second(self, at_ms: int, measured: Callable[[int], Second]) -> Second:
        """What the tracker recorded in a second.

        Args:
            at_ms: When that began.
            measured: The same second of any athlete.
        """
        own = measured(self._athlete)
        heart, bicycle = (self._of(slot, at_ms, own, measured) for slot in (HEART_RATE, POWER))
        if heart is own and bicycle is own:
            return own
        return replace(
            own,
            heart_rate=None if heart is None else heart.heart_rate,
            power=None if bicycle is None else bicycle.power,
            cadence=None if bicycle is None else bicycle.cadence,
        )

    def _of(self, slot: str, at_ms: int, own: Second, measured: Callable[[int], Second]) -> Second | Stuck | None:
        heard = self.heard(slot, at_ms)
        if heard is None or isinstance(heard, Stuck):
            return heard
        return own if heard == self._athlete else measured(heard)

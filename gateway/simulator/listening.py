"""Whose heart and whose bicycle a tracker hears, through the sensors it is connected with."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace

from gateway.simulator.bluetooth import HEART_RATE, POWER
from gateway.simulator.world import Second


class Listening:
    """Of one tracker: at first and for ever before that it hears its own athlete.

    Args:
        athlete: The place of the athlete who carries the tracker.
    """

    def __init__(self, athlete: int) -> None:
        self._athlete = athlete
        self._since: dict[str, list[tuple[float, int | None]]] = {HEART_RATE: [], POWER: []}

    def change(self, slot: str, athlete: int | None, now_ms: int) -> None:
        """From now on a slot hears this athlete; None is nobody, for want of a sensor or of somebody who uses it."""
        if self.heard(slot, now_ms) != athlete:
            self._since[slot].append((now_ms, athlete))

    def heard(self, slot: str, at_ms: float) -> int | None:
        """Whom a slot heard at an instant."""
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

    def _of(self, slot: str, at_ms: int, own: Second, measured: Callable[[int], Second]) -> Second | None:
        athlete = self.heard(slot, at_ms)
        return own if athlete == self._athlete else None if athlete is None else measured(athlete)

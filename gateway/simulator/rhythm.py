"""What recurs in a body and on a bicycle, as sensors count it: heart beats and turns of the crank."""

import math
import random
from dataclasses import dataclass

# After so long a rate says nothing any more about what happened in between, seconds.
_FORGETS_S = 5.0
_RR_MAXIMUM = 9  # of one measurement with the usual payload of 20 bytes


class Beats:
    """Intervals between heart beats, in 1/1024 s; their mean is that of the heart rate, breathing makes them uneven."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._asked_s = -math.inf
        self._last_s = 0.0
        self._interval_s = 0.0

    def intervals(self, heart_rate_bpm: float, now_s: float) -> list[int]:
        """Those that ended since the last call, oldest first; none at the first call and without a heart beat."""
        if heart_rate_bpm <= 0:
            self._asked_s = -math.inf
            return []
        if now_s - self._asked_s > _FORGETS_S:
            self._last_s, self._interval_s = now_s, self._drawn_s(heart_rate_bpm)
        self._asked_s = now_s
        ended: list[int] = []
        while len(ended) < _RR_MAXIMUM and self._last_s + self._interval_s <= now_s:
            ended.append(round(self._interval_s * 1024))
            self._last_s += self._interval_s
            self._interval_s = self._drawn_s(heart_rate_bpm)
        return ended

    def _drawn_s(self, heart_rate_bpm: float) -> float:
        return 60 / heart_rate_bpm * self._dice.uniform(0.96, 1.04)


@dataclass(frozen=True, slots=True)
class Turns:
    """A crank's counters at an instant, since the beginning; a sensor sends the low sixteen bits of each.

    Attributes:
        count: Whole turns.
        event_ticks: When the last of them ended, 1/1024 s.
        torque_32nds_nm: Sum over the turns of their mean torque, 1/32 N·m.
    """

    count: int
    event_ticks: int
    torque_32nds_nm: int


class Crank:
    """A crank that turns as fast and as hard as was said at the last look, until the next."""

    def __init__(self) -> None:
        self._turns = 0.0
        self._torque_nm = 0.0
        self._event_s = 0.0
        self._now_s: float | None = None

    def turned(self, cadence_rpm: float, power_w: float, now_s: float) -> Turns:
        """Let it turn up to now at this rate; rate and power are 0 or more."""
        if self._now_s is not None and cadence_rpm > 0:
            turns_per_s = cadence_rpm / 60
            turns = self._turns + turns_per_s * (now_s - self._now_s)
            if ended := math.floor(turns) - math.floor(self._turns):
                self._event_s = now_s - (turns - math.floor(turns)) / turns_per_s
                self._torque_nm += ended * power_w / (2 * math.pi * turns_per_s)
            self._turns = turns
        self._now_s = now_s
        return Turns(math.floor(self._turns), round(self._event_s * 1024), round(self._torque_nm * 32))

"""The heart rates that straps broadcast, the last minutes of each, one a second."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from gateway.pairing.evidence.proof import NEWEST_S, SPAN_S, Rates

MOST_STRAPS = 100
"""More than belong to a club; who comes later is left out until another one is silent."""


@dataclass(slots=True)
class _Strap:
    newest_s: int
    rates: Rates = field(default_factory=lambda: np.full(SPAN_S, np.nan, np.float32))


class Broadcasts:
    """Times are whole seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._straps: dict[str, _Strap] = {}

    def straps(self, second: int) -> tuple[str, ...]:
        """The addresses of those that broadcast lately."""
        return tuple(address for address, strap in self._straps.items() if second - strap.newest_s < NEWEST_S)

    def heard(self, rates_bpm: Mapping[str, int], second: int) -> None:
        """Take in what is in the air in a second, by the address of the strap; to be called once in each."""
        for address, strap in tuple(self._straps.items()):
            if second - strap.newest_s >= SPAN_S:
                del self._straps[address]
        for address, rate_bpm in rates_bpm.items():
            if address not in self._straps:
                if len(self._straps) >= MOST_STRAPS:
                    continue
                self._straps[address] = _Strap(second - SPAN_S)
            strap = self._straps[address]
            strap.rates[np.arange(strap.newest_s + 1, second + 1) % SPAN_S] = np.nan
            strap.rates[second % SPAN_S] = rate_bpm
            strap.newest_s = second

    def forget(self, addresses: Iterable[str]) -> None:
        """Overwrite what some straps broadcast, if anything."""
        for address in addresses:
            if (strap := self._straps.pop(address, None)) is not None:
                strap.rates.fill(np.nan)

    def series(self, address: str, second: int) -> Rates:
        """One strap's heart rate in the `SPAN_S` seconds up to this one, that one last; NaN where there was none."""
        strap = self._straps[address]
        seconds = np.arange(second - SPAN_S + 1, second + 1)
        return np.where(seconds <= strap.newest_s, strap.rates[seconds % SPAN_S], np.float32(np.nan))

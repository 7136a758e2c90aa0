"""Clocks that run many times as fast as the machine's: what waits for an hour waits for a minute."""

import asyncio
import selectors
import time
from collections.abc import Callable

HASTE = 60
"""Seconds in a second of the machine."""


class _HastySelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / HASTE if timeout else timeout)


class HastyLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock and sleeps are fast; what the network and the disk take is not."""

    def __init__(self) -> None:
        super().__init__(_HastySelector())

    def time(self) -> float:
        return super().time() * HASTE


def hasty_utc_ms(since_ms: int) -> Callable[[], int]:
    """A wall clock, epoch ms, that was right at an instant and is fast since then; the same in every process."""
    return lambda: since_ms + (time.time_ns() // 1_000_000 - since_ms) * HASTE

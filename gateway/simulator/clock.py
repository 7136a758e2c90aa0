"""The clock of a simulator that runs by itself."""

import time
from collections.abc import Callable


def steady_epoch_ms() -> Callable[[], int]:
    """Epoch milliseconds that begin at the wall clock and advance with the monotonic one.

    A step of the wall clock would otherwise tear a hole into every tracker's data.
    """
    offset_ns = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset_ns) // 1_000_000

"""The wall clock of this machine, which a Pi may get late or never, and whether it can be trusted."""

import time
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

_MINUTE_MS = 60_000


def utc_ms() -> int:
    """The wall clock, epoch ms."""
    return time.time_ns() // 1_000_000


def is_clock_synced(timesync: Path = Path("/run/systemd/timesync")) -> bool | None:
    """Whether systemd's time service has set the wall clock since boot; None where it does not run.

    The kernel would know as well, but asking it is forbidden to a service that may not touch the clock.
    """
    return (timesync / "synchronized").exists() if timesync.exists() else None


def is_clock_sure(utc_ms: int, reference_ms: int | None, *, is_synced: bool | None) -> bool:
    """Whether the wall clock can be trusted: if systemd says so, else if the cloud does, else if nobody denies it.

    Args:
        utc_ms: What it shows.
        reference_ms: What the cloud's shows; None if that is not known.
        is_synced: Of `is_clock_synced`.
    """
    if is_synced or reference_ms is None:
        return is_synced is not False
    return abs(utc_ms - reference_ms) < _MINUTE_MS


def local_zone() -> tzinfo:
    """That of this machine, with its summer times; UTC where it has none."""
    try:
        with Path("/etc/localtime").open("rb") as rules:
            return ZoneInfo.from_file(rules)
    except (OSError, ValueError):
        return UTC

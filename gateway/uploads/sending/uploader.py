"""Brings the recordings of the ledger into the cloud, one at a time."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Protocol

from gateway.cloud.models import Job, Ownership, Range
from gateway.uploads.recording import Recording
from gateway.uploads.report import ProgressReport
from gateway.uploads.standing import Standing
from gateway.worker import Worker


class Cloud(Protocol):
    """What is asked of the cloud; every operation raises `CloudError`."""

    async def job(self, job_id: str) -> Job:
        """How far the work on an upload has come."""

    def ownerships(self, *, device_id: int | None = None) -> AsyncIterator[Ownership]:
        """When a tracker was ours."""

    def ranges(self, device_id: int, start_ms: int, stop_ms: int) -> AsyncIterator[Range]:
        """When it was used."""


class Trackers(Protocol):
    """Which trackers are ours."""

    def device_id(self, serial_number: str) -> int | None:
        """What the cloud calls one; None as long as it is not ours."""

    def recheck(self) -> None:
        """Look soon which are: the cloud has refused one."""


class Ledger(Protocol):
    """What is known of the recordings."""

    @property
    def recordings(self) -> Mapping[str, Recording]:
        """All, by SHA-256, as they are on the disk."""

    async def change(self, sha256: str, transition: Callable[[Recording], Recording]) -> Recording:
        """Apply a transition to the newest, on the disk."""


class Spool(Protocol):
    """Where the files are."""

    def path(self, sha256: str) -> Path:
        """Of one."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings.

    Attributes:
        max_bytes_per_s: What uploads may take of the line, base64 and all; None if as much as there is.
        is_lookup: Whether the cloud can be asked which recordings it has.
    """

    max_bytes_per_s: float | None = None
    is_lookup: bool = False


class Uploader:
    """Sends what is queued, finds out what became of it, and follows the cloud's work on it to its end."""

    def __init__(
        self,
        cloud: Cloud,
        ledger: Ledger,
        spool: Spool,
        worker: Worker,
        trackers: Trackers,
        options: Options,
        utc_ms: Callable[[], int],
        zone: tzinfo,
        is_clock_sure: Callable[[], bool],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Make it; nothing happens before `run`.

        Args:
            cloud: Where to.
            ledger: What is to be sent, and what becomes of it; loaded.
            spool: Where the files are.
            worker: The thread that reads them.
            trackers: Which are ours.
            options: Settings.
            utc_ms: The wall clock, epoch ms.
            zone: In which people read days.
            is_clock_sure: Whether the wall clock can be trusted.
            jitter: Uniform in [0, 1).
        """
        self._cloud = cloud
        self._ledger = ledger
        self._spool = spool
        self._worker = worker
        self._trackers = trackers
        self._options = options
        self._utc_ms = utc_ms
        self._zone = zone
        self._is_clock_sure = is_clock_sure
        self._jitter = jitter
        self._progress: dict[str, ProgressReport] = {}
        self._next_s: dict[str, float] = {}
        self._job_states: dict[str, str] = {}
        self._hindrances: dict[str, Standing] = {}

    async def run(self, beat: Callable[[], None]) -> None:
        """Send until cancelled; `beat` is called with each turn."""
        while True:
            beat()
            await asyncio.sleep(1)

    def wake(self) -> None:
        """Something else may be sent, or another tracker is ours: look at once."""

    def retry(self, sha256: str) -> None:
        """A person does not want to wait: what is due later for this recording is due now."""

    def progress(self, sha256: str) -> ProgressReport | None:
        """How far its body has left; None if it is not under way."""
        return self._progress.get(sha256)

    def next_s(self, sha256: str) -> float | None:
        """Seconds until something is tried next for it; None if that is not a matter of time."""
        return self._next_s.get(sha256)

    def job_state(self, sha256: str) -> str | None:
        """The cloud's last word on its work on it, since the start; None if there was none."""
        return self._job_states.get(sha256)

    def hindrance(self, sha256: str) -> Standing | None:
        """What keeps it now from being sent, looked up or followed, as clauses; None if nothing is known to."""
        return self._hindrances.get(sha256)

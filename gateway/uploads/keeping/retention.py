"""How long the file of a recording is kept that the cloud is done with. Of all others people decide."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from gateway.store import StoreError
from gateway.uploads.keeping.ledger import Ledger
from gateway.uploads.recording import Recording, State
from gateway.uploads.transitions import TransitionError, purged, redated

_LOG = logging.getLogger(__name__)

TURN_S = 1.0
PURGE_S = 3600.0

DAY_MS = 86_400_000

PAST_MS = 1_577_836_800_000
"""The begin of 2020: what is said to have happened before was said by a clock that was not set yet."""


def due(recordings: Iterable[Recording], now_ms: int, keep_days: float) -> list[str]:
    """Whose file goes now.

    Args:
        recordings: All.
        now_ms: By a wall clock that is right, epoch ms.
        keep_days: After they were done.

    Returns:
        Their SHA-256.
    """
    return [
        recording.sha256
        for recording in recordings
        if recording.state is State.DONE
        and not _is_misdated(recording, now_ms)
        and now_ms - recording.changed_ms >= keep_days * DAY_MS
    ]


def misdated(recordings: Iterable[Recording], now_ms: int) -> list[str]:
    """The SHA-256 of what was done by a clock that was wrong; the arguments are those of `due`."""
    return [it.sha256 for it in recordings if it.state is State.DONE and _is_misdated(it, now_ms)]


class Retention:
    """Lets files go."""

    def __init__(
        self, ledger: Ledger, keep_days: float, utc_ms: Callable[[], int], is_clock_sure: Callable[[], bool]
    ) -> None:
        """Make it; nothing happens before `run`.

        Args:
            ledger: What there is.
            keep_days: How long a file is kept after its recording is done.
            utc_ms: The wall clock, epoch ms.
            is_clock_sure: Whether that can be trusted; while it cannot, nothing goes.
        """
        self._ledger = ledger
        self._keep_days = keep_days
        self._utc_ms = utc_ms
        self._is_clock_sure = is_clock_sure

    async def run(self, beat: Callable[[], None]) -> None:
        """Let go what is due, at the start and every hour, until cancelled.

        Args:
            beat: Called with every turn; none waits for the disk.
        """
        now = asyncio.get_running_loop().time
        purge_s = now()
        async with asyncio.TaskGroup() as tasks:
            purging = tasks.create_task(asyncio.sleep(0))
            while True:
                beat()
                if purging.done() and now() >= purge_s and self._is_clock_sure():
                    purging = tasks.create_task(self.purge())
                    purge_s = now() + PURGE_S
                await asyncio.sleep(TURN_S)

    async def purge(self) -> None:
        """Let go what is due now: first its row says so, then the file goes."""
        now_ms, recordings = self._utc_ms(), tuple(self._ledger.recordings.values())
        failure: StoreError | None = None
        for sha256 in misdated(recordings, now_ms):
            try:
                await self._become(sha256, redated, now_ms)
            except StoreError as error:
                failure = error
                break
        for sha256 in due(recordings, now_ms, self._keep_days):
            try:
                await self._become(sha256, purged, now_ms)
                await self._ledger.drop_file(sha256)
            except StoreError as error:
                failure = error
                # A disk that is full to the last byte takes no row before something has gone from it.
                await self._ledger.let_go(sha256)
        if failure is not None:
            _LOG.warning("Not all is written down of the recordings that are done: %(text)s", {"text": str(failure)})

    async def _become(self, sha256: str, change: Callable[[Recording, int], Recording], at_ms: int) -> None:
        # It may have become something else while others were changed.
        with suppress(TransitionError):
            await self._ledger.change(sha256, lambda known: change(known, at_ms))


def _is_misdated(recording: Recording, now_ms: int) -> bool:
    return recording.changed_ms > now_ms or recording.changed_ms < PAST_MS <= now_ms

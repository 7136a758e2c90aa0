"""Brings the recordings of the ledger into the cloud, one at a time.

All that has happened to a recording is in the ledger before it matters: SENDING before anything of it leaves, CLOSING
before its end does. What is only here are schedules; whoever is stopped at any moment is gone on from.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import Protocol

from gateway.cloud.errors import CloudError
from gateway.store import StoreError
from gateway.uploads.keeping.ledger import Ledger
from gateway.uploads.keeping.spool import Spool
from gateway.uploads.recording import Recording, Span, State
from gateway.uploads.report import ProgressReport
from gateway.uploads.sending.attempt import Attempt, Taking
from gateway.uploads.sending.body import Body
from gateway.uploads.sending.clock import WallClock
from gateway.uploads.sending.comparing import Knowing, question_about
from gateway.uploads.sending.outcome import Outcome, Wait, clause, is_about_all, reason_of
from gateway.uploads.sending.settler import NOT_OURS, OPEN, Answering, Settler, Trackers
from gateway.uploads.sending.turn import next_of
from gateway.uploads.sending.waits import Waits
from gateway.uploads.standing import LONG_MS, Standing
from gateway.uploads.transitions import TransitionError, checked, questioned
from gateway.worker import Worker

__all__ = ["Cloud", "Options", "Trackers", "Uploader"]

_LOG = logging.getLogger(__name__)

TURN_S = 1.0

MAX_QUESTIONS = 10
"""So often in a row the cloud is asked in vain about a tracker until what is here for a day is sent all the same."""

_LIVE = OPEN | {State.QUEUED, State.SENDING, State.CLOSING}


class Cloud(Taking, Answering, Knowing, Protocol):
    """What is asked of the cloud."""


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
        self._now = asyncio.get_running_loop().time
        clock = WallClock(utc_ms, is_clock_sure, self._now)
        self._settler = Settler(cloud, ledger, trackers, clock, jitter, is_lookup=options.is_lookup)
        self._waits = Waits(jitter)
        self._turns = 0
        self._attempt: Attempt | None = None
        self._revision = -1
        self._queue: list[Recording] = []
        self._is_sending = self._is_settling = False
        self._woken = asyncio.Event()

    async def run(self, beat: Callable[[], None]) -> None:
        """Send until cancelled; `beat` is called with each turn, and no turn waits for the cloud or the disk."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                beat()
                self._woken.clear()
                self._turn(tasks)
                # Not wait_for, which in Python 3.11 forgets a stop that meets the call to wake.
                with suppress(TimeoutError):
                    async with asyncio.timeout(TURN_S):
                        await self._woken.wait()

    @property
    def is_lookup(self) -> bool:
        """Whether the cloud can be asked which recordings it has."""
        return self._options.is_lookup

    @property
    def wrong_setting(self) -> Standing | None:
        """What somebody has to set right before recordings get on, as clauses; None if nothing is known."""
        return self._waits.wrong_setting or self._settler.wrong_setting

    def wake(self) -> None:
        """Something else may be sent, or another tracker is ours: look at once."""
        self._woken.set()

    def retry(self, sha256: str) -> None:
        """A person does not want to wait: what is due later for this recording is due now."""
        self._waits.hurry(sha256, self._now())
        self._settler.hurry(sha256)
        self.wake()

    def progress(self, sha256: str) -> ProgressReport | None:
        """How far its body has left; None if it is not under way."""
        if self._attempt is None or self._attempt.sha256 != sha256:
            return None
        return self._attempt.progress()

    def next_s(self, sha256: str) -> float | None:
        """Seconds until something is tried next for it; None if that is not a matter of time."""
        recording = self._ledger.recordings.get(sha256)
        if recording is None or self._ledger.trouble is not None:
            return None
        if recording.state in OPEN:
            wait_s = self._settler.next_s(sha256)
            return None if wait_s is None else max(0.0, wait_s)
        if recording.state is not State.QUEUED or self._device_id(recording) is None:
            return None
        now_s = self._now()
        return max(self._waits.line_s(now_s), self._waits.left_s(sha256, now_s)) or None

    def job_state(self, sha256: str) -> str | None:
        """The cloud's last word on its work on it, since the start; None if there was none."""
        return self._settler.job_states.get(sha256)

    def hindrance(self, sha256: str) -> Standing | None:
        """What keeps it now from being sent, looked up or followed, as clauses; None if nothing is known to."""
        recording = self._ledger.recordings.get(sha256)
        if recording is None or recording.state not in {*OPEN, State.QUEUED}:
            return None
        if (trouble := self._ledger.trouble) is not None:
            return Standing(clause(trouble.text), trouble.action)
        if recording.state in OPEN:
            return self._settler.trouble(sha256)
        if self._device_id(recording) is None:
            return NOT_OURS
        return self._waits.trouble(sha256, self._now())

    def _turn(self, tasks: asyncio.TaskGroup) -> None:
        if self._ledger.revision != self._revision:
            self._look()
        # What cannot be written down must not happen.
        if self._ledger.trouble is not None:
            return
        if not self._is_settling and (recording := self._settler.due()) is not None:
            self._is_settling = True
            tasks.create_task(self._guarded(self._settle(recording)), name="settling of a recording")
        if not self._is_sending and (ready := self._ready()):
            recording = next_of(ready, self._turns)
            if recording is not None:
                self._is_sending = True
                tasks.create_task(self._guarded(self._advance(recording)), name="sending of a recording")

    def _ready(self) -> list[Recording]:
        """What is queued and has nothing to wait for."""
        now_s = self._now()
        if self._waits.line_s(now_s) > 0:
            return []
        serials = {recording.serial_number for recording in self._queue}
        ours = {serial for serial in serials if serial is not None and self._trackers.device_id(serial) is not None}
        return [it for it in self._queue if it.serial_number in ours and self._waits.left_s(it.sha256, now_s) <= 0]

    def _look(self) -> None:
        self._revision = self._ledger.revision
        live = [recording for recording in self._ledger.recordings.values() if recording.state in _LIVE]
        self._queue = [recording for recording in live if recording.state is State.QUEUED]
        self._settler.update(recording for recording in live if recording.state in OPEN)
        self._waits.keep({recording.sha256 for recording in live if recording.state is not State.ACCEPTED})

    async def _guarded(self, work: Awaitable[None]) -> None:
        """The edge of a task: one recording's surprise must not keep the others."""
        try:
            await work
        except Exception:  # noqa: BLE001
            _LOG.exception("Unexpected failure among the recordings, it goes on")
            trouble = Standing("something unexpected has happened", "look into the log of the gateway")
            self._waits.fail_line(trouble, self._now())
        finally:
            self.wake()

    async def _settle(self, recording: Recording) -> None:
        try:
            await self._settler.settle(recording)
        finally:
            self._is_settling = False

    async def _advance(self, recording: Recording) -> None:
        """Compare it with its tracker, or send it."""
        try:
            device_id = self._device_id(recording)
            if device_id is None:
                pass  # it has become another account's in the same turn
            elif recording.span is None or recording.is_checked:
                await self._send(recording, device_id)
            elif not await self._is_comparable(recording, recording.span, device_id):
                # Not written down: as long as it has not got through, it is asked first.
                await self._send(recording, device_id)
        except Exception:
            self._waits.postpone(recording.sha256, self._now())
            raise
        finally:
            self._attempt = None
            self._is_sending = False

    async def _is_comparable(self, recording: Recording, span: Span, device_id: int) -> bool:
        """Compare it, now or later; False if it was tried for so long that it is to be sent without."""
        try:
            question = await question_about(self._cloud, span, device_id, self._zone)
        except CloudError as error:
            if is_about_all(error):
                self._waits.fail_line(Standing(reason_of(error), error.action), self._now())
                return True
            if self._is_asked_in_vain(recording):
                return False
            told = Standing(f"when its tracker was used is not told: {reason_of(error)}", error.action)
            self._waits.postpone(recording.sha256, self._now(), told)
            return True
        at_ms = self._utc_ms()

        def compared(known: Recording) -> Recording:
            if (known.serial_number, known.span) != (recording.serial_number, recording.span):
                raise TransitionError("something else is said of it by now")
            return checked(known) if question is None else questioned(known, question, at_ms)

        try:
            await self._ledger.change(recording.sha256, compared)
        except (TransitionError, KeyError):
            pass  # somebody was quicker
        except StoreError:
            self._waits.postpone(recording.sha256, self._now())
        return True

    def _is_asked_in_vain(self, recording: Recording) -> bool:
        """Whether the cloud has failed to say something for so long that it counts as not known."""
        is_old = self._utc_ms() - recording.taken_ms > LONG_MS
        return is_old and self._waits.failures(recording.sha256) >= MAX_QUESTIONS

    async def _send(self, recording: Recording, device_id: int) -> None:
        path, size, sha256 = self._spool.path(recording.sha256), recording.size, recording.sha256
        make_body = partial(Body, path, size, sha256, self._worker, max_bytes_per_s=self._options.max_bytes_per_s)
        self._attempt = Attempt(recording, make_body, self._ledger, self._utc_ms)
        end = await self._attempt.run(self._cloud, device_id)
        if isinstance(end, Outcome):
            known = self._ledger.recordings.get(sha256, recording)
            self._waits.ended(sha256, end, known.tries, self._now())
            if end.is_ours_in_doubt:
                self._trackers.recheck()
        else:
            self._waits.got_through(sha256)
        # Who could not even try has not had a turn.
        self._turns += not (isinstance(end, Outcome) and end.wait is Wait.NOTHING)

    def _device_id(self, recording: Recording) -> int | None:
        return None if recording.serial_number is None else self._trackers.device_id(recording.serial_number)

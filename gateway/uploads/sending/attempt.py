"""One attempt to bring one recording into the cloud, and what it has come to, on the disk."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from gateway.cloud.errors import BadAnswer, CloudError
from gateway.cloud.models import Job
from gateway.cloud.uploading import Stream
from gateway.store import StoreError
from gateway.uploads.keeping.ledger import Ledger
from gateway.uploads.recording import Recording, State
from gateway.uploads.report import ProgressReport
from gateway.uploads.sending.body import Body, CorruptError
from gateway.uploads.sending.outcome import OF_ANOTHER, Outcome, Verdict, Wait, clause, is_of_another, outcome_of
from gateway.uploads.transitions import (
    UNDER_WAY,
    TransitionError,
    accepted,
    closing,
    found_corrupt,
    found_missing,
    postponed,
    sending,
)

DISK_AGAIN_S = 5.0
"""How often it is tried to write down how an attempt has ended."""

_UNEXPECTED = "something unexpected has happened"


class Taking(Protocol):
    """Where recordings are brought to."""

    async def load_asi(self, device_id: int, body: Stream) -> Job:
        """Upload one; raises `CloudError`, or what its body has raised."""


class End(Enum):
    """How an attempt can end, beside an `Outcome`."""

    ACCEPTED = auto()
    SET_ASIDE = auto()
    """The file is not what it was, or not there; or somebody has decided otherwise meanwhile."""


class Attempt:
    """The state SENDING is on the disk before anything leaves, and CLOSING before the end does."""

    def __init__(
        self,
        recording: Recording,
        make_body: Callable[..., Body],
        ledger: Ledger,
        utc_ms: Callable[[], int],
    ) -> None:
        """Nothing happens before `run`.

        Args:
            recording: Queued.
            make_body: Makes its body, given "begin" and "close".
            ledger: Is told what becomes of it.
            utc_ms: The wall clock, epoch ms.
        """
        self._recording = recording
        self._version = recording.version
        self._ledger = ledger
        self._utc_ms = utc_ms
        self._body = make_body(begin=self._begin, close=self._close)

    @property
    def sha256(self) -> str:
        """Of the recording."""
        return self._recording.sha256

    def progress(self) -> ProgressReport | None:
        """How far it has left; None while it waits for the line."""
        return self._body.progress() if self._body.has_begun else None

    async def run(self, cloud: Taking, device_id: int) -> End | Outcome:
        """Send it; when this returns, what has become of it is on the disk.

        Args:
            cloud: Where to.
            device_id: Of its tracker there.

        Raises:
            Exception: Something unexpected, after that.
        """
        try:
            job = await cloud.load_asi(device_id, self._body.stream)
        except CloudError as error:
            if self._body.failure is not None:
                return await self._failed(self._body.failure)
            body = self._body
            return await self._ended(outcome_of(error, has_begun=body.has_begun, has_ended=body.has_ended))
        except Exception as error:  # noqa: BLE001 - most of what the body raises is no surprise
            return await self._failed(self._body.failure or error)
        if is_of_another(job.job_id, self.sha256, self._ledger.recordings.values()):
            return await self._ended(Outcome(Verdict.UNANSWERED, BadAnswer.code, OF_ANOTHER, wait=Wait.REFUSAL))
        at_ms = self._utc_ms()
        await self._become(lambda known: accepted(_sent(known, at_ms), job.job_id, at_ms))
        return End.ACCEPTED

    async def _begin(self) -> None:
        at_ms = self._utc_ms()

        def begun(known: Recording) -> Recording:
            # It may have waited for hours until the line was free.
            if known.serial_number != self._recording.serial_number:
                raise TransitionError("it is said to be from another tracker by now")
            # What is sent a second time, because its token had ended, is under way already.
            return known if known.state in UNDER_WAY else sending(known, at_ms)

        self._version = (await self._ledger.change(self.sha256, begun)).version

    async def _close(self) -> None:
        at_ms = self._utc_ms()
        closed = await self._ledger.change(
            self.sha256, lambda known: known if known.state is State.CLOSING else closing(known, at_ms)
        )
        self._version = closed.version

    async def _failed(self, failure: Exception) -> End | Outcome:
        """What has failed is here and not there."""
        at_ms = self._utc_ms()
        match failure:
            case CorruptError():
                await self._become(lambda known: self._lost(known, found_corrupt(known, str(failure), at_ms), at_ms))
                return End.SET_ASIDE
            case FileNotFoundError():
                await self._become(lambda known: self._lost(known, found_missing(known, at_ms), at_ms))
                return End.SET_ASIDE
            case TransitionError() | KeyError():
                return End.SET_ASIDE
            case StoreError():
                return await self._ended(_disk_failed(clause(failure.text), failure.action))
            case OSError():
                return await self._ended(_disk_failed("its file cannot be read", "replace the card if that stays so"))
            case _:
                verdict = Verdict.UNANSWERED if self._body.has_ended else Verdict.POSTPONED
                await self._ended(Outcome(verdict, "unexpected", _UNEXPECTED))
                raise failure

    def _lost(self, known: Recording, lost: Recording, at_ms: int) -> Recording:
        """What it becomes without its file; if it came in again meanwhile, that is looked at first."""
        if known.version == self._version:
            return lost
        if known.state not in UNDER_WAY:
            raise TransitionError("it has changed meanwhile")
        return postponed(known, "brought_again", "it came in once more while it was sent", at_ms)

    async def _ended(self, outcome: Outcome) -> Outcome:
        # The cloud was not reached, and nothing has become of it.
        if self._body.has_begun or outcome.wait is not Wait.NOTHING:
            at_ms = self._utc_ms()
            await self._become(lambda known: outcome.applied(_sent(known, at_ms), at_ms))
        return outcome

    async def _become(self, change: Callable[[Recording], Recording]) -> None:
        """Write down what has happened, however long that takes; who is stopped meanwhile goes on from before."""
        while True:
            try:
                await self._ledger.change(self.sha256, change)
            except StoreError:
                await asyncio.sleep(DISK_AGAIN_S)
            except (TransitionError, KeyError):
                return  # somebody has decided otherwise meanwhile
            else:
                return


def _sent(known: Recording, at_ms: int) -> Recording:
    """The same under way, even if there was an answer before anything of it had left."""
    return sending(known, at_ms) if known.state is State.QUEUED else known


def _disk_failed(text: str, action: str) -> Outcome:
    return Outcome(Verdict.POSTPONED, "disk_failed", text, action)

"""Finds out what has become of recordings that the cloud has, or may have."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from gateway.cloud.errors import BadAnswer, CloudError, Forbidden, NotFound
from gateway.cloud.models import Job, JobState
from gateway.store import StoreError
from gateway.uploads.keeping.ledger import Ledger
from gateway.uploads.recording import Recording, State
from gateway.uploads.sending.agenda import Agenda
from gateway.uploads.sending.clock import WallClock
from gateway.uploads.sending.obstacles import obstacle, wrong_setting
from gateway.uploads.sending.outcome import OF_ANOTHER, clause, is_about_all, is_of_another, words_of
from gateway.uploads.sending.patience import ABSENT_APART_S, Line, lookup_s, poll_s, resend_s
from gateway.uploads.standing import Standing
from gateway.uploads.transitions import TransitionError, accepted, done, failed, found_absent, sent_again

_LOOK_AGAIN_S = 15.0
"""How often it is seen whether somebody has to wait still: a clock may be set, and a tracker become ours."""

_MAX_STATE = 40
"""Characters of the cloud's word on its work that are kept."""

OPEN = frozenset({State.AMBIGUOUS, State.ACCEPTED})
"""States in which something is to be found out."""

NOT_OURS = Standing(
    "its tracker is not ours", "see among the problems why, or assign it to the tracker that it comes from"
)


class Answering(Protocol):
    """What is asked of the cloud; both raise `CloudError`."""

    async def job(self, job_id: str) -> Job:
        """How far the work on an upload has come."""

    async def find_asi(self, device_id: int, sha256: str) -> Job | None:
        """The work on a recording that it has; None if it has not."""


class Trackers(Protocol):
    """Which trackers are ours."""

    def device_id(self, serial_number: str) -> int | None:
        """What the cloud calls one; None as long as it is not ours."""

    def recheck(self) -> None:
        """Look soon which are: the cloud has refused one."""


@dataclass(slots=True)
class _Case:
    """What is to be found out about one recording.

    Attributes:
        changed_ms: When it came into its state: later, it is another case.
        since_s: Since when this process knows of it.
        is_inherited: Whether another process knew of it before.
        next_s: When something is done next.
        asked: How often the cloud was asked.
        absent_s: When it first said that it does not have it; None if it did not.
        trouble: Why it could not be asked, the last time; None if it could.
    """

    state: State
    changed_ms: int
    since_s: float
    is_inherited: bool
    next_s: float
    asked: int = 0
    absent_s: float | None = None
    trouble: Standing | None = None


class Settler:
    """Asks the cloud about one recording at a time.

    Attributes:
        job_states: The cloud's last word on its work, by SHA-256.
    """

    def __init__(
        self,
        cloud: Answering,
        ledger: Ledger,
        trackers: Trackers,
        clock: WallClock,
        jitter: Callable[[], float],
        *,
        is_lookup: bool,
    ) -> None:
        """Make it.

        Args:
            cloud: Is asked.
            ledger: Is told.
            trackers: Which are ours.
            clock: The wall clock.
            jitter: Uniform in [0, 1).
            is_lookup: Whether the cloud can be asked which recordings it has.
        """
        self.job_states: dict[str, str] = {}
        self._cloud = cloud
        self._ledger = ledger
        self._trackers = trackers
        self._clock = clock
        self._jitter = jitter
        self._is_lookup = is_lookup
        self._now = asyncio.get_running_loop().time
        self._line = Line()
        self._cases: dict[str, _Case] = {}
        self._agenda = Agenda()
        # Those about which the cloud is asked where there is nothing, with what is to be set right.
        self._misled: dict[str, Standing] = {}
        self._is_first = True

    def update(self, recordings: Iterable[Recording]) -> None:
        """Take which recordings are open now; those of the first time were left by another process."""
        now_s = self._now()
        cases: dict[str, _Case] = {}
        for recording in recordings:
            case = self._cases.get(recording.sha256)
            if case is None or (case.state, case.changed_ms) != (recording.state, recording.changed_ms):
                case = _Case(recording.state, recording.changed_ms, now_s, self._is_first, now_s)
                case.next_s += self._first_s(recording, case)
                self._misled.pop(recording.sha256, None)
                self._agenda.put(recording.sha256, case.next_s)
            cases[recording.sha256] = case
        self._cases = cases
        self._misled = {sha256: wrong for sha256, wrong in self._misled.items() if sha256 in cases}
        self._agenda.keep(cases)
        self._is_first = False

    def due(self) -> Recording | None:
        """The recording about which something is to be found out now, whoever waits longest; None if that is none.

        Whoever asks goes on to `settle` it.
        """
        now_s = self._now()
        if self._line.wait_s(now_s) > 0:
            return None
        while (sha256 := self._agenda.take(now_s)) is not None:
            wait_s = self.next_s(sha256)
            if wait_s is not None and wait_s <= 0:
                return self._ledger.recordings.get(sha256)
            self._agenda.put(sha256, now_s + min(_LOOK_AGAIN_S, _LOOK_AGAIN_S if wait_s is None else wait_s))
        return None

    def next_s(self, sha256: str) -> float | None:
        """Seconds until something is done about a recording, negative if it is late; None if that is nothing."""
        case, recording = self._cases.get(sha256), self._ledger.recordings.get(sha256)
        if case is None or recording is None or recording.state not in OPEN:
            return None
        wait_s = max(case.next_s, self._line.next_s) - self._now()
        if recording.state is State.AMBIGUOUS and not self._is_lookup:
            return max(wait_s, resend_s(self._now() - case.since_s, self._ago_s(case, recording.sent_ms)))
        if recording.state is State.AMBIGUOUS and self._device_id(recording) is None:
            return None
        return wait_s

    def trouble(self, sha256: str) -> Standing | None:
        """Why nothing could be found out about a recording; None if it could, or needs not."""
        case, recording = self._cases.get(sha256), self._ledger.recordings.get(sha256)
        if case is None or recording is None or recording.state is not case.state:
            return None
        if recording.state is State.AMBIGUOUS and self._is_lookup and self._device_id(recording) is None:
            return NOT_OURS
        return self._line.trouble if self._line.wait_s(self._now()) > 0 else case.trouble

    @property
    def wrong_setting(self) -> Standing | None:
        """What somebody has to set right before the cloud can be asked, as clauses; None if nothing is known."""
        return next(iter(self._misled.values()), None)

    def hurry(self, sha256: str) -> None:
        """A person does not want to wait."""
        if case := self._cases.get(sha256):
            case.next_s = self._now()
            self._agenda.put(sha256, case.next_s)
        self._line = self._line.impatient(self._now())

    async def settle(self, recording: Recording) -> None:
        """Find out about one."""
        case = self._cases[recording.sha256]
        case.trouble = None
        try:
            if recording.state is State.ACCEPTED:
                await self._poll(recording, case)
            elif self._is_lookup:
                await self._look_up(recording, case)
            else:
                at_ms = self._clock.utc_ms()
                await self._become(recording, case, lambda known: sent_again(known, at_ms))
        except CloudError as error:
            case.trouble = obstacle(error, recording, self._clock.utc_ms())
            if is_about_all(error):
                self._line = self._line.failed(case.trouble, self._now(), self._jitter())
                return
            self._line = Line()
            if wrong_setting(error) is not None:
                self._misled[recording.sha256] = case.trouble
                return
            self._misled.pop(recording.sha256, None)
            if recording.state is State.AMBIGUOUS and isinstance(error, Forbidden | NotFound):
                self._trackers.recheck()
        else:
            self._misled.pop(recording.sha256, None)
        finally:
            case.asked += 1
            if recording.state is State.ACCEPTED:
                age_s = max(self._now() - case.since_s, self._ago_s(case, recording.changed_ms) or 0.0)
                case.next_s = self._now() + poll_s(case.asked, age_s)
            else:
                case.next_s = self._now() + lookup_s(case.asked)
            self._agenda.put(recording.sha256, case.next_s)

    async def _poll(self, recording: Recording, case: _Case) -> None:
        if recording.job_id is None:
            return
        job = await self._cloud.job(recording.job_id)
        self._line = Line()
        self.job_states[recording.sha256] = words_of(job.state)[:_MAX_STATE]
        at_ms = self._clock.utc_ms()
        match job.meaning:
            case JobState.DONE:
                await self._become(recording, case, lambda known: done(known, at_ms))
            case JobState.FAILED:
                reason = words_of(job.details)
                await self._become(recording, case, lambda known: failed(known, reason, at_ms))
            case JobState.RUNNING:
                pass

    async def _look_up(self, recording: Recording, case: _Case) -> None:
        device_id = self._device_id(recording)
        if device_id is None:
            return
        job = await self._cloud.find_asi(device_id, recording.sha256)
        self._line = Line()
        at_ms = self._clock.utc_ms()
        if job is not None and is_of_another(job.job_id, recording.sha256, self._ledger.recordings.values()):
            case.trouble = Standing(OF_ANOTHER, BadAnswer.action)
        elif job is not None:
            await self._become(recording, case, lambda known: accepted(known, job.job_id, at_ms))
        elif case.absent_s is None:
            case.absent_s = self._now()
        elif self._now() - case.absent_s >= ABSENT_APART_S:
            await self._become(recording, case, lambda known: found_absent(known, at_ms))

    async def _become(self, asked: Recording, case: _Case, change: Callable[[Recording], Recording]) -> None:
        """What was found out, unless it is about another attempt by now; what cannot be written is asked again."""

        def changed(known: Recording) -> Recording:
            if (known.state, known.changed_ms, known.job_id) != (asked.state, asked.changed_ms, asked.job_id):
                raise TransitionError("it has changed meanwhile")
            return change(known)

        try:
            await self._ledger.change(asked.sha256, changed)
        except (TransitionError, KeyError):
            pass
        except StoreError as error:
            case.trouble = Standing(clause(error.text), error.action)

    def _device_id(self, recording: Recording) -> int | None:
        return None if recording.serial_number is None else self._trackers.device_id(recording.serial_number)

    def _first_s(self, recording: Recording, case: _Case) -> float:
        """Until it is asked about for the first time: what was waited for before is not waited for again."""
        if recording.state is State.ACCEPTED:
            return poll_s(0, 0.0)
        return max(0.0, lookup_s(0) - (self._ago_s(case, recording.changed_ms) or 0.0))

    def _ago_s(self, case: _Case, at_ms: int | None) -> float | None:
        """How long ago something was that another process has seen; None if that is not known, or this one has."""
        return None if at_ms is None or not case.is_inherited else self._clock.ago_s(at_ms)

"""The desk: what people see of the recordings and decide about them, in one place.

Every face of the gateway comes here, so all of them are refused by the same rules in the same words.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager

from gateway.store import StoreError
from gateway.uploads.display import Display
from gateway.uploads.publisher import StateBoard
from gateway.uploads.recording import DELETED, Basis, Recording
from gateway.uploads.report import RebuiltReport, RecordingReport, RecordingsReport
from gateway.uploads.reporter import Reporter
from gateway.uploads.reporting import Wearer
from gateway.uploads.requests import AddRequest, AssignRequest, PersonRequest, RecordingRefused, Refusal
from gateway.uploads.standing import deeds, standing
from gateway.uploads.surroundings import Inbox, Intake, Ledger, Options, Spool, Uploader
from gateway.uploads.taking.naming import doubt, printable, span_of, trackers_in
from gateway.uploads.taking.untakeable import TakeError, Untakeable
from gateway.uploads.transitions import IN_CLOUD, TransitionError, assigned, discarded, retried
from gateway.uploads.trouble import Problems
from gateway.worker import Worker

FEWEST_DIGITS = 4
"""Of an id by which something is decided: one that is mistyped must not be another's."""

_NAMELESS = "recording.asi"

_ASSIGNED = "assigned"


class Desk:
    """What people can see and do. Everything that changes something raises `RecordingRefused` where it cannot."""

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        inbox: Inbox | None,
        uploader: Uploader,
        spool: Spool,
        worker: Worker,
        wearers: Sequence[Wearer],
        problems: Problems,
        board: StateBoard,
        options: Options,
        utc_ms: Callable[[], int],
    ) -> None:
        """Put it together.

        Args:
            ledger: What is known of the recordings; loaded.
            intake: Takes over what is sent.
            inbox: Takes over what is dropped; None if there is none.
            uploader: Is told what people decide, and asked how far it is.
            spool: Is asked how much room there is.
            worker: In whose thread that is.
            wearers: Of all trackers of the roster, in its order.
            problems: Is told what needs a person.
            board: Is told how each recording stands.
            options: Settings.
            utc_ms: The wall clock, epoch ms.
        """
        self._ledger = ledger
        self._intake = intake
        self._uploader = uploader
        self._wearers = {wearer.serial_number: wearer for wearer in wearers}
        self._options = options
        self._utc_ms = utc_ms
        self._reporter = Reporter(uploader, self._wearers, options.keep_days, utc_ms)
        self._display = Display(
            ledger, inbox, uploader, self._reporter, spool, worker, self._wearers, problems, board, options, utc_ms
        )

    async def run(self, beat: Callable[[], None]) -> None:
        """Tell what changes, once a second, until cancelled; `beat` is called with each turn."""
        await self._display.run(beat)

    async def report(self, *, is_all: bool = False) -> RecordingsReport:
        """All that need a person or get on, and the latest of those that are done, newest first.

        Args:
            is_all: With more of those that are done, and the latest of those that were deleted.
        """
        return await self._display.report(is_all=is_all)

    def tag(self, *, is_all: bool = False) -> str:
        """What is another whenever `report` has something else to say, and every now and then, as time passes."""
        return self._display.tag(is_all=is_all)

    def show(self, recording_id: str) -> RecordingReport:
        """One recording; raises `RecordingRefused` if there is none."""
        return self._reporter.report(self._found(recording_id))

    async def add(self, blocks: AsyncIterator[bytes], size: int | None, request: AddRequest) -> RecordingReport:
        """Take over what somebody sends; what `blocks` raises is raised.

        Args:
            blocks: The bytes.
            size: How many were announced; None if that was not said.
            request: What is said beside them.
        """
        serial_number, basis, question = request.tracker or None, Basis.PERSON, ""
        if serial_number is not None:
            self._check_tracker(serial_number)
        else:
            named = trackers_in(request.name, self._options.known, self._options.tracker_pattern)
            serial_number, basis, question = (min(named) if len(named) == 1 else None), Basis.PATH, doubt(named)
        now_ms = self._utc_ms()
        with _refusing():
            recording = await self._intake.take_stream(
                blocks,
                size,
                printable(request.name) or _NAMELESS,
                serial_number,
                printable(request.author),
                request.sha256 or None,
                basis=basis,
                span=span_of(
                    request.name.rpartition("/")[2],
                    # That it has come now says nothing about when it was made.
                    now_ms if request.modified_ms is None else request.modified_ms,
                    now_ms,
                    self._options.zone,
                ),
                question=question,
            )
        self._uploader.wake()
        return self._reporter.report(recording)

    async def assign(self, recording_id: str, request: AssignRequest) -> RecordingReport:
        """Say which tracker one comes from."""
        self._check_tracker(request.tracker)
        tracker, author = request.tracker, printable(request.author)
        changed = await self._change(
            recording_id, _ASSIGNED, lambda known, at_ms: assigned(known, tracker, author, at_ms)
        )
        self._uploader.wake()
        return self._reporter.report(changed)

    async def retry(self, recording_id: str, request: PersonRequest) -> RecordingReport:
        """Let one be sent again now, whatever has been."""
        author = printable(request.author)
        changed = await self._change(recording_id, "retried", lambda known, at_ms: retried(known, author, at_ms))
        self._uploader.retry(changed.sha256)
        return self._reporter.report(changed)

    async def discard(self, recording_id: str, request: PersonRequest) -> RecordingReport:
        """Delete one here."""
        author = printable(request.author)
        changed = await self._change(recording_id, "discarded", lambda known, at_ms: discarded(known, author, at_ms))
        await self._ledger.drop_file(changed.sha256)
        return self._reporter.report(changed)

    async def rebuild(self) -> RebuiltReport:
        """Read every file, and set right what is not as it was written down."""
        with _refusing():
            try:
                rebuilt = await self._ledger.rebuild()
            except StoreError:
                raise
            except OSError as error:
                raise StoreError("The disk with the recordings fails", "check the card, or replace it") from error
        self._uploader.wake()
        return rebuilt

    def _check_tracker(self, serial_number: str) -> None:
        if serial_number not in self._wearers:
            text = f"No tracker here has the serial number {printable(serial_number)}: choose one of the list."
            raise RecordingRefused(Refusal.UNKNOWN_TRACKER, text)

    def _whose(self, recording: Recording) -> str:
        """Its tracker, with who wears that."""
        wearer = self._wearers.get(recording.serial_number or "")
        athlete = "" if wearer is None or wearer.athlete is None else f" ({wearer.athlete})"
        return f"tracker {recording.serial_number}{athlete}"

    def _found(self, recording_id: str) -> Recording:
        begin = recording_id.lower()
        found = [it for sha256, it in self._ledger.recordings.items() if sha256.startswith(begin)]
        # Whoever types a few digits means one of those that can be seen.
        found = [it for it in found if it.state not in DELETED] or found
        if len(found) == 1:
            return found[0]
        shown = printable(recording_id)
        if found:
            text = f"{len(found)} recordings have an id that begins with {shown}: give more of its digits."
        else:
            text = f"No recording has an id that begins with {shown}: look it up in the list."
        raise RecordingRefused(Refusal.UNKNOWN_RECORDING, text)

    async def _change(self, recording_id: str, done: str, change: Callable[[Recording, int], Recording]) -> Recording:
        """Let something become of a recording at this moment; `done` says what, in a sentence about that it cannot."""
        if len(recording_id) < FEWEST_DIGITS:
            text = f"{printable(recording_id)} is too short for that: give at least {FEWEST_DIGITS} digits of the id."
            raise RecordingRefused(Refusal.UNKNOWN_RECORDING, text)
        sha256, at_ms = self._found(recording_id).sha256, self._utc_ms()
        try:
            with _refusing():
                return await self._ledger.change(sha256, lambda known: change(known, at_ms))
        except TransitionError:
            known = self._ledger.recordings[sha256]
            if done == _ASSIGNED and known.state in IN_CLOUD:
                text = f"The cloud has it already, for {self._whose(known)}: only the vendor can move it from there."
            else:
                possible = " or ".join(deeds(known)) or "wait"
                stands = standing(known, at_ms, is_lookup=self._uploader.is_lookup)
                text = f"It cannot be {done} now ({stands.text}): {possible}."
            raise RecordingRefused(Refusal.NOT_NOW, text, state=str(known.state)) from None


_CODES = {
    Untakeable.EMPTY: Refusal.EMPTY,
    Untakeable.TOO_LARGE: Refusal.TOO_LARGE,
    Untakeable.NOT_ASI: Refusal.NOT_ASI,
    Untakeable.NO_ROOM: Refusal.NO_ROOM,
    Untakeable.DISK_FAILED: Refusal.DISK_FAILED,
}
"""How what is sent can fail to be taken; what is missing here happens to files only, or is a body that was cut."""


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except TakeError as error:
        raise RecordingRefused(_CODES.get(error.code, Refusal.CUT_OFF), f"{error}.") from None
    except StoreError as error:
        raise RecordingRefused(Refusal.DISK_FAILED, f"{error.text}, so nothing was done: {error.action}.") from None

"""What everybody sees of the recordings: the list, the states that are told by themselves, and the problems."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from itertools import chain
from secrets import token_hex

from gateway.store import StoreError
from gateway.uploads.keeping.room import Room
from gateway.uploads.overview import Overview, overview
from gateway.uploads.publisher import Publisher, StateBoard
from gateway.uploads.report import InboxReport, RecordingsReport, TroubleReport
from gateway.uploads.reporter import Reporter
from gateway.uploads.reporting import Wearer, report_spool, report_tracker, scarcity
from gateway.uploads.surroundings import Inbox, Ledger, Options, Spool, Uploader
from gateway.uploads.trouble import Problems, Trouble
from gateway.worker import Worker

_LOG = logging.getLogger(__name__)

FRESH_S = 30.0
"""What passes by itself, the time until something is tried again for example, is told anew so often."""

_TURN_S = 1.0
_ROOM_S = 5.0
_SLICE = 100
"""Recordings that are told before others have a turn of the event loop."""

_MINUTE_MS = 60_000


class Display:
    """Tells all of it. However many recordings there are, little is done as long as they stand as before."""

    def __init__(
        self,
        ledger: Ledger,
        inbox: Inbox | None,
        uploader: Uploader,
        reporter: Reporter,
        spool: Spool,
        worker: Worker,
        wearers: Mapping[str, Wearer],
        problems: Problems,
        board: StateBoard,
        options: Options,
        utc_ms: Callable[[], int],
    ) -> None:
        """Make it.

        Args:
            ledger: What is known of the recordings; loaded.
            inbox: Takes over what is dropped; None if there is none.
            uploader: Is asked whether something keeps all of them.
            reporter: Tells of one.
            spool: Is asked how much room there is.
            worker: In whose thread that is.
            wearers: Of all trackers, by serial number.
            problems: Is told what needs a person.
            board: Is told how each recording stands.
            options: Settings.
            utc_ms: The wall clock, epoch ms.
        """
        self._ledger = ledger
        self._inbox = inbox
        self._uploader = uploader
        self._reporter = reporter
        self._spool = spool
        self._worker = worker
        self._wearers = wearers
        self._options = options
        self._utc_ms = utc_ms
        self._publisher = Publisher(board)
        self._trouble = Trouble(problems)
        self._room: Room | None = None
        self._overview, self._revision = Overview(), -1
        self._looked_at = (-1, -1)
        self._id = token_hex(4)

    async def run(self, beat: Callable[[], None]) -> None:
        """Tell what changes, once a second, until cancelled; `beat` is called with each turn."""
        is_failing = False
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look(), name="room for recordings")
            while True:
                try:
                    self.tell()
                    is_failing = False
                except Exception:  # noqa: BLE001 - the edge of a task: what cannot be told must not end the session
                    if not is_failing:
                        _LOG.exception("Unexpected failure while recordings were told, it goes on")
                    is_failing = True
                beat()
                await asyncio.sleep(_TURN_S)

    async def report(self, *, is_all: bool = False) -> RecordingsReport:
        """All that need a person or get on, and the latest of those that are done, newest first.

        Args:
            is_all: With more of those that are done, and the latest of those that were deleted.
        """
        seen = self._seen()
        listed, left_out = seen.listed(is_all=is_all)
        told = []
        for place, recording in enumerate(listed, 1):
            told.append(self._reporter.report(recording))
            if place % _SLICE == 0:
                await asyncio.sleep(0)
        wrong = self._inbox_trouble()
        return RecordingsReport(
            recordings=tuple(told),
            left_out=left_out,
            counts=seen.counts,
            inbox=self._left(),
            inbox_folder=self._options.inbox_folder,
            inbox_trouble=None if wrong is None else TroubleReport(text=wrong.text, action=wrong.action),
            spool=report_spool(self._room, self._ledger.trouble, seen.counts),
            trackers=tuple(map(report_tracker, self._wearers.values())),
            max_file_bytes=self._options.max_file_bytes,
            utc_ms=self._utc_ms(),
        )

    def tag(self, *, is_all: bool = False) -> str:
        """What is another whenever `report` has something else to say, and every now and then, as time passes."""
        # What the uploader knows beside the ledger is looked at once a second, when it is published.
        fresh = int(asyncio.get_running_loop().time() / FRESH_S)
        wrong = tuple("" if it is None else it.text for it in (self._disk(), self._inbox_trouble()))
        used_bytes = None if self._room is None else self._room.used_bytes
        said = (is_all, self._ledger.revision, self._publisher.changes, self._left(), used_bytes, wrong, fresh)
        return f"{self._id}-{hash(said):x}"

    def tell(self) -> None:
        """Tell what has changed."""
        seen, now_ms = self._seen(), self._utc_ms()
        now_s = asyncio.get_running_loop().time()
        self._publisher.publish(seen.told(now_ms), self._ledger.recordings, self._reporter.lasting, now_s)
        # Time itself makes a recording overdue.
        if (looked_at := (self._revision, now_ms // _MINUTE_MS)) != self._looked_at:
            self._trouble.update(chain(seen.waiting, seen.open), now_ms)
            self._looked_at = looked_at
        self._trouble.look(self._left())
        self._trouble.set_right(self._uploader.wrong_setting)
        self._trouble.check(
            disk=self._disk(),
            damage=self._ledger.damage,
            inbox=self._inbox_trouble(),
        )

    async def _look(self) -> None:
        while True:
            self._room = await self._seen_room()
            await asyncio.sleep(_ROOM_S)

    async def _seen_room(self) -> Room | None:
        try:
            return await self._worker.run(self._spool.room)
        except OSError:
            return None  # what is wrong with the disk the ledger says

    def _seen(self) -> Overview:
        if self._revision != self._ledger.revision:
            self._revision = self._ledger.revision
            self._overview = overview(self._ledger.recordings.values())
        return self._overview

    def _left(self) -> tuple[InboxReport, ...]:
        return () if self._inbox is None else tuple(self._inbox.waiting)

    def _inbox_trouble(self) -> StoreError | None:
        return None if self._inbox is None else self._inbox.trouble

    def _disk(self) -> StoreError | None:
        return self._ledger.trouble or scarcity(self._room)

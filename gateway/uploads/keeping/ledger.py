"""What is known of every recording: in memory stands what is on the disk, and nothing else."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType

from gateway.store import Store, StoreError
from gateway.uploads.keeping.books import Books, Written
from gateway.uploads.keeping.inspection import inspect
from gateway.uploads.keeping.recovery import Recovery, recover, told
from gateway.uploads.keeping.rows import SCHEMA
from gateway.uploads.keeping.spool import Found, Spool
from gateway.uploads.recording import DELETED, SHORT_ID, WITHOUT_FILE, Recording
from gateway.uploads.report import RebuiltReport
from gateway.worker import OVERDUE_S, Worker

__all__ = ["SCHEMA", "Ledger"]

_LOG = logging.getLogger(__name__)

TURN_S = 1.0
MEND_S = 60.0

TOLD_S = 86_400.0
"""How long people are told what was found damaged, unless every file was compared before."""


class Ledger:
    """The recordings.

    Attributes:
        revision: Counts up with every change.
        damage: What people should know of what was lost or damaged; None if nothing was.
    """

    def __init__(self, store: Store, spool: Spool, worker: Worker, utc_ms: Callable[[], int]) -> None:
        """Know nothing; `load` reads it.

        Args:
            store: Where the rows are; opened with `SCHEMA`.
            spool: Where the files are; opened by `load`.
            worker: In whose thread the spool is looked at.
            utc_ms: The wall clock, epoch ms.
        """
        self.revision = 0
        self.damage: StoreError | None = None
        self._store = store
        self._spool = spool
        self._worker = worker
        self._utc_ms = utc_ms
        self._recordings: dict[str, Recording] = {}
        self._books = Books(spool, self._recordings)
        # The one of the store since which all of memory has been written; None before the first.
        self._opening: int | None = None
        self._mending = asyncio.Lock()
        self._doomed: set[str] = set()
        self._told_until_s = 0.0

    @property
    def recordings(self) -> Mapping[str, Recording]:
        """All of them, by SHA-256."""
        return MappingProxyType(self._recordings)

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing can be changed; None if it can."""
        if self._store.trouble is not None:
            return self._store.trouble
        if self._worker.is_overdue:
            text = f"The disk with {self._spool.folder} does not answer"
            return StoreError(text, "replace the card if that stays so")
        if self._books.failure is not None:
            return self._books.failure
        if self._opening != self._store.openings:
            is_read = self._opening is not None
            text = f"The recordings were not {'written down anew' if is_read else 'read from the disk'} yet"
            return StoreError(text, "try again in a minute")
        return None

    async def load(self) -> None:
        """Tell what there is from the rows, the journal and the files, and write down what was found out by that.

        Where that fails `trouble` says so; what can be read is known all the same. A disk that does not answer is not
        waited for: `run` tries again.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(OVERDUE_S), self._mending:
                await self._load()

    async def change(self, sha256: str, change: Callable[[Recording], Recording]) -> Recording:
        """Let something become of a recording.

        Args:
            sha256: Which.
            change: What becomes of the newest; called in another thread, maybe twice, so nothing else may come of it.

        Raises:
            KeyError: If it is unknown.
            StoreError: If it could not be written; then it is as it was, as far as a failing disk can promise.
            Exception: What `change` raises.
        """

        def changed(known: Recording | None) -> Recording:
            if known is None:
                raise KeyError(sha256)
            return change(known)

        return await self.taken(sha256, changed)

    async def taken(self, sha256: str, change: Callable[[Recording | None], Recording]) -> Recording:
        """The same of one that may not be known yet, but whose file is in the spool."""
        self._check()
        try:
            return await self._store.write(lambda it: self._books.write(it, sha256, change), self._apply)
        except StoreError:
            # A full disk has its ballast for this, and a damaged database is begun anew.
            await self.mend()
            if self.trouble is not None:
                raise
        return await self._store.write(lambda it: self._books.write(it, sha256, change), self._apply)

    async def drop_file(self, sha256: str) -> None:
        """Delete the file of what is purged or discarded; where that fails, it is tried again every minute."""
        self._doomed.add(sha256)
        await self._delete()

    async def let_go(self, sha256: str) -> None:
        """On a full disk delete the file of what is done, though that cannot be written down: all else needs its room.

        No harm is done by it: what is done and has no file is purged.
        """
        with suppress(OSError):
            await self._store.read(partial(self._books.let_go, sha256=sha256))

    async def mend(self) -> None:
        """Where there is trouble, try again, and make the disk what memory is."""
        async with self._mending:
            if self.trouble is None:
                return
            # The spool comes first: on a full disk it has something to give up.
            found = await self._opened()
            if not await self._store.mend():
                return
            if self._opening is None:
                await self._load()
            elif found is not None and self._is_doubtful:
                await self._begin_anew()

    async def rebuild(self) -> RebuiltReport:
        """Read every file, and set right what is not as was thought.

        Raises:
            StoreError: If that cannot be done or written down now.
        """
        self._check()
        try:
            report = await inspect(self, self._spool, self._worker, self._utc_ms())
        except StoreError:
            raise
        except OSError as error:
            raise self._fail(error) from None
        self.damage = None
        return report

    async def run(self, beat: Callable[[], None]) -> None:
        """Every minute mend what is in trouble, and make up for what that has prevented, until cancelled.

        Args:
            beat: Called with every turn; none waits for the disk.
        """
        now = asyncio.get_running_loop().time
        tend_s = now()
        async with asyncio.TaskGroup() as tasks:
            tending = tasks.create_task(asyncio.sleep(0))
            while True:
                beat()
                if tending.done() and (now() >= tend_s or self._is_behind):
                    tending = tasks.create_task(self._tend())
                    tend_s = now() + MEND_S
                if now() >= self._told_until_s:
                    self.damage = None
                await asyncio.sleep(TURN_S)

    @property
    def _is_doubtful(self) -> bool:
        """Whether what is on the disk may be something else than memory; nothing is changed as long as that is so."""
        return self._books.failure is not None or self._opening != self._store.openings

    @property
    def _is_behind(self) -> bool:
        """Whether somebody else has mended the store."""
        return self._store.trouble is None and self._opening not in {None, self._store.openings}

    async def _tend(self) -> None:
        if self.trouble is not None:
            await self.mend()
            return
        await self._delete()
        with suppress(OSError):
            await self._worker.run(self._spool.restore_ballast)
            await self._store.write(self._books.compact)

    async def _load(self) -> None:
        opening = self._store.openings
        found = await self._opened()
        try:
            written = await self._store.read(self._books.read)
        except OSError as error:
            self._fail(error)
            return
        files = found.files if found is not None else _as_written(written)
        recovery = recover(written.rows, written.damaged, written.journal, files, self._utc_ms())
        self._recordings.clear()
        self._recordings.update(recovery.recordings)
        self.revision += 1
        if found is None or self._store.trouble is not None:
            return
        try:
            if written.damaged or not written.journal.is_whole:
                await self._store.write(self._books.begin_anew)
            elif recovery.to_write or recovery.to_log:
                await self._store.write(lambda it: self._books.settle(it, recovery.to_write))
                await self._store.read(lambda _: self._books.log(recovery.to_log))
        except OSError as error:
            self._fail(error)
            return
        self._books.failure = None
        self._opening = opening
        self._tell(recovery, found.strays)
        self._doomed.update(recovery.to_remove)

    async def _begin_anew(self) -> None:
        opening = self._store.openings
        try:
            await self._store.write(self._books.begin_anew, self._adopt)
        except OSError as error:
            self._fail(error)
            return
        self._books.failure = None
        self._opening = opening

    async def _opened(self) -> Found | None:
        try:
            return await self._worker.run(self._open)
        except OSError as error:
            self._fail(error)
            return None

    def _open(self) -> Found:
        found = self._spool.open()
        if self._spool.room().is_scarce:
            self._spool.give_up_ballast()
        return found

    async def _delete(self) -> None:
        for sha256 in sorted(self._doomed):
            try:
                await self._store.read(partial(self._books.delete_file, sha256=sha256))
            except OSError as error:
                _LOG.warning(
                    "The file of recording %(recording)s cannot be deleted: %(error)s",
                    {"recording": sha256[:SHORT_ID], "error": error},
                )
            else:
                self._doomed.discard(sha256)

    def _apply(self, recording: Recording) -> None:
        if self._recordings.get(recording.sha256) != recording:
            self._recordings[recording.sha256] = recording
            self.revision += 1

    def _adopt(self, everything: tuple[Recording, ...]) -> None:
        for recording in everything:
            if recording.state in DELETED and self._recordings.get(recording.sha256) != recording:
                self._doomed.add(recording.sha256)
            self._apply(recording)

    def _tell(self, recovery: Recovery, strays: int) -> None:
        text, action = told(recovery, strays, self._spool.folder)
        if action:
            self.damage = StoreError(text, action)
            self._told_until_s = asyncio.get_running_loop().time() + TOLD_S
            _LOG.warning("%(text)s", {"text": str(self.damage)})
        elif text:
            _LOG.info("%(text)s", {"text": text})

    def _fail(self, error: OSError) -> StoreError:
        before = self._books.failure
        failure = self._books.fail(error)
        if before is None or before.text != failure.text:
            _LOG.warning("%(text)s", {"text": str(failure)})
        return failure

    def _check(self) -> None:
        if (trouble := self.trouble) is not None:
            raise StoreError(trouble.text, trouble.action)


def _as_written(written: Written) -> Mapping[str, int]:
    """Where nobody can look: the files that there should be."""
    known = [*written.journal.recordings.values(), *written.rows.values()]
    return {recording.sha256: recording.size for recording in known if recording.state not in WITHOUT_FILE}

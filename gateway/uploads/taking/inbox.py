"""The folder into which people drop recordings: looked through again and again, and what is ready is taken over."""

import asyncio
import errno
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path

from gateway.store import StoreError
from gateway.uploads.report import InboxReport
from gateway.uploads.taking.intake import Intake
from gateway.uploads.taking.naming import Known, doubt, printable, span_of, trackers_in
from gateway.uploads.taking.removal import original
from gateway.uploads.taking.settling import QUIET_S, Reason, Settling
from gateway.uploads.taking.sources import Look, OpenSource, SourceChangedError
from gateway.uploads.taking.survey import MAX_ENTRIES, Survey, survey
from gateway.uploads.taking.untakeable import TakeError, Untakeable, not_asi
from gateway.uploads.taking.watching import Watch
from gateway.worker import Worker
from insiders_codecs.asi import MAGIC

LOOK_S = 30.0
"""How often the inbox is looked through whatever else happens; what tells of changes may miss some."""

MODE = 0o770
"""Of an inbox that is made: those drop files who are in its group."""

_TURN_S = 1.0
_LULL_S = 2.0
"""Between two looks at least: while somebody copies, there is news all the time."""

_BAD_AGAIN_S = 300.0
_AGAIN_S = {
    Untakeable.BEING_WRITTEN: QUIET_S,
    Untakeable.NO_ROOM: 30.0,
    Untakeable.DISK_FAILED: 30.0,
    Untakeable.CUT_OFF: _BAD_AGAIN_S,
    Untakeable.UNREADABLE: _BAD_AGAIN_S,
}
"""After which what was refused is tried again; anything else stays as it is until it was changed."""

_UNREADABLE = Reason("unreadable", "It may not be read", "let the gateway read and write it and its folder")
_UNEXPECTED = Reason("unreadable", "Taking it has failed unexpectedly", "look into the gateway's log")

_UNEXPECTED_TROUBLE = StoreError("Going through the inbox has failed unexpectedly", "look into the gateway's log")

_NOTHING = Survey((), (), frozenset(), frozenset())

_WRONG_PLACE = "make it with the rights of the gateway's user, or correct inbox in [recordings]"
_TROUBLES = {
    errno.ENOENT: ("The inbox {} is missing, and so is the folder above it", _WRONG_PLACE),
    errno.EACCES: ("The gateway may not look into the inbox {}, or not make it", _WRONG_PLACE),
    errno.EPERM: ("The gateway may not look into the inbox {}, or not make it", _WRONG_PLACE),
    errno.EROFS: ("The inbox {} is missing, and cannot be made on a read-only disk", _WRONG_PLACE),
    errno.ENOTDIR: ("The inbox {} is no folder", "move it away, or correct inbox in [recordings]"),
    errno.EEXIST: ("The inbox {} is no folder", "move it away, or correct inbox in [recordings]"),
}

_LOG = logging.getLogger(__name__)


class Inbox:
    """Takes over what is dropped."""

    def __init__(
        self,
        folder: Path,
        intake: Intake,
        known: Sequence[Known],
        pattern: str | None,
        worker: Worker,
        utc_ms: Callable[[], int],
        *,
        zone: tzinfo | None = None,
        is_watched: bool = True,
    ) -> None:
        """Nothing is touched yet.

        Args:
            folder: Which; made if it is missing.
            intake: What takes a file over.
            known: The trackers that a path may name.
            pattern: How it names them, where that is configured.
            worker: Looks at the disk. A stick that hangs holds it up.
            utc_ms: The wall clock, epoch ms.
            zone: Of times in names; that of this machine if it is not given.
            is_watched: Whether the kernel is asked to tell of changes at once.
        """
        self.folder = folder
        self._intake = intake
        self._known = known
        self._pattern = pattern
        self._worker = worker
        self._utc_ms = utc_ms
        self._zone = zone
        self._is_watched = is_watched
        self._settling = Settling()
        self._failure: StoreError | None = None
        self._woken = asyncio.Event()
        self._folders = _NOTHING.folders
        self._watch = Watch(self.wake)

    @property
    def trouble(self) -> StoreError | None:
        """Why not all of the inbox can be looked at; None if it can."""
        if self._worker.is_overdue:
            text = f"A disk does not answer, that of the inbox {self.folder} or the gateway's own"
            return StoreError(text, "pull out the stick that was plugged in last, or replace the card if that stays so")
        return self._failure

    @property
    def waiting(self) -> Sequence[InboxReport]:
        """What lies there, with the reason; first what needs somebody."""
        return self._settling.reports(asyncio.get_running_loop().time())

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    async def run(self, beat: Callable[[], None]) -> None:
        """Take over what is ready, until cancelled.

        Args:
            beat: Called with every turn; a disk that is slow does not hold it up.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take(), name="inbox")
            if self._is_watched:
                tasks.create_task(self._watch.run(), name="watch of the inbox")
            while True:
                beat()
                await asyncio.sleep(_TURN_S)

    async def _take(self) -> None:
        time = asyncio.get_running_loop().time
        while True:
            self._woken.clear()
            try:
                await self._turn()
            except Exception:  # noqa: BLE001 - nothing that lies in an inbox may end the gateway
                _LOG.exception("Unexpected failure with the inbox, it goes on")
                self._failure = _UNEXPECTED_TROUBLE
            await asyncio.sleep(_LULL_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(min(self._settling.next_s - time(), LOOK_S - _LULL_S), 0)):
                    await self._woken.wait()

    async def _turn(self) -> None:
        """Look through the inbox once, and take what is ready until it is time to look again."""
        time = asyncio.get_running_loop().time
        await self._look()
        looked_s = time()
        barrier: TakeError | None = None
        barrier_size = 0
        # What nobody has first: to see whether the rest is here already may take long.
        sizes = self._intake.known_sizes()
        for look in sorted(self._settling.due(looked_s), key=lambda look: look.size in sizes):
            if time() - looked_s >= LOOK_S:
                return
            if barrier is not None and look.size >= barrier_size:
                self._refused(look, barrier)
                continue
            try:
                await self._try(look)
            except TakeError as error:
                self._refused(look, error)
                if error.code is Untakeable.NO_ROOM:
                    # What is smaller may have room.
                    barrier, barrier_size = error, look.size
                elif error.code is Untakeable.DISK_FAILED:
                    barrier, barrier_size = error, 0
            except Exception:  # noqa: BLE001 - what lies there next may be all right
                _LOG.exception("Unexpected failure with a file in the inbox, it goes on")
                self._settling.leave(look, _UNEXPECTED, time() + _BAD_AGAIN_S)

    async def _look(self) -> None:
        try:
            seen = await self._worker.run(lambda: _surveyed(self.folder))
        except OSError as error:
            seen = _NOTHING
            self._failure = _trouble(self.folder, error)
        else:
            self._failure = _doubt(self.folder, seen)
        self._settling.observe(seen.looks, asyncio.get_running_loop().time(), self._utc_ms(), seen.read_only)
        if seen.folders != self._folders:
            self._folders = seen.folders
            # Each alone: asked about all below one, the kernel would be asked about where links lead, too.
            self._watch.follow(str(self.folder / path) for path, _, _ in seen.folders)

    async def _try(self, look: Look) -> None:
        try:
            is_written_to, head = await self._worker.run(lambda: _probed(self.folder, look))
        except (FileNotFoundError, SourceChangedError):
            self._forget(look)
            return
        except OSError:
            self._settling.leave(look, _UNREADABLE, asyncio.get_running_loop().time() + _BAD_AGAIN_S)
            return
        if self._settling.may_take(look, asyncio.get_running_loop().time(), is_written_to=is_written_to):
            # Before it is copied: a stick may be full of other things.
            if look.size and not head.startswith(MAGIC):
                raise not_asi()
            await self._take_over(look)

    async def _take_over(self, look: Look) -> None:
        path = original(look.path)
        name = path.rpartition("/")[2]
        named = trackers_in(path, self._known, self._pattern)
        taken = await self._intake.take_file(
            OpenSource(self.folder, look),
            name=printable(name),
            serial_number=min(named) if len(named) == 1 else None,
            span=span_of(name, look.mtime_ns // 1_000_000, self._utc_ms(), self._zone),
            question=doubt(named),
        )
        if taken.is_source_gone:
            self._settling.forget(look)
        else:
            self._settling.stay(look)

    def _refused(self, look: Look, error: TakeError) -> None:
        if error.code is Untakeable.CHANGED:
            self._forget(look)
        else:
            again_s = asyncio.get_running_loop().time() + _AGAIN_S.get(error.code, math.inf)
            self._settling.leave(look, Reason(error.code, error.text, error.action), again_s)

    def _forget(self, look: Look) -> None:
        """It was not what was looked at: it begins to rest at the next look, which is soon."""
        self._settling.forget(look)
        self.wake()


def _surveyed(folder: Path) -> Survey:
    try:
        return survey(folder)
    except FileNotFoundError:
        folder.mkdir()
        folder.chmod(MODE)  # whatever the umask is
        return survey(folder)


def _probed(folder: Path, look: Look) -> tuple[bool | None, bytes]:
    """Whether another program has it open for writing, and how it begins."""
    with OpenSource(folder, look) as source:
        return source.is_written_to, source.head(len(MAGIC))


def _trouble(folder: Path, error: OSError) -> StoreError:
    text, action = _TROUBLES.get(
        error.errno or 0, ("The inbox {} cannot be read", "check the disk on which it lies, and its rights")
    )
    return StoreError(text.format(folder), action)


def _doubt(folder: Path, seen: Survey) -> StoreError | None:
    _, device, _ = seen.folders[0]
    if device in seen.read_only:
        text = f"The gateway may read the inbox {folder} and not write it, so what is taken over stays there"
        return StoreError(text, "let the gateway write it; under systemd, ReadWritePaths of its unit says where it may")
    if seen.crowded:
        text = f"More than {MAX_ENTRIES} things lie in one place of the inbox {folder}, and not all are looked at"
        if seen.crowded <= seen.read_only:
            return StoreError(text, 'copy into the inbox what is missing, under a name that ends in ".asi"')
        return StoreError(text, "take away what is no recording")
    return None

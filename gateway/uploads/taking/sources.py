"""Folders that others write into: looked through and read without being led astray, or held up, by what lies there.

Everything here waits for the disk and belongs into a worker's thread.
"""

import errno
import fcntl
import os
import signal
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import Self

MAX_DEPTH = 8
"""Folders below each other that are looked into."""

MAX_ENTRIES = 10_000
"""Things that are looked at; of more than that, the rest is when these are gone."""

BLOCK_BYTES = 1 << 20

_TO_LIST = os.O_RDONLY | os.O_DIRECTORY
_TO_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class Kind(StrEnum):
    """What a name stands for."""

    FILE = "file"
    LINK = "link"
    PIPE = "pipe"
    SOCKET = "socket"
    DEVICE = "device"
    CLOSED = "closed"
    """A folder that could not be looked into."""

    DEEP = "deep"
    """A folder below too many others, which was not looked into."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one thing in the folder, without opening it.

    Attributes:
        path: From the folder, with "/"; bytes that are no UTF-8 as Python keeps them (surrogates).
        kind: What it is.
        size: Bytes.
        mtime_ns: When it was written last, epoch ns, as far as that can be believed.
        ctime_ns: When anything about it was changed last; nobody can set it back.
        inode: Its number on its device.
        device: The file system that it is on.
    """

    path: str
    kind: Kind
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen in a folder and below it.

    Attributes:
        looks: Everything but folders that could be looked into, and hidden ones.
        is_whole: Whether that is all there is.
    """

    looks: tuple[Look, ...]
    is_whole: bool


class SourceChangedError(OSError):
    """What was opened is not, or not any more, what was looked at."""


def survey(folder: Path, max_entries: int = MAX_ENTRIES) -> Survey:
    """Look through a folder, what is near its top first. No link is followed.

    Args:
        folder: Where; this itself may be a link.
        max_entries: Things that are looked at.

    Raises:
        OSError: If the folder cannot be looked into.
    """
    looks: list[Look] = []
    with _folder(folder) as top:
        seen, is_whole = _listed(top, "", max_entries)
        found = deque(seen)
        room = max_entries - len(found)
        while found:
            path, status = found.popleft()
            if not stat.S_ISDIR(status.st_mode):
                looks.append(_look(path, status))
            elif path.count("/") + 1 >= MAX_DEPTH:
                looks.append(_look(path, status, Kind.DEEP))
            elif not path.rpartition("/")[2].startswith("."):
                try:
                    below, is_all = _listed(top, path, room)
                except OSError:
                    looks.append(_look(path, status, Kind.CLOSED))
                    continue
                found += below
                room -= len(below)
                is_whole = is_whole and is_all
    return Survey(tuple(looks), is_whole)


def look_at(folder: Path, path: str) -> Look:
    """Look at one thing.

    Raises:
        OSError: If there is none.
    """
    with _folder(folder) as top, _below(top, path) as (above, name):
        return _look(path, os.stat(name, dir_fd=above, follow_symlinks=False))


class OpenSource:
    """A file of the folder: opened by `with`, and from then on held, whatever its name is made to lead to.

    Attributes:
        look: As it was seen, and has to be still.
    """

    def __init__(self, folder: Path, look: Look) -> None:
        """Touches nothing yet.

        Args:
            folder: The one that was looked through.
            look: What was seen there.
        """
        self.look = look
        self._folder = folder
        self._file = self._above = -1
        self._name = ""
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Open it; never waits for another program, as opening a pipe would.

        Raises:
            FileNotFoundError: If it is gone.
            SourceChangedError: If that is not a file, or not the one that was looked at.
            OSError: If it cannot be opened.
        """
        with ExitStack() as stack:
            top = stack.enter_context(_folder(self._folder))
            self._above, self._name = stack.enter_context(_below(top, self.look.path))
            # To open a device already does something.
            if self._seen() != self.look or self.look.kind is not Kind.FILE:
                raise SourceChangedError(errno.ESTALE, "it was changed")
            try:
                self._file = os.open(self._name, _TO_READ, dir_fd=self._above)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise SourceChangedError(errno.ESTALE, "it was changed") from None
                raise
            stack.callback(os.close, self._file)
            if not self.is_unchanged():
                raise SourceChangedError(errno.ESTALE, "it was changed")
            self._held = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def is_written_to(self) -> bool | None:
        """Whether another program has it open for writing; None if the kernel does not tell us.

        It tells about files that are ours (or to a privileged process), and nobody writes where all is read-only.
        """
        try:
            # Should somebody open it just now, the kernel sends a signal; the usual one would end the gateway.
            fcntl.fcntl(self._file, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(self._file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return True
        except OSError:
            return False if _is_read_only(self._file) else None
        with suppress(OSError):
            fcntl.fcntl(self._file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False

    def is_unchanged(self) -> bool:
        """Whether the open file is still what was looked at."""
        return _look(self.look.path, os.fstat(self._file)) == self.look

    def blocks(self) -> Iterator[bytes]:
        """Its bytes from the start, a MiB at a time; never more than were looked at, so that nothing is endless.

        Raises:
            OSError: If it cannot be read: what it lies on was pulled out, for one.
        """
        at = 0
        while at < self.look.size:
            block = os.pread(self._file, min(BLOCK_BYTES, self.look.size - at), at)
            if not block:
                return
            at += len(block)
            yield block

    def unlink(self) -> bool:
        """Remove it from the folder, unless it was changed, is written to, or its name leads to something else.

        Not synced: should it come back after a power cut, it is known.

        Returns:
            Whether it is gone.
        """
        with suppress(OSError):
            if self.is_unchanged() and self._seen() == self.look and self.is_written_to is not True:
                os.unlink(self._name, dir_fd=self._above)
                return True
        return False

    def _seen(self) -> Look:
        return _look(self.look.path, os.stat(self._name, dir_fd=self._above, follow_symlinks=False))


@contextmanager
def _folder(folder: Path) -> Iterator[int]:
    opened = os.open(folder, _TO_LIST)
    try:
        yield opened
    finally:
        os.close(opened)


@contextmanager
def _below(top: int, path: str) -> Iterator[tuple[int, str]]:
    """The folder in which a path ends, opened step by step so that none of them is a link, and the name in it."""
    *folders, name = path.split("/")
    above = os.dup(top)
    try:
        for folder in folders:
            below = os.open(folder, _TO_LIST | os.O_NOFOLLOW, dir_fd=above)
            os.close(above)
            above = below
        yield above, name
    finally:
        os.close(above)


def _listed(top: int, path: str, room: int) -> tuple[list[tuple[str, os.stat_result]], bool]:
    """What is in a folder, sorted; and whether there was room for all of it."""
    found: list[tuple[str, os.stat_result]] = []
    with _below(top, f"{path}/." if path else ".") as (above, _), os.scandir(above) as entries:
        for entry in entries:
            if len(found) >= room:
                return sorted(found, key=itemgetter(0)), False
            with suppress(FileNotFoundError):
                found.append((f"{path}/{entry.name}" if path else entry.name, entry.stat(follow_symlinks=False)))
    return sorted(found, key=itemgetter(0)), True


_KINDS: tuple[tuple[Callable[[int], bool], Kind], ...] = (
    (stat.S_ISREG, Kind.FILE),
    (stat.S_ISLNK, Kind.LINK),
    (stat.S_ISFIFO, Kind.PIPE),
    (stat.S_ISSOCK, Kind.SOCKET),
)


def _look(path: str, status: os.stat_result, kind: Kind | None = None) -> Look:
    if kind is None:
        kind = next((kind for is_one, kind in _KINDS if is_one(status.st_mode)), Kind.DEVICE)
    return Look(path, kind, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def _is_read_only(file: int) -> bool:
    """Whether a whole file system is; that we may not write, as in a sandbox, says nothing about others."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path(f"/proc/self/fdinfo/{file}").read_text(encoding="ascii").splitlines()
        mount = next(line.split()[1] for line in lines if line.startswith("mnt_id:"))
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
            fields = line.split(b" ")
            if fields[0] == mount.encode():
                return b"ro" in fields[-1].split(b",")
    return False

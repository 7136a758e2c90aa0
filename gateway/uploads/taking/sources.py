"""Files in folders that others write into: looked at and read without being led astray or held up by what lies there.

Everything here waits for the disk and belongs into a worker's thread.
"""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

from gateway.uploads.taking.removal import may_remove, remove

BLOCK_BYTES = 1 << 20

_TO_LIST = os.O_RDONLY | os.O_DIRECTORY
_TO_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

_LED_ASTRAY = frozenset({errno.ELOOP, errno.ENOTDIR})
"""A link where there was none, at the end of a path or on its way."""


class Kind(StrEnum):
    """What a name stands for."""

    FILE = "file"
    LINK = "link"
    PIPE = "pipe"
    SOCKET = "socket"
    DEVICE = "device"
    CLOSED = "closed"
    """A folder that could not be looked into."""

    UNSEEN = "unseen"
    """The kernel does not say what it is."""

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


class SourceChangedError(OSError):
    """What was opened is not, or not any more, what was looked at."""


_KINDS: tuple[tuple[Callable[[int], bool], Kind], ...] = (
    (stat.S_ISREG, Kind.FILE),
    (stat.S_ISLNK, Kind.LINK),
    (stat.S_ISFIFO, Kind.PIPE),
    (stat.S_ISSOCK, Kind.SOCKET),
)


def look_of(path: str, status: os.stat_result, kind: Kind | None = None) -> Look:
    """A look, of what the kernel says.

    Args:
        path: From the folder.
        status: Of what is there.
        kind: What it is, where `status` does not say all of that.
    """
    if kind is None:
        kind = next((kind for is_one, kind in _KINDS if is_one(status.st_mode)), Kind.DEVICE)
    return Look(path, kind, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """The descriptor of a folder, which itself may be a link."""
    top = os.open(folder, _TO_LIST)
    try:
        yield top
    finally:
        os.close(top)


@contextmanager
def below(top: int, path: str) -> Iterator[tuple[int, str]]:
    """The folder in which a path ends, opened step by step so that none of them is a link, and the name in it."""
    *folders, name = path.split("/")
    above = os.dup(top)
    try:
        for folder in folders:
            into = os.open(folder, _TO_LIST | os.O_NOFOLLOW, dir_fd=above)
            os.close(above)
            above = into
        yield above, name
    finally:
        os.close(above)


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
        try:
            with ExitStack() as stack:
                with opened(self._folder) as top:
                    self._above, self._name = stack.enter_context(below(top, self.look.path))
                # Before it is opened: to open a device already does something.
                self._expect(self._seen(self._name))
                self._file = os.open(self._name, _TO_READ, dir_fd=self._above)
                stack.callback(os.close, self._file)
                self._expect(look_of(self.look.path, os.fstat(self._file)))
                self._held = stack.pop_all()
        except OSError as error:
            if error.errno in _LED_ASTRAY:
                raise _changed() from None
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def is_written_to(self) -> bool | None:
        """Whether another program has it open for writing; None if the kernel does not tell us.

        It tells about files that are ours, and a process with the capability to lease about all. Nobody writes where
        a whole file system is read-only.
        """
        try:
            # Should somebody open it just now, the kernel sends a signal; the usual one would end the gateway.
            fcntl.fcntl(self._file, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(self._file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return True
        except OSError:
            return False if _is_read_only(self._file) else None
        # Given back at once: whoever opens a leased file is held up.
        fcntl.fcntl(self._file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False

    @property
    def is_removable(self) -> bool:
        """Whether it looks as if it could be removed from its folder."""
        return may_remove(self._above, os.fstat(self._file).st_uid)

    def is_unchanged(self) -> bool:
        """Whether the open file is still what was looked at."""
        return look_of(self.look.path, os.fstat(self._file)) == self.look

    def head(self, size: int) -> bytes:
        """Its first bytes.

        Raises:
            OSError: If they cannot be read.
        """
        return os.pread(self._file, size, 0)

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

        Not flushed: should it come back after a power cut, its bytes are known.

        Returns:
            Whether it is gone.
        """
        with suppress(OSError):
            if self.is_unchanged() and self._seen(self._name) == self.look and self.is_written_to is not True:
                return remove(self._above, self._name, self._is_it)
        return False

    def _is_it(self, aside: str) -> bool:
        held = look_of(self.look.path, os.fstat(self._file))
        # That it was renamed is a change of it, too.
        is_same = replace(held, ctime_ns=self.look.ctime_ns) == self.look
        return is_same and self._seen(aside) == held and self.is_written_to is not True

    def _expect(self, look: Look) -> None:
        if look != self.look or look.kind is not Kind.FILE:
            raise _changed()

    def _seen(self, name: str) -> Look:
        return look_of(self.look.path, os.stat(name, dir_fd=self._above, follow_symlinks=False))


def _changed() -> SourceChangedError:
    return SourceChangedError(errno.ESTALE, "it is not what was looked at")


def _is_read_only(file: int) -> bool:
    """Whether a whole file system is; that we may not write, as in a sandbox, says nothing about others."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/self/fdinfo/{file}").read_bytes().splitlines()
        mount = next(line.split()[1] for line in lines if line.startswith(b"mnt_id:"))
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
            fields = line.split(b" ")
            if fields[0] == mount:
                return b"ro" in fields[-1].split(b",")
    return False

"""Files of this machine that are given to a gateway: looked at before, and read block by block."""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.recordings.words import sized
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import plain

BLOCK_BYTES = 256 * 1024

_MAGIC = b"ASI"
_READ_ONLY = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Without waiting, because a pipe that somebody has named would be waited for for ever."""


class UnusableError(CommandError):
    """A file that cannot be given away; a sentence says why and what to do."""


class OutgoingFile:
    """An open file, as the blocks that it consists of, each of which is asked for when the one before has gone.

    The last block is given away only if nothing has changed meanwhile, so that nobody ever has half of two versions.

    Attributes:
        size: Bytes.
        modified_ms: When it was written last, epoch ms.
        sent_bytes: Of them, those that have gone.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        """Make one of a regular file that was opened."""
        self._path = path
        self._descriptor = descriptor
        self._began = _state(descriptor)
        self._hash = hashlib.sha256()
        self._read_bytes = 0
        self.size = self._began.st_size
        self.modified_ms = self._began.st_mtime_ns // 1_000_000
        self.sent_bytes = 0

    @property
    def sha256(self) -> str:
        """Of what was read, hexadecimal."""
        return self._hash.hexdigest()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next block; raises `UnusableError` if it cannot be read, or is another file by now."""
        self.sent_bytes = self._read_bytes
        if self._read_bytes == self.size:
            raise StopAsyncIteration
        return await asyncio.to_thread(self._block)

    def _block(self) -> bytes:
        try:
            # With its place: whoever stops in the middle of this leaves a thread behind, and the number that it reads
            # from may be the next file's by then, whose own place must not move.
            block = os.pread(self._descriptor, min(BLOCK_BYTES, self.size - self._read_bytes), self._read_bytes)
            now = _state(self._descriptor)
        except OSError as error:
            raise _unreadable(self._path, error) from None
        self._read_bytes += len(block)
        is_other = (now.st_size, now.st_mtime_ns) != (self._began.st_size, self._began.st_mtime_ns)
        if is_other or not block:
            raise UnusableError(
                f"{called_here(self._path)} is still being written: nothing of it was kept, add it when that has ended."
            )
        self._hash.update(block)
        return block


@contextmanager
def opened(path: Path, max_bytes: int) -> Iterator[OutgoingFile]:
    """A file that may be a recording, for as long as the context is open.

    Args:
        path: As somebody has typed it; what it links to is meant.
        max_bytes: What the gateway takes.

    Raises:
        UnusableError: If it is no file, cannot be read, is empty or too large, or does not begin as recordings do.
    """
    try:
        descriptor = os.open(path, _READ_ONLY)
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        _check(path, descriptor, max_bytes)
        yield OutgoingFile(path, descriptor)
    finally:
        os.close(descriptor)


def told_name(path: Path) -> str:
    """What a gateway is told of where a file lies: its name and its folder, which may be called as a tracker is."""
    return os.fsencode(Path(*path.absolute().parts[-2:])).decode(errors="replace").lstrip("/")


def _check(path: Path, descriptor: int, max_bytes: int) -> None:
    state = _state(descriptor)
    if stat.S_ISDIR(state.st_mode):
        example = called_here(path / "*.asi")
        raise UnusableError(f"{called_here(path)} is a folder: name the files in it, {example} for example.")
    if not stat.S_ISREG(state.st_mode):
        raise UnusableError(f"{called_here(path)} is no file: copy what it gives into one, and add that.")
    if state.st_size == 0:
        raise UnusableError(f"{called_here(path)} is empty: copy it from the tracker once more.")
    if state.st_size > max_bytes:
        raise UnusableError(
            f"{called_here(path)} has {sized(state.st_size)}, and the gateway takes {sized(max_bytes)} at most: look "
            "whether it is a recording, or raise max_file_mb in config.toml."
        )
    try:
        head = os.pread(descriptor, len(_MAGIC), 0)
    except OSError as error:
        raise _unreadable(path, error) from None
    if head != _MAGIC:
        raise UnusableError(f"{called_here(path)} is no .asi recording, which would begin with ASI: name another file.")


def _state(descriptor: int) -> os.stat_result:
    return os.fstat(descriptor)


def _unreadable(path: Path, error: OSError) -> UnusableError:
    match error:
        case FileNotFoundError():
            return UnusableError(f"{called_here(path)} is not there: look at its name.")
        case PermissionError():
            return UnusableError(f"{called_here(path)} may not be read by you: ask its owner, or type `sudo` in front.")
        case _:
            why = os.strerror(error.errno or 0).lower()
            return UnusableError(f"{called_here(path)} cannot be read ({why}): copy it from the tracker once more.")


def called_here(path: Path) -> str:
    """A path as it can be shown: names of files may be anything."""
    return plain(os.fsencode(path).decode(errors="replace"))

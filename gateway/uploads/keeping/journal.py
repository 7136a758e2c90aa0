"""The journal beside the recordings: one line for every change, from which a lost queue is told again.

It belongs into one thread at a time, and whatever fails raises OSError.
"""

import errno
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gateway.uploads.recording import Recording

NAME = "journal"

COMPACTED_BYTES = 1 << 20
"""From which size on it is written anew with only the last line of each recording."""

_HEAD = b"insiders-gateway: recordings, one change per line, CRC-32 and JSON\n"
"""By this an empty journal differs from one whose content was lost."""

_NEW = ".new"
_CRC_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Read:
    """What a journal says.

    Attributes:
        recordings: SHA-256 -> the latest that was written of it.
        is_whole: Whether all that was ever written is there, but for a last line that was cut off while it was.
    """

    recordings: Mapping[str, Recording] = field(default_factory=dict)
    is_whole: bool = False


class Journal:
    """A file that is appended to, and now and then written anew."""

    def __init__(self, path: Path) -> None:
        """Touches nothing yet; `read` or `rewrite` comes before the first `append`."""
        self._path = path
        # What is behind that was cut off, and is overwritten.
        self._stop = 0
        self._is_line_ended = True
        self._compact_bytes = 0

    @property
    def is_long(self) -> bool:
        """Whether it is worth being written anew."""
        return self._stop > max(COMPACTED_BYTES, 2 * self._compact_bytes)

    def read(self) -> Read:
        """All of it. No damage of a file is an error; that it cannot be read is one."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Read()
        recordings: dict[str, Recording] = {}
        is_whole = content.startswith(_HEAD)
        self._stop = start = len(_HEAD) if is_whole else 0
        self._is_line_ended = True
        while start < len(content):
            newline = content.find(b"\n", start)
            stop = len(content) if newline < 0 else newline
            recording = _decoded(content[start:stop])
            if recording is not None:
                known = recordings.get(recording.sha256)
                if known is None or recording.version >= known.version:
                    recordings[recording.sha256] = recording
            elif newline >= 0:
                is_whole = False
            if recording is not None or newline >= 0:
                self._stop, self._is_line_ended = min(stop + 1, len(content)), newline >= 0
            start = stop + 1
        return Read(recordings, is_whole)

    def append(self, recording: Recording, *, is_synced: bool) -> None:
        """Write down what a recording is now.

        Args:
            recording: After the change.
            is_synced: Whether it survives a power cut as soon as this returns; else some seconds later.
        """
        data = _line(recording) if self._is_line_ended else b"\n" + _line(recording)
        file = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            if os.fstat(file).st_size < self._stop:
                raise OSError(errno.EIO, "somebody else has cut it off", str(self._path))
            os.ftruncate(file, self._stop)
            _write_all(file, data, self._stop)
            if is_synced:
                os.fsync(file)
        finally:
            os.close(file)
        self._stop += len(data)
        self._is_line_ended = True

    def rewrite(self, recordings: Iterable[Recording]) -> None:
        """Begin anew with these and nothing else; until that is on the disk the old one stays."""
        data = _HEAD + b"".join(map(_line, recordings))
        new = self._path.with_name(self._path.name + _NEW)
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            _write_all(file, data, 0)
            os.fsync(file)
        finally:
            os.close(file)
        new.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._stop = self._compact_bytes = len(data)
        self._is_line_ended = True


def _line(recording: Recording) -> bytes:
    document = msgspec.json.encode(recording)
    return b"%08x %b\n" % (zlib.crc32(document), document)


def _decoded(line: bytes) -> Recording | None:
    document = line[_CRC_DIGITS + 1 :]
    if line[: -len(document)] != b"%08x " % zlib.crc32(document):
        return None
    try:
        return msgspec.json.decode(document, type=Recording)
    except ValueError:
        return None


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written

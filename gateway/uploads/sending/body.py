"""The body of one upload, made while it is sent, and held back before its end.

A body without its end is no JSON, so whoever has not got that has got nothing. Therefore the end leaves only after two
things: the bytes that were read are the ones that were taken over, and it is on the disk that the cloud may have them
from now on.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path

from gateway.cloud.uploading import Stream
from gateway.uploads.report import ProgressReport
from gateway.uploads.sending.progress import Progress
from gateway.worker import Worker
from insiders_codecs.asi import BLOCK_BYTES, AsiBody, body_size

_PIECE_S = 0.25
_SMALLEST_PIECE = 1024
"""With a cap, as much leaves at once as it allows in so long: the line is not taken and given back by turns."""


class CorruptError(Exception):
    """The file is not what was taken over; its text says why, as a clause."""


class Body:
    """One recording on its way.

    Attributes:
        has_begun: Whether anything may have left, or been written down for that.
        has_ended: Whether the end may have left; if not, the cloud has got nothing.
        failure: What was in the way here, and not at the cloud's end; None if nothing was.
    """

    def __init__(
        self,
        path: Path,
        size: int,
        sha256: str,
        worker: Worker,
        *,
        begin: Callable[[], Awaitable[object]],
        close: Callable[[], Awaitable[object]],
        max_bytes_per_s: float | None = None,
    ) -> None:
        """Nothing is read before it is asked for.

        Args:
            path: Where the file is.
            size: Bytes that it shall have.
            sha256: Of those.
            worker: The thread that reads.
            begin: Called before anything leaves, each time if it is sent again; what it raises keeps everything here.
            close: The same before the end leaves.
            max_bytes_per_s: What may leave; None if as much as is taken.
        """
        self.has_begun = False
        self.has_ended = False
        self.failure: Exception | None = None
        self.stream = Stream(body_size(size), self._blocks)
        self._path, self._size, self._sha256 = path, size, sha256
        self._worker = worker
        self._begin, self._close = begin, close
        self._max_bytes_per_s = max_bytes_per_s
        self._free_s = 0.0
        self._now = asyncio.get_running_loop().time
        self._progress = Progress(size, self._now())

    def progress(self) -> ProgressReport:
        """How far it has left."""
        return self._progress.report(self._now())

    async def _blocks(self) -> AsyncGenerator[bytes, None]:
        # If it is sent once more, what was sent before was refused.
        self.has_ended = False
        self._progress = Progress(self._size, self._now())
        try:
            reader = _Reader(self._path, self._size)
            await self._worker.run(reader.check)
            self.has_begun = True
            await self._begin()
            yield reader.encoder.head()
            while reader.offset < self._size:
                offset = reader.offset
                encoded = await self._worker.run(reader.next)
                for piece, left in self._pieces(encoded):
                    await self._allowed(len(piece))
                    yield piece
                    self._progress.moved(reader.offset - left * (reader.offset - offset) // len(encoded), self._now())
            if reader.hash.hexdigest() != self._sha256:
                raise CorruptError("its bytes have changed on the card")
            await self._close()
            end = reader.encoder.end()
        except Exception as error:
            self.failure = error
            raise
        self.has_ended = True
        yield end
        self._progress.moved(self._size, self._now())

    def _pieces(self, encoded: bytes) -> Iterator[tuple[bytes, int]]:
        """What becomes of a block, as large as may leave at once, each with how much of it is then still here."""
        per_s = self._max_bytes_per_s
        step = max(len(encoded), 1) if per_s is None else max(_SMALLEST_PIECE, int(per_s * _PIECE_S))
        for start in range(0, len(encoded), step):
            piece = encoded[start : start + step]
            yield piece, len(encoded) - start - len(piece)

    async def _allowed(self, size: int) -> None:
        if self._max_bytes_per_s is not None:
            await asyncio.sleep(self._free_s - self._now())
            self._free_s = max(self._free_s, self._now()) + size / self._max_bytes_per_s


class _Reader:
    """Reads the file, in the worker's thread; opened for each block anew, so that nothing has to be closed."""

    def __init__(self, path: Path, size: int) -> None:
        self.encoder = AsiBody()
        self.hash = hashlib.sha256()
        self.offset = 0
        self._path, self._size = path, size

    def check(self) -> None:
        """See whether it is there, and as long as it shall be.

        Raises:
            FileNotFoundError: If it is not there.
            CorruptError: If it is not as long.
        """
        found = self._path.lstat().st_size
        if found != self._size:
            raise CorruptError(f"it has {found} bytes instead of {self._size}")

    def next(self) -> bytes:
        """What its next block becomes."""
        file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            block = os.pread(file, min(BLOCK_BYTES, self._size - self.offset), self.offset)
        finally:
            os.close(file)
        if not block:
            raise CorruptError("it has become shorter")
        self.offset += len(block)
        self.hash.update(block)
        return self.encoder.feed(block)

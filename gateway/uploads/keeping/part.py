"""A file on its way into the spool: written and hashed block by block, and there as a whole or not at all."""

import hashlib
import logging
import os
import re
import secrets
from typing import Self

from gateway.uploads.keeping.room import Claim, Stock

_LOG = logging.getLogger(__name__)

HEAD_BYTES = 16

IS_PART = re.compile(r"\.[0-9a-f]{16}\.part").fullmatch
"""What the files are called meanwhile."""

_SYNC_BYTES = 64 << 20
"""A card takes that within seconds. If all of a large file were left to one fsync, whatever else waits for the same
card would wait for minutes."""

_STEP_BYTES = 8 << 20
"""For how much more room is looked when a file becomes larger than was said."""


class Part:
    """A file on its way: made by `with`, and gone at the end of that unless it was committed.

    Attributes:
        head: Its first bytes, `HEAD_BYTES` at most.
    """

    def __init__(self, stock: Stock, promised_bytes: int) -> None:
        """Touches nothing yet."""
        self.head = b""
        self._stock = stock
        self._claim = Claim(part_name(), promised_bytes)
        self._path = stock.folder / self._claim.name
        self._hash = hashlib.sha256()
        self._unsynced_bytes = 0
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Make it.

        Raises:
            NoRoomError: If there is no room for it.
            OSError: If it cannot be made.
        """
        # Before its file is there: who puts the folder in order meanwhile must know whose it is.
        self._stock.claims.add(self._claim)
        try:
            self._stock.check(self._claim.promised_bytes, besides=self._claim)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:
            self._stock.claims.discard(self._claim)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._close()
            if self._claim in self._stock.claims:
                self._path.unlink(missing_ok=True)
        except OSError:
            _LOG.warning(
                "A file that was not taken to its end cannot be removed; that is tried again at the next start"
            )
        self._stock.claims.discard(self._claim)

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return self._claim.written_bytes

    @property
    def sha256(self) -> str:
        """Of what was written."""
        return self._hash.hexdigest()

    def write(self, block: bytes) -> None:
        """Append to it.

        Raises:
            NoRoomError: If it becomes larger than there is room for.
            OSError: If it cannot be written.
        """
        claim = self._claim
        if claim.awaited_bytes < len(block):
            claim.promised_bytes = claim.written_bytes + len(block) + _STEP_BYTES
            self._stock.check(claim.awaited_bytes, besides=claim)
        view = memoryview(block)
        while view:
            view = view[os.write(self._opened, view) :]
        self._hash.update(block)
        self.head += block[: HEAD_BYTES - len(self.head)]
        claim.written_bytes += len(block)
        self._unsynced_bytes += len(block)
        if self._unsynced_bytes >= _SYNC_BYTES:
            os.fdatasync(self._opened)
            self._unsynced_bytes = 0

    def commit(self) -> str:
        """Give it its name; when this returns, it survives a power cut.

        A failed fsync is never tried again on the same file: by then the system has forgotten what it has not written.

        Returns:
            Its SHA-256.
        """
        sha256 = self.sha256
        os.fsync(self._opened)
        self._close()
        with self._stock.lock:
            self._claim.taken_as = sha256
            # What may be there has the same bytes, or is damaged.
            self._path.rename(self._stock.folder / file_name(sha256))
            self._stock.sizes[sha256] = self.size
        folder = os.open(self._stock.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return sha256

    @property
    def _opened(self) -> int:
        if self._file is None:
            raise ValueError("outside of its 'with'")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


def part_name() -> str:
    """A name for a file that is not there as a whole yet."""
    return f".{secrets.token_hex(8)}.part"


def file_name(sha256: str) -> str:
    """The name of a recording's file."""
    return f"{sha256}.asi"

"""The room that recordings have on a disk that is not theirs alone."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from gateway.store import StoreError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a disk says when it is full."""

_SCARCE_BYTES = 8 << 20
_RESERVE_INODES = 16
_SHARE_PERCENT = 80
_MB = 1_000_000


class NoRoomError(StoreError):
    """There is no room for a recording; nothing is wrong with the disk."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much room there is.

    Attributes:
        used_bytes: What lies in the folder, and is being copied into it.
        free_bytes: On that disk.
        free_inodes: On that disk; None if it does not count them.
        max_bytes: What may lie in the folder, as somebody has set it.
        reserve_bytes: What is left to others on that disk.
    """

    used_bytes: int
    free_bytes: int
    free_inodes: int | None
    max_bytes: int
    reserve_bytes: int

    @property
    def limit_bytes(self) -> int:
        """What may lie in the folder, as the disk is now; never less than what does."""
        with_free = self.used_bytes + self.free_bytes - self.reserve_bytes
        return max(self.used_bytes, min(self.max_bytes, self._share_bytes, with_free))

    @property
    def is_scarce(self) -> bool:
        """Whether there may be too little even for what puts things right: the log of the database, a new journal."""
        return self.free_bytes < _SCARCE_BYTES or self.free_inodes == 0

    def shortage(self, wanted_bytes: int) -> tuple[str, str] | None:
        """Why there is no room for so many bytes more, as a clause, and what to do; None if there is."""
        if self.free_bytes - self.reserve_bytes < wanted_bytes:
            how = "full" if self.free_bytes <= self.reserve_bytes else "almost full"
            kept = f"{_mb(self.free_bytes)} free, and {_mb(self.reserve_bytes)} are kept in reserve"
            return f"the disk is {how} ({kept})", "delete other files, or get a larger card"
        if self.max_bytes - self.used_bytes < wanted_bytes:
            used = f"{_mb(self.used_bytes)} are used, and spool_max_mb is {_mb(self.max_bytes)}"
            return used, "wait until some are done and deleted, or raise spool_max_mb"
        if self._share_bytes - self.used_bytes < wanted_bytes:
            used = f"{_mb(self.used_bytes)} are used, {_SHARE_PERCENT} % of what others leave of the disk"
            return used, "wait until some are done and deleted, delete other files, or get a larger card"
        if self.free_inodes is not None and self.free_inodes < _RESERVE_INODES:
            return "the disk can hold no more files", "delete what is not needed there"
        return None

    @property
    def _share_bytes(self) -> int:
        return (self.used_bytes + self.free_bytes) * _SHARE_PERCENT // 100


@dataclass(slots=True, eq=False)
class Claim:
    """What a file that is being taken will need.

    Attributes:
        name: Of the file meanwhile.
        promised_bytes: What it will have, as far as that is known.
        written_bytes: What it has.
        taken_as: Its SHA-256 as soon as it may be in the folder by that name; "" before.
    """

    name: str
    promised_bytes: int
    written_bytes: int = 0
    taken_as: str = ""

    @property
    def awaited_bytes(self) -> int:
        """What will still come."""
        return 0 if self.taken_as else max(self.promised_bytes - self.written_bytes, 0)


class Stock:
    """What is in the folder, and what is about to be; for several threads.

    Attributes:
        folder: Where.
        sizes: SHA-256 -> bytes of what is there.
        claims: Of the files that are being taken.
        lock: Held while a file gets its name or is deleted.
    """

    def __init__(self, folder: Path, max_bytes: int, reserve_bytes: int) -> None:
        self.folder = folder
        self.sizes: dict[str, int] = {}
        self.claims: set[Claim] = set()
        self.lock = Lock()
        self._max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes

    def room(self) -> Room:
        """How much room there is."""
        disk = os.statvfs(self.folder)
        copied = sum(claim.written_bytes for claim in tuple(self.claims) if not claim.taken_as)
        used = sum(tuple(self.sizes.values())) + copied
        free_inodes = disk.f_favail if disk.f_files else None
        return Room(used, disk.f_bavail * disk.f_frsize, free_inodes, self._max_bytes, self._reserve_bytes)

    def check(self, size: int, besides: Claim | None = None) -> None:
        """See whether there is room for so many bytes, besides what was promised to others.

        Args:
            size: Of what is not there yet.
            besides: The claim that they are for.

        Raises:
            NoRoomError: If not.
        """
        awaited = sum(claim.awaited_bytes for claim in tuple(self.claims) if claim is not besides)
        if (shortage := self.room().shortage(size + awaited)) is not None:
            why, action = shortage
            raise NoRoomError(f"There is no room for {size / _MB:.1f} MB: {why}", action)


def _mb(size: int) -> str:
    return f"{size / _MB:.{0 if size >= 10 * _MB else 1}f} MB" if size else "0 B"

"""The room that recordings have on a disk that is not theirs alone."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from gateway.store import StoreError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a disk says when it is full."""

_RESERVE_INODES = 16
_LIMIT_PERCENT = 80
_MB = 1_000_000


class NoRoomError(StoreError):
    """There is no room for a recording; nothing is wrong with the disk."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much room there is.

    Attributes:
        used_bytes: What lies in the folder, and is being copied into it.
        limit_bytes: What may.
        free_bytes: On that disk.
        free_inodes: On that disk; None if it does not count them.
    """

    used_bytes: int
    limit_bytes: int
    free_bytes: int
    free_inodes: int | None


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
        free = disk.f_bavail * disk.f_frsize
        limit = min(self._max_bytes, (used + free) * _LIMIT_PERCENT // 100)
        return Room(used, limit, free, disk.f_favail if disk.f_files else None)

    def check(self, size: int, besides: Claim | None = None) -> None:
        """See whether there is room for so many bytes, besides what was promised to others.

        Args:
            size: Of what is not there yet.
            besides: The claim that they are for.

        Raises:
            NoRoomError: If not.
        """
        room = self.room()
        wanted = size + sum(claim.awaited_bytes for claim in tuple(self.claims) if claim is not besides)
        if room.used_bytes + wanted > room.limit_bytes:
            used, limit = room.used_bytes / _MB, room.limit_bytes / _MB
            text = f"There is no room for {size / _MB:.1f} MB: {used:.0f} of {limit:.0f} MB for recordings are used"
            raise NoRoomError(text, "wait until some are done and deleted, raise spool_max_mb, or get a larger card")
        if room.free_bytes < wanted + self._reserve_bytes:
            text = f"There is no room for {size / _MB:.1f} MB: the disk has {room.free_bytes / _MB:.0f} MB free"
            raise NoRoomError(text, "delete what is not needed there")
        if room.free_inodes is not None and room.free_inodes < _RESERVE_INODES:
            raise NoRoomError("The disk can hold no more files", "delete what is not needed there")

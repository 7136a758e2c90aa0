"""The folder of the recordings themselves: exact bytes, each file named by their SHA-256.

Everything here waits for the disk and belongs into a worker's thread; several threads may use it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.uploads.keeping.part import IS_PART, Part, file_name, part_name
from gateway.uploads.keeping.room import FULL, NoRoomError, Room, Stock

__all__ = ["FOLDER", "FULL", "STRAYS", "Found", "NoRoomError", "Part", "Room", "Spool"]

FOLDER = "recordings"
"""In the state folder."""

BALLAST_BYTES = 16 << 20
RESERVE_BYTES = 64 << 20

STRAYS = "strays"
"""In that folder: where things go that do not belong there."""

_BLOCK_BYTES = 4 << 20
_BALLAST = "ballast"
_OTHERS = frozenset({_BALLAST, STRAYS, "lost+found"})
_JOURNAL = "journal"
"""So begins what the ledger keeps here."""

_is_recording = re.compile(r"([0-9a-f]{64})\.asi").fullmatch


@dataclass(frozen=True, slots=True)
class Found:
    """What was in the folder.

    Attributes:
        files: SHA-256 by which they are named -> bytes; they were not read.
        strays: Things that are no recordings, and were moved aside.
    """

    files: Mapping[str, int]
    strays: int


class Spool:
    """The folder. Whatever fails raises OSError."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        ballast_bytes: int = BALLAST_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        """Touches nothing yet.

        Args:
            folder: Where.
            max_bytes: What may lie there, 80 % of what is there and free at most.
            ballast_bytes: Of a file that is given up when the disk is full, so that there is room to put things right.
            reserve_bytes: What is left to others when a recording is taken.
        """
        self.folder = folder
        self._ballast = folder / _BALLAST
        self._ballast_bytes = ballast_bytes
        self._reserve_bytes = reserve_bytes
        self._stock = Stock(folder, max_bytes, reserve_bytes)

    def open(self) -> Found:
        """Make the folder and put it in order: half-taken files go, and what does not belong there is moved aside.

        May be done again while it is in use.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # What is there is known even where nothing can be written.
        with self._stock.lock:
            files, parts, strays = self._looked_through()
            self._stock.sizes = files
        self.folder.chmod(0o700)
        for part in parts:
            part.unlink(missing_ok=True)
        try:
            self.probe()
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.give_up_ballast()
            self.probe()
        for name in strays:
            self._move_aside(name)
        self.restore_ballast()
        return Found(dict(files), len(strays))

    def probe(self) -> None:
        """Try whether what is written stays."""
        path = self.folder / part_name()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.write(file, b"probe")
            os.fsync(file)
        finally:
            os.close(file)
            path.unlink()

    def part(self, size: int | None) -> Part:
        """A new file, from `with` on.

        Args:
            size: Bytes that it will have; None if that is not known.
        """
        return Part(self._stock, size or 0)

    def path(self, sha256: str) -> Path:
        """Where a recording is, if it is there."""
        return self.folder / file_name(sha256)

    def blocks(self, sha256: str) -> Iterator[bytes]:
        """What is really in a file, so much at a time that a card has it within a second or two."""
        file = os.open(self.path(sha256), os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(file, "rb", buffering=0) as opened:
            while block := opened.read(_BLOCK_BYTES):
                yield block

    def remove(self, sha256: str) -> None:
        """Delete a file, if it is there, and was not just taken (again) so that its row is about to be written.

        Not synced: one that comes back after a power cut is deleted at the start.
        """
        with self._stock.lock:
            if not any(claim.taken_as == sha256 for claim in tuple(self._stock.claims)):
                self.path(sha256).unlink(missing_ok=True)
                self._stock.sizes.pop(sha256, None)

    def room(self) -> Room:
        """How much room there is."""
        return self._stock.room()

    def give_up_ballast(self) -> None:
        """Make room on a full disk for what puts things right."""
        self._ballast.unlink(missing_ok=True)

    def restore_ballast(self) -> None:
        """Make the ballast, unless it is there or there is too little room."""
        with suppress(FileNotFoundError):
            if self._ballast.lstat().st_size == self._ballast_bytes:
                return
            self._ballast.unlink()
        if self.room().free_bytes < self._ballast_bytes + self._reserve_bytes:
            return
        file = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(file, 0, self._ballast_bytes)
        except OSError:
            self.give_up_ballast()
            raise
        finally:
            os.close(file)

    def _looked_through(self) -> tuple[dict[str, int], list[Path], list[str]]:
        """The recordings with their sizes, what was left half-taken, and what does not belong here."""
        files: dict[str, int] = {}
        parts: list[Path] = []
        strays: list[str] = []
        being_taken = {claim.name for claim in tuple(self._stock.claims)}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                is_file = entry.is_file(follow_symlinks=False)
                if is_file and (match := _is_recording(entry.name)):
                    files[match[1]] = entry.stat(follow_symlinks=False).st_size
                elif is_file and IS_PART(entry.name):
                    if entry.name not in being_taken:
                        parts.append(Path(entry))
                elif entry.name not in _OTHERS and not entry.name.startswith(_JOURNAL):
                    strays.append(entry.name)
        return files, parts, strays

    def _move_aside(self, name: str) -> None:
        strays = self.folder / STRAYS
        strays.mkdir(mode=0o700, exist_ok=True)
        number, aside = 0, strays / name
        while os.path.lexists(aside):
            number += 1
            aside = strays / f"{name}.{number}"
        (self.folder / name).rename(aside)

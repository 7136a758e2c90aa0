"""What was taken back while the database took nothing: a small file, made while there is room, that keeps it.

It is overwritten in place, so that a full disk does not stop it. Of each name there is only a hash, in a slot of its
own: what is half written is nobody's, and harms no other.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from gateway.store import Store

__all__ = ["SLOTS", "Tombstones"]

_LOG = logging.getLogger(__name__)

SLOTS = 2048
_SLOT_BYTES = 16
_EMPTY = bytes(_SLOT_BYTES)


class Tombstones:
    """Names that must not be back after a restart, until the database knows it."""

    def __init__(self, store: Store, name: str) -> None:
        """Make it know none; `load` reads the file.

        Args:
            store: Beside whose database the file is, and in whose thread it is written.
            name: Of the file.
        """
        self._store = store
        self._name = name
        self._marks: frozenset[bytes] = frozenset()
        self._is_failing = False

    def __contains__(self, name: str) -> bool:
        """Whether a name is in the file."""
        return _mark(name) in self._marks

    async def load(self) -> None:
        """Read the file, or make it; where that fails it keeps nothing, which whoever asks it to finds out."""
        await self._do(_opened)

    async def add(self, names: Iterable[str]) -> None:
        """Keep names, as far as the disk lets us: those that then are in it."""
        marks = frozenset(map(_mark, names)) - self._marks
        if marks:
            await self._do(lambda path: _added(path, marks))

    async def clear(self) -> None:
        """Forget all: the database knows them."""
        if self._marks:
            marks, self._marks = self._marks, frozenset()  # whoever adds one of them meanwhile adds it anew
            if not await self._do(_cleared):
                self._marks |= marks

    async def _do(self, job: Callable[[Path], frozenset[bytes]]) -> bool:
        def took(marks: frozenset[bytes]) -> None:
            self._marks = marks

        try:
            await self._store.beside(lambda folder: job(folder / self._name), took)
        except OSError:
            if not self._is_failing:
                _LOG.warning("What is taken back cannot be kept beside a database that fails")
            self._is_failing = True
            return False
        self._is_failing = False
        return True


def _mark(name: str) -> bytes:
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=_SLOT_BYTES).digest()


def _opened(path: Path) -> frozenset[bytes]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        missing = SLOTS * _SLOT_BYTES - os.fstat(file).st_size
        if missing > 0:  # zeros that are written, and not only promised: a full disk takes others in their place
            os.pwrite(file, bytes(missing), SLOTS * _SLOT_BYTES - missing)
            os.fsync(file)
        return frozenset(_slots(file)) - {_EMPTY}
    finally:
        os.close(file)


def _added(path: Path, marks: frozenset[bytes]) -> frozenset[bytes]:
    def changes(slots: list[bytes]) -> Iterable[tuple[int, bytes]]:
        free = (at for at, mark in enumerate(slots) if mark == _EMPTY)
        return zip(free, marks.difference(slots), strict=False)

    return _changed(path, changes)


def _cleared(path: Path) -> frozenset[bytes]:
    return _changed(path, lambda slots: ((at, _EMPTY) for at, it in enumerate(slots) if it != _EMPTY))


def _changed(path: Path, changes: Callable[[list[bytes]], Iterable[tuple[int, bytes]]]) -> frozenset[bytes]:
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        slots = _slots(file)
        for at, mark in list(changes(slots)):
            os.pwrite(file, mark, at * _SLOT_BYTES)
        os.fsync(file)
        return frozenset(_slots(file)) - {_EMPTY}
    finally:
        os.close(file)


def _slots(file: int) -> list[bytes]:
    data = os.pread(file, SLOTS * _SLOT_BYTES, 0)
    return [data[at : at + _SLOT_BYTES].ljust(_SLOT_BYTES, b"\0") for at in range(0, len(data), _SLOT_BYTES)]

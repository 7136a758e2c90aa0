"""The memories of the trackers, changed step by step: at once for those who ask, and on the disk as soon as that works.

An intent is the exception: it holds only once it is on the disk, because what is sent next may be the last thing that
this process does. For all else a disk that is slow or gone keeps nobody waiting: until it is there the intent is, and
a reading leads to the same again.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from msgspec.structs import replace

from gateway.pairing.approval import Approval
from gateway.pairing.keeping.events import Event, event
from gateway.pairing.memory import Memory
from gateway.pairing.reconciling.remembering import Happening, without_intent
from gateway.store import StoreError

_LOG = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""How long the disk may take for an intent before the write is given up; and for the last words of this process."""

AGAIN_S = 10.0
"""How soon a disk that did not work is tried again."""

MOST_EVENTS = 1000
"""As many wait for a disk that does not work; then the oldest go."""

_NOTHING = Memory()


class Book(Protocol):
    """The part of the records that is written here."""

    @property
    def memories(self) -> Mapping[str, Memory]:
        """What is on the disk, by serial number."""

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """What persons have approved."""

    async def remember_all(self, memories: Mapping[str, Memory], events: Iterable[Event] = ()) -> None:
        """Put on the disk what differs in memories; raises `StoreError`."""

    async def begin(self, approval: str) -> None:
        """An approval is being used; raises `StoreError`."""


class Journal:
    """Of all trackers."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._owed: dict[str, dict[str, Any]] = {}  # by serial number: fields of the memory
        self._events: list[Event] = []
        self._saving = asyncio.Lock()
        self._is_owing = asyncio.Event()

    def memory(self, serial_number: str) -> Memory:
        """What is remembered of a tracker, on the disk or not yet."""
        stored = self._book.memories.get(serial_number, _NOTHING)
        owed = self._owed.get(serial_number)
        return stored if owed is None else replace(stored, **owed)

    async def intend(self, serial_number: str, memory: Memory) -> None:
        """Remember an intent.

        Raises:
            StoreError: If it is not on the disk in time; nothing may be sent.
        """
        self._owe(serial_number, memory)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._save()
        except (StoreError, TimeoutError) as error:
            self.note(serial_number, without_intent(self.memory(serial_number)))
            raise StoreError("The disk does not take what is about to be done", "wait, or replace the card") from error

    async def begin(self, approval: str) -> None:
        """An approval is being used, so it does not expire any more; raises `StoreError`."""
        if any(known.hash == approval and not known.has_begun for known in self._book.approvals):
            await self._book.begin(approval)

    def note(self, serial_number: str, memory: Memory, happened: Sequence[Happening] = (), now_ms: int = 0) -> None:
        """Remember what has become of a tracker, and what has happened at a time, epoch ms."""
        self._owe(serial_number, memory)
        self._events += [event(serial_number, it.slot, it.reason, it.text, now_ms) for it in happened]
        del self._events[:-MOST_EVENTS]
        if self._owed or self._events:
            self._is_owing.set()

    async def run(self) -> None:
        """Put on the disk what is not there, until cancelled."""
        try:
            while True:
                await self._is_owing.wait()
                self._is_owing.clear()
                try:
                    await self._save()
                except StoreError:  # it says so itself
                    await self._wait()
                except Exception:  # noqa: BLE001 - the edge of a task: trackers are read all the same
                    _LOG.exception("Unexpected failure of the disk, it is tried again")
                    await self._wait()
        finally:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await self._save()

    async def _wait(self) -> None:
        self._is_owing.set()
        await asyncio.sleep(AGAIN_S)

    def _owe(self, serial_number: str, memory: Memory) -> None:
        known = self.memory(serial_number)
        changed = {name: value for name, value in _fields(memory).items() if value != getattr(known, name)}
        if changed:
            self._owed[serial_number] = {**self._owed.get(serial_number, {}), **changed}

    async def _save(self) -> None:
        """All that is owed by now, in one transaction: a card is written to as rarely as can be."""
        async with self._saving:
            owed, events = dict(self._owed), tuple(self._events)
            if not owed and not events:
                return
            await self._book.remember_all({serial: self.memory(serial) for serial in owed}, events)
            saved = set(map(id, events))
            self._events = [known for known in self._events if id(known) not in saved]
            for serial, fields in owed.items():
                later = self._owed.pop(serial)
                left = {name: it for name, it in later.items() if name not in fields or it is not fields[name]}
                if left:
                    self._owed[serial] = left


def _fields(memory: Memory) -> dict[str, Any]:
    return {name: getattr(memory, name) for name in Memory.__struct_fields__}

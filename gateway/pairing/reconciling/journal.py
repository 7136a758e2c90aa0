"""The memories of the trackers, changed step by step: at once for those who ask, and on the disk as soon as that works.

An intent is the exception: it holds only once it is on the disk, because what is sent next may be the last thing that
this process does. For all else a disk that is slow or gone keeps nobody waiting: until it is there the intent is, and
a reading leads to the same again.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from msgspec.structs import replace

from gateway.pairing.approval import Approval
from gateway.pairing.keeping.events import Event, event
from gateway.pairing.memory import Memory
from gateway.pairing.reconciling.remembering import Happening, without_intent
from gateway.store import StoreError

INTEND_S = 10.0
"""How long an intent waits for the disk before it is given up."""

AGAIN_S = 10.0
"""How soon a disk that did not work is tried again."""

_MOST_EVENTS = 50
_NOTHING = Memory()


class Book(Protocol):
    """The part of the records that is written here."""

    @property
    def memories(self) -> Mapping[str, Memory]:
        """What is on the disk, by serial number."""

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """What persons have approved."""

    async def remember(self, serial_number: str, memory: Memory, events: Iterable[Event] = ()) -> None:
        """Put on the disk what differs in a memory; raises `StoreError`."""

    async def begin(self, approval: str) -> None:
        """An approval is being used; raises `StoreError`."""


class Journal:
    """Of all trackers."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._owed: dict[str, dict[str, Any]] = {}
        self._events: dict[str, list[Event]] = {}
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
            StoreError: If it is not on the disk; nothing may be sent.
        """
        self._owe(serial_number, memory)
        try:
            async with asyncio.timeout(INTEND_S):
                await self._save(serial_number)
        except (StoreError, TimeoutError) as error:
            self.note(serial_number, without_intent(self.memory(serial_number)))
            raise StoreError("The disk did not take what is about to be done", "see what else is said of it") from error

    async def begin(self, approval: str) -> None:
        """An approval is being used, so it does not expire any more; raises `StoreError`."""
        if any(known.hash == approval and not known.has_begun for known in self._book.approvals):
            await self._book.begin(approval)

    def note(self, serial_number: str, memory: Memory, happened: Sequence[Happening] = (), now_ms: int = 0) -> None:
        """Remember what has become of a tracker, and what has happened at a time, epoch ms."""
        self._owe(serial_number, memory)
        events = [event(serial_number, it.slot, it.reason, it.text, now_ms) for it in happened]
        if events:
            self._events[serial_number] = [*self._events.get(serial_number, ()), *events][-_MOST_EVENTS:]
        if self._owed or self._events:
            self._is_owing.set()

    async def run(self) -> None:
        """Put on the disk what is not there, until cancelled."""
        try:
            while True:
                await self._is_owing.wait()
                self._is_owing.clear()
                await self._settle()
                if self._owed or self._events:
                    self._is_owing.set()
                    await asyncio.sleep(AGAIN_S)
        finally:
            await self._settle()

    async def _settle(self) -> None:
        with suppress(StoreError):  # the store says so itself
            for serial_number in {*self._owed, *self._events}:
                await self._save(serial_number)

    def _owe(self, serial_number: str, memory: Memory) -> None:
        known = self.memory(serial_number)
        changed = {name: value for name, value in _fields(memory).items() if value != getattr(known, name)}
        if changed:
            self._owed[serial_number] = {**self._owed.get(serial_number, {}), **changed}

    async def _save(self, serial_number: str) -> None:
        async with self._saving:
            owed, events = self._owed.get(serial_number, {}), tuple(self._events.get(serial_number, ()))
            if owed or events:
                await self._book.remember(serial_number, self.memory(serial_number), events)
            later = self._owed.get(serial_number, {})
            left = {name: value for name, value in later.items() if name not in owed or value is not owed[name]}
            _put(self._owed, serial_number, left)
            _put(self._events, serial_number, self._events.get(serial_number, [])[len(events) :])


def _fields(memory: Memory) -> dict[str, Any]:
    return {name: getattr(memory, name) for name in Memory.__struct_fields__}


def _put(place: dict[str, Any], serial_number: str, left: Any) -> None:
    if left:
        place[serial_number] = left
    else:
        place.pop(serial_number, None)

"""The memories of the trackers, changed step by step: at once for those who ask, and on the disk as soon as that works.

An intent is the exception: it holds only once it is on the disk, because what is sent next may be the last thing that
this process does.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from msgspec.structs import replace

from gateway.pairing.approval import Approval
from gateway.pairing.events import Event, event
from gateway.pairing.memory import Memory
from gateway.pairing.remembering import Happening, without_intent
from gateway.store import StoreError

_MOST_EVENTS = 50


class Book(Protocol):
    """The part of the records that is written here."""

    @property
    def memories(self) -> Mapping[str, Memory]:
        """What is on the disk, by serial number."""

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """What persons have approved."""

    async def remember(self, serial_number: str, memory: Memory, events: Iterable[Event] = ()) -> None:
        """Put a memory on the disk; raises `StoreError`."""

    async def begin(self, approval: str) -> None:
        """An approval is being used; raises `StoreError`."""


class Journal:
    """Of all trackers."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._owed: dict[str, dict[str, Any]] = {}
        self._events: dict[str, list[Event]] = {}
        self._lock = asyncio.Lock()

    def memory(self, serial_number: str) -> Memory:
        """What is remembered of a tracker, on the disk or not yet."""
        return replace(self._book.memories.get(serial_number, Memory()), **self._owed.get(serial_number, {}))

    async def intend(self, serial_number: str, memory: Memory) -> None:
        """Remember an intent.

        Raises:
            StoreError: If it is not on the disk; nothing may be sent.
        """
        self._owe(serial_number, memory)
        try:
            await self._save(serial_number)
        except StoreError:
            self._owe(serial_number, without_intent(self.memory(serial_number)))
            raise

    async def note(self, serial_number: str, memory: Memory, happened: Sequence[Happening], now_ms: int) -> None:
        """Remember what has become of a tracker; if the disk does not work, `settle` puts it there later."""
        self._owe(serial_number, memory)
        events = [event(serial_number, it.slot, it.reason, it.text, now_ms) for it in happened]
        if events:
            self._events[serial_number] = [*self._events.get(serial_number, ()), *events][-_MOST_EVENTS:]
        with suppress(StoreError):  # the store says so itself, and nothing is lost as long as this process lives
            await self._save(serial_number)

    async def begin(self, approval: str) -> None:
        """An approval is being used, so it does not expire any more; raises `StoreError`."""
        if any(known.hash == approval and not known.has_begun for known in self._book.approvals):
            await self._book.begin(approval)

    async def settle(self) -> None:
        """Put on the disk what could not be put there before."""
        with suppress(StoreError):
            for serial_number in {*self._owed, *self._events}:
                await self._save(serial_number)

    def _owe(self, serial_number: str, memory: Memory) -> None:
        known = self.memory(serial_number)
        changed = {name: value for name, value in _fields(memory).items() if value != getattr(known, name)}
        if changed:
            self._owed[serial_number] = {**self._owed.get(serial_number, {}), **changed}

    async def _save(self, serial_number: str) -> None:
        async with self._lock:
            owed, events = self._owed.get(serial_number, {}), tuple(self._events.get(serial_number, ()))
            if not owed and not events:
                return
            await self._book.remember(serial_number, self.memory(serial_number), events)
            left = {
                name: value for name, value in self._owed.get(serial_number, {}).items() if value is not owed.get(name)
            }
            later = self._events.get(serial_number, [])[len(events) :]
            _put(self._owed, serial_number, left)
            _put(self._events, serial_number, later)


def _fields(memory: Memory) -> dict[str, Any]:
    return {name: getattr(memory, name) for name in Memory.__struct_fields__}


def _put(place: dict[str, Any], serial_number: str, left: Any) -> None:
    if left:
        place[serial_number] = left
    else:
        place.pop(serial_number, None)

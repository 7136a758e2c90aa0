"""What the pairings must not forget, kept in the store: in memory stands what is on the disk, and nothing else."""

import asyncio
import logging
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from gateway.pairing.approval import Approval
from gateway.pairing.desired import Desired
from gateway.pairing.keeping import events as log
from gateway.pairing.keeping.chronicle import Mark, Marks
from gateway.pairing.keeping.events import Event, merged_all
from gateway.pairing.keeping.settling import settled
from gateway.pairing.memory import Memory, Suspension
from gateway.store import Connection, Store, StoreError

_LOG = logging.getLogger(__name__)

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS pairing_record (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    document BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
{log.SCHEMA}
"""

FLUSH_S = 10.0
"""How long what has happened may wait in memory; a card is written to as rarely as can be."""

MEND_S = 60.0
PRUNE_S = 3600.0

PENDING_EVENTS = 1000
"""How many events wait for a disk that does not work; then the oldest go."""

_DESIRED, _MEMORY, _APPROVALS, _PAUSE, _MARKS = "desired", "memory", "approvals", "pause", "marks"
_TYPES: Mapping[str, Any] = {
    _DESIRED: Desired,
    _MEMORY: Memory,
    _APPROVALS: tuple[Approval, ...],
    _PAUSE: Suspension | None,
    _MARKS: dict[str, Mark],
}

_Documents = Mapping[tuple[str, str], Any]
"""By kind and key: the serial number, or "" for what is the fleet's."""


class _Amended(NamedTuple):
    before: Memory
    after: Memory


class _Begun(NamedTuple):
    approval: str


_NO_MEMORY = Memory()


class Records:
    """Desired documents, memories, approvals and the pause of the fleet; and what has happened.

    Attributes:
        rejected: How many records of the store could not be understood; they count as never written.
        events_lost: How many events were dropped because they could not be kept.
    """

    def __init__(self, store: Store) -> None:
        """Make it know nothing; `load` reads the store."""
        self.rejected = 0
        self.events_lost = 0
        self._store = store
        self._is_loaded = False
        # The one of the store since which what is in memory is known to be on the disk; None while it is not.
        self._opening: int | None = None
        self._documents: dict[str, dict[str, Any]] = {kind: {} for kind in _TYPES}
        self._configured: tuple[Mapping[str, Desired], Sequence[str]] | None = None
        self._events: deque[Event] = deque()
        self._unsaved_marks: dict[str, Marks] = {}

    @property
    def desired(self) -> Mapping[str, Desired]:
        """What is wanted, by serial number."""
        return MappingProxyType(self._documents[_DESIRED])

    @property
    def memories(self) -> Mapping[str, Memory]:
        """What is remembered, by serial number."""
        return MappingProxyType(self._documents[_MEMORY])

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """What persons have approved."""
        approvals: tuple[Approval, ...] = self._documents[_APPROVALS].get("", ())
        return approvals

    @property
    def pause(self) -> Suspension | None:
        """Who has stopped all writes; None if nobody has."""
        pause: Suspension | None = self._documents[_PAUSE].get("")
        return pause

    @property
    def marks(self) -> Mapping[str, Marks]:
        """Since when each condition was what it was."""
        return MappingProxyType(self._documents[_MARKS])

    @property
    def is_working(self) -> bool:
        """Whether what is written down stays so."""
        return self._opening == self._store.openings and self._store.trouble is None

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing can be changed now; None if it can."""
        if self.is_working:
            return None
        return self._store.trouble or StoreError(
            "The pairings were not read from the disk yet", "try again in a minute"
        )

    @property
    def damage(self) -> StoreError | None:
        """What of the past is lost, until a person has seen to it; None if nothing is."""
        if self._store.damage:
            return StoreError(
                f"The store of the pairings was damaged and begun anew; what is left of it is {self._store.damage}",
                "import the team's list, or adopt what the cloud has, then remove that folder",
            )
        if self.rejected:
            return StoreError(
                f"{self.rejected} records of the pairings were damaged and count as never written",
                "look through `insiders-gateway pair list`, and set again what is missing",
            )
        return None

    async def load(self) -> None:
        """Read the store; where that fails nothing is known, and `is_working` is false."""
        opening = self._store.openings
        try:
            documents, self.rejected = await self._store.read(_load)
        except StoreError as error:
            _LOG.warning("Pairings cannot be read: %(text)s", {"text": str(error)})
            return
        for kind in self._documents:
            self._documents[kind].clear()
        self._apply(documents)
        self._is_loaded = True
        self._opening = opening if self._store.trouble is None else None
        if self.rejected:
            _LOG.error(
                "%(count)s records of the pairings are damaged and count as never written", {"count": self.rejected}
            )

    async def settle(self, configured: Mapping[str, Desired], roster: Sequence[str], now_ms: int) -> None:
        """Take over what the configuration wants; where it cannot be written, it is wanted all the same.

        Args:
            configured: What it wants of the trackers that it manages.
            roster: All trackers.
            now_ms: Now, epoch ms.
        """
        self._configured = configured, roster
        desired, events = settled(self.desired, configured, len(roster), now_ms)
        if not desired:
            return
        try:
            await self.set_desired(desired, events)
        except StoreError:
            self._opening = None
            self._apply({(_DESIRED, serial): wanted for serial, wanted in desired.items()})

    async def set_desired(self, desired: Mapping[str, Desired], events: Iterable[Event] = ()) -> None:
        """Want something of trackers, all of it or nothing; generations are counted here.

        Raises:
            StoreError: If it could not be kept; then nothing has changed. As for all that follow.
        """
        await self._write({(_DESIRED, serial): wanted for serial, wanted in desired.items()}, events)

    async def remember(self, serial_number: str, memory: Memory, events: Iterable[Event] = ()) -> None:
        """Remember this of a tracker: what differs from what is remembered at the time of the call.

        What somebody else is writing of it meanwhile stays, so nobody has to wait for anybody.
        """
        await self.remember_all({serial_number: memory}, events)

    async def remember_all(self, memories: Mapping[str, Memory], events: Iterable[Event] = ()) -> None:
        """The same of several trackers, in one transaction."""
        amended = {
            (_MEMORY, serial): _Amended(self.memories.get(serial, _NO_MEMORY), memory)
            for serial, memory in memories.items()
        }
        await self._write(amended, events)

    async def set_approvals(self, approvals: tuple[Approval, ...], events: Iterable[Event] = ()) -> None:
        """These are all approvals from now on."""
        await self._write({(_APPROVALS, ""): approvals}, events)

    async def begin(self, approval: str) -> None:
        """Something of the approval with this hash is being written; from now on it does not expire."""
        await self._write({(_APPROVALS, ""): _Begun(approval)}, ())

    async def set_pause(self, pause: Suspension | None, events: Iterable[Event] = ()) -> None:
        """Stop all writes, or let them go on."""
        await self._write({(_PAUSE, ""): pause}, events)

    async def events(self, serial_number: str) -> list[Event]:
        """What has happened to a tracker, newest first; where the store cannot be read, what has happened lately."""
        waiting = [event for event in self._events if event.serial_number == serial_number]
        try:
            kept = await self._store.read(lambda connection: log.events_of(connection, serial_number))
        except StoreError:
            kept = []
        return sorted(merged_all([*kept, *waiting]), key=lambda event: event.last_ms)[::-1]

    def note(self, events: Iterable[Event]) -> None:
        """Keep what has happened; it may wait for some seconds."""
        self._events = deque(merged_all([*self._events, *events]))
        while len(self._events) > PENDING_EVENTS:
            self._events.popleft()
            self.events_lost += 1

    def mark(self, serial_number: str, marks: Marks) -> None:
        """Keep since when a tracker's conditions are what they are; it may wait for some seconds."""
        self._unsaved_marks[serial_number] = marks

    async def flush(self) -> None:
        """Write down what waits; where that fails it goes on waiting."""
        events, marks = tuple(self._events), self._unsaved_marks
        if not events and not marks:
            return
        self._events, self._unsaved_marks = deque(), {}
        try:
            await self._write({(_MARKS, serial): dict(mark) for serial, mark in marks.items()}, events)
        except StoreError:
            later, self._events = self._events, deque(events)
            self.note(later)
            self._unsaved_marks = {**marks, **self._unsaved_marks}

    async def mend(self, now_ms: int) -> None:
        """Where something is wrong with the disk, try again, and make it the same as memory; now is epoch ms."""
        if not await self._store.mend() or self._opening == self._store.openings:
            return
        if not self._is_loaded:
            await self.load()
            if self._configured is not None:
                await self.settle(*self._configured, now_ms)
            return
        # All of it: the database may be a new one, and what failed to be written may be there nevertheless.
        opening = self._store.openings
        documents = {(kind, key): document for kind, of in self._documents.items() for key, document in of.items()}
        try:
            await self._store.write(lambda connection: _put(connection, documents))
        except StoreError as error:
            _LOG.warning("Pairings cannot be written: %(text)s", {"text": str(error)})
            return
        self._opening = opening

    async def run(self, utc_ms: Callable[[], int], is_clock_sure: Callable[[], bool]) -> None:
        """Write down what waits, mend, and drop what is old, until cancelled. It waits for the disk: no watchdog."""
        now = asyncio.get_running_loop().time
        mend_s, prune_s = now() + MEND_S, now()
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                await self.flush()
                if now() >= mend_s:
                    await self.mend(utc_ms())
                    mend_s = now() + MEND_S
                if now() >= prune_s and is_clock_sure() and self.is_working:
                    await self._prune(utc_ms())
                    prune_s = now() + PRUNE_S
        finally:
            await self.flush()

    async def _prune(self, now_ms: int) -> None:
        try:
            await self._store.write(lambda connection: log.prune(connection, now_ms))
        except StoreError as error:
            _LOG.warning("Old events of the pairings cannot be dropped: %(text)s", {"text": str(error)})

    async def _write(self, documents: _Documents, events: Iterable[Event]) -> None:
        trouble = self.trouble
        if trouble is not None:
            raise StoreError(trouble.text, trouble.action)
        noted = tuple(events)
        await self._store.write(lambda connection: _save(connection, documents, noted), self._apply)

    def _apply(self, documents: _Documents) -> None:
        for (kind, key), document in documents.items():
            self._documents[kind][key] = document


def _load(connection: Connection) -> tuple[_Documents, int]:
    documents: dict[tuple[str, str], Any] = {}
    rejected = 0
    for kind, key, document, checksum in connection.execute("SELECT kind, key, document, checksum FROM pairing_record"):
        try:
            documents[kind, key] = _decoded(kind, document, checksum)
        except (KeyError, ValueError, TypeError):
            rejected += 1
    return documents, rejected


def _save(connection: Connection, documents: _Documents, events: Iterable[Event]) -> _Documents:
    saved = {(kind, key): _current(connection, kind, key, document) for (kind, key), document in documents.items()}
    _put(connection, saved)
    log.note(connection, events)
    return saved


def _put(connection: Connection, documents: _Documents) -> None:
    for (kind, key), document in documents.items():
        encoded = msgspec.json.encode(document)
        connection.execute(
            "INSERT OR REPLACE INTO pairing_record VALUES (?, ?, ?, ?)", (kind, key, encoded, _checksum(encoded))
        )


def _current(connection: Connection, kind: str, key: str, document: Any) -> Any:
    """What is to be written, made from what is on the disk now: two who write at the same time both count."""
    match document:
        case Desired():
            return document.after(_stored(connection, kind, key) or Desired())
        case _Amended(before, after):
            names = (name for name in Memory.__struct_fields__ if getattr(after, name) != getattr(before, name))
            stored = _stored(connection, kind, key) or before
            return msgspec.structs.replace(stored, **{name: getattr(after, name) for name in names})
        case _Begun(approval):
            approvals: tuple[Approval, ...] = _stored(connection, kind, key) or ()
            return tuple(
                msgspec.structs.replace(known, has_begun=True) if known.hash == approval else known
                for known in approvals
            )
    return document


def _stored(connection: Connection, kind: str, key: str) -> Any:
    row = connection.execute(
        "SELECT document, checksum FROM pairing_record WHERE kind = ? AND key = ?", (kind, key)
    ).fetchone()
    with suppress(ValueError):
        return None if row is None else _decoded(kind, *row)
    return None


def _decoded(kind: str, document: bytes, checksum: int) -> Any:
    if _checksum(document) != checksum:
        raise ValueError("damaged")
    return msgspec.json.decode(document, type=_TYPES[kind])


def _checksum(document: bytes) -> int:
    return zlib.crc32(document)

"""What the pairings must not forget, kept in the store: in memory it is what is on the disk, and never ahead of it."""

import logging
import zlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from gateway.pairing.approval import Approval
from gateway.pairing.desired import Basis, Desired, Origin
from gateway.pairing.documents import Wish
from gateway.pairing.events import KEPT_MS, MERGED_MS, Event, event
from gateway.pairing.memory import Memory, Suspension
from gateway.store import Connection, Store, StoreError

_LOG = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS pairing_record (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    document BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
CREATE TABLE IF NOT EXISTS pairing_event (
    id INTEGER PRIMARY KEY,
    serial_number TEXT NOT NULL,
    slot TEXT,
    reason TEXT NOT NULL,
    text TEXT NOT NULL,
    author TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS pairing_event_of ON pairing_event (serial_number, last_ms);
"""

BULK_TRACKERS, BULK_SHARE = 5, 0.2
"""A list that changes more trackers than this, or a larger share of the fleet, has to be looked at by a person."""

_DESIRED, _MEMORY, _APPROVALS, _PAUSE = "desired", "memory", "approvals", "pause"
_FORMS: Mapping[str, Any] = {
    _DESIRED: Desired,
    _MEMORY: Memory,
    _APPROVALS: tuple[Approval, ...],
    _PAUSE: Suspension | None,
}


class Records:
    """Desired documents, memories, approvals and the pause of the fleet; and what has happened."""

    def __init__(self, store: Store) -> None:
        """Make it know nothing; `load` reads the store."""
        self._store = store
        self._is_loaded = False
        self._desired: dict[str, Desired] = {}
        self._memories: dict[str, Memory] = {}
        self._approvals: tuple[Approval, ...] = ()
        self._pause: Suspension | None = None

    @property
    def desired(self) -> Mapping[str, Desired]:
        """What is wanted, by serial number."""
        return MappingProxyType(self._desired)

    @property
    def memories(self) -> Mapping[str, Memory]:
        """What is remembered, by serial number."""
        return MappingProxyType(self._memories)

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """What persons have approved."""
        return self._approvals

    @property
    def pause(self) -> Suspension | None:
        """Who has stopped all writes; None if nobody has."""
        return self._pause

    @property
    def is_working(self) -> bool:
        """Whether what is written down stays so."""
        return self._is_loaded and self._store.trouble is None

    async def load(self) -> None:
        """Read the store; where that fails nothing is known, and `is_working` is false."""
        try:
            documents = await self._store.read(_load)
        except StoreError as error:
            _LOG.warning("Pairings: %s", error)
            return
        self._apply(documents)
        self._is_loaded = True

    async def set_desired(self, desired: Mapping[str, Desired], events: Iterable[Event] = ()) -> None:
        """Want something of trackers, all of it or nothing; generations are counted here.

        Raises:
            StoreError: If it could not be kept; then nothing has changed.
        """
        await self._write({(_DESIRED, serial): wanted for serial, wanted in desired.items()}, events)

    async def remember(self, serial_number: str, memory: Memory, events: Iterable[Event] = ()) -> None:
        """Remember this of a tracker: what differs from what is remembered at the time of the call.

        What somebody else is writing of it meanwhile stays; so nobody has to wait for anybody.

        Raises:
            StoreError: If it could not be kept; then nothing has changed.
        """
        amended = _Amended(self._memories.get(serial_number, Memory()), memory)
        await self._write({(_MEMORY, serial_number): amended}, events)

    async def set_approvals(self, approvals: tuple[Approval, ...], events: Iterable[Event] = ()) -> None:
        """These are all approvals from now on; raises `StoreError`."""
        await self._write({(_APPROVALS, ""): approvals}, events)

    async def set_pause(self, pause: Suspension | None, events: Iterable[Event] = ()) -> None:
        """Stop all writes, or let them go on; raises `StoreError`."""
        await self._write({(_PAUSE, ""): pause}, events)

    async def note(self, events: Iterable[Event]) -> None:
        """Keep what has happened; raises `StoreError`."""
        await self._write({}, events)

    async def events(self, serial_number: str) -> list[Event]:
        """What has happened to a tracker, newest first; raises `StoreError`."""
        return await self._store.read(lambda connection: _events(connection, serial_number))

    async def settle(self, configured: Mapping[str, Desired], roster: Sequence[str], now_ms: int) -> None:
        """Take over what the configuration wants.

        Args:
            configured: What it wants of the trackers that it manages.
            roster: All trackers.
            now_ms: Now, epoch ms.
        """
        desired, events = settled(self._desired, configured, len(roster), now_ms)
        if not desired:
            return
        try:
            await self.set_desired(desired, events)
        except StoreError:
            self._desired.update(desired)

    async def _write(self, documents: Mapping[tuple[str, str], Any], events: Iterable[Event]) -> None:
        if not self._is_loaded:
            raise self._store.trouble or StoreError("The pairings were not read yet", "try again in a minute")
        noted = tuple(events)
        await self._store.write(lambda connection: _save(connection, documents, noted), self._apply)

    def _apply(self, documents: Mapping[tuple[str, str], Any]) -> None:
        for (kind, key), document in documents.items():
            if kind == _DESIRED:
                self._desired[key] = document
            elif kind == _MEMORY:
                self._memories[key] = document
            elif kind == _APPROVALS:
                self._approvals = document
            else:
                self._pause = document


def is_bulk(changed: int, fleet: int) -> bool:
    """Whether so many trackers change at once that a person has to look at them all."""
    return changed > BULK_TRACKERS or (changed > 1 and changed > BULK_SHARE * fleet)


def settled(
    stored: Mapping[str, Desired], configured: Mapping[str, Desired], fleet: int, now_ms: int
) -> tuple[dict[str, Desired], list[Event]]:
    """What becomes different when the configuration is taken over, and what is to be told of it.

    Args:
        stored: What was wanted until now.
        configured: What the configuration wants of the trackers that it manages.
        fleet: How many trackers there are.
        now_ms: Now, epoch ms.
    """
    changed = {
        serial
        for serial, wanted in configured.items()
        if serial not in stored or stored[serial].origin is not Origin.FILE or not wanted.is_same_as(stored[serial])
    }
    bulk = is_bulk(sum(not configured[s].is_same_as(stored.get(s, Desired())) for s in changed), fleet)
    desired: dict[str, Desired] = {}
    events: list[Event] = []
    for serial in configured:
        if serial in changed:
            desired[serial] = msgspec.structs.replace(
                configured[serial], origin=Origin.FILE, basis=Basis.FILE, at_ms=now_ms, is_bulk=bulk
            ).after(stored.get(serial, Desired()))
            events.append(event(serial, None, "Configured", "The configuration wants something else of it", now_ms))
    for serial, wanted in stored.items():
        if wanted.origin is Origin.FILE and serial not in configured:
            left = Desired(Wish.UNMANAGED, Wish.UNMANAGED, basis=Basis.FILE, at_ms=now_ms)
            desired[serial] = left.after(wanted)
            events.append(
                event(serial, None, "Left", "The configuration no longer says what it shall listen to", now_ms)
            )
    return desired, events


def _load(connection: Connection) -> dict[tuple[str, str], Any]:
    documents = {}
    for kind, key, document, checksum in connection.execute("SELECT kind, key, document, checksum FROM pairing_record"):
        if kind in _FORMS and zlib.crc32(document) == checksum:
            documents[kind, key] = msgspec.json.decode(document, type=_FORMS[kind])
    return documents


def _save(
    connection: Connection, documents: Mapping[tuple[str, str], Any], events: Iterable[Event]
) -> dict[tuple[str, str], Any]:
    saved: dict[tuple[str, str], Any] = {}
    for (kind, key), document in documents.items():
        if kind == _DESIRED:
            saved[kind, key] = _counted(connection, key, document)
        elif kind == _MEMORY:
            saved[kind, key] = _amended(connection, key, document)
        else:
            saved[kind, key] = document
        encoded = msgspec.json.encode(saved[kind, key])
        connection.execute(
            "INSERT OR REPLACE INTO pairing_record VALUES (?, ?, ?, ?)", (kind, key, encoded, zlib.crc32(encoded))
        )
    for noted in events:
        _note(connection, noted)
    return saved


def _counted(connection: Connection, serial_number: str, wanted: Desired) -> Desired:
    """With the generation that follows that on the disk, so that two who want something at once do not share one."""
    stored = _load(connection).get((_DESIRED, serial_number), Desired())
    return wanted.after(stored)


class _Amended(NamedTuple):
    before: Memory
    after: Memory


def _amended(connection: Connection, serial_number: str, memory: _Amended) -> Memory:
    """What is on the disk, with what was changed: a person may suspend a tracker while a write of it is journaled."""
    stored: Memory = _load(connection).get((_MEMORY, serial_number), memory.before)
    names = (name for name in Memory.__struct_fields__ if getattr(memory.after, name) != getattr(memory.before, name))
    return msgspec.structs.replace(stored, **{name: getattr(memory.after, name) for name in names})


def _note(connection: Connection, noted: Event) -> None:
    merged = connection.execute(
        "UPDATE pairing_event SET count = count + ?, last_ms = MAX(last_ms, ?), text = ? WHERE id = ("
        "SELECT id FROM pairing_event WHERE serial_number = ? AND slot IS ? AND reason = ? AND author = ?"
        " AND ABS(? - last_ms) <= ? ORDER BY last_ms DESC LIMIT 1)",
        (
            noted.count,
            noted.last_ms,
            noted.text,
            noted.serial_number,
            noted.slot,
            noted.reason,
            noted.author,
            noted.first_ms,
            MERGED_MS,
        ),
    )
    if not merged.rowcount:
        connection.execute(
            "INSERT INTO pairing_event (serial_number, slot, reason, text, author, count, first_ms, last_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            msgspec.structs.astuple(noted),
        )
    connection.execute("DELETE FROM pairing_event WHERE last_ms < ?", (noted.last_ms - KEPT_MS,))


def _events(connection: Connection, serial_number: str) -> list[Event]:
    rows = connection.execute(
        "SELECT serial_number, slot, reason, text, author, count, first_ms, last_ms FROM pairing_event"
        " WHERE serial_number = ? ORDER BY last_ms DESC, id DESC",
        (serial_number,),
    )
    return [msgspec.convert(dict(zip(Event.__struct_fields__, row, strict=True)), Event) for row in rows]

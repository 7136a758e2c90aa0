"""What has happened to the trackers' pairings, for people to read: repeats are counted and not listed."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from gateway.pairing.conditions import ConditionType, Reason
from gateway.pairing.documents import Slot
from gateway.store import Connection

SCHEMA = """
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

MERGED_MS = 300_000
"""What happens again within this long after the last time is the same event, once more."""

CHATTER_MERGED_MS = 3_600_000
"""The same for what the radio and the live data say: it comes and goes with the athletes."""

KEPT_MS = 30 * 86_400_000
KEPT_EVENTS = 1000
"""Of one tracker, however young they are: a card is small."""

CHATTER = frozenset(
    {
        *(ConditionType.SENSOR_SEEN, ConditionType.SENSOR_DELIVERING, ConditionType.SENSOR_MATCHED),
        *(Reason.HELD_BY_TRACKER, Reason.NO_ADAPTER, Reason.ADAPTER_DEGRADED, Reason.SCANNER_QUIET),
        *(Reason.JUST_LISTENING, Reason.NEVER_SEEN, Reason.SEEN_STALE, Reason.NEW_ADDRESS),
        *(Reason.AMBIGUOUS_NEIGHBOURS, Reason.NO_DATA, Reason.FLAT_ZERO, Reason.TRACKER_OFFLINE),
        *(Reason.IN_USE_ELSEWHERE, Reason.NOT_BROADCASTING, Reason.TOO_LITTLE, Reason.ON_OTHER_TRACKER),
        *(Reason.ON_NO_TRACKER, Reason.NOT_RELEASED),
    }
)

_COMES_AND_GOES = CHATTER | {
    *(ConditionType.CLOUD_REACHABLE, Reason.OFFLINE, Reason.AUTH_FAILED, Reason.RATE_LIMITED),
    *(Reason.SERVER_ERROR, Reason.BAD_ANSWER),
}
"""What happens by itself, so often that only its last words are of interest. Of all else each is: who wanted what."""


class Event(Struct, frozen=True):
    """One thing, or the same one several times in a row.

    Attributes:
        serial_number: Of the tracker.
        slot: Which; None if it is about the tracker.
        reason: What, a short word.
        text: One sentence without full stop.
        author: Who did it; "" if nobody in particular.
        count: How often.
        first_ms, last_ms: When first and last, epoch ms.
    """

    serial_number: str
    slot: Slot | None
    reason: str
    text: str
    author: str
    count: int
    first_ms: int
    last_ms: int


def event(serial_number: str, slot: Slot | None, reason: str, text: str, now_ms: int, author: str = "") -> Event:
    """Something that happens now."""
    return Event(serial_number, slot, reason, text, author, 1, now_ms, now_ms)


def merged(event: Event, later: Event) -> Event | None:
    """The two as one; None if they are two."""
    window_ms = CHATTER_MERGED_MS if event.reason in CHATTER else MERGED_MS
    # Either way round: the wall clock may have been set back meanwhile.
    if not _is_same(event, later) or abs(later.first_ms - event.last_ms) > window_ms:
        return None
    return msgspec.structs.replace(
        event, text=later.text, count=event.count + later.count, last_ms=max(event.last_ms, later.last_ms)
    )


def merged_all(events: Iterable[Event]) -> list[Event]:
    """Events in the order in which they came, each with those that it is one with."""
    newest: dict[tuple[str, Slot | None, str, str], int] = {}
    result: list[Event] = []
    for event in events:
        index = newest.get(_key(event))
        both = None if index is None else merged(result[index], event)
        if both is None or index is None:
            newest[_key(event)] = len(result)
            result.append(event)
        else:
            result[index] = both
    return result


def note(connection: Connection, events: Iterable[Event]) -> None:
    """Keep events, each merged with the last of its kind."""
    serials = set()
    for event in events:
        serials.add(event.serial_number)
        last = connection.execute(
            f"SELECT id, {_COLUMNS} FROM pairing_event"  # noqa: S608 - a constant
            " WHERE serial_number = ? AND slot IS ? AND reason = ? AND author = ? ORDER BY id DESC LIMIT 1",
            _key(event),
        ).fetchone()
        both = None if last is None else merged(_event(last[1:]), event)
        if last is not None and both is not None:
            connection.execute(
                "UPDATE pairing_event SET text = ?, count = ?, last_ms = ? WHERE id = ?",
                (both.text, both.count, both.last_ms, last[0]),
            )
        else:
            connection.execute(
                f"INSERT INTO pairing_event ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                msgspec.structs.astuple(event),
            )
    for serial in serials:
        connection.execute(
            "DELETE FROM pairing_event WHERE id IN (SELECT id FROM pairing_event WHERE serial_number = ?"
            " ORDER BY last_ms DESC, id DESC LIMIT -1 OFFSET ?)",
            (serial, KEPT_EVENTS),
        )


def prune(connection: Connection, now_ms: int) -> None:
    """Drop what is too old; only with a clock that is right."""
    connection.execute("DELETE FROM pairing_event WHERE last_ms < ?", (now_ms - KEPT_MS,))


def events_of(connection: Connection, serial_number: str) -> list[Event]:
    """What was kept of a tracker, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM pairing_event WHERE serial_number = ? ORDER BY last_ms, id",  # noqa: S608 - a constant
        (serial_number,),
    )
    return [_event(row) for row in rows]


_COLUMNS = ", ".join(Event.__struct_fields__)


def _key(event: Event) -> tuple[str, Slot | None, str, str]:
    return event.serial_number, event.slot, event.reason, event.author


def _is_same(event: Event, later: Event) -> bool:
    return _key(event) == _key(later) and (event.text == later.text or event.reason in _COMES_AND_GOES)


def _event(row: Iterable[object]) -> Event:
    return msgspec.convert(dict(zip(Event.__struct_fields__, row, strict=True)), Event)

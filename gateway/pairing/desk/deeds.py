"""What persons did, as events."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from gateway.pairing.desired import Desired
from gateway.pairing.documents import Slot, Wanted, Wish
from gateway.pairing.keeping.events import Event, event
from gateway.pairing.planning.sentences import called


class Deed(StrEnum):
    """What was done; the reason of the event."""

    WANTED = "Wanted"
    IMPORTED = "Imported"
    ADOPTED = "Adopted"
    REAPPLIED = "Reapplied"
    APPROVED = "Approved"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    RETRIED = "Retried"


_TEXTS = {
    Deed.REAPPLIED: "The same is wanted again, against what somebody else has changed",
    Deed.APPROVED: "The changes were approved",
    Deed.SUSPENDED: "The changes were stopped",
    Deed.RESUMED: "The changes may go on",
    Deed.RETRIED: "It shall be tried again",
}


def wanted(deed: Deed, before: Mapping[str, Desired], changed: Mapping[str, Desired]) -> list[Event]:
    """Something else is wanted of trackers, or the same once more.

    Args:
        deed: How it came about.
        before: What was wanted, by serial number.
        changed: What is wanted now, with who wants it, why and since when.
    """
    events: list[Event] = []
    for serial, desired in changed.items():
        words, at_ms, author = _because(desired.reason), desired.at_ms, desired.author
        different = [slot for slot in Slot if desired[slot] != before[serial][slot]]
        events += [event(serial, slot, deed, _wish(desired[slot], slot) + words, at_ms, author) for slot in different]
        if not different:
            events.append(event(serial, None, Deed.REAPPLIED, _TEXTS[Deed.REAPPLIED] + words, at_ms, author))
    return events


def done(deed: Deed, serial_numbers: Iterable[str], now_ms: int, author: str, reason: str = "") -> list[Event]:
    """Something was done about trackers."""
    return [event(serial, None, deed, _TEXTS[deed] + _because(reason), now_ms, author) for serial in serial_numbers]


def _wish(wanted: Wanted, slot: Slot) -> str:
    if wanted is Wish.UNMANAGED:
        return f"The {slot.label} is left alone from now on"
    sensor = called(None if isinstance(wanted, Wish) else wanted, slot)
    return f"{sensor[:1].upper()}{sensor[1:]} is wanted"


def _because(reason: str) -> str:
    return f' ("{reason}")' if reason else ""

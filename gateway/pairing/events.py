"""What has happened to a tracker's pairings, for people to read."""

from msgspec import Struct

from gateway.pairing.documents import Slot

MERGED_MS = 300_000
"""What happens again within this long after the last time is the same event, counted."""

KEPT_MS = 30 * 86_400_000


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

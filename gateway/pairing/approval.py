"""What a person has approved: certain changes, bound to the hash of exactly these."""

from msgspec import Struct

from gateway.pairing.documents import Sensor, Slot


class Change(Struct, frozen=True):
    """What would become different in one slot of one target.

    Attributes:
        serial_number: Of the tracker.
        slot: Which.
        before: The sensor in the target now; None if there is none.
        after: The sensor that is desired; None if none is.
        generation: Of what is desired.
    """

    serial_number: str
    slot: Slot
    before: Sensor | None
    after: Sensor | None
    generation: int


class Approval(Struct, frozen=True):
    """A person's consent to some changes.

    Attributes:
        hash: Of the changes.
        changes: What was approved.
        author: Who.
        at_ms: When, epoch ms.
        expires_ms: Until when it must have begun, epoch ms.
        has_begun: Whether something of it was written; from then on it does not expire.
        is_during_session: Whether it may be done while athletes train.
        is_immediate: Whether the trackers are told at once.
        is_unconfirmed_ok: Whether not to wait until a tracker confirms that it has let a sensor go.
    """

    hash: str
    changes: tuple[Change, ...]
    author: str
    at_ms: int
    expires_ms: int
    has_begun: bool = False
    is_during_session: bool = False
    is_immediate: bool = False
    is_unconfirmed_ok: bool = False

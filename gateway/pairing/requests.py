"""What people may ask of the pairings, and how they are refused."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.pairing.documents import Sensor, Wanted, Wish


class Refusal(StrEnum):
    """Why something that a person asked for is not done."""

    BAD_MESSAGE = "bad_message"  # it contradicts itself, or asks for nothing
    UNKNOWN_TRACKER = "unknown_tracker"
    FILE_MANAGED = "file_managed"  # the configuration is the only place to change it
    SUSPENDED = "suspended"
    SESSION_RUNNING = "session_running"  # say `during_session` to do it all the same
    SENSOR_TAKEN = "sensor_taken"  # another tracker's; a list with both of them can exchange them
    INVALID_SENSOR = "invalid_sensor"
    NOTHING_TO_DO = "nothing_to_do"
    GENERATION_CHANGED = "generation_changed"  # something else is wanted than what this one knew of
    PLAN_CHANGED = "plan_changed"  # this hash is not, or no longer, what is to change
    NOT_READ_YET = "not_read_yet"
    STORE_FAILED = "store_failed"


class PairingRefused(Exception):  # noqa: N818 - a refusal is mostly no error
    """Something that cannot be done; its text says what to do.

    Attributes:
        code: Why.
        facts: What a program may want to know of that: `serial_number` of the other tracker, `session_until_ms`.
    """

    def __init__(self, code: Refusal, text: str, **facts: str | int) -> None:
        super().__init__(text)
        self.code = code
        self.facts = facts


MAX_WORDS = 200
"""Characters of somebody's reason that are kept."""

_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"

_ONE_LINE = "on one line, {} characters at most, without control characters"

Author = Annotated[str, Meta(max_length=80, pattern=_PRINTABLE, description=f"a name {_ONE_LINE.format(80)}")]
Words = Annotated[
    str, Meta(max_length=MAX_WORDS, pattern=_PRINTABLE, description=f"a text {_ONE_LINE.format(MAX_WORDS)}")
]
Generation = Annotated[int, Meta(ge=0)]


class SensorRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sensor as somebody asks for it: its address in any form; what is missing is refused with a sentence later.

    Not the sensor that is kept and told: of that one, what a later version adds is ignored, and here it is refused.
    """

    address: str = ""
    name: str = ""


Asked = SensorRequest | Wish
"""A sensor, "none", or "unmanaged"."""


def asked(wanted: Wanted) -> Asked:
    """What somebody asks for who wants this."""
    return SensorRequest(wanted.address, wanted.name) if isinstance(wanted, Sensor) else wanted


class SetRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Want something of one tracker; a slot that is not named stays as it is.

    Attributes:
        heart_rate, power: What.
        generation: Only if what is wanted now has this one.
        author: Who wants it; counts only where the gateway does not know who asks.
        reason: Why, in their words.
        is_scanned: Whether the sensor was held to the gateway.
        immediate: Tell the tracker at once, not when it starts next.
        during_session: Though athletes train.
    """

    heart_rate: Asked | UnsetType = UNSET
    power: Asked | UnsetType = UNSET
    generation: Generation | UnsetType = UNSET
    author: Author = ""
    reason: Words = ""
    is_scanned: bool = False
    immediate: bool = False
    during_session: bool = False


class EntryRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wanted of one tracker, in a list; `generation` as in `SetRequest`."""

    serial_number: str
    heart_rate: Asked
    power: Asked
    generation: Generation | UnsetType = UNSET


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Want something of several trackers, all of it or nothing; trackers that are not named stay as they are.

    Attributes:
        trackers: What, of each.
        author, reason, immediate, during_session: As in `SetRequest`.
        dry_run: Only answer what would be refused, or would be to change then.
    """

    trackers: tuple[EntryRequest, ...]
    author: Author = ""
    reason: Words = ""
    immediate: bool = False
    during_session: bool = False
    dry_run: bool = False


class ApplyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Approve changes.

    Attributes:
        approve: Hash of a group of changes, or of all of them.
        author: Who approves; counts only where the gateway does not know who asks.
        immediate: Tell the trackers at once.
        during_session: Though athletes train.
        unconfirmed: Do not wait until a tracker confirms that it has let a sensor go.
    """

    approve: str
    author: Author = ""
    immediate: bool = False
    during_session: bool = False
    unconfirmed: bool = False


class PersonRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adopt, suspend, resume, retry.

    Attributes:
        author: Who wants it; counts only where the gateway does not know who asks.
        reason: Why, in their words.
    """

    author: Author = ""
    reason: Words = ""

"""Everything that the plan is made from, as values: nothing in here moves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.pairing.approval import Approval
from gateway.pairing.desired import Desired
from gateway.pairing.documents import Documents, Slot
from gateway.pairing.memory import Memory, Suspension
from insiders_codecs.address import AddressKind


class Delivery(StrEnum):
    """Whether what a slot's sensor measures comes from a tracker."""

    FLOWING = "flowing"
    FLAT = "flat"  # the same value, or zero, for 30 s, while the athlete moves
    NOTHING = "nothing"
    TRACKER_SILENT = "tracker_silent"
    UNRELEASED = "unreleased"  # nobody listens to the tracker, because its athlete may not be shown


@dataclass(frozen=True, slots=True)
class Air:
    """What the gateway's radio knows of one sensor.

    Attributes:
        presence: "seen", "quiet", "gone" or "unknown", as everywhere that sensors are told.
        was_heard: Whether it was ever heard.
        silent_s: For how long it has not been heard; None if it never was.
        rssi_dbm: How strong it was when it was last heard.
        kind: "heart_rate", "power", "both" or "unknown"; None if it was never heard.
        address_kind: What its address promises; None if it was never heard.
        holder: Who has it, as everywhere that sensors are told.
        has_new_address: Whether it is in the air under another address than the tracker looks for.
        is_ambiguous: Whether two devices in the air tell the same ID.
        new_address: That address; None if it has none.
    """

    presence: str
    was_heard: bool = True
    silent_s: float | None = None
    rssi_dbm: int | None = None
    kind: str | None = None
    address_kind: AddressKind | None = None
    holder: str = "unknown"
    has_new_address: bool = False
    is_ambiguous: bool = False
    new_address: str | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """The cloud answers nobody.

    Attributes:
        text, action: Why, and what to do about that, one clause each.
    """

    text: str
    action: str


@dataclass(frozen=True, slots=True)
class Ears:
    """How the gateway's radio is.

    Attributes:
        state: A `RadioState` in words, "listening" among them.
        listening_s: For how long it has been listening; None if it is not.
        text, action: What is wrong with it, and what to do about that; "" if nothing is.
    """

    state: str = "disabled"
    listening_s: float | None = None
    text: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """Where the heart rate that a strap broadcasts is found.

    Attributes:
        serial_number: The tracker that sends the same; None if none does.
        confidence: 0 to 1: how well it fits, and how much better than the next best.
        seconds: On how many seconds that rests.
    """

    serial_number: str | None
    confidence: float
    seconds: int


class Trouble(StrEnum):
    """Why the last request about a tracker failed."""

    OFFLINE = "offline"
    AUTH = "auth"
    RATE_LIMITED = "rate_limited"
    FORBIDDEN = "forbidden"
    SERVER = "server"
    BAD_ANSWER = "bad_answer"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Observation:
    """One tracker at an instant.

    Attributes:
        serial_number: On its label.
        desired: What we want of it.
        memory: What is remembered of it.
        is_ours: Whether our account owns it in the cloud; None before that is known.
        documents: What the cloud said last; None if it never did since the gateway started.
        read_ago_s: How long ago; None if never.
        trouble: Why the last request failed; None if it succeeded.
        next_try_s: In how many seconds the next request may be sent after a failure; 0 if now.
        is_busy: Whether a write is in progress.
        busy_s: For how long.
        replans: How often in a row what was to be written was based on a target that had changed meanwhile.
        listened_s: For how long the gateway has been listening for its data.
        contact_ago_s: How long ago the tracker's newest data moved; None if never since the gateway started.
        contacts: How often it appeared anew since its target is not its current document, or last changed.
        waiting_s: For how long its target has not been its current document; None if it is, or nobody knows.
        still_s: For how long nothing of it has moved: what is desired, its documents, its contacts.
        delivery: What comes of each slot.
        air: What the radio knows of the sensor that counts for each slot: the desired one, else the current one.
        match: What was found of the broadcast of the strap in the heart-rate slot; None where there is none.
    """

    serial_number: str
    desired: Desired = field(default_factory=Desired)
    memory: Memory = field(default_factory=Memory)
    is_ours: bool | None = True
    documents: Documents | None = None
    read_ago_s: float | None = None
    trouble: Trouble | None = None
    next_try_s: float = 0.0
    is_busy: bool = False
    busy_s: float = 0.0
    replans: int = 0
    listened_s: float = math.inf
    contact_ago_s: float | None = None
    contacts: int = 0
    waiting_s: float | None = None
    still_s: float = 0.0
    delivery: Mapping[Slot, Delivery] = field(default_factory=dict)
    air: Mapping[Slot, Air] = field(default_factory=dict)
    match: Match | None = None

    @property
    def is_released(self) -> bool:
        """Whether its athlete may be shown; if not, nobody listens to it, and its silence says nothing."""
        return Delivery.UNRELEASED not in self.delivery.values()


class Mode(StrEnum):
    """What to do when somebody else has changed a target.

    OBSERVE: Say so.
    PROPOSE: Show what would change it back, and wait until a person approves that, or adopts the change.
    ENFORCE: Change it back.
    """

    OBSERVE = "observe"
    PROPOSE = "propose"
    ENFORCE = "enforce"


@dataclass(frozen=True, slots=True)
class Fleet:
    """All trackers at an instant.

    Attributes:
        trackers: Each of them, in the order of the roster.
        approvals: What persons have approved.
        mode: What to do about drift.
        pause: Who has stopped all writes.
        session_until_ms: Until when athletes are taken to train, epoch ms; None if they do not.
        is_clock_sure: Whether the wall clock can be trusted.
        is_store_working: Whether what is written down stays so.
        outage: Why the cloud answers nobody; None while it does.
        ears: The radio.
        now_ms: Now, epoch ms.
    """

    trackers: tuple[Observation, ...]
    approvals: tuple[Approval, ...] = ()
    mode: Mode = Mode.PROPOSE
    pause: Suspension | None = None
    session_until_ms: int | None = None
    is_clock_sure: bool = True
    is_store_working: bool = True
    outage: Outage | None = None
    ears: Ears = field(default_factory=Ears)
    now_ms: int = 0

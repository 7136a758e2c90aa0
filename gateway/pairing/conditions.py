"""What is true of one tracker's pairings: conditions, each with a reason from a closed set."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from gateway.pairing.documents import Slot


class Status(StrEnum):
    """Whether a condition holds."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


class ConditionType(StrEnum):
    """What is told of a tracker, and of each of its managed slots, in the order in which a person should care.

    READY: Of the tracker: current is as desired, no sensor has two owners, and all of it was read lately.
    SUSPENDED: Of the tracker: a person or a running session has stopped our writes.
    CLOUD_REACHABLE: Of the tracker: its documents were read lately.
    VALID: The sensor can be what is wanted: a stable address, the right kind.
    UNIQUE: No other slot of the fleet wants or has the sensor.
    APPROVED: Of the tracker: what is about to change may change.
    TARGET_ACCEPTED: The cloud has what we want.
    DEVICE_CONVERGED: The tracker has what the cloud has.
    SENSOR_SEEN: The gateway's radio hears the sensor, or its silence is explained.
    SENSOR_DELIVERING: The tracker sends what the sensor measures.
    SENSOR_MATCHED: What the sensor broadcasts is what this tracker sends.
    RECONCILING: Of the tracker: work is going on.
    STALLED: Of the tracker: nothing moves although everything is there.
    """

    READY = "Ready"
    SUSPENDED = "Suspended"
    CLOUD_REACHABLE = "CloudReachable"
    VALID = "Valid"
    UNIQUE = "Unique"
    APPROVED = "Approved"
    TARGET_ACCEPTED = "TargetAccepted"
    DEVICE_CONVERGED = "DeviceConverged"
    SENSOR_SEEN = "SensorSeen"
    SENSOR_DELIVERING = "SensorDelivering"
    SENSOR_MATCHED = "SensorMatched"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Reason(StrEnum):
    """Why a condition has its status; each owns a sentence and a next action."""

    # Everywhere that all is well, or there is nothing to say.
    OK = "Ok"
    UNMANAGED = "Unmanaged"
    NOT_READ_YET = "NotReadYet"
    # Suspended
    OPERATOR_SUSPEND = "OperatorSuspend"
    FLEET_PAUSE = "FleetPause"
    SESSION_LOCK = "SessionLock"
    DUPLICATE_CONTROLLER = "DuplicateController"
    STORE_FAILED = "StoreFailed"
    CLOCK_UNSYNCED = "ClockUnsynced"
    # CloudReachable
    OFFLINE = "Offline"
    AUTH_FAILED = "AuthFailed"
    CLOUD_AWAY = "CloudAway"  # it answers nobody, live data included
    RATE_LIMITED = "RateLimited"
    FORBIDDEN = "Forbidden"
    NOT_OURS = "NotOurs"
    SERVER_ERROR = "ServerError"
    BAD_ANSWER = "BadAnswer"
    # Valid
    BAD_MAC = "BadMac"
    NAME_MISSING = "NameMissing"
    PRIVATE_ROTATING_ADDRESS = "PrivateRotatingAddress"
    WRONG_SERVICE = "WrongService"
    # Unique
    DUPLICATE_DESIRED = "DuplicateDesired"
    HELD_BY_OTHER_TARGET = "HeldByOtherTarget"
    HELD_BY_OTHER_CURRENT = "HeldByOtherCurrent"
    AWAITING_RELEASE = "AwaitingRelease"  # a handover: the other is about to let it go
    FLEET_NOT_READ = "FleetNotRead"
    # Approved
    NOTHING_TO_APPROVE = "NothingToApprove"
    APPROVAL_NEEDED = "ApprovalNeeded"
    APPROVAL_EXPIRED = "ApprovalExpired"
    DIFF_CHANGED = "DiffChanged"
    # TargetAccepted
    NOT_WRITTEN = "NotWritten"
    WRITING = "Writing"
    WRITE_FAILED = "WriteFailed"
    OUTCOME_UNKNOWN = "OutcomeUnknown"
    REJECTED = "Rejected"
    NOT_ECHOED = "NotEchoed"
    OVERWRITTEN_BY_OTHER = "OverwrittenByOther"
    # DeviceConverged
    TARGET_UNWANTED = "TargetUnwanted"
    AWAITING_DEVICE = "AwaitingDevice"
    DEVICE_OFFLINE = "DeviceOffline"
    AWAITING_POWER_CYCLE = "AwaitingPowerCycle"
    DEVICE_CONTACTED_BUT_UNCHANGED = "DeviceContactedButUnchanged"
    # SensorSeen
    HELD_BY_TRACKER = "HeldByTracker"
    NO_ADAPTER = "NoAdapter"
    ADAPTER_DEGRADED = "AdapterDegraded"
    SCANNER_QUIET = "ScannerQuiet"
    JUST_LISTENING = "JustListening"
    NEVER_SEEN = "NeverSeen"
    SEEN_STALE = "SeenStale"
    NEW_ADDRESS = "NewAddress"
    AMBIGUOUS_NEIGHBOURS = "AmbiguousNeighbours"
    # SensorDelivering
    NO_DATA = "NoData"
    FLAT_ZERO = "FlatZero"
    TRACKER_OFFLINE = "TrackerOffline"
    NOT_RELEASED = "NotReleased"
    IN_USE_ELSEWHERE = "InUseElsewhere"
    # SensorMatched
    NOT_BROADCASTING = "NotBroadcasting"
    TOO_LITTLE = "TooLittle"
    ON_OTHER_TRACKER = "OnOtherTracker"
    ON_NO_TRACKER = "OnNoTracker"
    # Stalled and Reconciling
    IDLE = "Idle"
    WAITING = "Waiting"
    RETRYING = "Retrying"
    NEEDS_HUMAN = "NeedsHuman"
    NO_PROGRESS = "NoProgress"


class Finding(NamedTuple):
    """A condition that is not put into words yet.

    Attributes:
        status: Whether it holds.
        reason: Why.
        facts: What its sentence names besides the tracker and the sensor.
    """

    status: Status
    reason: Reason
    facts: Mapping[str, str] = MappingProxyType({})


class Condition(Struct, frozen=True, gc=False):
    """One condition of one tracker.

    Attributes:
        type: Which.
        slot: Of which slot; None if it is the tracker's.
        status: Whether it holds.
        reason: Why.
        text: The same for a technician, one sentence without full stop.
        action: What to do next, one clause; "" if nothing is to be done.
        other: Serial number of the other tracker that it is about; None if there is none.
    """

    type: ConditionType
    slot: Slot | None
    status: Status
    reason: Reason
    text: str
    action: str = ""
    other: str | None = None

    @property
    def is_right(self) -> bool:
        """Whether nobody has to read it."""
        return is_right(self.type, self.status)


def is_right(type_: ConditionType, status: str) -> bool:
    """Whether nobody has to read a condition: two of them are bad if they hold, and one is good either way."""
    if type_ in {ConditionType.SUSPENDED, ConditionType.STALLED}:
        return status == Status.FALSE
    return status == Status.TRUE or type_ is ConditionType.RECONCILING

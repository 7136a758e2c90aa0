"""What the gateway's radio and the live data say of the sensor in a slot.

They prove, they never command: nothing in here makes or stops a write. A tracker that holds a strap silences it, so
that silence in the air together with values that flow is the healthy picture; and the silence of a radio that hears
nothing at all is no evidence of anything: then it is unknown, never false.
"""

from datetime import tzinfo

from gateway.pairing.conditions import Finding, Reason, Status
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.observation import Air, Delivery, Ears, Fleet, Observation
from gateway.pairing.planning.sentences import clock
from gateway.pairing.planning.waiting import is_hardly_known

NEVER_AFTER_S = 120.0
"""So long a radio must have listened before a sensor that it has not heard counts as not there: BlueZ has gaps of half
a minute, and some sensors advertise once in ten seconds."""

WEAK_DBM = -85
"""A sensor that is no stronger comes and goes with whoever walks past: a remark, for it goes to and fro."""

NOWHERE_CONFIDENCE = 0.5
"""How sure it must be that no tracker sends what a strap broadcasts."""

_HOLDING = {"tracker", "shared"}
_DEAF = {"no_adapter", "no_bus", "no_service", "unsupported", "disabled", "no_central"}
"""States of a radio that is not there; in all others there is one that has trouble."""

_UNHEARD = Air(presence="unknown", was_heard=False)


def seen(tracker: Observation, slot: Slot, sensor: Sensor, fleet: Fleet, zone: tzinfo | None) -> Finding:
    """Whether the radio hears a sensor, or its silence is explained.

    Args:
        tracker: By which the sensor is wanted.
        slot: In which slot.
        sensor: The sensor.
        fleet: The radio, and what time it is.
        zone: In which times are told; None is that of this machine.
    """
    air, delivery = tracker.air.get(slot, _UNHEARD), tracker.delivery.get(slot, Delivery.TRACKER_SILENT)
    is_in_air = fleet.ears.state == "listening" and air.presence in {"seen", "quiet"}
    if is_in_air and air.is_ambiguous:
        return Finding(Status.UNKNOWN, Reason.AMBIGUOUS_NEIGHBOURS)
    if is_in_air and not air.has_new_address:
        is_weak = air.rssi_dbm is not None and air.rssi_dbm <= WEAK_DBM
        return Finding(Status.TRUE, Reason.OK, {"remark": ", but faint" if is_weak else ""})
    has_it = _is_taken_over(tracker, slot, sensor)
    if air.holder in _HOLDING or (has_it and delivery in {Delivery.FLOWING, Delivery.FLAT}):
        return Finding(Status.TRUE, Reason.HELD_BY_TRACKER)
    if fleet.ears.state != "listening":
        facts = {"radio": fleet.ears.text or "the radio does not listen", "remedy": fleet.ears.action}
        return Finding(Status.UNKNOWN, _deafness(fleet.ears), facts)
    if air.has_new_address:
        return Finding(Status.FALSE, Reason.NEW_ADDRESS, {"new": air.new_address or "a new one"})
    if has_it and delivery in {Delivery.TRACKER_SILENT, Delivery.UNRELEASED}:
        return Finding(Status.UNKNOWN, _silence(tracker))
    if air.presence == "gone" and air.was_heard:
        at_ms = fleet.now_ms - round(1000 * (air.silent_s or 0.0))
        return Finding(Status.FALSE, Reason.SEEN_STALE, {"since": clock(at_ms, fleet.now_ms, zone)})
    if not air.was_heard and (fleet.ears.listening_s or 0.0) >= NEVER_AFTER_S:
        return Finding(Status.FALSE, Reason.NEVER_SEEN)
    return Finding(Status.UNKNOWN, Reason.JUST_LISTENING)


def delivering(tracker: Observation, slot: Slot, sensor: Sensor) -> Finding:
    """Whether a tracker sends what a sensor measures; what comes while it has another sensor says nothing of this."""
    if not _is_taken_over(tracker, slot, sensor):
        return Finding(Status.UNKNOWN, _not_taken_over(tracker))
    match tracker.delivery.get(slot, Delivery.TRACKER_SILENT):
        case Delivery.FLOWING:
            return Finding(Status.TRUE, Reason.OK)
        case Delivery.FLAT:
            return Finding(Status.FALSE, Reason.FLAT_ZERO)
        case Delivery.NOTHING:
            is_elsewhere = tracker.air.get(slot, _UNHEARD).holder == "elsewhere"
            return Finding(Status.FALSE, Reason.IN_USE_ELSEWHERE if is_elsewhere else Reason.NO_DATA)
        case Delivery.TRACKER_SILENT | Delivery.UNRELEASED:
            return Finding(Status.UNKNOWN, _silence(tracker))


def matched(tracker: Observation, sensor: Sensor) -> Finding:
    """Whether what a strap broadcasts is what this tracker sends."""
    if not _is_taken_over(tracker, Slot.HEART_RATE, sensor):
        return Finding(Status.UNKNOWN, _not_taken_over(tracker))
    match = tracker.match
    if match is None:
        return Finding(Status.UNKNOWN, Reason.NOT_BROADCASTING)
    if match.serial_number == tracker.serial_number:
        return Finding(Status.TRUE, Reason.OK)
    if match.serial_number is not None:
        return Finding(Status.FALSE, Reason.ON_OTHER_TRACKER, {"other": match.serial_number})
    sends = tracker.delivery.get(Slot.HEART_RATE) is Delivery.FLOWING
    if sends and match.confidence >= NOWHERE_CONFIDENCE:
        return Finding(Status.FALSE, Reason.ON_NO_TRACKER)
    return Finding(Status.UNKNOWN, Reason.TOO_LITTLE)


def _is_taken_over(tracker: Observation, slot: Slot, sensor: Sensor) -> bool:
    """Whether a tracker has acknowledged a sensor."""
    return tracker.documents is not None and tracker.memory.is_same(tracker.documents.current[slot], sensor)


def _silence(tracker: Observation) -> Reason:
    if not tracker.is_released:
        return Reason.NOT_RELEASED
    return Reason.JUST_LISTENING if is_hardly_known(tracker) else Reason.TRACKER_OFFLINE


def _not_taken_over(tracker: Observation) -> Reason:
    return Reason.NOT_READ_YET if tracker.documents is None else Reason.AWAITING_DEVICE


def _deafness(ears: Ears) -> Reason:
    if ears.state == "silent":
        return Reason.SCANNER_QUIET
    if ears.state == "starting":
        return Reason.JUST_LISTENING
    return Reason.NO_ADAPTER if ears.state in _DEAF else Reason.ADAPTER_DEGRADED

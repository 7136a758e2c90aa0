"""Who has this sensor: from the evidence to one sentence, and to what a technician does next.

What follows from the evidence is stated; what is only likely says so. A tracker is named only where it has the sensor:
what is to be done is the same for all, and stands once above all whom it concerns.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.bluetooth.evidence import Evidence
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.presence import Presence

FAINT_DBM = -85
"""A sensor that was no stronger when it was last heard may simply have been carried away."""

FLAT_PERCENT = 10
"""A coin cell that once said so little may be empty by now."""

JUST_S = 30.0
"""Before anybody is suspected of anything: a tracker may have taken the sensor just now, and the first values have to
come through the cloud."""

OVERLAP_S = 15.0
"""A tracker counts as delivering for 10 s after its last value, and a sensor as seen for some seconds after it was
taken: to be in the air and to deliver at the same time means something only if it lasts longer than that."""


class Holder(StrEnum):
    """Who has a sensor.

    FREE: In the air, for anybody to take.
    TRACKER: Its tracker.
    SHARED: Its tracker, and it is in the air all the same.
    NOT_USED: In the air, while its tracker is on and gets nothing from it.
    ELSEWHERE: Probably a phone, a watch, a bike computer.
    NOT_WORN: Nobody, since it does not run: not worn, asleep.
    FLAT: Nobody, since its battery is probably empty.
    OUT_OF_REACH: Nobody knows: it is probably too far away.
    GATEWAY: We ourselves, for a moment.
    UNKNOWN: Nobody knows.
    """

    FREE = "free"
    TRACKER = "tracker"
    SHARED = "shared"
    NOT_USED = "not_used"
    ELSEWHERE = "elsewhere"
    NOT_WORN = "not_worn"
    FLAT = "flat"
    OUT_OF_REACH = "out_of_reach"
    GATEWAY = "gateway"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a sensor is.

    Attributes:
        holder: Who has it.
        text: The same, one sentence.
        action: What to do next, one clause; "" if nothing is to be done.
    """

    holder: Holder
    text: str
    action: str = ""


def judge(evidence: Evidence) -> Verdict:
    """Who has a sensor, by the strongest evidence there is."""
    if not evidence.is_listening:
        return Verdict(Holder.UNKNOWN, f"Unknown: {evidence.radio_text}", evidence.radio_action)
    if evidence.is_linked:
        return Verdict(Holder.GATEWAY, "The gateway is looking at it now")
    match evidence.presence:
        case Presence.UNKNOWN:
            return _not_known_yet(evidence)
        case Presence.SEEN:
            return _in_the_air(evidence)
        case Presence.QUIET | Presence.GONE:
            return _missing(evidence)


def _not_known_yet(evidence: Evidence) -> Verdict:
    """Nothing can be concluded from what the radio did not hear; what a tracker gets needs no radio."""
    if evidence.tracker is not None and evidence.delivers and evidence.is_applied:
        return _held(evidence, evidence.tracker)
    if _had_it_last(evidence):
        return _HAD_IT_LAST
    if evidence.radio_text:
        return Verdict(Holder.UNKNOWN, f"Unknown: {evidence.radio_text}", evidence.radio_action)
    return Verdict(Holder.UNKNOWN, "Unknown: the radio has only just begun to listen", "wait half a minute")


_WAKE = {
    SensorKind.HEART_RATE: "put it on: wet a strap's electrodes, switch an armband on",
    SensorKind.POWER: "turn the cranks",
}
"""What makes a sensor advertise; comes before any advice about radio."""

_WAKE_OTHER = "switch it on, or put it on"


_HAD_IT_LAST = Verdict(
    Holder.UNKNOWN, "Not in the air; its tracker is silent, and had it last", "bring the tracker where it has network"
)
_JUST_VANISHED = Verdict(Holder.UNKNOWN, "Not heard for some seconds", "wait half a minute, or move closer to it")


def _in_the_air(evidence: Evidence) -> Verdict:
    """It advertises: anybody could take it, unless it has a link to spare."""
    tracker, value = evidence.tracker, _value(evidence)
    if tracker is None:
        return _nobodys(evidence)
    if not evidence.is_applied:
        return Verdict(
            Holder.FREE,
            "Visible and free; its tracker has not taken it over yet",
            "switch the tracker off and on",
        )
    if evidence.delivers is None and evidence.both_for_s >= OVERLAP_S:
        return Verdict(
            Holder.UNKNOWN,
            "In the air; its tracker is silent, and may have it all the same",
            "see that the tracker is on and has network",
        )
    if evidence.delivers is None:
        return Verdict(
            Holder.FREE,
            "Visible and free; its tracker is silent",
            "switch the tracker on, where it has network",
        )
    if evidence.delivers:
        return _delivering(evidence, tracker)
    if evidence.has_new_address:
        return Verdict(
            Holder.NOT_USED,
            "In the air under a new address, which its tracker does not know",
            "assign it to the tracker again",
        )
    if evidence.is_worn is False:
        return Verdict(Holder.NOT_WORN, "In the air, but without skin contact", _wake(evidence))
    if evidence.unused_for_s is None or evidence.unused_for_s < JUST_S:
        return Verdict(Holder.UNKNOWN, "In the air; its tracker may be about to take it", "wait half a minute")
    return Verdict(
        Holder.NOT_USED,
        f"In the air, though its tracker is on and gets no {value}",
        "hold the two together, then switch the tracker off and on",
    )


def _nobodys(evidence: Evidence) -> Verdict:
    """In the air, and no tracker's."""
    if evidence.kind is SensorKind.UNKNOWN:
        return Verdict(Holder.UNKNOWN, "In the air; perhaps not a sensor")
    if not evidence.are_trackers_known:
        return Verdict(Holder.UNKNOWN, "In the air; whether a tracker has it all the same, only a gateway knows")
    return Verdict(Holder.FREE, "Visible and free" + (", not worn" if evidence.is_worn is False else ""))


def _delivering(evidence: Evidence, tracker: str) -> Verdict:
    """In the air, and its tracker has values of its kind."""
    if evidence.both_for_s < OVERLAP_S:
        return _held(evidence, tracker)
    if evidence.has_new_address:
        return Verdict(
            Holder.SHARED,
            f"In the air, yet {tracker} gets {_value(evidence)}: perhaps from another sensor",
            "compare what it measures with what the tracker shows",
        )
    return Verdict(Holder.SHARED, f"In the air, and {tracker} gets {_value(evidence)}, probably from it")


def _missing(evidence: Evidence) -> Verdict:
    """It does not advertise: somebody has it, or it does not run, or it is too far away."""
    tracker = evidence.tracker
    if tracker is not None and evidence.delivers:
        if evidence.is_applied:
            return _held(evidence, tracker)
        return Verdict(
            Holder.UNKNOWN,
            f"Not in the air; its tracker gets {_value(evidence)}, from it or from another",
            "wait until the tracker has taken it over, or switch it off and on",
        )
    if _had_it_last(evidence):
        return _HAD_IT_LAST
    if evidence.presence is Presence.QUIET:
        return _JUST_VANISHED
    if not evidence.was_heard:
        return _never_heard(evidence)
    if evidence.is_worn is False:
        return Verdict(Holder.NOT_WORN, "Had lost skin contact when it vanished: probably taken off", _wake(evidence))
    if evidence.rssi_dbm is not None and evidence.rssi_dbm <= FAINT_DBM:
        return Verdict(
            Holder.OUT_OF_REACH,
            "Faint when it vanished: probably out of reach",
            "bring it closer to the gateway, or the gateway to it",
        )
    if evidence.battery_percent is not None and evidence.battery_percent <= FLAT_PERCENT:
        return Verdict(
            Holder.FLAT,
            f"Its battery had {evidence.battery_percent} % left: probably flat",
            "replace or charge the battery",
        )
    if tracker is not None and evidence.delivers is None:
        return Verdict(
            Holder.UNKNOWN,
            "Not in the air; its tracker is silent and may hold it",
            "switch the tracker on, where it has network",
        )
    return _JUST_VANISHED if evidence.silent_s is not None and evidence.silent_s < JUST_S else _elsewhere(evidence)


def _had_it_last(evidence: Evidence) -> bool:
    """Whether the sensor was not heard since its tracker, which is silent now, delivered from it."""
    if evidence.delivers is not None or evidence.delivered_ago_s is None or not evidence.is_applied:
        return False
    return not evidence.was_heard or evidence.silent_s is None or evidence.delivered_ago_s < evidence.silent_s


def _held(evidence: Evidence, tracker: str) -> Verdict:
    return Verdict(Holder.TRACKER, f"In use by {tracker}, which gets its {_value(evidence)}")


def _never_heard(evidence: Evidence) -> Verdict:
    if evidence.silent_s is not None and evidence.silent_s < JUST_S:
        return Verdict(Holder.UNKNOWN, "Not seen yet", "wait half a minute")
    likely = {SensorKind.HEART_RATE: "not worn", SensorKind.POWER: "asleep"}.get(evidence.kind, "switched off")
    if evidence.tracker is not None and evidence.delivers is None:
        text = f"Not seen yet, and its tracker is silent: {likely}, or held by it"
    else:
        text = f"Not seen yet: probably {likely}"
    return Verdict(Holder.NOT_WORN, text, _wake(evidence))


def _elsewhere(evidence: Evidence) -> Verdict:
    """It was near, has vanished, and no tracker of ours has it."""
    if evidence.tracker is None and not evidence.are_trackers_known:
        asleep = "asleep" if evidence.kind is SensorKind.POWER else "taken off"
        others = "" if evidence.is_worn else f"{asleep}, or "
        return Verdict(Holder.UNKNOWN, f"Vanished: {others}held by a tracker, phone or watch")
    if evidence.kind is SensorKind.POWER:
        return Verdict(
            Holder.ELSEWHERE,
            "Vanished: asleep, or held by a bike computer",
            "turn the cranks; then switch off the bike computer and phones nearby",
        )
    if evidence.is_worn:
        return Verdict(
            Holder.ELSEWHERE,
            "Worn when it vanished: probably held by a phone or watch",
            "switch off Bluetooth on the athlete's phone and watch",
        )
    return Verdict(
        Holder.ELSEWHERE,
        "Vanished: taken off, or held by a phone or watch",
        "make sure that it is wet and worn; then switch off Bluetooth on phone and watch",
    )


def _wake(evidence: Evidence) -> str:
    return _WAKE.get(evidence.kind, _WAKE_OTHER)


def _value(evidence: Evidence) -> str:
    """What the sensor measures, in words."""
    return {SensorKind.HEART_RATE: "heart rate", SensorKind.POWER: "power"}.get(evidence.kind, "data")

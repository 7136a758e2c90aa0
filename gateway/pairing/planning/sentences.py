"""What a technician reads: for each reason one sentence, and the one thing to do next.

In braces stand facts:

- tracker: serial number; sensor: what is wanted of the slot; found: what the cloud has in it; part: what people call
  the sensor in it; value: what that measures; wake: what makes it advertise; correct, keep: how what is wanted is
  changed, and how it is made what was found, which is another thing for a tracker that is managed by the file;
- what only some reasons know: other (a tracker), taking, release (how it loses the sensor), since, until, read (times),
  author, why, hash, new (an address), radio, remedy (what is wrong with the radio, and what helps), outage (of the
  cloud), remark.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import NamedTuple

from gateway.pairing.conditions import Condition, ConditionType, Finding, Reason
from gateway.pairing.desired import Origin
from gateway.pairing.documents import Sensor, Slot

_COMMAND = "insiders-gateway pair"


class Sentence(NamedTuple):
    """A sentence without full stop, and what to do next in an imperative clause, "" if nothing."""

    text: str
    action: str = ""


def condition(type_: ConditionType, slot: Slot | None, finding: Finding, facts: Mapping[str, str]) -> Condition:
    """A condition in words.

    Args:
        type_: Which condition.
        slot: Of which slot; None if it is the tracker's.
        finding: What was found, with its own facts.
        facts: Of the tracker and of the slot.
    """
    sentence = SENTENCES.get((type_, finding.reason)) or SENTENCES[finding.reason]
    known = {**facts, **finding.facts} if finding.facts else facts
    text, action = sentence.text.format_map(known), sentence.action and sentence.action.format_map(known)
    return Condition(type_, slot, finding.status, finding.reason, text, action, finding.facts.get("other"))


def tracker_facts(serial_number: str, origin: Origin) -> dict[str, str]:
    """What the sentences about a tracker name."""
    is_file = origin is Origin.FILE
    return {
        "tracker": serial_number,
        "keep": "write it into the configuration" if is_file else f"type `{_COMMAND} adopt {serial_number}`",
    }


def slot_facts(
    tracker: Mapping[str, str], origin: Origin, slot: Slot, wanted: Sensor | None, found: Sensor | None
) -> dict[str, str]:
    """What the sentences about a slot name, besides those of its tracker."""
    return {
        **tracker,
        **_SLOTS[slot],
        "sensor": called(wanted, slot),
        "found": called(found, slot),
        "correct": _correct(tracker["tracker"], origin, slot),
    }


def taking(other: str, origin: Origin, slot: Slot) -> str:
    """How a sensor is taken from another tracker."""
    if origin is Origin.FILE:
        return _IN_FILE
    return f"type `{_COMMAND} clear {other} --slot {slot}`"


def approving(hash_: str) -> str:
    """How changes are approved."""
    return _APPROVE.format(hash=hash_)


def explaining(tracker: str) -> str:
    """How to find out what a tracker waits for."""
    return f"see `{_COMMAND} explain {tracker}`"


def called(sensor: Sensor | None, slot: Slot) -> str:
    """What a sensor is called in a sentence."""
    return (sensor.name or sensor.address) if sensor is not None else f"no {slot.label}"


def clock(at_ms: float, now_ms: float, zone: tzinfo | None = None) -> str:
    """An instant as people say it: "14:02", with the date if that is not today.

    Args:
        at_ms: The instant, epoch ms.
        now_ms: Now, epoch ms.
        zone: Where these people are; None if where this machine is.
    """
    at, now = (datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone) for ms in (at_ms, now_ms))
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"


def _correct(tracker: str, origin: Origin, slot: Slot) -> str:
    if origin is Origin.FILE:
        return _IN_FILE
    return f"type `{_COMMAND} set {tracker} SENSOR{_FLAG[slot]}`"


_IN_FILE = "correct it in the configuration, then restart the gateway"

_FLAG = {Slot.HEART_RATE: "", Slot.POWER: " --slot power"}

_SLOTS: Mapping[Slot, Mapping[str, str]] = {
    Slot.HEART_RATE: {
        "part": Slot.HEART_RATE.label,
        "value": "heart rates",
        "wake": "wet the strap and put it on",
    },
    Slot.POWER: {"part": Slot.POWER.label, "value": "power", "wake": "turn the cranks"},
}

_APPROVE = f"type `{_COMMAND} apply --approve {{hash}}`"
_RETRY = f"type `{_COMMAND} retry {{tracker}}`"
_CLAIM = "type `insiders-gateway trackers claim {tracker}`"
_OFF_AND_ON = "switch {tracker} off and on"
_GATEWAYS_INTERNET = "check the gateway's internet connection"

SENTENCES: Mapping[Reason | tuple[ConditionType, Reason], Sentence] = MappingProxyType(
    {
        # What holds.
        Reason.OK: Sentence("All is well with {tracker}"),
        (ConditionType.READY, Reason.OK): Sentence("{tracker} listens to what is wanted"),
        (ConditionType.SUSPENDED, Reason.OK): Sentence("Nobody has stopped changes of {tracker}"),
        (ConditionType.CLOUD_REACHABLE, Reason.OK): Sentence("The cloud tells what {tracker} listens to"),
        (ConditionType.VALID, Reason.OK): Sentence("Nothing is known against {sensor}"),
        (ConditionType.UNIQUE, Reason.OK): Sentence("No other tracker has or wants {sensor}"),
        (ConditionType.APPROVED, Reason.OK): Sentence("The change may be made"),
        (ConditionType.TARGET_ACCEPTED, Reason.OK): Sentence("The cloud has {sensor} for {tracker}"),
        (ConditionType.DEVICE_CONVERGED, Reason.OK): Sentence("{tracker} has confirmed {found}"),
        (ConditionType.SENSOR_SEEN, Reason.OK): Sentence("{sensor} is in the air{remark}"),
        (ConditionType.SENSOR_DELIVERING, Reason.OK): Sentence("{tracker} sends {value}"),
        (ConditionType.SENSOR_MATCHED, Reason.OK): Sentence("{tracker} sends what {sensor} broadcasts"),
        (ConditionType.STALLED, Reason.OK): Sentence("{tracker} is not stuck"),
        Reason.UNMANAGED: Sentence("Nothing is wanted of {tracker}, so it is left alone"),
        (ConditionType.STALLED, Reason.DEVICE_CONTACTED_BUT_UNCHANGED): Sentence(
            "{tracker} came back, but has not taken over what the cloud has for it"
        ),
        (ConditionType.RECONCILING, Reason.WRITING): Sentence(
            "The gateway is telling the cloud what {tracker} shall have"
        ),
        Reason.NOT_READ_YET: Sentence("The cloud has not told yet what {tracker} listens to", "wait a minute"),
        # Suspended
        Reason.OPERATOR_SUSPEND: Sentence(
            "All changes of {tracker} were stopped at {since} by {author}", f"type `{_COMMAND} resume {{tracker}}`"
        ),
        Reason.FLEET_PAUSE: Sentence("All changes were stopped at {since} by {author}", f"type `{_COMMAND} resume`"),
        Reason.SESSION_LOCK: Sentence(
            "Athletes train, so {tracker} is not changed before {until}",
            f"wait, or `{_COMMAND} apply --approve {{hash}} --during-session`",
        ),
        Reason.DUPLICATE_CONTROLLER: Sentence(
            "Another program keeps changing {tracker} since {since}; we have stopped",
            f"stop that program, then type `{_COMMAND} resume {{tracker}}`",
        ),
        Reason.STORE_FAILED: Sentence(
            "The gateway's disk fails, or has lost what was kept on it, so it changes nothing",
            "see what `insiders-gateway watch` says of it",
        ),
        Reason.CLOCK_UNSYNCED: Sentence(
            "The gateway's clock may be wrong, so it changes nothing",
            "give it internet and wait; `timedatectl` shows its clock",
        ),
        # CloudReachable
        Reason.OFFLINE: Sentence("The cloud does not answer; {read}", _GATEWAYS_INTERNET),
        (ConditionType.CLOUD_REACHABLE, Reason.CLOUD_AWAY): Sentence("{outage}, so changes wait", "{remedy}"),
        Reason.CLOUD_AWAY: Sentence("Nothing is known of {tracker} while the cloud is away"),
        Reason.AUTH_FAILED: Sentence(
            "The cloud refuses the gateway's login; {read}", "correct its password and client secret, then restart it"
        ),
        Reason.RATE_LIMITED: Sentence("The cloud asks for a pause; {read}", "wait, it goes on by itself"),
        Reason.FORBIDDEN: Sentence("The cloud refuses us {tracker}: another account may have it", _CLAIM),
        Reason.NOT_OURS: Sentence("{tracker} belongs to another account, or to none", _CLAIM),
        Reason.SERVER_ERROR: Sentence("The cloud has a fault; {read}", "wait, it is asked again by itself"),
        Reason.BAD_ANSWER: Sentence(
            "The cloud's answer makes no sense; {read}", "wait; if it stays so, upgrade the gateway"
        ),
        # Valid
        Reason.BAD_MAC: Sentence("{sensor} has no valid Bluetooth address", "{correct}"),
        Reason.NAME_MISSING: Sentence("{sensor} needs a name as well, or it may not be found", "{correct}"),
        Reason.PRIVATE_ROTATING_ADDRESS: Sentence(
            "{sensor} keeps changing its address, so no tracker can find it", "use another {part}"
        ),
        Reason.WRONG_SERVICE: Sentence("{sensor} is no {part}", "{correct}"),
        # Unique
        Reason.DUPLICATE_DESIRED: Sentence("{sensor} is wanted for {other} too", "{taking}"),
        Reason.HELD_BY_OTHER_TARGET: Sentence("The cloud has {sensor} for {other}", "{taking}"),
        Reason.HELD_BY_OTHER_CURRENT: Sentence("{other} still listens to {sensor}", "switch {other} off and on"),
        Reason.AWAITING_RELEASE: Sentence("{other} has to let {sensor} go first", "{release}"),
        Reason.FLEET_NOT_READ: Sentence("Another tracker may have {sensor}: not all were read yet", "wait a minute"),
        # Approved
        Reason.NOTHING_TO_APPROVE: Sentence("Nothing of {tracker} waits for a person"),
        Reason.APPROVAL_NEEDED: Sentence("{why}, so a person has to agree", _APPROVE),
        Reason.APPROVAL_EXPIRED: Sentence("The consent of {author} was given too long ago, at {since}", _APPROVE),
        Reason.DIFF_CHANGED: Sentence("What is to change is no longer what {author} agreed to", _APPROVE),
        # TargetAccepted
        Reason.NOT_WRITTEN: Sentence("The cloud does not have {sensor} for {tracker} yet"),
        Reason.WRITING: Sentence("The cloud is being told: {sensor} for {tracker}"),
        Reason.WRITE_FAILED: Sentence("The cloud could not be told: {sensor} for {tracker}; it is tried again"),
        Reason.OUTCOME_UNKNOWN: Sentence("Not known whether the cloud took {sensor}: it is asked first"),
        Reason.REJECTED: Sentence("The cloud does not take {sensor} for {tracker}{remark}", "{correct}"),
        Reason.NOT_ECHOED: Sentence("The cloud said yes, but does not keep {sensor}{remark}", "{correct}"),
        Reason.OVERWRITTEN_BY_OTHER: Sentence("Somebody else gave {tracker} {found}", "to keep that, {keep}"),
        # DeviceConverged
        Reason.AWAITING_DEVICE: Sentence("{tracker} has not taken over {found} yet", "wait a minute"),
        Reason.TARGET_UNWANTED: Sentence("{tracker} takes over {found} if it starts now: not all is as wanted"),
        Reason.DEVICE_OFFLINE: Sentence("The cloud has {found} for {tracker}, which is silent", "switch {tracker} on"),
        Reason.AWAITING_POWER_CYCLE: Sentence("The cloud has {found} for {tracker} since {since}", _OFF_AND_ON),
        Reason.DEVICE_CONTACTED_BUT_UNCHANGED: Sentence(
            "{tracker} came back, but has not taken over {found}",
            "switch it off for a minute, then on where it has network",
        ),
        # SensorSeen
        Reason.HELD_BY_TRACKER: Sentence("{tracker} has {sensor}, so it is silent in the air"),
        Reason.NO_ADAPTER: Sentence("Not known: {radio}", "{remedy}"),
        Reason.ADAPTER_DEGRADED: Sentence("Not known: {radio}", "{remedy}"),
        Reason.SCANNER_QUIET: Sentence(
            "The gateway's radio hears nothing at all, which proves nothing", "wait, it restarts by itself"
        ),
        Reason.JUST_LISTENING: Sentence("The gateway's radio has only begun to listen", "wait two minutes"),
        Reason.NEVER_SEEN: Sentence("{sensor} was never heard near the gateway", "{wake}, near the gateway"),
        Reason.SEEN_STALE: Sentence("{sensor} was last heard at {since}", "{wake}, near the gateway"),
        Reason.NEW_ADDRESS: Sentence("{sensor} has a new address, {new}", "{correct}"),
        Reason.AMBIGUOUS_NEIGHBOURS: Sentence(
            "Two sensors near the gateway call themselves {sensor}", "take one of them away"
        ),
        # SensorDelivering
        Reason.NO_DATA: Sentence("{tracker} sends no {value}", "{wake}"),
        Reason.FLAT_ZERO: Sentence("{tracker} sends the same {value} all the time", "{wake}"),
        Reason.TRACKER_OFFLINE: Sentence(
            "{tracker} is silent, so nothing proves where {sensor} is", "switch {tracker} on"
        ),
        Reason.NOT_RELEASED: Sentence(
            "{tracker} is not followed: its athlete is not released",
            "if the athlete agrees, an admin types `insiders-gateway release give`",
        ),
        Reason.IN_USE_ELSEWHERE: Sentence(
            "{tracker} sends no {value}: perhaps another device has {sensor}",
            "switch off Bluetooth on phones, watches and bike computers nearby",
        ),
        (ConditionType.SENSOR_SEEN, Reason.TRACKER_OFFLINE): Sentence(
            "{sensor} is silent, and so is {tracker}, which may have it", "switch {tracker} on"
        ),
        (ConditionType.SENSOR_DELIVERING, Reason.JUST_LISTENING): Sentence(
            "The gateway has only begun to listen to {tracker}", "wait a minute"
        ),
        (ConditionType.SENSOR_DELIVERING, Reason.AWAITING_DEVICE): Sentence(
            "{tracker} does not listen to {sensor} yet"
        ),
        # SensorMatched
        (ConditionType.SENSOR_MATCHED, Reason.AWAITING_DEVICE): Sentence("{tracker} does not listen to {sensor} yet"),
        Reason.NOT_BROADCASTING: Sentence("{sensor} broadcasts no heart rate to compare with"),
        Reason.TOO_LITTLE: Sentence("Too little was heard of {sensor} to say whose heart it is"),
        Reason.ON_OTHER_TRACKER: Sentence(
            "{other} sends what {sensor} broadcasts", "compare the straps of {tracker} and {other}: perhaps exchanged"
        ),
        Reason.ON_NO_TRACKER: Sentence("No tracker sends what {sensor} broadcasts", "see who wears it"),
        # Stalled and Reconciling
        Reason.IDLE: Sentence("Nothing is being done"),
        Reason.WAITING: Sentence("The gateway waits, and looks again by itself"),
        Reason.RETRYING: Sentence("The gateway tries again by itself"),
        Reason.NEEDS_HUMAN: Sentence("Others change {tracker} while it is written, three times in a row", _RETRY),
        Reason.NO_PROGRESS: Sentence("A change of {tracker} hangs since {since}", _RETRY),
    }
)
"""By reason; where a reason says another thing in one condition, by both."""

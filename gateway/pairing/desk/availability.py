"""Whether the sensors that a person asks for can be had: they are what they shall be, and nobody else's."""

from collections.abc import Iterator, Mapping

from gateway.pairing.conditions import Reason, Status
from gateway.pairing.desired import Desired
from gateway.pairing.desk.permission import COMMAND, Situation
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish
from gateway.pairing.naming import printable
from gateway.pairing.planning.validity import validity
from gateway.pairing.requests import Asked, PairingRefused, Refusal
from insiders_codecs.address import normal_form
from insiders_codecs.errors import DecodeError

MAX_NAME = 100
"""Characters in the name of a sensor: it advertises 29 bytes at most, and tells 248 to who connects."""

_OTHER = {Slot.HEART_RATE: Slot.POWER, Slot.POWER: Slot.HEART_RATE}

_INVALID = {
    Reason.BAD_MAC: "{} has no Bluetooth address: give six octets such as a0:9e:1a:12:34:56, which `insiders-gateway "
    "scan` shows.",
    Reason.NAME_MISSING: "{} needs the name that it advertises as well, which `insiders-gateway scan` shows.",
    Reason.PRIVATE_ROTATING_ADDRESS: "{} keeps changing its address, so no tracker can find it: take another sensor.",
    Reason.WRONG_SERVICE: "{} is no {}: put it into the other slot (--slot {}), or take another sensor.",
}


def usable(situation: Situation, asked: Asked, slot: Slot) -> Wanted:
    """What is asked of a slot in the form in which it is kept; raises `PairingRefused` if it can never be."""
    if isinstance(asked, Wish):
        return asked
    try:
        address = normal_form(asked.address)
    except DecodeError:
        address = ""
    sensor = Sensor(address, asked.name.strip())
    if len(sensor.name) > MAX_NAME or not sensor.name.isprintable():
        text = f"The name of a sensor has at most {MAX_NAME} characters, all of them printable: correct it."
        raise PairingRefused(Refusal.INVALID_SENSOR, text)
    status, reason = validity(sensor, slot, situation.air(sensor))
    if status is Status.FALSE:
        named = printable(asked.name.strip() or asked.address)
        raise PairingRefused(
            Refusal.INVALID_SENSOR, _INVALID[reason].format(named or "A sensor", slot.label, _OTHER[slot])
        )
    return sensor


def check_unique(situation: Situation, changed: Mapping[str, Desired]) -> None:
    """Refuse sensors that are wanted for another slot as well.

    Args:
        situation: What is met.
        changed: What shall be wanted from now on, by serial number.
    """
    owners: dict[str, tuple[str, Slot]] = {}
    for seen in situation.fleet.trackers:
        desired = changed.get(seen.serial_number, seen.desired)
        asked = {slot for slot, _ in _asked(desired, seen.desired)}
        for slot in Slot:
            # First those that stay, so that it is the other one that is named.
            if isinstance(sensor := desired[slot], Sensor) and slot not in asked:
                owners.setdefault(sensor.address, (seen.serial_number, slot))
    for serial, slot, sensor in _all_asked(situation, changed):
        other, its_slot = owners.setdefault(sensor.address, (serial, slot))
        if other != serial:
            raise _taken(situation, (serial, sensor), (other, its_slot), "shall have")
        if owners[sensor.address] != (serial, slot):
            text = f"{printable(sensor.name)} cannot be both sensors of {situation.label(serial)}: choose one."
            raise PairingRefused(Refusal.INVALID_SENSOR, text)


def check_unheld(situation: Situation, changed: Mapping[str, Desired]) -> None:
    """Refuse sensors that the cloud has for a slot of which nothing is wanted: nobody would ever take them away there.

    Args:
        situation: What is met.
        changed: What shall be wanted from now on, by serial number.
    """
    holders: dict[str, tuple[str, Slot]] = {}
    for seen in situation.fleet.trackers:
        desired = changed.get(seen.serial_number, seen.desired)
        for slot in Slot:
            if seen.documents is not None and desired[slot] is Wish.UNMANAGED:
                held = seen.documents.target[slot]
                if held is not None:
                    holders[held.address] = (seen.serial_number, slot)
    for serial, _, sensor in _all_asked(situation, changed):
        holder = holders.get(sensor.address)
        if holder is not None:
            raise _taken(situation, (serial, sensor), holder, "has in the cloud")


def _all_asked(situation: Situation, changed: Mapping[str, Desired]) -> Iterator[tuple[str, Slot, Sensor]]:
    for seen in situation.fleet.trackers:
        if seen.serial_number in changed:
            for slot, sensor in _asked(changed[seen.serial_number], seen.desired):
                yield seen.serial_number, slot, sensor


def _asked(desired: Desired, before: Desired) -> Iterator[tuple[Slot, Sensor]]:
    """The sensors that are newly wanted."""
    for slot in Slot:
        sensor = desired[slot]
        if isinstance(sensor, Sensor) and sensor != before[slot]:
            yield slot, sensor


def _taken(situation: Situation, asked: tuple[str, Sensor], holder: tuple[str, Slot], how: str) -> PairingRefused:
    (serial, sensor), (other, slot) = asked, holder
    if other == serial:
        text = f"{printable(sensor.name)} is the other sensor of {situation.label(serial)}: choose another one."
        return PairingRefused(Refusal.INVALID_SENSOR, text)
    return PairingRefused(
        Refusal.SENSOR_TAKEN,
        f"{printable(sensor.name)} is what {situation.label(other)} {how}: let the two exchange theirs (`{COMMAND} "
        f"set` with --swap), take it away there (`{COMMAND} clear {other} --slot {slot}`), or choose another sensor.",
        serial_number=other,
    )

"""Two trackers exchange the sensors of a slot."""

from collections.abc import Mapping

from gateway.pair.choosing import Chosen
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish
from gateway.pairing.report import PairingReport, PairingsReport, SlotReport
from gateway.pairing.requests import EntryRequest, asked
from gateway.terminal.errors import CommandError
from gateway.terminal.wearers import called


def holder_of(report: PairingsReport, tracker: PairingReport, chosen: Chosen) -> PairingReport | None:
    """The other tracker that a sensor is wanted of, or that the cloud has it for, unmanaged; None if there is none.

    Raises:
        CommandError: If there are several: then it is not clear who is to get what.
    """
    others = [other for other in report.trackers if other.serial_number != tracker.serial_number]
    holders = [other for other in others if _keeps(_slot(other, chosen.slot), chosen.sensor)]
    if len(holders) > 1:
        told = " and ".join(map(called, holders))
        raise CommandError(f"{told} both have this sensor: clear it at one of them first.")
    return holders[0] if holders else None


def exchanged(tracker: PairingReport, other: PairingReport, chosen: Chosen) -> Mapping[str, Wanted]:
    """What is wanted of a slot of two trackers once they have exchanged its sensors, by serial number.

    Args:
        tracker: Gets the chosen sensor.
        other: Gets what that one had, or none.
        chosen: Sensor and slot.
    """
    return {
        tracker.serial_number: chosen.sensor,
        other.serial_number: had(tracker, chosen.slot),
    }


def had(tracker: PairingReport, slot: Slot) -> Wanted:
    """What a slot gives in return: what is wanted of it, else what it will have, else what it has."""
    told = _slot(tracker, slot)
    return (told.target or told.current or Wish.NONE) if told.desired is Wish.UNMANAGED else told.desired


def entry(tracker: PairingReport, changes: Mapping[Slot, Wanted]) -> EntryRequest:
    """What is wanted of a tracker in a list, with changes of what is wanted now."""
    wanted = {slot: changes.get(slot, _slot(tracker, slot).desired) for slot in Slot}
    return EntryRequest(
        serial_number=tracker.serial_number,
        heart_rate=asked(wanted[Slot.HEART_RATE]),
        power=asked(wanted[Slot.POWER]),
        generation=tracker.generation,
    )


def as_in_cloud(tracker: PairingReport) -> EntryRequest:
    """That of a tracker just that is wanted which the cloud has; of one of which nothing is wanted, all that it has."""
    managed = [told for told in tracker.slots if told.desired is not Wish.UNMANAGED]
    taken = {Slot(told.slot): told.target or Wish.NONE for told in managed}
    if not managed:
        taken = {Slot(told.slot): told.target for told in tracker.slots if told.target is not None}
    return entry(tracker, taken)


def _keeps(slot: SlotReport, sensor: Sensor) -> bool:
    """Whether a slot has a sensor that nobody has said it is to lose."""
    kept = slot.target if slot.desired is Wish.UNMANAGED else slot.desired
    return isinstance(kept, Sensor) and kept.address == sensor.address


def _slot(tracker: PairingReport, slot: Slot) -> SlotReport:
    absent = SlotReport(slot=slot, desired=Wish.UNMANAGED, target=None, current=None)
    return next((told for told in tracker.slots if told.slot == slot), absent)

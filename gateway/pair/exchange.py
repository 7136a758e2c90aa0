"""Two trackers exchange the sensors of a slot."""

from collections.abc import Mapping

from gateway.pair.choosing import Chosen
from gateway.pair.words import called
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish
from gateway.pairing.report import PairingReport, PairingsReport, SlotReport
from gateway.pairing.requests import EntryRequest, asked
from gateway.terminal.errors import CommandError


def holder_of(report: PairingsReport, tracker: PairingReport, chosen: Chosen) -> PairingReport | None:
    """The other tracker that a sensor is wanted of, or that has it; None if there is none.

    Raises:
        CommandError: If there are several: then it is not clear who is to get what.
    """
    others = [other for other in report.trackers if other.serial_number != tracker.serial_number]
    holders = [other for other in others if chosen.sensor.address in _addresses(_slot(other, chosen.slot))]
    if len(holders) > 1:
        told = " and ".join(map(called, holders))
        raise CommandError(f"{told} both have this sensor: clear it at one of them first.")
    return holders[0] if holders else None


def exchanged(tracker: PairingReport, other: PairingReport, chosen: Chosen) -> tuple[EntryRequest, EntryRequest]:
    """What is wanted of two trackers once they have exchanged the sensors of a slot.

    Args:
        tracker: Gets the chosen sensor.
        other: Gets what that one had, or none.
        chosen: Sensor and slot.
    """
    return _entry(tracker, {chosen.slot: chosen.sensor}), _entry(other, {chosen.slot: _given_up(tracker, chosen.slot)})


def _entry(tracker: PairingReport, changes: Mapping[Slot, Wanted]) -> EntryRequest:
    wanted = {slot: changes.get(slot, _slot(tracker, slot).desired) for slot in Slot}
    return EntryRequest(
        serial_number=tracker.serial_number,
        heart_rate=asked(wanted[Slot.HEART_RATE]),
        power=asked(wanted[Slot.POWER]),
    )


def _given_up(tracker: PairingReport, slot: Slot) -> Wanted:
    """What a tracker had: what is wanted of it, else what it will have, else what it has."""
    told = _slot(tracker, slot)
    if told.desired is Wish.UNMANAGED:
        return told.target or told.current or Wish.NONE
    return told.desired


def _addresses(slot: SlotReport) -> set[str]:
    documents = (slot.desired, slot.target, slot.current)
    return {document.address for document in documents if isinstance(document, Sensor)}


def _slot(tracker: PairingReport, slot: Slot) -> SlotReport:
    absent = SlotReport(slot=slot, desired=Wish.UNMANAGED, target=None, current=None)
    return next((told for told in tracker.slots if told.slot == slot), absent)

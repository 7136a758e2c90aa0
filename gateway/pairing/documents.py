"""What a document says of a tracker's two sensors, in our terms and in the cloud's.

Three documents are compared: what we want (*desired*), what the tracker will be given (*target*, in the cloud; the only
one that is written) and what it last acknowledged (*current*, in the cloud).
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway.cloud.models import BluetoothConfig, Pairing, PairingSet
from insiders_codecs.address import normal_form
from insiders_codecs.errors import DecodeError


class Slot(StrEnum):
    """One of a tracker's two sensors."""

    HEART_RATE = "heart_rate"
    POWER = "power"

    @property
    def label(self) -> str:
        """What people call the sensor in it."""
        return "heart-rate strap" if self is Slot.HEART_RATE else "power meter"


class Sensor(Struct, frozen=True):
    """A strap or a power meter.

    Attributes:
        address: Lower case with colons; as the cloud has it, where that is no address.
        name: As it advertises itself; "" if the cloud has none.
    """

    address: str
    name: str


class Wish(StrEnum):
    """What can be wanted of a slot besides a sensor.

    UNMANAGED: Nothing; it is left alone, and what others do to it is not ours to judge.
    NONE: That it has no sensor.
    """

    UNMANAGED = "unmanaged"
    NONE = "none"


Wanted = Sensor | Wish


class Document(Struct, frozen=True):
    """The sensors of one tracker; None where there is none."""

    heart_rate: Sensor | None = None
    power: Sensor | None = None

    def __getitem__(self, slot: Slot) -> Sensor | None:
        """The sensor in a slot."""
        return self.heart_rate if slot is Slot.HEART_RATE else self.power

    def with_(self, slot: Slot, sensor: Sensor | None) -> "Document":
        """The same with another sensor in a slot."""
        return msgspec.structs.replace(self, **{slot.value: sensor})


class Documents(Struct, frozen=True):
    """What the cloud says of one tracker.

    Attributes:
        target: What it will be given.
        current: What it last acknowledged.
    """

    target: Document
    current: Document


class ClearForm(StrEnum):
    """How the cloud is told that a slot shall have no sensor: undocumented, so it is a setting and verified."""

    NULL = "null"
    EMPTY_OBJECT = "empty_object"
    EMPTY_STRINGS = "empty_strings"


def documents_of(config: BluetoothConfig) -> Documents:
    """The two documents of an answer of the cloud; a tracker that acknowledges an address need not tell the name."""
    target, current = document_of(config.target), document_of(config.current)
    for slot in Slot:
        given, taken = target[slot], current[slot]
        if given is not None and taken is not None and not taken.name and taken.address == given.address:
            current = current.with_(slot, given)
    return Documents(target, current)


def document_of(pairings: PairingSet) -> Document:
    """One document of the cloud; an absent, null or empty pairing is no sensor."""
    return Document(_sensor(pairings.pairing_1), _sensor(pairings.pairing_2))


def request_of(target: PairingSet, changes: Mapping[Slot, Sensor | None], form: ClearForm) -> PairingSet:
    """What to send so that a target changes in these slots and in no other: both slots, in full.

    A slot that is not changed goes back exactly as it came. One that is empty and stays so is left out, which is the
    same whether the cloud merges or replaces, and needs no form that it might not know.

    Args:
        target: As the cloud has just given it.
        changes: The slots to change; None clears one.
        form: How to clear.
    """
    return PairingSet(
        _slot_request(target.pairing_1, changes, Slot.HEART_RATE, form),
        _slot_request(target.pairing_2, changes, Slot.POWER, form),
    )


_CLEARED: Mapping[ClearForm, Pairing | None] = {
    ClearForm.NULL: None,
    ClearForm.EMPTY_OBJECT: Pairing(),
    ClearForm.EMPTY_STRINGS: Pairing("", ""),
}


def _slot_request(
    pairing: Pairing | UnsetType | None, changes: Mapping[Slot, Sensor | None], slot: Slot, form: ClearForm
) -> Pairing | UnsetType | None:
    is_empty = _sensor(pairing) is None
    if slot not in changes:
        return UNSET if is_empty else pairing
    wanted = changes[slot]
    if wanted is None:
        return UNSET if is_empty else _CLEARED[form]
    return Pairing(wanted.address, wanted.name)


def _sensor(pairing: Pairing | UnsetType | None) -> Sensor | None:
    if not isinstance(pairing, Pairing) or not pairing.mac_address:
        return None
    try:
        address = normal_form(pairing.mac_address)
    except DecodeError:
        address = pairing.mac_address
    return Sensor(address, pairing.name or "")

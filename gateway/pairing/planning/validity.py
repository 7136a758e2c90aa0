"""Whether a sensor can be what is wanted of a slot: an address that stays, a name, the right kind."""

from gateway.pairing.conditions import Reason, Status
from gateway.pairing.documents import Slot, Wanted, Wish
from gateway.pairing.observation import Air
from insiders_codecs.address import normal_form
from insiders_codecs.errors import DecodeError

_NOBODYS = frozenset({"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"})


def validity(wanted: Wanted, slot: Slot, air: Air | None) -> tuple[Status, Reason]:
    """Whether it can be.

    What the radio has not heard speaks for nothing and against nothing: FALSE only where something is known to be
    wrong.

    Args:
        wanted: Of the slot.
        slot: Which.
        air: What the radio knows of the wanted sensor; None if nothing.
    """
    if isinstance(wanted, Wish):
        return Status.TRUE, Reason.OK
    if not _is_address(wanted.address):
        return Status.FALSE, Reason.BAD_MAC
    if not wanted.name.strip():
        return Status.FALSE, Reason.NAME_MISSING
    if air is not None and air.address_kind is not None and not air.address_kind.is_stable:
        return Status.FALSE, Reason.PRIVATE_ROTATING_ADDRESS
    if air is not None and air.kind in {other.value for other in Slot if other is not slot}:
        return Status.FALSE, Reason.WRONG_SERVICE
    return Status.TRUE, Reason.OK


def _is_address(text: str) -> bool:
    """Whether it is one, in the only form in which it is compared with what the cloud says."""
    try:
        return normal_form(text) == text and text not in _NOBODYS
    except DecodeError:
        return False

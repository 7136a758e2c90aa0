"""Bluetooth device addresses: one way to write them, and how long each kind stays with its device."""

import re
from enum import StrEnum

from insiders_codecs.errors import DecodeError

_ADDRESS = re.compile(r"[0-9a-f]{2}([:-]?)[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}")


class AddressKind(StrEnum):
    """What an address promises (Bluetooth Core Specification, Vol 6 Part B 1.3)."""

    PUBLIC = "public"
    """Registered, and the device's own for good."""
    STATIC = "static"
    """Random, kept while the device has power: it may change with the battery."""
    RESOLVABLE = "resolvable"
    """Random and renewed every few minutes; a phone that the device is bonded to can recognise it."""
    NON_RESOLVABLE = "non_resolvable"
    """Random and renewed; nobody can recognise it."""
    RESERVED = "reserved"
    """Random, of a form without a meaning yet."""

    @property
    def is_stable(self) -> bool:
        """Whether a device can be found again by it."""
        return self in {AddressKind.PUBLIC, AddressKind.STATIC}


def normal_form(text: str) -> str:
    """Lower case with colons: "a0:9e:1a:12:34:56".

    Args:
        text: Six octets in hexadecimal of either case, all parted by ":", all by "-", or not at all.

    Raises:
        DecodeError: If it is anything else.
    """
    address = text.lower()
    if _ADDRESS.fullmatch(address) is None:
        raise DecodeError("a Bluetooth address is six octets in hexadecimal")
    digits = address.replace(":", "").replace("-", "")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def address_kind(address: str, *, is_random: bool) -> AddressKind:
    """The kind of an address.

    Args:
        address: In any form that `normal_form` takes.
        is_random: What the controller says of it; a public address may have any bits.

    Raises:
        DecodeError: If it is no address.
    """
    first_octet = int(normal_form(address)[:2], 16)
    return _RANDOM_KINDS[first_octet >> 6] if is_random else AddressKind.PUBLIC


_RANDOM_KINDS = (AddressKind.NON_RESOLVABLE, AddressKind.RESOLVABLE, AddressKind.RESERVED, AddressKind.STATIC)
"""By the two top bits."""

"""What any sensor says of itself: its battery, and the characteristics of the Device Information Service.

Bytes after a value of fixed length are ignored.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from insiders_codecs.errors import DecodeError

MAX_TEXT_CHARS = 64

_PNP_ID = Struct("<BHHH")
_SYSTEM_ID_BYTES, _MANUFACTURER_BYTES = 8, 5


class VendorSource(IntEnum):
    """Who gave a vendor its number."""

    BLUETOOTH_SIG = 1
    USB_FORUM = 2


@dataclass(frozen=True, slots=True)
class PnpId:
    """Which product this is.

    Attributes:
        vendor_source: None where it is reserved.
        vendor_id: The vendor's number.
        product_id: The vendor's own number of the product.
        product_version: Likewise; usually four decimal digits in hexadecimal, 0x0213 for 2.1.3.
    """

    vendor_source: VendorSource | None
    vendor_id: int
    product_id: int
    product_version: int


@dataclass(frozen=True, slots=True)
class SystemId:
    """A number that no other device has.

    Attributes:
        manufacturer_identifier: 40 bits, the manufacturer's choice.
        organization_identifier: 24 bits, the manufacturer's own (OUI).
    """

    manufacturer_identifier: int
    organization_identifier: int


def printable(text: str) -> str:
    """A stranger's text, fit for a terminal: one line of at most `MAX_TEXT_CHARS`, with nothing in it that acts.

    White space becomes single spaces; what is no visible character, for example an escape or a change of writing
    direction, becomes the replacement character.
    """
    line = " ".join(text[:_LONGEST].split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)[:MAX_TEXT_CHARS].rstrip()


def decode_text(data: bytes) -> str:
    """A text, such as a model or serial number, as `printable` makes it; may be empty.

    It ends at the first zero byte, with which some sensors fill up. What is not UTF-8 becomes the replacement
    character: a serial number with one wrong byte is still worth reading.
    """
    return printable(data.partition(b"\0")[0].decode("utf-8", "replace"))


def decode_battery_level(data: bytes) -> int:
    """The value of a Battery Level (0x2A19), percent.

    Raises:
        DecodeError: If it is empty or more than 100.
    """
    if not data:
        raise DecodeError("a battery level is empty")
    if data[0] > 100:
        raise DecodeError("a battery level is more than 100 %")
    return data[0]


def decode_pnp_id(data: bytes) -> PnpId:
    """The value of a PnP ID (0x2A50).

    Raises:
        DecodeError: If it is cut off.
    """
    if len(data) < _PNP_ID.size:
        raise DecodeError("a PnP ID is cut off")
    source, vendor_id, product_id, product_version = _PNP_ID.unpack_from(data)
    return PnpId(_VENDOR_SOURCES.get(source), vendor_id, product_id, product_version)


def decode_system_id(data: bytes) -> SystemId:
    """The value of a System ID (0x2A23).

    Raises:
        DecodeError: If it is cut off.
    """
    if len(data) < _SYSTEM_ID_BYTES:
        raise DecodeError("a system ID is cut off")
    return SystemId(
        manufacturer_identifier=int.from_bytes(data[:_MANUFACTURER_BYTES], "little"),
        organization_identifier=int.from_bytes(data[_MANUFACTURER_BYTES:_SYSTEM_ID_BYTES], "little"),
    )


_VENDOR_SOURCES = {int(source): source for source in VendorSource}
_LONGEST = 512
"""No characteristic is longer (Core Specification, Vol 3 Part F 3.2.9): more is not worth looking at."""

"""Advertisements as the radio hands them over, made by hand."""

from collections.abc import Mapping

from gateway.bluetooth.advertisement import Advertisement
from insiders_codecs.address import AddressKind
from insiders_codecs.gatt import CYCLING_POWER_SERVICE, HEART_RATE_SERVICE
from insiders_codecs.polar import POLAR_COMPANY

HEART_RATE, POWER = frozenset({HEART_RATE_SERVICE}), frozenset({CYCLING_POWER_SERVICE})
NOTHING: frozenset[str] = frozenset()


def address(number: int) -> str:
    digits = f"{number:012x}"
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def advertisement(
    number: int,
    name: str | None = None,
    services: frozenset[str] = NOTHING,
    *,
    address_kind: AddressKind = AddressKind.PUBLIC,
    rssi_dbm: int = -60,
    manufacturer_data: Mapping[int, bytes] | None = None,
    appearance: int | None = None,
) -> Advertisement:
    """One advertisement of the device at the address with this number."""
    return Advertisement(address(number), address_kind, name, rssi_dbm, services, manufacturer_data or {}, appearance)


def polar_data(heart_rate_bpm: int, frame_counter: int) -> dict[int, bytes]:
    """What an H10 advertises that is worn."""
    return {POLAR_COMPANY: bytes([0x22 | (frame_counter % 8) << 2, 0, heart_rate_bpm, heart_rate_bpm])}


def old_polar_data(heart_rate_bpm: int) -> dict[int, bytes]:
    """What an H7 advertises whose counter stands."""
    return {POLAR_COMPANY: bytes([0x22, 0, heart_rate_bpm])}

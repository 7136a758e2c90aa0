"""What sensors send, as bytes: the characteristics of the Bluetooth SIG and Polar's advertisement.

Everything is little-endian. A value that does not fit its field is a mistake of the caller: struct.error, ValueError.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum, IntFlag

BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"
BATTERY_SERVICE = "0000180f-0000-1000-8000-00805f9b34fb"
BODY_SENSOR_LOCATION = "00002a38-0000-1000-8000-00805f9b34fb"
CYCLING_POWER_FEATURE = "00002a65-0000-1000-8000-00805f9b34fb"
CYCLING_POWER_MEASUREMENT = "00002a63-0000-1000-8000-00805f9b34fb"
CYCLING_POWER_SERVICE = "00001818-0000-1000-8000-00805f9b34fb"
DEVICE_INFORMATION_SERVICE = "0000180a-0000-1000-8000-00805f9b34fb"
FIRMWARE_REVISION = "00002a26-0000-1000-8000-00805f9b34fb"
HEART_RATE_MEASUREMENT = "00002a37-0000-1000-8000-00805f9b34fb"
HEART_RATE_SERVICE = "0000180d-0000-1000-8000-00805f9b34fb"
MANUFACTURER_NAME = "00002a29-0000-1000-8000-00805f9b34fb"
MODEL_NUMBER = "00002a24-0000-1000-8000-00805f9b34fb"
SENSOR_LOCATION = "00002a5d-0000-1000-8000-00805f9b34fb"
SERIAL_NUMBER = "00002a25-0000-1000-8000-00805f9b34fb"

POLAR_COMPANY = 0x006B


class BodyLocation(IntEnum):
    """Values of 0x2A38."""

    OTHER = 0
    CHEST = 1
    WRIST = 2


class CrankLocation(IntEnum):
    """Values of 0x2A5D."""

    LEFT_CRANK = 5
    RIGHT_CRANK = 6
    LEFT_PEDAL = 7
    RIGHT_PEDAL = 8
    SPIDER = 15


class PowerFeature(IntFlag):
    """Bits of 0x2A65."""

    BALANCE = 1 << 0
    TORQUE = 1 << 1
    CRANK_REVOLUTIONS = 1 << 3
    OFFSET_COMPENSATION = 1 << 9
    CRANK_LENGTH = 1 << 12
    NOT_DISTRIBUTED = 1 << 20
    DISTRIBUTED = 2 << 20


def heart_rate_measurement(
    heart_rate_bpm: int, rr_intervals: Sequence[int] = (), *, is_contact: bool | None = None
) -> bytes:
    """0x2A37. RR intervals are in 1/1024 s, oldest first; contact is None where the strap does not measure it."""
    is_wide = heart_rate_bpm > 255
    contact = 0 if is_contact is None else 0b110 if is_contact else 0b100
    flags = int(is_wide) | contact | (0b10000 if rr_intervals else 0)
    return struct.pack(f"<B{'H' if is_wide else 'B'}{len(rr_intervals)}H", flags, heart_rate_bpm, *rr_intervals)


def cycling_power_measurement(
    power_w: int,
    *,
    left_half_percent: int | None = None,
    torque_32nds_nm: int | None = None,
    crank: tuple[int, int] | None = None,
) -> bytes:
    """0x2A63 of something at the crank.

    Args:
        power_w: -32768 to 32767.
        left_half_percent: The left leg's share in steps of 0.5 %.
        torque_32nds_nm: Accumulated torque, 1/32 N·m, at any height: its counter wraps at 2¹⁶.
        crank: Accumulated revolutions and the time of the last, 1/1024 s; both wrap at 2¹⁶.
    """
    flags, fields = 0, b""
    if left_half_percent is not None:
        flags |= 0b11  # present, and of the left
        fields += struct.pack("<B", left_half_percent)
    if torque_32nds_nm is not None:
        flags |= 0b1100  # present, and from the crank
        fields += struct.pack("<H", torque_32nds_nm % 65536)
    if crank is not None:
        flags |= 0b100000
        fields += struct.pack("<HH", *(value % 65536 for value in crank))
    return struct.pack("<Hh", flags, power_w) + fields


def cycling_power_feature(feature: PowerFeature) -> bytes:
    """0x2A65."""
    return struct.pack("<I", feature)


def polar_broadcast(heart_rate_bpm: int, frame_counter: int, *, is_contact: bool, block: bytes | None = None) -> bytes:
    """Polar's manufacturer data without the company: the heart rate, after a typed block if one is given.

    Args:
        heart_rate_bpm: 0 to 255; both the fast and the slow average.
        frame_counter: Of any size, three bits of it are sent.
        is_contact: Whether there is skin.
        block: What newer devices put first; at most 255 bytes.
    """
    status = 0b100001 | (0b10 if is_contact else 0) | (frame_counter & 0b111) << 2
    first = b"" if block is None else bytes((0x40, len(block))) + block
    return first + bytes((status, 0, heart_rate_bpm, heart_rate_bpm))

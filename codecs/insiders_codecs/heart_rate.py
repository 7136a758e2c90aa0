"""What a heart-rate strap says of a heart: characteristics 0x2A37 and 0x2A38 of the Heart Rate Service."""

from dataclasses import dataclass
from enum import IntEnum

from insiders_codecs.errors import DecodeError

_IS_16_BIT, _HAS_ENERGY, _HAS_RR_INTERVALS = 0x01, 0x08, 0x10
_CONTACT = (None, None, False, True)
"""By flag bits 1 and 2: a sensor without contact detection has not found that there is no contact."""


@dataclass(frozen=True, slots=True)
class HeartRateMeasurement:
    """One notification.

    Attributes:
        heart_rate_bpm: As sent; 0 is what some sensors send while they find no pulse.
        is_contact: Whether it touches the skin, None where the sensor cannot tell.
        energy_kj: Energy expended since it was last set to zero.
        rr_intervals: Times between beats in 1/1024 s, oldest first.
    """

    heart_rate_bpm: int
    is_contact: bool | None = None
    energy_kj: int | None = None
    rr_intervals: tuple[int, ...] = ()

    @property
    def rr_intervals_ms(self) -> tuple[float, ...]:
        """Times between beats in milliseconds, oldest first."""
        return tuple(interval * 1000 / 1024 for interval in self.rr_intervals)


class BodySensorLocation(IntEnum):
    """Where a heart-rate sensor is worn."""

    OTHER = 0
    CHEST = 1
    WRIST = 2
    FINGER = 3
    HAND = 4
    EAR_LOBE = 5
    FOOT = 6


def decode_heart_rate_measurement(data: bytes) -> HeartRateMeasurement:
    """The value of a Heart Rate Measurement (0x2A37).

    Reserved flags are ignored, and so are bytes after the last announced field. Times between beats reach to the end;
    they may be announced and be none, in a second without a beat.

    Raises:
        DecodeError: If an announced field is cut off.
    """
    if not data:
        raise DecodeError("a heart rate measurement is empty")
    flags = data[0]
    offset = 3 if flags & _IS_16_BIT else 2
    end_of_energy = offset + 2 if flags & _HAS_ENERGY else offset
    if len(data) < end_of_energy:
        raise DecodeError("a heart rate measurement is cut off")
    energy_kj = int.from_bytes(data[offset:end_of_energy], "little") if flags & _HAS_ENERGY else None
    intervals = data[end_of_energy:] if flags & _HAS_RR_INTERVALS else b""
    if len(intervals) % 2:
        raise DecodeError("a heart rate measurement is cut off")
    return HeartRateMeasurement(
        heart_rate_bpm=int.from_bytes(data[1:offset], "little"),
        is_contact=_CONTACT[flags >> 1 & 0b11],
        energy_kj=energy_kj,
        rr_intervals=tuple(int.from_bytes(intervals[i : i + 2], "little") for i in range(0, len(intervals), 2)),
    )


def decode_body_sensor_location(data: bytes) -> BodySensorLocation | None:
    """The value of a Body Sensor Location (0x2A38), None where it is reserved; bytes after the first are ignored.

    Raises:
        DecodeError: If it is empty.
    """
    if not data:
        raise DecodeError("a body sensor location is empty")
    return _LOCATIONS.get(data[0])


_LOCATIONS = {int(location): location for location in BodySensorLocation}

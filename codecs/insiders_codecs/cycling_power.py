"""What a power meter says: characteristics 0x2A63, 0x2A65 and 0x2A5D of the Cycling Power Service.

Fields and units: the Bluetooth SIG's descriptions of these characteristics. Bytes after the last known field are
ignored, since a later edition may add some, and so are reserved bits.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct

from insiders_codecs.errors import DecodeError
from insiders_codecs.revolutions import RevolutionRate, Revolutions


@dataclass(frozen=True, slots=True)
class CyclingPowerMeasurement:
    """One notification; what is not in it is None.

    Angles are 0 with the crank at 12 o'clock and grow clockwise, seen with the front wheel to the right.

    Attributes:
        power_w: Power now; negative when the rider brakes the pedals.
        balance_percent: Share of one pedal in the power; as sent, which may be more than 100.
        is_balance_of_left: Whether that is the left pedal for certain.
        accumulated_torque_nm: Sum of one value a revolution; begins anew at 2048.
        is_torque_of_crank: Whether the torque was measured at the crank and not at the wheel.
        wheel: Turns of the wheel, for `wheel_rate`.
        crank: Turns of the crank, for `crank_rate`.
        highest_force_n: Within the last revolution, as are the other extremes.
        lowest_force_n: Always together with the highest.
        highest_torque_nm: Likewise.
        lowest_torque_nm: Likewise.
        highest_angle_deg: Where the highest of them was; as sent, 0 to 4095.
        lowest_angle_deg: Where the lowest was.
        top_dead_spot_deg: Where the power becomes positive.
        bottom_dead_spot_deg: Where it becomes negative.
        accumulated_energy_kj: Since the sensor was switched on; begins anew at 65536.
        is_offset_compensated: The offset compensation indicator.
    """

    power_w: int
    balance_percent: float | None = None
    is_balance_of_left: bool = False
    accumulated_torque_nm: float | None = None
    is_torque_of_crank: bool = False
    wheel: Revolutions | None = None
    crank: Revolutions | None = None
    highest_force_n: int | None = None
    lowest_force_n: int | None = None
    highest_torque_nm: float | None = None
    lowest_torque_nm: float | None = None
    highest_angle_deg: int | None = None
    lowest_angle_deg: int | None = None
    top_dead_spot_deg: int | None = None
    bottom_dead_spot_deg: int | None = None
    accumulated_energy_kj: int | None = None
    is_offset_compensated: bool = False


class DistributedSystem(IntEnum):
    """Whether a power meter can be one of several whose powers add up."""

    UNSPECIFIED = 0
    NOT_SUPPORTED = 1
    SUPPORTED = 2

    @property
    def is_part(self) -> bool:
        """Whether it says that it can."""
        return self is DistributedSystem.SUPPORTED


class CyclingPowerFeature(IntFlag):
    """What a power meter can do."""

    PEDAL_POWER_BALANCE = 1 << 0
    ACCUMULATED_TORQUE = 1 << 1
    WHEEL_REVOLUTIONS = 1 << 2
    CRANK_REVOLUTIONS = 1 << 3
    EXTREME_MAGNITUDES = 1 << 4
    EXTREME_ANGLES = 1 << 5
    DEAD_SPOT_ANGLES = 1 << 6
    ACCUMULATED_ENERGY = 1 << 7
    OFFSET_COMPENSATION_INDICATOR = 1 << 8
    OFFSET_COMPENSATION = 1 << 9
    CONTENT_MASKING = 1 << 10
    MULTIPLE_SENSOR_LOCATIONS = 1 << 11
    CRANK_LENGTH_ADJUSTMENT = 1 << 12
    CHAIN_LENGTH_ADJUSTMENT = 1 << 13
    CHAIN_WEIGHT_ADJUSTMENT = 1 << 14
    SPAN_LENGTH_ADJUSTMENT = 1 << 15
    TORQUE_BASED = 1 << 16
    """Its extremes are torques; forces without this."""
    INSTANTANEOUS_DIRECTION = 1 << 17
    FACTORY_CALIBRATION_DATE = 1 << 18
    ENHANCED_OFFSET_COMPENSATION = 1 << 19

    @property
    def distributed_system(self) -> DistributedSystem:
        """The number in bits 20 and 21, which are no flags; the reserved one is `UNSPECIFIED`."""
        number = self >> 20 & 0b11
        return DistributedSystem.UNSPECIFIED if number == 0b11 else DistributedSystem(number)


class SensorLocation(IntEnum):
    """Where a cycling sensor sits."""

    OTHER = 0
    TOP_OF_SHOE = 1
    IN_SHOE = 2
    HIP = 3
    FRONT_WHEEL = 4
    LEFT_CRANK = 5
    RIGHT_CRANK = 6
    LEFT_PEDAL = 7
    RIGHT_PEDAL = 8
    FRONT_HUB = 9
    REAR_DROPOUT = 10
    CHAINSTAY = 11
    REAR_WHEEL = 12
    REAR_HUB = 13
    CHEST = 14
    SPIDER = 15
    CHAIN_RING = 16

    @property
    def is_right_only(self) -> bool:
        """Whether only the right leg's power passes there."""
        return self in {SensorLocation.RIGHT_CRANK, SensorLocation.RIGHT_PEDAL}


def decode_cycling_power_measurement(data: bytes) -> CyclingPowerMeasurement:
    """The value of a Cycling Power Measurement (0x2A63).

    Raises:
        DecodeError: If an announced field is cut off.
    """
    fields = _Fields(data)
    balance = fields.number(0, _UINT8)
    torque = fields.number(2, _UINT16)
    wheel = fields.pair(4, _UINT32_UINT16)
    crank = fields.pair(5, _UINT16_UINT16)
    highest_force, lowest_force = fields.pair(6, _SINT16_SINT16) or (None, None)
    highest_torque, lowest_torque = fields.pair(7, _SINT16_SINT16) or (None, None)
    angles = fields.pair(8, _UINT16_UINT8)
    top_dead_spot = fields.number(9, _UINT16)
    bottom_dead_spot = fields.number(10, _UINT16)
    energy = fields.number(11, _UINT16)
    return CyclingPowerMeasurement(
        power_w=fields.power_w,
        balance_percent=None if balance is None else balance / 2,
        is_balance_of_left=fields.has(1),
        accumulated_torque_nm=_newton_metres(torque),
        is_torque_of_crank=fields.has(3),
        wheel=None if wheel is None else Revolutions(*wheel),
        crank=None if crank is None else Revolutions(*crank),
        highest_force_n=highest_force,
        lowest_force_n=lowest_force,
        highest_torque_nm=_newton_metres(highest_torque),
        lowest_torque_nm=_newton_metres(lowest_torque),
        # Two numbers of 12 bits in three bytes, the highest in the low ones.
        highest_angle_deg=None if angles is None else angles[0] & 0xFFF,
        lowest_angle_deg=None if angles is None else angles[1] << 4 | angles[0] >> 12,
        top_dead_spot_deg=top_dead_spot,
        bottom_dead_spot_deg=bottom_dead_spot,
        accumulated_energy_kj=energy,
        is_offset_compensated=fields.has(12),
    )


def decode_cycling_power_feature(data: bytes) -> CyclingPowerFeature:
    """The value of a Cycling Power Feature (0x2A65).

    Raises:
        DecodeError: If it is cut off.
    """
    if len(data) < _FEATURE_BYTES:
        raise DecodeError("a cycling power feature is cut off")
    return CyclingPowerFeature(int.from_bytes(data[:_FEATURE_BYTES], "little") & _KNOWN_FEATURE_BITS)


def decode_sensor_location(data: bytes) -> SensorLocation | None:
    """The value of a Sensor Location (0x2A5D), None where it is reserved.

    Raises:
        DecodeError: If it is empty.
    """
    if not data:
        raise DecodeError("a sensor location is empty")
    return _SENSOR_LOCATIONS.get(data[0])


def wheel_rate() -> RevolutionRate:
    """For the turns of a wheel; its clock is twice as fast as the crank's, and as a speed sensor's."""
    return RevolutionRate(ticks_per_s=2048, count_bits=32, highest_rpm=2000)


def crank_rate() -> RevolutionRate:
    """For the turns of a crank: the cadence."""
    return RevolutionRate(ticks_per_s=1024, count_bits=16, highest_rpm=500)


_UINT8, _UINT16, _UINT16_UINT8, _UINT16_UINT16 = Struct("<B"), Struct("<H"), Struct("<HB"), Struct("<HH")
_UINT32_UINT16, _SINT16_SINT16 = Struct("<IH"), Struct("<hh")
_FLAGS_AND_POWER = Struct("<Hh")
_SENSOR_LOCATIONS = {int(location): location for location in SensorLocation}
_FEATURE_BYTES = 4
_KNOWN_FEATURE_BITS = (1 << 22) - 1


class _Fields:
    """Reads a measurement's optional fields, which have to be asked for in their order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0
        self._flags, self.power_w = self._read(_FLAGS_AND_POWER)

    def has(self, bit: int) -> bool:
        return bool(self._flags >> bit & 1)

    def number(self, bit: int, layout: Struct) -> int | None:
        """The field that a flag announces."""
        return int(self._read(layout)[0]) if self.has(bit) else None

    def pair(self, bit: int, layout: Struct) -> tuple[int, int] | None:
        """The two fields that a flag announces."""
        if not self.has(bit):
            return None
        first, second = self._read(layout)
        return first, second

    def _read(self, layout: Struct) -> tuple[int, ...]:
        start, self._offset = self._offset, self._offset + layout.size
        if len(self._data) < self._offset:
            raise DecodeError("a cycling power measurement is cut off")
        return layout.unpack_from(self._data, start)


def _newton_metres(number: int | None) -> float | None:
    return None if number is None else number / 32

"""A strap or a power meter as a thing: what it advertises, what can be read from it, and what it measures."""

from dataclasses import dataclass

from gateway.simulator import encoders
from gateway.simulator.bluez.peripheral import Characteristic, Peripheral, Service
from gateway.simulator.encoders import PowerFeature
from gateway.simulator.rhythm import Beats, Crank
from gateway.simulator.sensor_models import Model, Unit

# Values of the appearance characteristic: heart-rate belt, and cycling power sensor.
_BELT, _POWER_SENSOR = 833, 1156

_FRAME_S = 1.0  # how often a broadcast heart rate is a new one
_EVEN_BALANCE = 100  # left half, in half percent


@dataclass(frozen=True, slots=True)
class Vitals:
    """What there is to measure about an athlete at an instant; without a bicycle neither power nor cadence."""

    heart_rate_bpm: int = 0
    power_w: int = 0
    cadence_rpm: int = 0


class Sensor:
    """One unit with its battery and its counters.

    Attributes:
        unit: Which.
        peripheral: How the radio sees it.
    """

    def __init__(self, unit: Unit, battery_percent: int = 85) -> None:
        self.unit = unit
        self._beats, self._crank = Beats(unit.number), Crank()
        self._broadcast: tuple[int, int] = (0, 0)
        self._battery = Characteristic(encoders.BATTERY_LEVEL, ("read", "notify"))
        self.battery_percent = battery_percent
        service = _service(unit.model)
        self.peripheral = Peripheral(
            address=unit.address.upper(),
            name=unit.name,
            is_random=unit.model.is_random,
            services=(service.uuid,) if unit.model.advertises_service else (),
            appearance=_POWER_SENSOR if self.is_meter else _BELT,
            gatt=(_device_information(unit), Service(encoders.BATTERY_SERVICE, (self._battery,)), service),
        )

    @property
    def battery_percent(self) -> int:
        """0 to 100; at 0 it is dead."""
        return self._battery.value[0]

    @battery_percent.setter
    def battery_percent(self, percent: int) -> None:
        self._battery.value = bytes((percent,))

    @property
    def is_meter(self) -> bool:
        """Whether it is a power meter, and not a strap."""
        return self.unit.model.power is not None

    @property
    def interval_s(self) -> float:
        """How often it advertises."""
        return self.unit.model.interval_s

    def advertise(self, vitals: Vitals | None, now_s: float) -> None:
        """Let the advertisement say what there is to say at an instant.

        On nobody a strap goes on with the last heart rate, and with a frame counter that stands.
        """
        model = self.unit.model
        if not model.broadcasts:
            return
        if vitals is not None:
            self._broadcast = (vitals.heart_rate_bpm, int(now_s / _FRAME_S))
        self.peripheral.manufacturer_data[encoders.POLAR_COMPANY] = encoders.polar_broadcast(
            *self._broadcast, is_contact=vitals is not None, block=model.block
        )

    def measure(self, vitals: Vitals | None, now_s: float) -> tuple[str, bytes]:
        """The measurement of an instant: its characteristic, and its bytes; None is a sensor that nobody uses."""
        now = vitals or Vitals()
        if self.unit.model.power is None:
            return encoders.HEART_RATE_MEASUREMENT, self._heart_rate(now, now_s, is_contact=vitals is not None)
        return encoders.CYCLING_POWER_MEASUREMENT, self._power(self.unit.model.power, now, now_s)

    def _heart_rate(self, vitals: Vitals, now_s: float, *, is_contact: bool) -> bytes:
        model = self.unit.model
        return encoders.heart_rate_measurement(
            vitals.heart_rate_bpm,
            self._beats.intervals(vitals.heart_rate_bpm, now_s) if model.measures_rr else (),
            is_contact=is_contact if model.measures_contact else None,
        )

    def _power(self, feature: PowerFeature, vitals: Vitals, now_s: float) -> bytes:
        turns = self._crank.turned(vitals.cadence_rpm, vitals.power_w, now_s)
        return encoders.cycling_power_measurement(
            vitals.power_w,
            left_half_percent=_EVEN_BALANCE if PowerFeature.BALANCE in feature else None,
            torque_32nds_nm=turns.torque_32nds_nm if PowerFeature.TORQUE in feature else None,
            crank=(turns.count, turns.event_ticks),
        )


def _device_information(unit: Unit) -> Service:
    texts = {
        encoders.MANUFACTURER_NAME: unit.model.manufacturer,
        encoders.MODEL_NUMBER: unit.model.name,
        encoders.SERIAL_NUMBER: unit.address.replace(":", "").upper(),
        encoders.FIRMWARE_REVISION: unit.model.firmware,
    }
    characteristics = (Characteristic(uuid, ("read",), text.encode()) for uuid, text in texts.items())
    return Service(encoders.DEVICE_INFORMATION_SERVICE, tuple(characteristics))


def _service(model: Model) -> Service:
    """What the sensor is for: heart rate or cycling power."""
    location = bytes((model.location,))
    if model.power is None:
        return Service(
            encoders.HEART_RATE_SERVICE,
            (
                Characteristic(encoders.HEART_RATE_MEASUREMENT, ("notify",)),
                Characteristic(encoders.BODY_SENSOR_LOCATION, ("read",), location),
            ),
        )
    return Service(
        encoders.CYCLING_POWER_SERVICE,
        (
            Characteristic(encoders.CYCLING_POWER_MEASUREMENT, ("notify",)),
            Characteristic(encoders.CYCLING_POWER_FEATURE, ("read",), encoders.cycling_power_feature(model.power)),
            Characteristic(encoders.SENSOR_LOCATION, ("read",), location),
        ),
    )

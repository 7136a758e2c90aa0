"""Where one sensor is, for those who know it by an address and a name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.bluetooth.census import Entry
from gateway.bluetooth.holder import Holder
from gateway.bluetooth.identity import SensorKind, advertised_id, sensor_id
from gateway.bluetooth.presence import Presence, presence
from gateway.bluetooth.radio import Radio
from gateway.bluetooth.sightings import Sensor, Sightings


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Of one sensor.

    Attributes:
        sensor: As the book has it; None if it was never heard.
        presence: Whether it is in the air.
        holder: Who has it, for the tracker that it belongs to.
        is_shared: Whether several devices in the air advertise its ID.
    """

    sensor: Sensor | None
    presence: Presence
    holder: Holder
    is_shared: bool


def whereabouts(
    address: str, name: str, sightings: Sightings, entries: Mapping[str, Entry], radio: Radio, now_s: float
) -> Whereabouts:
    """Where a sensor is.

    Args:
        address: In normal form.
        name: As it advertises itself; "" if nobody knows.
        sightings: The book.
        entries: Those of the last census by their ids; the sensor may have come into the book since.
        radio: The radio.
        now_s: Now.
    """
    sensor, own_id = sightings.find(address, name), advertised_id(name)
    is_shared = own_id is not None and sightings.is_shared(own_id)
    entry = entries.get(sensor_id(own_id, address) if sensor is None else sensor.id)
    if entry is not None:
        return Whereabouts(sensor, entry.presence, entry.verdict.holder, is_shared)
    reception = None if sensor is None else sensor.reception
    where = presence(
        None if reception is None else reception.last_seen_s,
        None if reception is None else reception.interval_s,
        radio.listening_since_s,
        now_s,
    )
    return Whereabouts(sensor, where, Holder.UNKNOWN, is_shared)


def heart_rates(entries: Iterable[Entry], now_s: float) -> dict[str, int]:
    """What straps of athletes who may be shown broadcast, bpm, by the address that their trackers look for."""
    rates_bpm = dict[str, int]()
    for entry in entries:
        value = entry.sensor.broadcast.value(now_s) if entry.sensor is not None and entry.is_released else None
        if value is not None:
            users = (assignment for assignment in entry.assignments if assignment.kind is SensorKind.HEART_RATE)
            rates_bpm |= {assignment.address: value.heart_rate_bpm for assignment in users}
    return rates_bpm

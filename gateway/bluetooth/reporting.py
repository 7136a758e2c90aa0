"""From what is known of sensors and the radio to what is told of them."""

from collections.abc import Callable, Iterable, Mapping

from gateway.bluetooth.cautions import NO_CONTACT, half_power_warning
from gateway.bluetooth.census import Entry
from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.identity import SensorKind, clean_name, model_of
from gateway.bluetooth.presence import Presence
from gateway.bluetooth.radio import Radio
from gateway.bluetooth.report import RadioReport, SensorReport, TrackerReport


def report_radio(radio: Radio) -> RadioReport:
    """What is told of the radio."""
    return RadioReport(
        state=str(radio.state), adapter=radio.adapter, text=radio.text, action=radio.action, notes=radio.notes
    )


def report_sensor(entry: Entry, now_s: float, epoch_ms: Callable[[float], int]) -> SensorReport:
    """What is told of a sensor.

    Args:
        entry: The sensor.
        now_s: Now.
        epoch_ms: From times of the monotonic clock to those that are told.
    """
    sensor = entry.sensor
    assignment = entry.assignments[0] if entry.assignments else None
    name = None if sensor is None else sensor.name
    if name is None and assignment is not None:
        name = clean_name(assignment.name)
    model = sensor.model if sensor is not None and sensor.name is not None else model_of(name)
    reception = None if sensor is None else sensor.reception
    is_heard = entry.presence in {Presence.SEEN, Presence.QUIET}
    is_told = is_heard and entry.is_released
    heart_rate = sensor.broadcast.value(now_s) if sensor is not None and is_told else None
    interval_s = None if reception is None else reception.interval_s
    return SensorReport(
        id=entry.id,
        kind=str(entry.kind),
        name=name,
        model=None if model is None else model.name,
        address=sensor.address if sensor is not None else entry.assignments[0].address,
        address_kind=None if sensor is None else str(sensor.address_kind),
        presence=str(entry.presence),
        rssi_dbm=None if reception is None else reception.rssi_dbm,
        bars=reception.bars if reception is not None and is_heard else 0,
        interval_ms=None if interval_s is None else round(interval_s * 1000),
        first_seen_ms=None if reception is None else epoch_ms(reception.first_seen_s),
        last_seen_ms=None if reception is None else epoch_ms(reception.last_seen_s),
        battery_percent=None if entry.inspection is None else entry.inspection.battery_percent,
        heart_rate_bpm=None if heart_rate is None else heart_rate.heart_rate_bpm,
        is_contact=sensor.is_worn(now_s) if sensor is not None and is_heard else None,
        tracker=None if assignment is None else _tracker(assignment),
        holder=str(entry.verdict.holder),
        text=entry.verdict.text,
        action=entry.verdict.action,
        warnings=tuple(_warnings(entry, name)),
        inspection=entry.inspection if entry.inspection is None or entry.is_released else entry.inspection.withheld,
        inspected_ms=None if entry.inspected_s is None else epoch_ms(entry.inspected_s),
    )


def _tracker(assignment: Assignment) -> TrackerReport:
    return TrackerReport(
        serial_number=assignment.serial_number,
        name=assignment.athlete,
        number=assignment.number,
        slot=str(assignment.kind),
        is_applied=assignment.is_applied,
    )


def _warnings(entry: Entry, name: str | None) -> Iterable[str]:
    """What a person should know before using the sensor, one clause each."""
    serial_numbers = sorted({assignment.serial_number for assignment in entry.assignments})
    if len(serial_numbers) > 1:
        yield f"It is assigned to {' and '.join(serial_numbers)}: take it from all but one"
    slots = {assignment.kind for assignment in entry.assignments}
    if entry.kind is not SensorKind.BOTH and slots - {entry.kind}:
        yield _WRONG_SLOT[entry.kind]
    if entry.inspection is not None:
        # What it said of skin contact then says nothing of now.
        yield from (warning for warning in entry.inspection.warnings if warning != NO_CONTACT)
    elif entry.kind.measures_power:
        warning = half_power_warning(name, None, None)
        if warning is not None:
            yield warning


_WRONG_SLOT: Mapping[SensorKind, str] = {
    SensorKind.HEART_RATE: "It is assigned as a power meter but measures heart rate: assign another one",
    SensorKind.POWER: "It is assigned as a heart-rate sensor but measures power: assign another one",
}

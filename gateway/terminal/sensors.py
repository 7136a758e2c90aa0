"""What people call sensors, and whose they are."""

from collections import Counter

from gateway.bluetooth.report import SensorReport
from gateway.terminal.layout import NOT_KNOWN, plain

UNKNOWN_KIND = "unknown"
KINDS = {"heart_rate": "heart", "power": "power", "both": "both", UNKNOWN_KIND: "?"}

_LONGEST_NAME = 64


def name_of(sensor: SensorReport) -> str:
    """What a person would call a sensor: its name, else its model, else its id."""
    names = (plain(name or "")[:_LONGEST_NAME].strip() for name in (sensor.name, sensor.model, sensor.id))
    return next(filter(None, names), NOT_KNOWN)


def name_among(sensor: SensorReport, names: Counter[str]) -> str:
    """A sensor's name, with the end of its address where others are called the same."""
    name = name_of(sensor)
    return f"{name} {plain(sensor.address[-5:])}" if names[name] > 1 else name


def athlete_of(sensor: SensorReport) -> str:
    """Whose sensor it is, with the shirt's number; empty if nobody's."""
    tracker = sensor.tracker
    if tracker is None:
        return ""
    name = plain(tracker.name or "").strip() or plain(tracker.serial_number)
    return name if tracker.number is None else f"{tracker.number} {name}"


def is_doubtful(sensor: SensorReport) -> bool:
    """Whether it may be no sensor at all."""
    return sensor.kind == UNKNOWN_KIND and sensor.tracker is None


def called(sensor: SensorReport) -> str:
    """A sensor in words: its name, and whose it is."""
    whose = "perhaps not a sensor" if is_doubtful(sensor) else athlete_of(sensor)
    return f"{name_of(sensor)} ({whose})" if whose else name_of(sensor)


def names_of(sensor: SensorReport, names: Counter[str]) -> list[str]:
    """All that a sensor itself may be called by.

    Args:
        sensor: Which.
        names: How many sensors are called what.
    """
    return [sensor.id, sensor.address, name_of(sensor), name_among(sensor, names)]

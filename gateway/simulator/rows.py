"""How the cloud writes measurements: flat rows with dotted keys over REST, groups of columns over the websocket."""

import random
from typing import Literal

from gateway.simulator.delivery import ROW_MS
from gateway.simulator.world import Second

Missing = Literal["absent", "null", "zero"]
Form = Literal["scalars", "lists"]
Row = dict[str, object]

_POSITION = ("gnss.latitude", "gnss.longitude", "gnss.altitude", "gnss.speed")
_READINGS = ("ecg.hr", "pwr.pwr_cadence", "pwr.pwr_instantpower", "device.standstill", "device.Bat_lvl")
_UNKNOWN: tuple[tuple[str, object], ...] = (
    ("gnss.heading", 271.4),
    ("x.quality", "good"),
    ("device.temperature", None),
    ("imu", {"gyro": [1, 2, 3], "range": {"unit": "dps"}}),
    ("gnss.satellites", [3, 17, 22]),
    ("flags", True),
)

_GARBAGE = (
    b"",
    b"null",
    b"<html><body>502 Bad Gateway</body></html>",
    b'{"gnss": {"timestamp": "now", "latitude": [1]}}',
    b'{"gnss": {"timestamp": [1750000000000, 1750000000100], "longitude": [0.5], "latitude": [0.5]}}',
    b'{"gnss": {"timestamp": [NaN], "speed": [1e400]}, "ecg": 7}',
    b"[" * 1000,
)


def rest_rows(second: Second, first_ms: int, missing: Missing, *, fix: bool) -> list[Row]:
    """The ten rows of a second, ascending; all but the first lack the readings taken once a second."""
    no_readings = _form(dict.fromkeys(_READINGS), missing)
    no_position = _form(dict.fromkeys(_POSITION), missing)
    rows: list[Row] = []
    for place in range(len(second.latitude)):
        t_ms = first_ms + place * ROW_MS
        position = _position(second, place) if fix else no_position
        readings = _form(_readings(second), missing) if place == 0 else no_readings
        row: Row = {"gnss.timestamp": t_ms, **position, **readings}
        if place == 0:
            row["device.timestamp"] = t_ms
            if second.heart_rate is not None:
                row["ecg.timestamp"] = t_ms
            if second.power is not None:
                row["pwr.timestamp"] = t_ms
        rows.append(row)
    return rows


def websocket_update(second: Second, first_ms: int, missing: Missing, form: Form, *, fix: bool) -> dict[str, Row]:
    """The one message of a second; without a fix the group of positions is missing."""
    update: dict[str, Row] = {}
    if fix:
        positions = [_position(second, place) for place in range(len(second.latitude))]
        update["gnss"] = {
            "timestamp": [first_ms + place * ROW_MS for place in range(len(positions))],
            **{key.removeprefix("gnss."): [position[key] for position in positions] for key in _POSITION},
        }
    heart: Row = {"hr": second.heart_rate}
    power: Row = {"pwr_cadence": second.cadence, "pwr_instantpower": second.power}
    for group, values in (("ecg", _form(heart, missing)), ("pwr", _form(power, missing))):
        if values:
            update[group] = {"timestamp": first_ms, **values}
    update["device"] = {"timestamp": first_ms, "standstill": second.standstill, "Bat_lvl": second.battery}
    if form == "lists":
        for group in update.keys() - {"gnss"}:
            update[group] = {key: [value] for key, value in update[group].items()}
    return update


def add_unknown(row: Row, rng: random.Random) -> Row:
    """The row with one or more fields no client knows."""
    return {**row, **dict(rng.sample(_UNKNOWN, rng.randint(1, 3)))}


def garbled(update: bytes, rng: random.Random) -> bytes:
    """Something malformed in place of a websocket message."""
    return rng.choice((*_GARBAGE, update[: len(update) // 2], b"[" + update + b"]"))


def _position(second: Second, place: int) -> Row:
    return {
        "gnss.latitude": second.latitude[place] / 1e7,
        "gnss.longitude": second.longitude[place] / 1e7,
        "gnss.altitude": second.altitude[place] / 1000,
        "gnss.speed": second.speed[place] / 1000,
    }


def _readings(second: Second) -> Row:
    return {
        "ecg.hr": second.heart_rate,
        "pwr.pwr_cadence": second.cadence,
        "pwr.pwr_instantpower": second.power,
        "device.standstill": second.standstill,
        "device.Bat_lvl": second.battery,
    }


def _form(values: Row, missing: Missing) -> Row:
    """The values with every missing one, a None, in the form asked for."""
    match missing:
        case "absent":
            return {key: value for key, value in values.items() if value is not None}
        case "null":
            return values
        case "zero":
            return {key: 0 if value is None else value for key, value in values.items()}

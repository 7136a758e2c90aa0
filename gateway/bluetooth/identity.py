"""What a device is, from what it advertises: its kind, its model, and the ID that it tells of itself."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from gateway.bluetooth.advertisement import Advertisement
from insiders_codecs.errors import DecodeError
from insiders_codecs.gatt import CYCLING_POWER_SERVICE, HEART_RATE_SERVICE
from insiders_codecs.polar import POLAR_COMPANY, PolarHeartRate, decode_polar_heart_rate

LONGEST_NAME = 40
"""Characters of a name that are kept: it comes from anybody within a hundred metres."""


class SensorKind(StrEnum):
    """What a device measures."""

    HEART_RATE = "heart_rate"
    POWER = "power"
    BOTH = "both"
    UNKNOWN = "unknown"

    @property
    def measures_heart_rate(self) -> bool:
        """Whether it is a heart-rate sensor."""
        return self in {SensorKind.HEART_RATE, SensorKind.BOTH}

    @property
    def measures_power(self) -> bool:
        """Whether it is a power meter."""
        return self in {SensorKind.POWER, SensorKind.BOTH}

    def merged(self, other: "SensorKind") -> "SensorKind":
        """What a device is that showed itself as this and as that."""
        if other in {self, SensorKind.UNKNOWN}:
            return self
        return other if self == SensorKind.UNKNOWN else SensorKind.BOTH


@dataclass(frozen=True, slots=True)
class Model:
    """A known model.

    Attributes:
        name: As its maker calls it.
        links: How many connections it takes at once for certain, as it leaves the factory; None if that is not known.
    """

    name: str
    links: int | None


def kind_of(advertisement: Advertisement) -> SensorKind:
    """What an advertisement shows of what the device measures. One that hides its service is known by its name."""
    kind = _APPEARANCES.get(advertisement.appearance or 0, SensorKind.UNKNOWN)
    if HEART_RATE_SERVICE in advertisement.services or advertised_heart_rate(advertisement) is not None:
        kind = kind.merged(SensorKind.HEART_RATE)
    if CYCLING_POWER_SERVICE in advertisement.services:
        kind = kind.merged(SensorKind.POWER)
    family = _family(clean_name(advertisement.name))
    return kind if family is None else kind.merged(family.kind)


def advertised_heart_rate(advertisement: Advertisement) -> PolarHeartRate | None:
    """The heart rate that the advertisement carries; None if there is none, or nobody can read it."""
    payload = advertisement.manufacturer_data.get(POLAR_COMPANY)
    if payload is None:
        return None
    try:
        return decode_polar_heart_rate(payload)
    except DecodeError:
        return None


def clean_name(name: str | None) -> str | None:
    """A name that can be shown: no control, format or unassigned characters, single spaces, bounded; None if empty."""
    if name is None:
        return None
    if not (name.isascii() and name.isprintable()):
        shown = (" " if character.isspace() else character for character in name)
        name = "".join(character for character in shown if not unicodedata.category(character).startswith("C"))
    return " ".join(name.split())[:LONGEST_NAME].rstrip() or None


def advertised_id(name: str | None) -> str | None:
    """The ID in the name of a known family, with the family, as a slug: "polar-h10-ae60d42f"; None if it has none.

    It is printed on the sensor, and stays where an address changes with firmware or battery.
    """
    name = clean_name(name)
    family = _family(name)
    if name is None or family is None or family.unit is None:
        return None
    return _NO_SLUG.sub("-", name.lower()) if family.unit.fullmatch(name) else None


def sensor_id(own_id: str | None, address: str) -> str:
    """What a sensor is called in URLs, the same after a restart: its advertised ID, its address where it tells none."""
    return own_id or f"sensor-{address.replace(':', '')}"


def model_of(name: str | None) -> Model | None:
    """The model that a name belongs to; None if it is not known."""
    family = _family(clean_name(name))
    return None if family is None else family.model


_APPEARANCES = {
    0x0340: SensorKind.HEART_RATE,
    0x0341: SensorKind.HEART_RATE,  # belt
    0x0484: SensorKind.POWER,
}
"""Bluetooth SIG, Assigned Numbers 2.6; the other kinds of cycling sensors tell no power."""

_NO_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Family:
    """Devices whose names begin alike.

    Attributes:
        start: How their names begin, a regular expression without groups.
        unit: What a whole name is that ends in the unit's own ID; None if it is not known to have one.
    """

    model: Model
    kind: SensorKind
    start: str
    unit: re.Pattern[str] | None


def _known(name: str, links: int | None, kind: SensorKind, start: str, unit: str | None = None) -> _Family:
    pattern = None if unit is None else re.compile(f"(?:{start}){unit}", re.IGNORECASE | re.ASCII)
    return _Family(Model(name, links), kind, start, pattern)


_HEX8, _HEX4 = " [0-9A-F]{8}", " [0-9A-F]{4}"

_FAMILIES = (
    # An H10 takes two once its owner has allowed it; an OH1 that is connected no longer answers anybody.
    _known("Polar H10", 1, SensorKind.HEART_RATE, r"Polar H10\b", _HEX8),
    _known("Polar H9", 1, SensorKind.HEART_RATE, r"Polar H9\b", _HEX8),
    _known("Polar H7", 1, SensorKind.HEART_RATE, r"Polar H7\b", _HEX8),
    _known("Polar OH1", 1, SensorKind.HEART_RATE, r"Polar OH1\b", _HEX8),
    _known("Polar Verity Sense", None, SensorKind.HEART_RATE, r"Polar (?:Verity )?Sense\b", _HEX8),
    # Those since 2020 take three, older ones a single one, and their names are the same.
    _known("Wahoo TICKR X", None, SensorKind.HEART_RATE, r"TICKR X\b", _HEX4),
    _known("Wahoo TICKR FIT", None, SensorKind.HEART_RATE, r"TICKR FIT\b", _HEX4),
    _known("Wahoo TICKR", None, SensorKind.HEART_RATE, r"TICKR\b", _HEX4),
    _known("Garmin HRM-Dual", None, SensorKind.HEART_RATE, r"HRM-Dual\b", r":\d{6}"),
    _known("Garmin HRM-Pro", None, SensorKind.HEART_RATE, r"HRM-?Pro\b", r"\+?:\d{6}"),
    _known("Garmin HRM", None, SensorKind.HEART_RATE, r"HRM-\w+", r":\d{6}"),
    _known("WHOOP", None, SensorKind.HEART_RATE, r"WHOOP\b", r" [0-9A-Z]{8,12}"),
    _known("CooSpo", None, SensorKind.HEART_RATE, r"COOSPO H"),
    _known("Favero Assioma", None, SensorKind.POWER, r"ASSIOMA", r"\d{4,6}[LRU]?"),
    _known("Stages", None, SensorKind.POWER, r"Stages(?= \d)", r" \d{3,6}[LR]?"),
    _known("Garmin Vector", None, SensorKind.POWER, r"Vector(?=[ :_-]?\d)"),
    _known("Garmin Rally", None, SensorKind.POWER, r"Rally(?=[ :_-]?(?:\d|RS|RK|XC))"),
    _known("Wahoo POWRLINK Zero", 3, SensorKind.POWER, r"POWRLINK(?: ZERO)?\b", _HEX4),
    _known("Quarq", None, SensorKind.POWER, r"QUARQ\b"),
    _known("4iiii", None, SensorKind.POWER, r"4iiii"),
    _known("PowerTap P1", None, SensorKind.POWER, r"PowerTap P1\b"),
    # Its fan and its gradient simulator have the same first name.
    _known("Wahoo KICKR", None, SensorKind.POWER, r"KICKR\b(?! (?:HEADWIND|CLIMB))(?: \w{1,8}){0,2}?", _HEX4),
)

_STARTS = re.compile(
    "|".join(f"(?P<f{number}>{family.start})" for number, family in enumerate(_FAMILIES)), re.IGNORECASE | re.ASCII
)


def _family(name: str | None) -> _Family | None:
    match = None if name is None else _STARTS.match(name)
    return None if match is None or match.lastgroup is None else _FAMILIES[int(match.lastgroup[1:])]

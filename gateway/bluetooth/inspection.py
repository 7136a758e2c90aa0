"""What a closer look at a sensor finds: what it says of itself, and some seconds of what it measures.

Closed sets are plain strings in it, so that an older reader survives what a newer gateway says.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Unread(StrEnum):
    """Why a value is not known: not offered, refused (or the link was lost), without meaning, asked for in vain."""

    ABSENT = "absent"
    REFUSED = "refused"
    GARBLED = "garbled"
    NO_ANSWER = "no_answer"


class Ending(StrEnum):
    """How a stream ended: by its time, by silence, with the link, or before it began."""

    COMPLETE = "complete"
    SILENT = "silent"
    LOST = "lost"
    REFUSED = "refused"


class HeartRateStream(msgspec.Struct, frozen=True):
    """Some seconds of heart rate.

    Attributes:
        ending: How it ended, an `Ending`.
        measurements: How many came.
        garbled: How many more could not be read.
        median_bpm: Of those that have a heart rate; None if none has.
        lowest_bpm: Likewise.
        highest_bpm: Likewise.
        is_contact: Whether there was skin contact at the end; None if the sensor does not tell.
        rr_intervals: How many came.
    """

    ending: str
    measurements: int
    garbled: int
    median_bpm: int | None
    lowest_bpm: int | None
    highest_bpm: int | None
    is_contact: bool | None
    rr_intervals: int


class PowerStream(msgspec.Struct, frozen=True):
    """Some seconds of power.

    Attributes:
        ending: How it ended, an `Ending`.
        measurements: How many came.
        garbled: How many more could not be read.
        mean_w: Of all; None if none came.
        cadence_rpm: At the end; None if the sensor does not tell or has not been seen to turn.
    """

    ending: str
    measurements: int
    garbled: int
    mean_w: int | None
    cadence_rpm: int | None


class Inspection(msgspec.Struct, frozen=True, tag_field="op", tag="inspection"):
    """What one look has found; a value is None if it is not known, and `unread` says why.

    Attributes:
        unread: Name of each value that is not known -> why, an `Unread`.
        warnings: What a person should know before using the sensor, one clause each.
    """

    battery_percent: int | None
    manufacturer: str | None
    model: str | None
    serial_number: str | None
    firmware: str | None
    hardware: str | None
    software: str | None
    body_location: str | None
    sensor_location: str | None
    power_features: tuple[str, ...] | None
    heart_rate: HeartRateStream | None
    power: PowerStream | None
    unread: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was learned, as happens when the link breaks at once."""
        streams = (self.heart_rate, self.power)
        has_stream = any(stream is not None and stream.measurements for stream in streams)
        return not has_stream and all(getattr(self, field) is None for field in _SAID)

    @property
    def withheld(self) -> "Inspection":
        """The same without what the sensor measured."""
        return msgspec.structs.replace(
            self, heart_rate=None, power=None, warnings=tuple(dict.fromkeys((*self.warnings, _WITHHELD)))
        )


_WITHHELD = "What it measures is not told: its athlete is not released, or nobody knows yet whose it is"

_SAID = (
    "battery_percent",
    "manufacturer",
    "model",
    "serial_number",
    "firmware",
    "hardware",
    "software",
    "body_location",
    "sensor_location",
    "power_features",
)

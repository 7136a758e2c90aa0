"""What is known of a sensor when somebody asks where it is: from the radio, from its tracker, from the last look."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.presence import Presence


@dataclass(frozen=True, slots=True)
class Assignment:
    """A sensor that a tracker listens to, or shall.

    Attributes:
        serial_number: Of the tracker.
        athlete: Who wears it; None if nobody in particular.
        number: Of the athlete's shirt; None if there is none.
        kind: Which of the tracker's two sensors this is: `SensorKind.HEART_RATE` or `SensorKind.POWER`.
        address: Of the sensor, lower case with colons.
        name: Of the sensor, as it advertises itself; None if nobody knows.
        is_applied: Whether the tracker has taken it over, and not only shall.
        is_released: Whether the athlete may be shown: of one who may not, nothing is told that the sensor measures.
    """

    serial_number: str
    athlete: str | None
    number: int | None
    kind: SensorKind
    address: str
    name: str | None
    is_applied: bool
    is_released: bool = True


class Trackers(Protocol):
    """What is known of the trackers; asked every second, so answered at once."""

    @property
    def are_known(self) -> bool:
        """Whether it is known of every tracker which sensors it listens to."""

    def assignments(self) -> Sequence[Assignment]:
        """Every sensor of every tracker."""

    def withheld(self) -> Sequence[tuple[str, str | None]] | None:
        """Address and name of what athletes who may not be shown are to wear, besides what stands in `assignments`.

        None while it is not known what all of these athletes wear: then any sensor may be theirs.
        """

    def delivers(self, serial_number: str, kind: SensorKind) -> bool | None:
        """Whether the tracker sends what this kind of sensor measures; None if it sends nothing at all."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that tells who has a sensor.

    Attributes:
        is_listening: Whether the radio hears what is in the air, or at least cannot be told from one that does.
        radio_text: What is wrong with it otherwise, one clause.
        radio_action: What to do about that, one clause.
        presence: Whether the sensor is in the air.
        kind: What it measures for its tracker, or at all.
        is_linked: Whether the gateway itself holds a link to it.
        was_heard: Whether it was ever heard.
        silent_s: For how long it has not been heard, or if it never was, for how long the radio has been listening;
            None if nobody knows.
        rssi_dbm: How strong it was when it was last heard; None if nobody knows.
        is_worn: Whether it had skin contact or a moving heart rate when it was last heard; None if it did not tell.
        battery_percent: When it was last looked at; None if nobody knows.
        tracker: Serial number of the tracker that it belongs to; None if it is nobody's.
        is_applied: Whether that tracker has taken it over.
        delivers: Whether that tracker sends what the sensor measures; None if the tracker is silent.
        both_for_s: For how long it has been in the air and its tracker delivering at the same time, until now or until
            the tracker fell silent.
        unused_for_s: For how long it has been in the air and its tracker, which is on, got nothing; None if not at all.
        delivered_ago_s: How long ago its tracker delivered last; None if it never did.
        has_new_address: Whether its tracker looks for it under an address that it no longer has.
        are_trackers_known: Whether it is known which sensors the trackers listen to; otherwise it may be one of those.
    """

    is_listening: bool
    presence: Presence
    kind: SensorKind
    radio_text: str = ""
    radio_action: str = ""
    is_linked: bool = False
    was_heard: bool = True
    silent_s: float | None = None
    rssi_dbm: int | None = None
    is_worn: bool | None = None
    battery_percent: int | None = None
    tracker: str | None = None
    is_applied: bool = True
    delivers: bool | None = None
    both_for_s: float = 0.0
    unused_for_s: float | None = None
    delivered_ago_s: float | None = None
    has_new_address: bool = False
    are_trackers_known: bool = True

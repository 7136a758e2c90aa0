"""What the rest of the gateway says of the trackers' sensors, taken together at one moment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gateway.pairing.desired import Desired
from gateway.pairing.documents import Document, Sensor, Slot
from gateway.pairing.evidence.sources import Evidence
from gateway.pairing.observation import Air, Delivery, Ears, Match, Outage

_RSSI_STEP_DB = 5

Counting = Mapping[Slot, Sensor]
"""The sensor that counts for each slot of a tracker that has one."""


def counting(desired: Desired, current: Document | None) -> Counting:
    """The sensors of a tracker that evidence is sought of: the desired one of a slot, else the one that it has."""
    found: dict[Slot, Sensor] = {}
    for slot in Slot:
        wanted = desired[slot]
        sensor = wanted if isinstance(wanted, Sensor) else current[slot] if current is not None else None
        if sensor is not None:
            found[slot] = sensor
    return found


@dataclass(frozen=True, slots=True)
class Surroundings:
    """At one moment.

    Attributes:
        ears: The radio.
        air: What it knows of sensors, by address.
        deliveries: What comes of each slot, by serial number.
        matches: Where broadcast heart rates are found, by address.
        session_until_s: Until when athletes are taken to train, monotonic seconds; None if they do not.
        outage: Why the cloud answers nobody; None while it does.
    """

    ears: Ears = field(default_factory=Ears)
    air: Mapping[str, Air] = field(default_factory=dict)
    deliveries: Mapping[str, Mapping[Slot, Delivery]] = field(default_factory=dict)
    matches: Mapping[str, Match] = field(default_factory=dict)
    session_until_s: float | None = None
    outage: Outage | None = None

    @classmethod
    def of(cls, evidence: Evidence, serials: Iterable[str], sensors: Iterable[Sensor]) -> "Surroundings":
        """What is said now of these trackers and sensors."""
        return cls(
            evidence.ears(),
            dict(evidence.air(tuple(set(sensors)))),
            {serial: {slot: evidence.delivery(serial, slot) for slot in Slot} for serial in serials},
            dict(evidence.matches()),
            evidence.session_until_s(),
            evidence.outage(),
        )

    def is_like(self, other: "Surroundings") -> bool:
        """Whether they differ by nothing but what changes all the time."""
        return self.essence == other.essence

    @property
    def essence(self) -> tuple[object, ...]:
        """What does not change all the time."""
        air = {address: replace(known, silent_s=None, rssi_dbm=_rough(known)) for address, known in self.air.items()}
        matches = {
            address: (match.serial_number, round(match.confidence, 1)) for address, match in self.matches.items()
        }
        is_session = self.session_until_s is not None
        return replace(self.ears, listening_s=None), air, self.deliveries, matches, is_session, self.outage


def _rough(air: Air) -> int | None:
    return None if air.rssi_dbm is None else air.rssi_dbm // _RSSI_STEP_DB

"""All sensors of this moment: what the book, the trackers and closer looks know of each, and who has it."""

from collections.abc import Collection
from dataclasses import dataclass

from gateway.bluetooth.bond import Bond
from gateway.bluetooth.evidence import Assignment, Evidence, Trackers
from gateway.bluetooth.holder import Verdict, judge
from gateway.bluetooth.identity import SensorKind, advertised_id, sensor_id
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.presence import Presence, presence
from gateway.bluetooth.radio import Radio, RadioState
from gateway.bluetooth.sightings import Sensor, Sightings

_RETURN_S = 15.0
"""How soon a sensor that we let go is heard again: the longest advertising interval is 10.24 s."""


@dataclass(slots=True)
class Look:
    """What looking closer at a sensor has left.

    Attributes:
        is_linked: Whether we look at it now.
        until_s: When its last link ended: it could not be heard before, and its silence counts from then on.
        inspection: What was found the last time.
        inspected_s: When that was.
    """

    is_linked: bool = False
    until_s: float | None = None
    inspection: Inspection | None = None
    inspected_s: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One sensor of this moment.

    Attributes:
        id: Stable, fit for a path.
        sensor: As the book has it; None if it was never heard.
        assignments: Those of trackers, the one that counts first; at least one where `sensor` is None.
        kind: What it measures, as far as anybody knows.
        presence: Whether it is in the air.
        verdict: Who has it.
        is_withheld: Whether it is, or may be, of an athlete who may not be shown, whatever the assignments say.
        inspection: What the last closer look has found.
        inspected_s: When that was.
    """

    id: str
    sensor: Sensor | None
    assignments: tuple[Assignment, ...]
    kind: SensorKind
    presence: Presence
    verdict: Verdict
    is_withheld: bool
    inspection: Inspection | None
    inspected_s: float | None

    @property
    def is_released(self) -> bool:
        """Whether what it measures may be told: it does not if it is of an athlete who may not be shown."""
        return not self.is_withheld and all(assignment.is_released for assignment in self.assignments)

    @property
    def tracker(self) -> str | None:
        """Serial number of the tracker that it belongs to; None if it is nobody's."""
        return self.assignments[0].serial_number if self.assignments else None


class Census:
    """Brings together what the book, the trackers and closer looks know. Times are seconds of one monotonic clock."""

    def __init__(self, sightings: Sightings, trackers: Trackers) -> None:
        self._sightings = sightings
        self._trackers = trackers
        self._looks: dict[Sensor, Look] = {}
        self._bonds: dict[tuple[str, str], Bond] = {}  # by the ids of sensor and tracker

    def look(self, sensor: Sensor) -> Look:
        """What looking closer at a sensor has left, for whoever looks to write down."""
        return self._looks.setdefault(sensor, Look())

    def entries(self, radio: Radio, now_s: float) -> list[Entry]:
        """Sensors of trackers in the order of these, then other known kinds, strongest first, then the rest."""
        assigned, withheld = self._assigned(), self._withheld()
        sensors = self._sightings.sensors
        entries = [
            self._entry(
                own_id,
                sensors.get(own_id),
                assigned.get(own_id, ()),
                radio,
                now_s,
                is_withheld=withheld is None or own_id in withheld,
            )
            for own_id in (*assigned, *(own_id for own_id in sensors if own_id not in assigned))
        ]
        return sorted(entries, key=_rank)

    def forget(self, entries: Collection[Entry], now_s: float) -> None:
        """Forget what has left, but for the sensors of trackers: those stay, heard or not; `entries` are all."""
        self._sightings.keep({entry.id for entry in entries if entry.assignments} | self._just_looked_at(now_s))
        self._sightings.forget(now_s)
        present = frozenset(self._sightings.sensors.values())
        for sensor in self._looks.keys() - present:
            del self._looks[sensor]
        for bond in self._bonds.keys() - {(entry.id, entry.tracker) for entry in entries}:
            del self._bonds[bond]

    def _assigned(self) -> dict[str, tuple[Assignment, ...]]:
        """What trackers have or shall have, by the id of the sensor; the tracker that has it goes first."""
        assigned: dict[str, list[Assignment]] = {}
        for assignment in self._trackers.assignments():
            assigned.setdefault(self._id(assignment.address, assignment.name), []).append(assignment)
        return {
            own_id: tuple(sorted(group, key=self._claim)) if len(group) > 1 else tuple(group)
            for own_id, group in assigned.items()
        }

    def _withheld(self) -> frozenset[str] | None:
        """The ids of sensors of athletes who may not be shown, besides what is assigned; None if any may be one."""
        withheld = self._trackers.withheld()
        return None if withheld is None else frozenset(self._id(address, name) for address, name in withheld)

    def _id(self, address: str, name: str | None) -> str:
        """Of the sensor that somebody knows by an address and a name."""
        sensor = self._sightings.find(address, name)
        return sensor_id(advertised_id(name), address) if sensor is None else sensor.id

    def _just_looked_at(self, now_s: float) -> set[str]:
        """Whose silence is our doing."""
        return {
            sensor.id
            for sensor, look in self._looks.items()
            if look.is_linked or (look.until_s is not None and now_s - look.until_s < _RETURN_S)
        }

    def _claim(self, assignment: Assignment) -> tuple[bool, bool]:
        return (not assignment.is_applied, not self._trackers.delivers(assignment.serial_number, assignment.kind))

    def _entry(
        self,
        own_id: str,
        sensor: Sensor | None,
        assignments: tuple[Assignment, ...],
        radio: Radio,
        now_s: float,
        *,
        is_withheld: bool,
    ) -> Entry:
        kind = SensorKind.UNKNOWN if sensor is None else sensor.kind
        if kind is SensorKind.UNKNOWN and assignments:
            kind = assignments[0].kind
        look = Look() if sensor is None else self._looks.get(sensor, Look())
        where = _presence(sensor, look, radio, now_s)
        assignment = assignments[0] if assignments else None
        delivers = None if assignment is None else self._trackers.delivers(assignment.serial_number, assignment.kind)
        bond = Bond() if assignment is None else self._bonds.setdefault((own_id, assignment.serial_number), Bond())
        bond.note(is_seen=where is Presence.SEEN and not look.is_linked, delivers=delivers, now_s=now_s)
        evidence = Evidence(
            # A radio that only happens to hear nothing refutes nobody who knows better.
            is_listening=radio.is_listening or radio.state is RadioState.SILENT,
            radio_text="" if radio.is_listening else radio.text,
            radio_action=radio.action,
            presence=where,
            kind=kind if assignment is None else assignment.kind,
            is_linked=look.is_linked,
            was_heard=sensor is not None,
            silent_s=_ago(radio.listening_since_s if sensor is None else sensor.reception.last_seen_s, now_s),
            rssi_dbm=None if sensor is None else sensor.reception.rssi_dbm,
            is_worn=None if sensor is None else sensor.is_worn(sensor.reception.last_seen_s),
            battery_percent=None if look.inspection is None else look.inspection.battery_percent,
            tracker=None if assignment is None else assignment.serial_number,
            is_applied=assignment is not None and assignment.is_applied,
            delivers=delivers,
            both_for_s=bond.both_for_s,
            unused_for_s=_ago(bond.unused_since_s, now_s),
            delivered_ago_s=_ago(bond.delivered_s, now_s),
            has_new_address=_has_new_address(sensor, assignment),
            are_trackers_known=self._trackers.are_known,
        )
        verdict = judge(evidence)
        return Entry(own_id, sensor, assignments, kind, where, verdict, is_withheld, look.inspection, look.inspected_s)


def _ago(at_s: float | None, now_s: float) -> float | None:
    return None if at_s is None else now_s - at_s


def _presence(sensor: Sensor | None, look: Look, radio: Radio, now_s: float) -> Presence:
    since_s = radio.listening_since_s
    if sensor is None:
        return presence(None, None, since_s, now_s)
    seen_s = sensor.reception.last_seen_s
    if look.is_linked:
        seen_s = now_s  # a link is more than an advertisement
    elif look.until_s is not None:
        seen_s = max(seen_s, look.until_s)
    return presence(seen_s, sensor.reception.interval_s, since_s, now_s)


def _has_new_address(sensor: Sensor | None, assignment: Assignment | None) -> bool:
    return sensor is not None and assignment is not None and sensor.address != assignment.address


def _rank(entry: Entry) -> tuple[int, int, str]:
    """Trackers' own keep the order they come in; of the others, those that are alike keep one that does not flicker."""
    if entry.assignments:
        return (0, 0, "")
    strength = 0 if entry.sensor is None else entry.sensor.reception.bars
    group = 2 if entry.kind is SensorKind.UNKNOWN else 1
    return (group, -strength, entry.id)

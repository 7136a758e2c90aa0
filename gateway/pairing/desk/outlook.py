"""How things stand now: what is known, what is planned, and both as they are told."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from gateway.pairing.desired import Desired
from gateway.pairing.desk.permission import Situation
from gateway.pairing.desk.reporting import report_tracker
from gateway.pairing.documents import Sensor
from gateway.pairing.keeping.chronicle import Dated
from gateway.pairing.keeping.events import Event
from gateway.pairing.naming import Wearer
from gateway.pairing.observation import Air, Fleet, Observation
from gateway.pairing.planning.plan import Plan, plan
from gateway.pairing.report import PairingReport


class Reconciler(Protocol):
    """Who makes the trackers' sensors what is wanted."""

    @property
    def plan(self) -> Plan:
        """What is true and what is to be done, as of the last turn; of no tracker before the first."""

    @property
    def dated(self) -> Dated:
        """The conditions of that plan, each with since when it is what it is."""

    def fleet(self) -> Fleet:
        """All that the plan is made from, as it is now."""

    def read_ms(self, serial_number: str) -> int | None:
        """When the cloud last said what it knows of a tracker, epoch ms; None if it did not yet."""

    def wake(self) -> None:
        """Something else is wanted, or may be done."""

    def retry(self, serial_number: str | None) -> None:
        """A person says to try again now: one tracker, or all."""


class Radio(Protocol):
    """What hears sensors."""

    def air(self, sensors: Collection[Sensor]) -> Mapping[str, Air]:
        """What it knows of these sensors, by address."""


class Outlook:
    """What the desk looks at."""

    def __init__(self, reconciler: Reconciler, radio: Radio, wearers: Sequence[Wearer]) -> None:
        """Put it together.

        Args:
            reconciler: Knows how things stand.
            radio: Is asked about a sensor that somebody wants.
            wearers: Of all trackers of the roster, in its order.
        """
        self._reconciler = reconciler
        self._radio = radio
        self._wearers = {wearer.serial_number: wearer for wearer in wearers}

    def present(self) -> Situation:
        """What was planned last: nearly nothing to make, for those who look every second."""
        planned = self._reconciler.plan
        return Situation(self._reconciler.fleet(), planned, self._wearers) if planned.trackers else self.planned()

    def planned(self) -> Situation:
        """What is planned from what is known at this moment, for those who change something."""
        fleet = self._reconciler.fleet()
        return Situation(fleet, plan(fleet), self._wearers, self._air)

    def supposed(self, situation: Situation, changed: Mapping[str, Desired]) -> Situation:
        """What would be planned if something else were wanted of trackers."""
        trackers = (
            replace(seen, desired=changed.get(seen.serial_number, seen.desired)) for seen in situation.fleet.trackers
        )
        fleet = replace(situation.fleet, trackers=tuple(trackers))
        return replace(situation, fleet=fleet, plan=plan(fleet))

    def reports(self, situation: Situation) -> Iterator[PairingReport]:
        """All trackers."""
        for seen in situation.fleet.trackers:
            yield self.report(situation, seen)

    def report(self, situation: Situation, seen: Observation, events: Sequence[Event] = ()) -> PairingReport:
        """One tracker, with what has happened to it, newest first."""
        read_ms = self._reconciler.read_ms(seen.serial_number)
        return report_tracker(situation, seen, self._reconciler.dated, read_ms, events)

    def _air(self, sensor: Sensor) -> Air | None:
        return self._radio.air([sensor]).get(sensor.address)

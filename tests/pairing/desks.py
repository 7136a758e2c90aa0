"""What the tests of the desk share: who wears the trackers of a fleet, and what a request meets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.pairing.desk.permission import Situation
from gateway.pairing.documents import Sensor
from gateway.pairing.observation import Air, Fleet, Observation
from gateway.pairing.planning.plan import plan
from tests.pairing.fleets import fleet


@dataclass(frozen=True)
class Wearer:
    serial_number: str
    athlete: str | None = None
    number: int | None = None


def wearers(trackers: Sequence[Observation]) -> dict[str, Wearer]:
    """Tracker "A" is Anna's, the others nobody's in particular."""
    return {it.serial_number: Wearer(it.serial_number, "Anna" if it.serial_number == "A" else None) for it in trackers}


def situation(*trackers: Observation, of: Fleet | None = None, air: Mapping[Sensor, Air] | None = None) -> Situation:
    """What a request meets: these trackers, or a fleet."""
    known = fleet(*trackers) if of is None else of
    return Situation(known, plan(known), wearers(known.trackers), (air or {}).get)

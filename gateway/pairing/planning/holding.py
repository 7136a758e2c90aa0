"""Who holds which sensor: as long as one tracker does, giving it to another makes the two fight for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.pairing.documents import Document, Documents, Slot
from gateway.pairing.observation import Fleet, Observation

LATE_MS = 120_000
"""For how long a write that was not there when it was looked for may still turn up, ms: longer than any server works on
a request that nobody waits for any more."""

Place = tuple[str, Slot]
"""A slot of a tracker, by serial number."""


class Where(StrEnum):
    """In which document a tracker holds a sensor; a write that may have landed counts as target."""

    TARGET = "target"
    CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Hold:
    """That a slot has a sensor.

    Attributes:
        place: The slot.
        where: In its target; or only in its current document, so that it goes when the tracker starts.
    """

    place: Place
    where: Where


Holds = Mapping[str, Sequence[Hold]]
"""By address of a sensor."""


def holds_of(fleet: Fleet) -> Holds:
    """All of them, in the order of the roster; of a tracker that was not read, as it is remembered."""
    holds: dict[str, list[Hold]] = {}
    for observation in fleet.trackers:
        for address, hold in _holds(observation, fleet.now_ms):
            holds.setdefault(address, []).append(hold)
    return holds


def _holds(observation: Observation, now_ms: int) -> Iterator[tuple[str, Hold]]:
    memory = observation.memory
    known = observation.documents or Documents(memory.target or Document(), memory.current or Document())
    targets = [known.target]
    if memory.intent is not None:
        targets += [memory.intent.base, memory.intent.payload]
    if memory.late is not None and 0 <= now_ms - memory.late.at_ms < LATE_MS:
        targets.append(memory.late.payload)
    for slot in Slot:
        place = observation.serial_number, slot
        given = {sensor.address for target in targets if (sensor := target[slot]) is not None}
        yield from ((address, Hold(place, Where.TARGET)) for address in sorted(given))
        acknowledged = known.current[slot]
        if acknowledged is not None and acknowledged.address not in given:
            yield acknowledged.address, Hold(place, Where.CURRENT)

"""What people call trackers, their sensors, and how they stand."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from gateway.pairing.documents import Sensor, Slot, Wanted, Wish
from gateway.pairing.report import PairingReport
from gateway.terminal import addressing
from gateway.terminal.layout import plain
from gateway.terminal.times import clock

SLOTS: Mapping[str, str] = {slot.value: slot.label for slot in Slot}

STATES: Mapping[str, str] = {
    "unknown": "not read yet",
    "unmanaged": "not managed",
    "in_sync": "in order",
    "proposed": "to be written",
    "awaiting_approval": "to be approved",
    "awaiting_release": "waits for other",
    "writing": "being written",
    "awaiting_device": "not in tracker",
    "drifted": "changed by other",
    "conflict": "in conflict",
    "rejected": "refused",
    "backoff": "retrying",
    "stalled": "stuck",
    "needs_human": "given up",
    "suspended": "suspended",
}
"""How a tracker stands, in a word or two."""

_UNNAMED = "nameless"


def is_stopped(tracker: PairingReport) -> bool:
    """Whether somebody has stopped the changes of just this one."""
    return any(
        (condition.type, condition.status, condition.reason) == ("Suspended", "true", "OperatorSuspend")
        for condition in tracker.conditions
    )


def state_of(tracker: PairingReport) -> str:
    """How a tracker stands, in a word or two."""
    return "stopped" if is_stopped(tracker) else STATES.get(tracker.state, plain(tracker.state))


class SensorNames:
    """What to call sensors so that no two of them are called the same."""

    def __init__(self, sensors: Iterable[Sensor]) -> None:
        """Make it from all that are spoken of, in any order, any of them several times."""
        self._names = Counter(name for _, name in {(sensor.address, _name(sensor)) for sensor in sensors})

    def of(self, sensor: Wanted | None) -> str:
        """A sensor's name, with the end of its address where others have the same; "none" if there is none."""
        match sensor:
            case Sensor():
                name = _name(sensor)
                return f"{name} {plain(sensor.address[-5:])}" if self._names[name] > 1 else name
            case Wish.UNMANAGED:
                return "not managed"
            case _:
                return "none"


def sensors_of(trackers: Iterable[PairingReport]) -> SensorNames:
    """The names of all sensors of some trackers."""
    told = (
        document
        for tracker in trackers
        for slot in tracker.slots
        for document in (slot.desired, slot.target, slot.current)
    )
    return SensorNames(document for document in told if isinstance(document, Sensor))


def training(until_ms: int, now: datetime) -> str:
    """That athletes train, and until when at least."""
    return f"Athletes train (until {clock(until_ms, now)} at least)"


def command(arguments: str, url: str) -> str:
    """What to type for a command about the pairings of the same gateway."""
    return addressing.command(f"pair {arguments}", url)


def _name(sensor: Sensor) -> str:
    return plain(sensor.name).strip() or plain(sensor.address) or _UNNAMED

"""What people call trackers, their sensors, and how they stand."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from gateway.live.client import DEFAULT_PORT, stream_url
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish
from gateway.pairing.report import PairingReport
from gateway.terminal.layout import plain

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

_USUAL = stream_url(str(DEFAULT_PORT))
_PAIR, _SCAN = re.compile(r"`(insiders-gateway pair (?:(?! --url )[^`])*)`"), "`insiders-gateway scan`"
"""Commands that ask a gateway, and do not say which."""


class Wearer(Protocol):
    """A tracker and who wears it."""

    @property
    def serial_number(self) -> str:
        """On its label."""

    @property
    def name(self) -> str | None:
        """Of its athlete."""

    @property
    def number(self) -> int | None:
        """Of the athlete's shirt."""


def athlete(wearer: Wearer) -> str:
    """Who wears it, without the number; the tracker itself if nobody in particular."""
    return plain(wearer.name or "").strip() or plain(wearer.serial_number)


def called(wearer: Wearer) -> str:
    """A tracker as people speak of it: "10 Ada Lindqvist"."""
    return athlete(wearer) if wearer.number is None else f"{wearer.number} {athlete(wearer)}"


def identified(wearer: Wearer) -> str:
    """A tracker with its serial number: "10 Ada Lindqvist (SIM-0001)"."""
    name, serial = called(wearer), plain(wearer.serial_number)
    return f"{name} ({serial})" if athlete(wearer) != serial else name


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


def clock(time_ms: int, now: datetime) -> str:
    """When something was, in the zone of `now`, with the date where that is not today's."""
    time = datetime.fromtimestamp(time_ms / 1000, now.tzinfo)
    return f"{time:%H:%M}" if time.date() == now.date() else f"{time:%d %b %H:%M}"


def training(until_ms: int, now: datetime) -> str:
    """That athletes train, and until when at least."""
    return f"Athletes train (until {clock(until_ms, now)} at least)"


def command(arguments: str, url: str) -> str:
    """What to type for a command about the pairings of the same gateway."""
    return addressed(f"`insiders-gateway pair {arguments}`", url).strip("`")


def addressed(text: str, url: str) -> str:
    """What is told, with commands that ask the same gateway when they are typed as they stand between backticks."""
    if url == _USUAL:
        return text
    parts = urlsplit(url)
    where = parts.netloc if stream_url(parts.netloc) == url else url
    text = text.replace(_SCAN, f"`insiders-gateway scan {where}`")
    return _PAIR.sub(lambda found: f"`{found[1]} --url {where}`", text)


def _name(sensor: Sensor) -> str:
    return plain(sensor.name).strip() or plain(sensor.address) or _UNNAMED

"""The trackers of this gateway, and what to do about each: a pure decision from what the cloud lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from gateway.cloud.models import Device


@dataclass(frozen=True, slots=True)
class Tracker:
    """One entry of the roster.

    Attributes:
        serial_number: What is printed on the tracker.
        device_name: The second half of what a claim needs; None if the cloud is expected to know it.
        athlete: Who wears it; shown to people, never sent to the cloud or logged.
        number: Jersey number.
    """

    serial_number: str
    device_name: str | None = None
    athlete: str | None = None
    number: int | None = None


class Step(Enum):
    """What to do about a tracker."""

    KEEP = "it is ours"
    CLAIM = "it is not ours, and can be claimed"
    NAME = "it is not ours, and the device name that a claim needs is not known"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one tracker.

    Attributes:
        device_id: The cloud's id, where it is known.
        device_name: What to claim it with, "" unless it is to be claimed.
    """

    step: Step
    device_id: int | None = None
    device_name: str = ""


def decide(tracker: Tracker, owned: Iterable[Device], known: Iterable[Device]) -> Decision:
    """Decide about one tracker.

    Args:
        tracker: The entry of the roster.
        owned: Devices our account owns now.
        known: Devices it ever owned: they tell the name of a tracker that is to be claimed again.
    """
    if device := find(tracker.serial_number, owned, tracker.device_name):
        return Decision(Step.KEEP, device.id)
    device = find(tracker.serial_number, known, tracker.device_name)
    device_id = device.id if device else None
    name = tracker.device_name or (device and device.device_name)
    if not name:
        return Decision(Step.NAME, device_id)
    return Decision(Step.CLAIM, device_id, name)


def find(serial_number: str, devices: Iterable[Device], device_name: str | None = None) -> Device | None:
    """The device with exactly this serial number; among several, the one with this name, else the first.

    Equality is checked here, because the cloud's own filter also finds what merely contains the number.
    """
    found = [device for device in devices if device.serial_number == serial_number]
    return next((device for device in found if device.device_name == device_name), found[0] if found else None)

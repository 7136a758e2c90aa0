"""A tracker's Bluetooth sensors: what the cloud wants it to use, and what it is known to use."""

import re
from collections.abc import Mapping

from gateway.simulator.errors import invalid
from gateway.simulator.faults import Faults

HEART_RATE, POWER = SLOTS = ("pairing_1", "pairing_2")

Pairings = dict[str, dict[str, str]]

# How long a tracker takes to acknowledge what was pushed to it, milliseconds.
ACKNOWLEDGE_MS = 1500
_MAC = re.compile(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")
_CLEARED: Mapping[str, object] = {"null": None, "empty_object": {}, "empty_strings": {"mac_address": "", "name": ""}}


class BluetoothConfig:
    """`target` is applied when the tracker starts, or soon if it was pushed; then `current` equals it."""

    def __init__(self, pairings: Pairings) -> None:
        self.target = pairings
        self._current = pairings
        self._pushed: tuple[int, Pairings] | None = None
        self._unanswered_start = False

    def current(self, now_ms: int) -> Pairings:
        """What the tracker is known to use."""
        if self._pushed is not None and now_ms >= self._pushed[0]:
            self._current, self._pushed = self._pushed[1], None
        return self._current

    def change(self, body: object, faults: Faults) -> None:
        """Replace pairings of the target by those of a PATCH body.

        Raises:
            Refusal: 400 if the body is not an object of valid pairings.
        """
        if not isinstance(body, dict):
            raise invalid("non_field_errors", "Invalid data. Expected a dictionary.")
        pairings = dict(self.target) if faults.bluetooth_patch == "merge" else {}
        for slot in SLOTS:
            if slot not in body:
                continue
            if body[slot] == _CLEARED[faults.unpair]:
                pairings.pop(slot, None)
            else:
                pairings[slot] = _pairing(slot, body[slot])
        self.target = pairings

    def push(self, now_ms: int) -> None:
        """Send the target to a tracker that is online."""
        self.current(now_ms)
        self._pushed = (now_ms + ACKNOWLEDGE_MS, self.target)

    def start(self) -> None:
        """The tracker starts; it asks for the target as soon as it is online."""
        self._unanswered_start = True
        self._pushed = None

    def online(self) -> None:
        """The tracker has network; after a start it gets the target and acknowledges it."""
        if self._unanswered_start:
            self._current, self._unanswered_start = self.target, False


def _pairing(slot: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise invalid(slot, "Invalid data. Expected a dictionary.")
    mac_address, name = value.get("mac_address"), value.get("name")
    if not isinstance(mac_address, str) or not _MAC.fullmatch(mac_address):
        raise invalid(slot, "Enter a valid MAC address.")
    if not isinstance(name, str) or not name:
        raise invalid(slot, "A name is required.")
    return {"mac_address": mac_address, "name": name}

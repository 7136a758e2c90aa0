"""A tracker's Bluetooth sensors: what the cloud wants it to use, what it uses, and what it says that it uses."""

import re
from collections.abc import Mapping
from typing import Literal

from gateway.simulator.errors import Refusal, invalid
from gateway.simulator.faults import Faults

HEART_RATE, POWER = SLOTS = ("pairing_1", "pairing_2")

Pairings = dict[str, dict[str, str]]
"""Address and name of the sensor in each slot that has one; never changed, only replaced."""

Obedience = Literal["at_start", "never", "says_so", "one_slot"]
"""What a tracker does with a target that it gets: takes it; neither takes nor acknowledges it; acknowledges it and goes
on with the sensors it had; or takes and acknowledges the heart-rate slot alone."""

ACKNOWLEDGE_MS = 1500
"""How long a tracker takes for what was pushed to it."""

_MAC = re.compile(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")
_EMPTY: Mapping[str, object] = {"null": None, "empty_object": {}, "empty_strings": {"mac_address": "", "name": ""}}


class BluetoothConfig:
    """Of one tracker: it takes `target` when it starts, or soon after that was pushed, and `current` tells so.

    Attributes:
        target: What it is to use from its next start.
        obedience: What it does with that.
        reads: How often the configuration was read since it was last written.
    """

    def __init__(self, pairings: Pairings) -> None:
        self.target = self._shown = self._used = self._current = pairings
        self.obedience: Obedience = "at_start"
        self.reads = 0
        self._shown_until_ms = 0
        self._taken: tuple[int, Pairings, int] | None = None
        self._acknowledged: tuple[int, Pairings] | None = None
        self._asks = False

    def current(self, now_ms: int) -> Pairings:
        """What the cloud knows the tracker to use."""
        self._advance(now_ms)
        return self._current

    def used(self, now_ms: int) -> Pairings:
        """What the tracker really uses."""
        self._advance(now_ms)
        return self._used

    def shown_target(self, now_ms: int) -> Pairings:
        """What a reader is told of the target; for a while that may be the one before."""
        return self._shown if now_ms < self._shown_until_ms else self.target

    def change(self, target: Pairings, now_ms: int, faults: Faults) -> None:
        """Put another target in the place of the present one."""
        self._shown = self.shown_target(now_ms)
        self._shown_until_ms = now_ms + round(faults.bluetooth_stale_s * 1000)
        self.target, self.reads = target, 0

    def push(self, now_ms: int, faults: Faults, *, is_online: bool) -> None:
        """Send the target to the tracker without waiting for its start."""
        self._advance(now_ms)
        if faults.bluetooth_push == "ignored":
            return
        if is_online:
            self._taken = (now_ms + ACKNOWLEDGE_MS, self.target, _lag_ms(faults))
        elif faults.bluetooth_push == "kept":
            self._asks = True

    def stop(self, now_ms: int) -> None:
        """The tracker is switched off; what is on its way to it is lost."""
        self._advance(now_ms)
        self._taken = None

    def start(self) -> None:
        """The tracker starts; it asks for the target as soon as it is online."""
        self._asks = True

    def online(self, now_ms: int, faults: Faults) -> None:
        """The tracker has network; if there is something that it does not have yet, it gets that now."""
        if self._asks:
            self._asks = False
            self._taken = (now_ms, self.target, _lag_ms(faults))
            self._advance(now_ms)

    def forget(self) -> None:
        """The tracker is reset to how it left the factory, and so uses none; the target waits for its next start."""
        self._used = self._current = {}
        self._taken = self._acknowledged = None

    def _advance(self, now_ms: int) -> None:
        if self._taken is not None and now_ms >= self._taken[0]:
            at_ms, target, lag_ms = self._taken
            self._taken = None
            self._take(target, at_ms + lag_ms)
        if self._acknowledged is not None and now_ms >= self._acknowledged[0]:
            self._current, self._acknowledged = self._acknowledged[1], None

    def _take(self, target: Pairings, acknowledged_ms: int) -> None:
        if self.obedience == "never":
            return
        if self.obedience == "one_slot":
            taken = {slot: pairing for slot, pairing in target.items() if slot == HEART_RATE}
            target = taken | {slot: pairing for slot, pairing in self._used.items() if slot != HEART_RATE}
        if self.obedience != "says_so":
            self._used = target
        self._acknowledged = (acknowledged_ms, target)


def changed(target: Pairings, body: object, faults: Faults) -> Pairings:
    """A target with some pairings replaced by those of a PATCH body.

    Raises:
        Refusal: The body is not an object of valid pairings, or the cloud rejects it by a knob.
    """
    if not isinstance(body, dict):
        raise invalid("non_field_errors", "Invalid data. Expected a dictionary.")
    pairings = dict(target) if faults.bluetooth_patch == "merge" else {}
    for slot in SLOTS:
        if slot not in body:
            continue
        if body[slot] == _EMPTY[faults.unpair]:
            pairings.pop(slot, None)
        else:
            pairings[slot] = _pairing(slot, body[slot], faults)
    return pairings


def served(pairings: Pairings, faults: Faults, *, has_names: bool = True) -> dict[str, object]:
    """Pairings as an answer has them."""
    shown: dict[str, object] = {}
    for slot in SLOTS:
        if slot in pairings:
            address, name = pairings[slot]["mac_address"], pairings[slot]["name"]
            address = address.upper() if faults.bluetooth_echo == "upper" else address
            shown[slot] = {"mac_address": address, "name": name} if has_names else {"mac_address": address}
        elif faults.bluetooth_unset != "absent":
            shown[slot] = _EMPTY[faults.bluetooth_unset]
    return shown


def rejected(slot: str, problem: str, faults: Faults) -> Refusal:
    """The refusal of a pairing whose form is right."""
    return Refusal(faults.bluetooth_rejection_status, {slot: [problem]})


def _pairing(slot: str, value: object, faults: Faults) -> dict[str, str]:
    if not isinstance(value, dict):
        raise invalid(slot, "Invalid data. Expected a dictionary.")
    mac_address, name = value.get("mac_address"), value.get("name")
    if not isinstance(mac_address, str) or not _MAC.fullmatch(mac_address):
        raise invalid(slot, "Enter a valid MAC address.")
    if not isinstance(name, str) or not name:
        raise invalid(slot, "A name is required.")
    is_plain = name.isascii() and name.isprintable()
    if faults.bluetooth_rejects == "everything" or (faults.bluetooth_rejects == "non_ascii_names" and not is_plain):
        raise rejected(slot, "The pairing is not acceptable.", faults)
    return {"mac_address": mac_address, "name": name[: faults.bluetooth_name_maximum or None]}


def _lag_ms(faults: Faults) -> int:
    return round(faults.bluetooth_lag_s * 1000)

"""The Bluetooth sensors of all trackers, and every change that the cloud has taken."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gateway.simulator.bluetooth import HEART_RATE, POWER, BluetoothConfig, Pairings, changed, rejected
from gateway.simulator.faults import Faults
from gateway.simulator.sensor_models import meter, strap

Writer = Literal["us", "other"]
"""Our account over the API; or anybody else: another account, another controller, the vendor's own page."""


@dataclass(frozen=True, slots=True)
class PairingWrite:
    """A change that was answered with success, or whose answer was lost.

    Attributes:
        at_ms: When it was carried out, epoch ms.
        device_id: The tracker.
        by: Who sent it.
        before, after: The target; the same if the cloud ignored the change.
        body: What was sent.
        immediate_sending: Whether the tracker was to be told at once.
        reads: How often the tracker's configuration was read over the API since it was last written; 0 if blindly.
    """

    at_ms: int
    device_id: int
    by: Writer
    before: Pairings
    body: object
    after: Pairings
    immediate_sending: bool
    reads: int


class PairingRegister:
    """What each tracker is to use; at first what its athlete has.

    Attributes:
        writes: Every change that the cloud has taken, in order.
    """

    def __init__(self, device_ids: Iterable[int]) -> None:
        self._configs = {device_id: BluetoothConfig(_pairings(place)) for place, device_id in enumerate(device_ids)}
        self.writes: list[PairingWrite] = []

    def __getitem__(self, device_id: int) -> BluetoothConfig:
        """The configuration of a tracker."""
        return self._configs[device_id]

    def request(
        self, device_id: int, body: object, by: Writer, now_ms: int, faults: Faults, dice: random.Random, *, push: bool
    ) -> None:
        """Change the target as a request over the API asks.

        Raises:
            Refusal: As `changed`, or another tracker is to use the sensor already and the cloud rejects that by a knob.
        """
        config = self._configs[device_id]
        target = changed(config.target, body, faults)
        if faults.bluetooth_rejects == "taken_sensors":
            self._require_free(device_id, target, faults)
        if faults.bluetooth_ignored_fraction and dice.random() < faults.bluetooth_ignored_fraction:
            target = config.target
        self._write(PairingWrite(now_ms, device_id, by, config.target, body, target, push, config.reads), faults)

    def overwrite(self, device_id: int, body: object, now_ms: int) -> None:
        """Somebody else changes the target: slots that the body does not name stay, null clears one.

        Raises:
            Refusal: The body is not an object of valid pairings.
        """
        config, healthy = self._configs[device_id], Faults()
        target = changed(config.target, body, healthy)
        self._write(PairingWrite(now_ms, device_id, "other", config.target, body, target, False, config.reads), healthy)

    def _write(self, write: PairingWrite, faults: Faults) -> None:
        self._configs[write.device_id].change(write.after, write.at_ms, faults)
        self.writes.append(write)

    def _require_free(self, device_id: int, target: Pairings, faults: Faults) -> None:
        others = [config.target for other_id, config in self._configs.items() if other_id != device_id]
        taken = {pairing["mac_address"].lower() for other in others for pairing in other.values()}
        for slot, pairing in target.items():
            if pairing["mac_address"].lower() in taken:
                raise rejected(slot, "The sensor is in use by another device.", faults)


def _pairings(place: int) -> Pairings:
    """The sensors a tracker was used with before: a heart-rate strap, and a power meter for riders."""
    units = {HEART_RATE: strap(place), POWER: meter(place)}
    return {slot: {"mac_address": unit.address, "name": unit.name} for slot, unit in units.items() if unit is not None}

"""Reads from the cloud which sensors each of our trackers listens to, and which it shall; now and then, one by one."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.cloud.errors import CloudError, Throttled
from gateway.cloud.models import BluetoothConfig
from gateway.cloud.retry import backoff_s

_LOG = logging.getLogger(__name__)

PERIOD_S = 120.0
"""How often each tracker is read: sensors change between sessions, and thirty trackers cost a request in 4 s."""

RETRY_BASE_S, RETRY_CAP_S = 5.0, 120.0

_TURN_S = 1.0


class Configs(Protocol):
    """The part of the cloud that knows."""

    async def bluetooth_config(self, device_id: int) -> BluetoothConfig:
        """Which sensors a device we own now is paired with, and which it shall be; raises `CloudError`."""


@dataclass(slots=True)
class _Tracker:
    device_id: int
    next_s: float
    config: BluetoothConfig | None = None
    failures: int = 0


class Readings:
    """What the cloud says of each tracker's sensors."""

    def __init__(self, cloud: Configs, jitter: Callable[[], float] = random.random) -> None:
        """Make it know nothing.

        Args:
            cloud: Is asked.
            jitter: Uniform in [0, 1); spreads the trackers over the period.
        """
        self._cloud = cloud
        self._jitter = jitter
        self._now = asyncio.get_running_loop().time
        self._trackers: dict[str, _Tracker] = {}
        self._is_assigned = False

    @property
    def current(self) -> dict[str, BluetoothConfig]:
        """The last answer for each of our trackers that has one, by serial number."""
        return {serial: tracker.config for serial, tracker in self._trackers.items() if tracker.config is not None}

    @property
    def is_complete(self) -> bool:
        """Whether it is known which trackers are ours, and of each of them what it listens to."""
        return self._is_assigned and all(tracker.config is not None for tracker in self._trackers.values())

    def assign(self, owned: Mapping[str, int]) -> None:
        """These trackers are ours, by serial number with their id in the cloud; what others had is forgotten."""
        known, self._is_assigned = self._trackers, True
        self._trackers = {
            serial: known[serial]
            if serial in known and known[serial].device_id == device_id
            else _Tracker(device_id, self._now())
            for serial, device_id in owned.items()
        }

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            for serial_number, tracker in tuple(self._trackers.items()):
                if tracker.next_s <= self._now() and self._trackers.get(serial_number) is tracker:
                    await self._read(serial_number, tracker)
            await asyncio.sleep(_TURN_S)

    async def _read(self, serial_number: str, tracker: _Tracker) -> None:
        try:
            tracker.config = await self._cloud.bluetooth_config(tracker.device_id)
            tracker.failures = 0
            pause_s = PERIOD_S * (0.9 + 0.2 * self._jitter())
        except CloudError as error:
            # Who needs to know is told elsewhere: the same cloud brings the live data. What was read last still holds.
            _LOG.debug("Tracker %s: sensors not read. %s", serial_number, error.text)
            tracker.failures += 1
            pause_s = backoff_s(tracker.failures, self._jitter(), RETRY_BASE_S, RETRY_CAP_S)
            if isinstance(error, Throttled):
                pause_s = max(pause_s, error.retry_after_s)
        except Exception:  # noqa: BLE001 - the edge of a task: one tracker's surprise must not end the session
            _LOG.exception("Unexpected failure while sensors were read, it goes on")
            pause_s = PERIOD_S
        tracker.next_s = self._now() + pause_s

"""A private D-Bus with a fake bluetoothd, which everything in the test that asks for the system bus gets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from bleak.backends.bluezdbus import manager
from bleak.backends.bluezdbus.version import BlueZFeatures

from gateway.simulator.bluez.bus import Bus, private_bus
from gateway.simulator.bluez.service import FakeBluez
from tests.fakes.quiet_bus import quiet_bus


@pytest.fixture
async def bus(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    """A bus without a Bluetooth service; virtual time waits for it."""
    # bleak would run bluetoothctl to ask for its version.
    monkeypatch.setattr(BlueZFeatures, "checked_bluez_version", True)
    async with private_bus() as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        with quiet_bus(bus.address):
            yield bus
            await close_bleak()


@pytest.fixture
async def bluez(bus: Bus) -> AsyncIterator[FakeBluez]:
    """Bluetoothd runs, with one adapter."""
    async with FakeBluez(bus.address).running() as bluez:
        yield bluez


async def close_bleak() -> None:
    """Bleak keeps its connection to the bus, and a task that watches it, as long as the event loop lives."""
    kept = manager._global_instances.pop(asyncio.get_running_loop(), None)
    if kept is not None and kept._bus is not None:
        kept._bus.disconnect()
        if kept._bus_watcher_task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await kept._bus_watcher_task

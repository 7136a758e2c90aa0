import asyncio

import pytest
from bleak import BleakScanner

from gateway.simulator.bluez.peripheral import Peripheral
from gateway.simulator.bluez.service import FakeBluez

pytestmark = pytest.mark.looptime

HEART_RATE = "0000180d-0000-1000-8000-00805f9b34fb"


async def test_first(bluez: FakeBluez) -> None:
    heard = []
    strap = Peripheral(
        "A0:9E:1A:00:00:01", "Polar H10 00000001", services=(HEART_RATE,), manufacturer_data={0x6B: b"\x33\0\0\x38"}
    )
    async with BleakScanner(lambda device, adv: heard.append((device, adv)), service_uuids=[HEART_RATE]):
        bluez.hear(strap, -60)
        await asyncio.sleep(0.1)
        bluez.hear(strap, -61)
        await asyncio.sleep(0.1)
    assert [adv.rssi for _, adv in heard] == [-60, -61]

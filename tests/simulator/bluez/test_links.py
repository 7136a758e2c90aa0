"""What bleak makes of links to devices."""

import asyncio

import psutil
import pytest
from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError

from gateway.simulator.bluez.calls import CONNECTION_ABORTED, Refusal
from gateway.simulator.bluez.peripheral import Peripheral
from gateway.simulator.bluez.service import FakeBluez
from tests.simulator.bluez.straps import (
    BATTERY_LEVEL,
    HEART_RATE_CONTROL,
    HEART_RATE_MEASUREMENT,
    Listener,
    strap,
)

pytestmark = pytest.mark.looptime


async def found(bluez: FakeBluez, peripheral: Peripheral) -> BLEDevice:
    """The device as a short scan finds it."""
    async with Listener() as listener:
        bluez.hear(peripheral, -60)
        await asyncio.sleep(0.1)
    return listener.last[0]


async def test_a_read_finds_the_value_of_now(bluez: FakeBluez) -> None:
    sensor = strap()
    async with BleakClient(await found(bluez, sensor)) as client:
        assert await client.read_gatt_char(BATTERY_LEVEL) == b"\x50"
        sensor.characteristic(BATTERY_LEVEL).value = b"\x0a"
        assert await client.read_gatt_char(BATTERY_LEVEL) == b"\x0a"
        await client.write_gatt_char(HEART_RATE_CONTROL, b"\x01", response=True)
    assert sensor.characteristic(HEART_RATE_CONTROL).value == b"\x01"


async def test_what_a_characteristic_does_not_offer_is_refused(bluez: FakeBluez) -> None:
    async with BleakClient(await found(bluez, strap())) as client:
        with pytest.raises(BleakGATTProtocolError):
            await client.read_gatt_char(HEART_RATE_MEASUREMENT)
        with pytest.raises(BleakGATTProtocolError):
            await client.write_gatt_char(BATTERY_LEVEL, b"\x01", response=True)
        with pytest.raises(BleakError):
            await client.start_notify(HEART_RATE_CONTROL, lambda *_: None)


@pytest.mark.parametrize("is_acquired", [False, True])
async def test_notifications(bluez: FakeBluez, is_acquired: bool) -> None:
    """Over the bus (StartNotify) and over a socket (AcquireNotify), as long as somebody is subscribed."""
    sensor = strap()
    received = []
    device = await found(bluez, sensor)
    open_files = psutil.Process().num_fds()
    async with BleakClient(device) as client:
        bluez.notify(sensor, HEART_RATE_MEASUREMENT, b"\x00\x46")
        for _ in range(2):
            await client.start_notify(
                HEART_RATE_MEASUREMENT,
                lambda _, data: received.append(bytes(data)),
                bluez={"use_start_notify": not is_acquired},
            )
            bluez.notify(sensor, HEART_RATE_MEASUREMENT, b"\x00\x47")
            bluez.notify(sensor, HEART_RATE_MEASUREMENT, b"\x00\x48")
            await asyncio.sleep(0.1)
            await client.stop_notify(HEART_RATE_MEASUREMENT)
            bluez.notify(sensor, HEART_RATE_MEASUREMENT, b"\x00\x49")
            await asyncio.sleep(0.1)
    bluez.notify(sensor, HEART_RATE_MEASUREMENT, b"\x00\x4a")
    await asyncio.sleep(0.1)
    assert received == [b"\x00\x47", b"\x00\x48"] * 2
    assert psutil.Process().num_fds() == open_files


async def test_a_read_comes_as_a_notification_too(bluez: FakeBluez) -> None:
    """BlueZ tells subscribers of what was read as if it had been notified."""
    received = []
    async with BleakClient(await found(bluez, strap())) as client:
        await client.start_notify(BATTERY_LEVEL, lambda _, data: received.append(bytes(data)))
        await client.read_gatt_char(BATTERY_LEVEL)
        await asyncio.sleep(0.1)
    assert received == [b"\x50"]


async def test_a_connected_device_is_not_heard_and_the_others_are(bluez: FakeBluez) -> None:
    ours, other = strap(1), strap(2)
    async with Listener() as listener:
        bluez.hear(ours, -60)
        await asyncio.sleep(0.1)
        async with BleakClient(listener.last[0]):
            assert bluez.connected(ours)
            listener.heard.clear()
            for _ in range(10):
                bluez.hear(ours, -50)
                bluez.hear(other, -55)
                await asyncio.sleep(0.2)
            assert listener.rssi == [-55] * 10
        assert not bluez.connected(ours)
        bluez.hear(ours, -50)
        await asyncio.sleep(0.1)
    assert listener.rssi[-1] == -50


async def test_a_link_calls_back_with_the_strength_of_the_last_advertisement(bluez: FakeBluez) -> None:
    """Three to five callbacks that are no advertisements."""
    sensor = strap()
    async with Listener() as listener:
        bluez.hear(sensor, -60)
        await asyncio.sleep(0.1)
        device = listener.last[0]
        for _ in range(2):
            listener.heard.clear()
            async with BleakClient(device):
                await asyncio.sleep(5)
            await asyncio.sleep(0.1)
            assert 3 <= len(listener.heard) <= 5
            assert set(listener.rssi) == {-60}


async def test_who_listens_on_the_other_side_learns_of_the_link(bluez: FakeBluez) -> None:
    events: list[tuple[str, Peripheral]] = []
    bluez.on_connect = lambda peripheral: events.append(("connect", peripheral))
    bluez.on_disconnect = lambda peripheral: events.append(("disconnect", peripheral))
    sensor = strap()
    async with BleakClient(await found(bluez, sensor)):
        assert events == [("connect", sensor)]
    assert events == [("connect", sensor), ("disconnect", sensor)]


@pytest.mark.parametrize("is_acquired", [False, True])
async def test_the_link_breaks(bluez: FakeBluez, is_acquired: bool) -> None:
    sensor = strap()
    broken: list[BleakClient] = []
    device = await found(bluez, sensor)
    open_files = psutil.Process().num_fds()
    client = BleakClient(device, disconnected_callback=broken.append)
    await client.connect()
    await client.start_notify(HEART_RATE_MEASUREMENT, lambda *_: None, bluez={"use_start_notify": not is_acquired})
    bluez.drop_link(sensor)
    await asyncio.sleep(0.1)
    assert broken == [client]
    assert not client.is_connected
    with pytest.raises(BleakError):
        await client.read_gatt_char(BATTERY_LEVEL)
    await client.disconnect()
    assert psutil.Process().num_fds() == open_files


async def test_there_is_no_link_while_the_adapter_is_off(bluez: FakeBluez) -> None:
    sensor = strap()
    device = await found(bluez, sensor)
    async with BleakClient(device) as client:
        bluez.power("hci0", is_on=False)
        await asyncio.sleep(0.1)
        assert not client.is_connected
    with pytest.raises(BleakDBusError, match="NotReady"):
        await BleakClient(device).connect()
    bluez.power("hci0", is_on=True)
    async with BleakClient(device):
        assert bluez.connected(sensor)


async def test_a_device_is_known_for_30_1_s_after_its_link_ended(bluez: FakeBluez) -> None:
    sensor = strap()
    device = await found(bluez, sensor)
    async with BleakClient(device):
        await asyncio.sleep(100)
    await asyncio.sleep(30)
    async with BleakClient(device):
        pass
    await asyncio.sleep(30.2)
    with pytest.raises(BleakError):
        await BleakClient(device).connect()


async def test_a_device_that_bluetoothd_forgot_cannot_be_connected(bluez: FakeBluez) -> None:
    sensor = strap()
    device = await found(bluez, sensor)
    bluez.remove(sensor)
    with pytest.raises((BleakDeviceNotFoundError, BleakError)):
        await BleakClient(device).connect()


async def test_a_device_out_of_reach_lets_who_connects_wait(bluez: FakeBluez) -> None:
    sensor = strap()
    sensor.accepts_link = False
    device = await found(bluez, sensor)
    with pytest.raises(TimeoutError):
        await BleakClient(device, timeout=10).connect()
    sensor.accepts_link = True
    async with BleakClient(device):
        assert bluez.connected(sensor)


async def test_a_connection_that_is_refused_or_aborted(bluez: FakeBluez) -> None:
    sensor = strap()
    device = await found(bluez, sensor)
    bluez.refuse("Connect", Refusal("org.bluez.Error.Failed", "Software caused connection abort"), times=1)
    with pytest.raises(BleakDBusError, match="Software caused connection abort"):
        await BleakClient(device).connect()
    bluez.refuse("Connect", CONNECTION_ABORTED)
    with pytest.raises(TimeoutError):
        await BleakClient(device, timeout=10).connect()
    assert not bluez.connected(sensor)


async def test_bleak_repeats_a_read_that_is_in_progress_for_as_long_as_it_takes(bluez: FakeBluez) -> None:
    async with BleakClient(await found(bluez, strap())) as client:
        bluez.refuse("ReadValue", times=5)
        assert await client.read_gatt_char(BATTERY_LEVEL) == b"\x50"
        bluez.refuse("ReadValue")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await client.read_gatt_char(BATTERY_LEVEL)
        bluez.hang("ReadValue")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await client.read_gatt_char(BATTERY_LEVEL)
        bluez.obey("ReadValue")
        assert await client.read_gatt_char(BATTERY_LEVEL) == b"\x50"


async def test_a_killed_bluetoothd_is_noticed_only_by_the_next_call(bluez: FakeBluez) -> None:
    sensor = strap()
    broken: list[BleakClient] = []
    ended: list[Peripheral] = []
    bluez.on_disconnect = ended.append
    client = BleakClient(await found(bluez, sensor), disconnected_callback=broken.append)
    await client.connect()
    received = []
    await client.start_notify(HEART_RATE_MEASUREMENT, lambda *_: received.append(1))
    await bluez.kill()
    bluez.notify(sensor, HEART_RATE_MEASUREMENT, b"\x00\x47")
    await asyncio.sleep(60)
    assert client.is_connected
    assert (broken, received) == ([], [])
    assert ended == [sensor]
    with pytest.raises(BleakDBusError):
        await client.read_gatt_char(BATTERY_LEVEL)
    with pytest.raises(BleakDBusError):
        await client.disconnect()
    assert not client.is_connected

"""What a scanner is told of devices in the air."""

import asyncio

import pytest
from bleak import BleakScanner
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from gateway.simulator.bluez.peripheral import Peripheral
from gateway.simulator.bluez.service import FakeBluez
from tests.simulator.bluez.straps import HEART_RATE, POLAR, Listener, strap

pytestmark = pytest.mark.looptime

POWER = "00001818-0000-1000-8000-00805f9b34fb"


async def settle() -> None:
    """A moment: the bus delivers what was sent."""
    await asyncio.sleep(0.001)


async def test_an_advertisement_arrives_as_it_was_sent(bluez: FakeBluez) -> None:
    sensor = strap()
    sensor.is_random = True
    sensor.appearance = 833
    sensor.tx_power = 4
    sensor.service_data = {HEART_RATE: b"\x01\x02"}
    async with Listener() as listener:
        bluez.hear(sensor, -60)
        await settle()
    [(device, advertisement)] = listener.heard
    assert (device.address, device.name) == (sensor.address, sensor.name)
    assert device.details["props"]["AddressType"] == "random"
    assert device.details["props"]["Appearance"] == 833
    assert advertisement.local_name == sensor.name
    assert advertisement.rssi == -60
    assert advertisement.tx_power == 4
    assert advertisement.service_uuids == [HEART_RATE]
    assert advertisement.service_data == {HEART_RATE: b"\x01\x02"}
    assert advertisement.manufacturer_data == {POLAR: bytes.fromhex("33000038")}


async def test_a_device_without_a_name_has_none(bluez: FakeBluez) -> None:
    async with Listener() as listener:
        bluez.hear(Peripheral("5C:00:00:00:00:01", is_random=True), -80)
        await settle()
    device, advertisement = listener.last
    assert device.name is None
    assert advertisement.local_name is None


async def test_every_advertisement_calls_back_whether_anything_changed_or_not(bluez: FakeBluez) -> None:
    sensor = strap()
    sensor.manufacturer_data = {}
    async with Listener() as listener:
        for rssi_dbm in (-60, -60, -60, -61, -61):
            bluez.hear(sensor, rssi_dbm)
            await asyncio.sleep(0.2)
    assert listener.rssi == [-60, -60, -60, -61, -61]


async def test_what_was_advertised_earlier_stays(bluez: FakeBluez) -> None:
    """BlueZ gathers: the state of a device is not its last packet."""
    sensor = strap()
    async with Listener() as listener:
        bluez.hear(sensor, -60)
        sensor.name, sensor.services, sensor.manufacturer_data = None, (POWER,), {1: b"\x01"}
        bluez.hear(sensor, -60)
        await settle()
    device, advertisement = listener.last
    assert device.name == "Polar H10 00000001"
    assert advertisement.service_uuids == [HEART_RATE, POWER]
    assert advertisement.manufacturer_data == {POLAR: bytes.fromhex("33000038"), 1: b"\x01"}


async def test_nothing_is_heard_before_and_after_a_scan(bluez: FakeBluez) -> None:
    listener = Listener()
    bluez.hear(strap(1), -60)
    async with listener:
        assert bluez.is_discovering()
        bluez.hear(strap(2), -60)
        await settle()
    assert not bluez.is_discovering()
    bluez.hear(strap(3), -60)
    await settle()
    assert [device.address[-1] for device, _ in listener.heard] == ["2"]


async def test_a_filter_for_services_lets_nobody_else_through(bluez: FakeBluez) -> None:
    heard = []
    async with BleakScanner(lambda device, _: heard.append(device.name), service_uuids=[HEART_RATE]):
        bluez.hear(Peripheral("C0:00:00:00:00:01", "WHOOP"), -60)
        bluez.hear(strap(), -60)
        await settle()
        assert [path for path in await _managed() if "/dev_C0" in path] == []
    assert heard == ["Polar H10 00000001"]


async def test_a_device_goes_30_1_s_after_it_was_last_heard_and_nobody_is_called(bluez: FakeBluez) -> None:
    loop = asyncio.get_running_loop()
    quiet, steady = strap(1), strap(2)
    async with Listener() as listener:
        bluez.hear(quiet, -60)
        for _ in range(20):  # the last at 20 s
            await asyncio.sleep(1)
            bluez.hear(quiet, -60)
        silent_since_s = loop.time()
        while quiet.address in listener.known and loop.time() < silent_since_s + 40:
            bluez.hear(steady, -60)
            await asyncio.sleep(0.05)
        assert loop.time() - silent_since_s == pytest.approx(30.1, abs=0.06)
        assert listener.known == [steady.address]
        assert sum(device.address == quiet.address for device, _ in listener.heard) == 21


async def test_a_device_that_comes_back_appears_anew(bluez: FakeBluez) -> None:
    sensor = strap()
    async with Listener() as listener:
        bluez.hear(sensor, -60)
        await asyncio.sleep(31)
        assert listener.known == []
        bluez.hear(sensor, -70)
        await asyncio.sleep(29)
        assert listener.known == [sensor.address]
    assert listener.rssi == [-60, -70]


async def test_a_device_can_be_removed_at_once(bluez: FakeBluez) -> None:
    sensor = strap()
    async with Listener() as listener:
        bluez.hear(sensor, -60)
        bluez.remove(sensor)
        await settle()
        assert listener.known == []
        await asyncio.sleep(60)
    assert listener.rssi == [-60]


async def test_each_adapter_hears_for_itself(bluez: FakeBluez) -> None:
    bluez.plug("hci1")
    near, far = Listener("hci0"), Listener("hci1")
    async with near, far:
        bluez.hear(strap(), -40, "hci0")
        bluez.hear(strap(), -90, "hci1")
        bluez.hear(strap(), -99, "hci2")
        await settle()
    assert (near.rssi, far.rssi) == ([-40], [-90])


async def test_a_second_scan_in_the_same_process_is_refused(bluez: FakeBluez) -> None:
    async with Listener():
        with pytest.raises(Exception, match=r"InProgress"):
            await Listener().scanner.start()


async def test_a_scan_ends_with_the_connection_of_its_client(bluez: FakeBluez) -> None:
    """Two programs may scan at a time; one that dies leaves the other's scan alone."""
    other = await MessageBus(bus_type=BusType.SYSTEM).connect()
    reply = await other.call(Message("org.bluez", "/org/bluez/hci0", "org.bluez.Adapter1", "StartDiscovery"))
    assert reply.message_type is MessageType.METHOD_RETURN
    async with Listener() as listener:
        bluez.hear(strap(), -60)
        await settle()
    assert listener.rssi == [-60]
    assert bluez.is_discovering()
    other.disconnect()
    await settle()
    assert not bluez.is_discovering()


async def test_thirty_straps_with_ten_advertisements_a_second(bluez: FakeBluez) -> None:
    straps = [strap(number) for number in range(30)]

    async def advertise(sensor: Peripheral, first_s: float) -> None:
        await asyncio.sleep(first_s)
        for _ in range(20):
            bluez.hear(sensor, -60)
            await asyncio.sleep(0.1)

    async with Listener() as listener, asyncio.TaskGroup() as tasks:
        for number, sensor in enumerate(straps):
            tasks.create_task(advertise(sensor, number / 300))
    assert len(listener.heard) == 600


async def _managed() -> list[str]:
    other = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        reply = await other.call(Message("org.bluez", "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))
        return list(reply.body[0])
    finally:
        other.disconnect()

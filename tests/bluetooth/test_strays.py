"""Links that a killed program has left behind are ended, and nobody else's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from gateway.bluetooth.strays import stray_links
from gateway.simulator.bluez.peripheral import Characteristic, Peripheral, Service
from gateway.simulator.bluez.service import FakeBluez
from insiders_codecs import gatt
from tests.bluetooth.listening import ADDRESS, listening, on_the_air, strap

KEYBOARD = gatt.uuid16(0x1812)
PATH = f"/org/bluez/hci0/dev_{ADDRESS.upper().replace(':', '_')}"
HEART_RATE_PATH = f"{PATH}/service0001/char0002"
SOON_S = 1.0

Objects = dict[str, dict[str, dict[str, Any]]]


def device(*services: str, **properties: bool) -> Objects:
    return {PATH: {"org.bluez.Device1": {"Connected": True, "UUIDs": list(services), **properties}}}


def characteristic(**properties: bool) -> Objects:
    return {HEART_RATE_PATH: {"org.bluez.GattCharacteristic1": properties}}


@pytest.mark.parametrize("service", [gatt.HEART_RATE_SERVICE, gatt.CYCLING_POWER_SERVICE])
def test_a_linked_sensor_that_nobody_listens_to_is_a_stray(service: str) -> None:
    adapter: Objects = {"/org/bluez/hci0": {"org.bluez.Adapter1": {"Powered": True}}}
    silent = characteristic(Notifying=False, NotifyAcquired=False)
    assert stray_links(adapter | device(gatt.BATTERY_SERVICE, service) | silent) == (PATH,)
    assert stray_links(device(service, Paired=False, Bonded=False, Trusted=False)) == (PATH,)


@pytest.mark.parametrize("owned", ["Paired", "Bonded", "Trusted"])
def test_what_somebody_has_paired_or_trusts_is_none(owned: str) -> None:
    assert stray_links(device(gatt.HEART_RATE_SERVICE, **{owned: True})) == ()


def test_what_is_not_linked_or_no_sensor_is_none() -> None:
    assert stray_links(device(gatt.HEART_RATE_SERVICE, Connected=False)) == ()
    assert stray_links(device(KEYBOARD, gatt.BATTERY_SERVICE)) == ()
    assert stray_links({PATH: {"org.bluez.Device1": {}}}) == ()
    assert stray_links({}) == ()


@pytest.mark.parametrize("subscribed", ["Notifying", "NotifyAcquired"])
def test_a_sensor_that_somebody_is_subscribed_to_is_none(subscribed: str) -> None:
    other = PATH[:-1] + "2"
    linked = device(gatt.HEART_RATE_SERVICE)
    assert stray_links(linked | {other: linked[PATH]} | characteristic(**{subscribed: True})) == (other,)


class Program:
    """Another program on this machine, which uses sensors too."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus

    async def link(self) -> None:
        await self._call(PATH, "org.bluez.Device1", "Connect")

    async def subscribe(self) -> None:
        await self._call(HEART_RATE_PATH, "org.bluez.GattCharacteristic1", "StartNotify")

    async def kill(self) -> None:
        self._bus.disconnect()
        await asyncio.sleep(0.1)

    async def _call(self, path: str, interface: str, member: str) -> None:
        reply = await self._bus.call(Message(destination="org.bluez", path=path, interface=interface, member=member))
        assert reply is not None
        assert reply.message_type is MessageType.METHOD_RETURN


@contextlib.asynccontextmanager
async def linked_program(bluez: FakeBluez, sensor: Peripheral) -> AsyncIterator[Program]:
    """A program that has connected to a sensor."""
    async with on_the_air(bluez, sensor), listening() as radio:
        await radio.recovery_s()
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    program = Program(bus)
    await program.link()
    assert bluez.connected(sensor)
    yield program
    bus.disconnect()


@pytest.mark.looptime
@pytest.mark.parametrize("is_subscribed", [False, True])
async def test_a_sensor_that_a_killed_gateway_held_is_let_go_at_the_next_start(
    bluez: FakeBluez, caplog: pytest.LogCaptureFixture, is_subscribed: bool
) -> None:
    sensor = strap()
    async with linked_program(bluez, sensor) as killed:
        if is_subscribed:
            await killed.subscribe()
        await killed.kill()
        assert bluez.connected(sensor)
        caplog.clear()
        async with on_the_air(bluez, sensor), listening() as radio:
            assert await radio.recovery_s() <= SOON_S
            assert not bluez.connected(sensor)
            async with radio.supervisor.connected(ADDRESS, 10.0):
                assert bluez.connected(sensor)
            await asyncio.sleep(60)
    assert [record.levelname for record in caplog.records if "nobody listened to it" in record.message] == ["WARNING"]
    assert ADDRESS.upper() not in caplog.text.upper().replace("_", ":")


@pytest.mark.looptime
async def test_a_sensor_that_another_program_listens_to_is_left_alone(bluez: FakeBluez) -> None:
    sensor = strap()
    async with linked_program(bluez, sensor) as program:
        await program.subscribe()
        async with listening():
            await asyncio.sleep(60)
        assert bluez.connected(sensor)


@pytest.mark.looptime
async def test_a_link_that_another_program_makes_later_is_left_alone(bluez: FakeBluez) -> None:
    sensor = strap()
    async with linked_program(bluez, sensor) as program:
        async with on_the_air(bluez, sensor), listening() as radio:
            await radio.recovery_s()
            await program.link()
            bluez.plug("hci1")
            await asyncio.sleep(60)
            bluez.unplug("hci1")
            await asyncio.sleep(60)
        assert bluez.connected(sensor)


@pytest.mark.looptime
async def test_a_keyboard_stays_connected(bluez: FakeBluez) -> None:
    services = (Service(gatt.BATTERY_SERVICE, (Characteristic(gatt.BATTERY_LEVEL, ("read", "notify"), b"\x50"),)),)
    keyboard = Peripheral(ADDRESS.upper(), name="Keys", services=(KEYBOARD,), gatt=services)
    async with linked_program(bluez, keyboard):
        async with listening():
            await asyncio.sleep(60)
        assert bluez.connected(keyboard)


@pytest.mark.looptime
async def test_a_stray_that_cannot_be_let_go_does_not_keep_the_radio_from_listening(
    bluez: FakeBluez, caplog: pytest.LogCaptureFixture
) -> None:
    sensor, other = strap(), strap("a0:9e:1a:00:00:02")
    async with linked_program(bluez, sensor) as killed:
        await killed.kill()
        bluez.hang("Disconnect")
        async with on_the_air(bluez, other), listening() as radio:
            assert await radio.recovery_s() <= 5.0 + SOON_S
            bluez.obey("Disconnect")
    assert "may still be connected" in caplog.text


@pytest.mark.looptime
async def test_a_stray_is_looked_for_with_each_connection_to_the_bus(bluez: FakeBluez) -> None:
    """The gateway goes on, its connection to the bus does not."""
    sensor = strap()
    async with linked_program(bluez, sensor) as program, on_the_air(bluez, sensor), listening() as radio:
        await radio.recovery_s()
        await program.link()
        await program.kill()
        own = radio.supervisor._adapters._bus
        assert own is not None
        own.disconnect()
        await asyncio.sleep(5)
        assert not bluez.connected(sensor)

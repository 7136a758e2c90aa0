"""What stands on the bus, seen without bleak: properties, signals, and calls that make no sense."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from gateway.simulator.bluez.bus import BusError
from gateway.simulator.bluez.service import FakeBluez
from tests.simulator.bluez.straps import strap

pytestmark = pytest.mark.looptime

ADAPTER = "org.bluez.Adapter1"
PROPERTIES = "org.freedesktop.DBus.Properties"
MATCHES = (
    "type='signal',sender='org.bluez'",
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'",
)


class Observer:
    """A client that sees every signal."""

    def __init__(self, bus: MessageBus) -> None:
        self.signals: list[tuple[str | None, str | None, list[Any]]] = []
        self._bus = bus

    async def call(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Message:
        message = Message("org.bluez", path, interface, member, signature=signature, body=list(body))
        return await self._bus.call(message)

    async def error(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> str | None:
        return (await self.call(path, interface, member, signature, *body)).error_name

    async def adapter(self, name: str) -> Any:
        reply = await self.call("/org/bluez/hci0", PROPERTIES, "Get", "ss", ADAPTER, name)
        assert reply.message_type is MessageType.METHOD_RETURN
        return reply.body[0].value

    async def set_powered(self, *, is_on: bool) -> str | None:
        return await self.error("/org/bluez/hci0", PROPERTIES, "Set", "ssv", ADAPTER, "Powered", Variant("b", is_on))

    def saw(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.member != "NameAcquired":
            self.signals.append((message.path, message.member, message.body))

    async def told(self) -> list[tuple[str | None, str | None, list[Any]]]:
        """The signals since this was last asked."""
        await asyncio.sleep(0.01)
        told, self.signals = self.signals, []
        return told


@pytest.fixture
async def observer(bluez: FakeBluez) -> AsyncIterator[Observer]:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    observer = Observer(bus)
    bus.add_message_handler(observer.saw)
    for match in MATCHES:
        await bus.call(
            Message(
                "org.freedesktop.DBus",
                "/org/freedesktop/DBus",
                "org.freedesktop.DBus",
                "AddMatch",
                signature="s",
                body=[match],
            )
        )
    yield observer
    bus.disconnect()


async def test_an_adapter_shows_what_a_supervisor_needs(observer: Observer) -> None:
    reply = await observer.call("/org/bluez/hci0", PROPERTIES, "GetAll", "s", ADAPTER)
    properties = {name: variant.value for name, variant in reply.body[0].items()}
    assert properties["Address"] == "00:1A:7D:DA:71:00"
    assert (properties["Name"], properties["Alias"]) == ("gateway", "gateway")
    assert (properties["Powered"], properties["PowerState"]) == (True, "on")
    assert properties["Discovering"] is False
    assert properties["Roles"] == ["central", "peripheral"]
    managed = await observer.call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    assert managed.body[0]["/org/bluez/hci0"][ADAPTER] == reply.body[0]


async def test_power_is_told_and_can_be_switched(observer: Observer) -> None:
    off = {"Powered": Variant("b", False), "PowerState": Variant("s", "off")}
    on = {"Powered": Variant("b", True), "PowerState": Variant("s", "on")}
    assert await observer.set_powered(is_on=False) is None
    assert await observer.set_powered(is_on=False) is None
    assert await observer.set_powered(is_on=True) is None
    assert [body[1] for _, _, body in await observer.told()] == [off, on]


async def test_rfkill_keeps_the_power_off(bluez: FakeBluez, observer: Observer) -> None:
    bluez.block("hci0")
    assert await observer.adapter("PowerState") == "off-blocked"
    assert await observer.set_powered(is_on=True) == "org.bluez.Error.Blocked"
    assert await observer.adapter("Powered") is False
    bluez.block("hci0", is_blocked=False)
    assert await observer.adapter("PowerState") == "on"


async def test_an_adapter_that_is_off_can_be_blocked(bluez: FakeBluez, observer: Observer) -> None:
    bluez.power("hci0", is_on=False)
    assert await observer.adapter("PowerState") == "off"
    bluez.block("hci0")
    assert await observer.adapter("PowerState") == "off-blocked"
    bluez.block("hci0", is_blocked=False)
    assert await observer.adapter("PowerState") == "off"


async def test_discovering_is_told(observer: Observer) -> None:
    for member, is_discovering in (("StartDiscovery", True), ("StopDiscovery", False)):
        await observer.call("/org/bluez/hci0", ADAPTER, member)
        assert (
            "/org/bluez/hci0",
            "PropertiesChanged",
            [ADAPTER, {"Discovering": Variant("b", is_discovering)}, []],
        ) in (await observer.told())
        assert await observer.adapter("Discovering") is is_discovering


async def test_adapters_come_and_go(bluez: FakeBluez, observer: Observer) -> None:
    bluez.plug("hci1")
    bluez.unplug("hci0")
    (_, added, [added_path, interfaces]), (_, removed, removed_body) = await observer.told()
    assert (added, added_path, list(interfaces)) == ("InterfacesAdded", "/org/bluez/hci1", [ADAPTER])
    assert (removed, removed_body) == ("InterfacesRemoved", ["/org/bluez/hci0", [ADAPTER]])


async def test_bluetoothd_goes_and_comes(bluez: FakeBluez, observer: Observer) -> None:
    """In good order its objects go first; a killed one leaves without a word."""
    await bluez.terminate()
    assert [member for _, member, _ in await observer.told()] == ["InterfacesRemoved", "NameOwnerChanged"]
    await bluez.start()
    assert [member for _, member, _ in await observer.told()] == ["NameOwnerChanged", "InterfacesAdded"]
    await bluez.kill()
    assert [member for _, member, _ in await observer.told()] == ["NameOwnerChanged"]


async def test_adapters_live_on_while_bluetoothd_is_away(bluez: FakeBluez, observer: Observer) -> None:
    await bluez.terminate()
    bluez.block("hci0")
    bluez.plug("hci1")
    await bluez.start()
    assert await observer.adapter("PowerState") == "off-blocked"
    managed = await observer.call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    assert sorted(managed.body[0]) == ["/org/bluez/hci0", "/org/bluez/hci1"]


async def test_calls_that_make_no_sense_are_refused(observer: Observer) -> None:
    adapter = "/org/bluez/hci0"
    errors = "org.freedesktop.DBus.Error"
    assert await observer.error("/org/bluez/hci9", ADAPTER, "StartDiscovery") == f"{errors}.UnknownObject"
    assert await observer.error(adapter, ADAPTER, "Sing") == f"{errors}.UnknownMethod"
    assert await observer.error(adapter, PROPERTIES, "Get", "ss", ADAPTER, "Mood") == f"{errors}.InvalidArgs"
    assert await observer.error(adapter, PROPERTIES, "GetAll", "s", "org.bluez.Mood1") == f"{errors}.UnknownInterface"
    assert await observer.error(adapter, ADAPTER, "RemoveDevice", "o", "/org/bluez/hci0/dev_0") == (
        "org.bluez.Error.DoesNotExist"
    )


async def test_a_device_can_be_removed_by_a_client(bluez: FakeBluez, observer: Observer) -> None:
    await observer.call("/org/bluez/hci0", ADAPTER, "StartDiscovery")
    bluez.hear(strap(), -60)
    path = "/org/bluez/hci0/dev_A0_9E_1A_00_00_01"
    await observer.told()
    assert await observer.error("/org/bluez/hci0", ADAPTER, "RemoveDevice", "o", path) is None
    assert await observer.told() == [("/", "InterfacesRemoved", [path, ["org.bluez.Device1"]])]


async def test_there_is_one_bluetoothd_on_a_bus(bluez: FakeBluez) -> None:
    second = FakeBluez(bluez._bus_address)
    with pytest.raises(BusError):
        await second.start()
    assert not second.is_running
    assert bluez.is_running

"""A bluetoothd that can be played with: devices are heard at will, and everything that goes wrong can go wrong."""

import asyncio
import contextlib
import functools
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from dbus_fast import Message, MessageType, RequestNameReply
from dbus_fast.aio import MessageBus

from gateway.simulator.bluez.adapter import Adapter, Controller
from gateway.simulator.bluez.bus import BusError
from gateway.simulator.bluez.calls import IN_PROGRESS, Call, Refusal
from gateway.simulator.bluez.device import Device
from gateway.simulator.bluez.objects import Objects
from gateway.simulator.bluez.peripheral import Peripheral

NAME = "org.bluez"

_BUS_NAME = "org.freedesktop.DBus"
_BUS_PATH = "/org/freedesktop/DBus"
# dbus_fast answers these by itself.
_ANSWERED_ELSEWHERE = frozenset({"org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer"})


@dataclass(slots=True)
class _Disobedience:
    refusal: Refusal | None  # None: no answer at all
    times: int | None  # None: until told otherwise


class FakeBluez:
    """`org.bluez` on a bus of its own.

    It runs inside the caller's event loop and owns no task. All times are the loop's, so that it works in virtual time.
    """

    def __init__(self, bus_address: str, adapters: Sequence[str] = ("hci0",)) -> None:
        """`adapters` are plugged in, powered and capable of everything."""
        self.on_connect: Callable[[Peripheral], None] = _ignore
        self.on_disconnect: Callable[[Peripheral], None] = _ignore
        self._bus_address = bus_address
        self._controllers: dict[str, Controller] = {}
        for name in adapters:
            self._add_controller(name, is_central=True)
        self._bus: MessageBus | None = None
        self._objects = Objects(self._send)
        self._adapters: dict[str, Adapter] = {}
        self._disobediences: dict[str, _Disobedience] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["FakeBluez"]:
        """The service for the length of the block.

        Raises:
            BusError: there is a Bluetooth service on this bus already.
            OSError: there is no bus at the address.
        """
        await self.start()
        try:
            yield self
        finally:
            await self.kill()

    @property
    def is_running(self) -> bool:
        """Whether bluetoothd is there; it is not when its bus has died, and has to be started anew then."""
        return self._bus is not None and self._bus.connected

    # --- in the air ---

    def hear(self, peripheral: Peripheral, rssi_dbm: int, adapter: str = "hci0") -> None:
        """An adapter receives one advertisement. Nothing comes of it while nobody scans, or while it is connected."""
        if self.is_running and adapter in self._adapters:
            self._adapters[adapter].hear(peripheral, rssi_dbm)

    def notify(self, peripheral: Peripheral, uuid: str, value: bytes) -> None:
        """The peripheral notifies over its link; whoever subscribed is told."""
        for device in self._devices(peripheral):
            device.notify(uuid, value)

    def remove(self, peripheral: Peripheral) -> None:
        """Bluetoothd forgets the device now; it does so by itself after 30.1 s of silence."""
        for adapter in self._adapters.values():
            adapter.forget(peripheral.address)

    def drop_link(self, peripheral: Peripheral) -> None:
        """The link breaks, as when somebody walks away."""
        for device in self._devices(peripheral):
            device.drop_link()

    def connected(self, peripheral: Peripheral) -> bool:
        """Whether an adapter has a link to the peripheral."""
        return any(device.is_connected for device in self._devices(peripheral))

    def is_discovering(self, adapter: str = "hci0") -> bool:
        """Whether this adapter scans."""
        return self.is_running and adapter in self._adapters and self._adapters[adapter].is_discovering

    # --- what goes wrong ---

    def power(self, adapter: str, *, is_on: bool) -> None:
        """Somebody switches the adapter off or on."""
        self._controllers[adapter].is_on = is_on
        self._power_changed(adapter)

    def block(self, adapter: str, *, is_blocked: bool = True) -> None:
        """Rfkill (flight mode) keeps the adapter off; freed again, it is as it was."""
        self._controllers[adapter].is_blocked = is_blocked
        self._power_changed(adapter)

    def unplug(self, adapter: str) -> None:
        """Somebody pulls the adapter out."""
        del self._controllers[adapter]
        if adapter in self._adapters:
            self._adapters.pop(adapter).remove()

    def plug(self, adapter: str, *, is_central: bool = True) -> None:
        """Somebody plugs an adapter in; one that is no central cannot scan for LE devices."""
        controller = self._add_controller(adapter, is_central=is_central)
        if self.is_running:
            self._adapters[adapter] = Adapter(controller, self._objects, self._link_changed)

    def refuse(self, member: str, refusal: Refusal = IN_PROGRESS, *, times: int | None = None) -> None:
        """Refuse the next calls of this method ("StartDiscovery", "ReadValue", "Connect" ...), or all of them."""
        self._disobediences[member] = _Disobedience(refusal, times)

    def hang(self, member: str, *, times: int | None = None) -> None:
        """Do not answer calls of this method."""
        self._disobediences[member] = _Disobedience(None, times)

    def obey(self, member: str) -> None:
        """Answer calls of this method again."""
        self._disobediences.pop(member, None)

    async def terminate(self) -> None:
        """SIGTERM: bluetoothd takes everything from the bus and goes."""
        if self._bus is not None and self._bus.connected:
            for adapter in self._adapters.values():
                adapter.remove()
            self._adapters.clear()
            await self._bus.release_name(NAME)  # its answer comes after all of that was sent
        await self._end()

    async def kill(self) -> None:
        """SIGKILL: bluetoothd is gone without a word, and the kernel scans on for 10.4 s."""
        await self._end(is_scan_left=self.is_running)

    async def start(self) -> None:
        """Bluetoothd starts, and finds the adapters that are plugged in. It must not run already.

        Raises:
            BusError: there is a Bluetooth service on this bus already.
            OSError: there is no bus at the address.
        """
        await self._end()  # when the bus dies, bluetoothd ends in good order
        bus = await MessageBus(self._bus_address, negotiate_unix_fd=True).connect()
        bus.add_message_handler(self._handle)
        rule = f"type='signal',sender='{_BUS_NAME}',interface='{_BUS_NAME}',member='NameOwnerChanged'"
        await bus.call(
            Message(
                destination=_BUS_NAME,
                path=_BUS_PATH,
                interface=_BUS_NAME,
                member="AddMatch",
                signature="s",
                body=[rule],
            )
        )
        if await bus.request_name(NAME) is not RequestNameReply.PRIMARY_OWNER:
            await _leave(bus)
            raise BusError("There is a Bluetooth service on this bus already: use a private bus.")
        self._bus = bus
        for name, controller in self._controllers.items():
            self._adapters[name] = Adapter(controller, self._objects, self._link_changed)

    async def _end(self, *, is_scan_left: bool = False) -> None:
        bus, self._bus = self._bus, None
        for adapter in self._adapters.values():
            adapter.died(is_scan_left=is_scan_left)
        self._adapters.clear()
        self._objects = Objects(self._send)
        if bus is not None:
            await _leave(bus)

    # --- the bus ---

    def _handle(self, message: Message) -> bool:
        if message.message_type is MessageType.SIGNAL:
            if message.member == "NameOwnerChanged":
                self._name_owner_changed(*message.body)
            return False
        if message.message_type is not MessageType.METHOD_CALL or message.interface in _ANSWERED_ELSEWHERE:
            return False
        call = Call(message, self._send)
        member = message.member or ""
        disobedience = self._disobedience(member)
        if disobedience is None:
            self._objects.handle(message.path or "", message.interface or "", member, call)
            return True
        if member == "StopDiscovery":
            # bluetoothd has forgotten the client's session before it learns that the kernel refused to stop.
            for adapter in self._adapters.values():
                adapter.lose_discovery(call.sender)
        if disobedience.refusal is not None:
            call.refuse(disobedience.refusal)
        return True

    def _disobedience(self, member: str) -> _Disobedience | None:
        disobedience = self._disobediences.get(member)
        if disobedience is not None and disobedience.times is not None:
            disobedience.times -= 1
            if disobedience.times <= 0:
                del self._disobediences[member]
        return disobedience

    def _name_owner_changed(self, name: str, _before: str, after: str) -> None:
        if not after and name.startswith(":"):
            for adapter in self._adapters.values():
                adapter.client_gone(name)

    def _send(self, message: Message) -> None:
        if self._bus is None or not self._bus.connected:
            _close(message.unix_fds)
            return
        try:
            sent = self._bus.send(message)
        except OSError:  # a connection that has just broken is noticed where it is next used
            _close(message.unix_fds)
            return
        if not sent.done() or message.unix_fds:
            sent.add_done_callback(functools.partial(_sent, message.unix_fds))

    def _power_changed(self, adapter: str) -> None:
        if adapter in self._adapters:
            self._adapters[adapter].power_changed()

    def _link_changed(self, device: Device) -> None:
        (self.on_connect if device.is_connected else self.on_disconnect)(device.peripheral)

    def _devices(self, peripheral: Peripheral) -> list[Device]:
        if not self.is_running:
            return []
        known = (adapter.devices.get(peripheral.address) for adapter in self._adapters.values())
        return [device for device in known if device is not None]

    def _add_controller(self, name: str, *, is_central: bool) -> Controller:
        number = int(name.removeprefix("hci"))
        controller = Controller(name, f"00:1A:7D:DA:71:{number:02X}", is_central=is_central)
        self._controllers[name] = controller
        return controller


async def _leave(bus: MessageBus) -> None:
    bus.disconnect()
    with contextlib.suppress(OSError, EOFError):
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]


def _sent(unix_fds: Sequence[int], sent: asyncio.Future[None]) -> None:
    """The other side has its own copies now, and a broken connection is noticed where it is next used."""
    _close(unix_fds)
    if not sent.cancelled():
        sent.exception()


def _close(unix_fds: Sequence[int]) -> None:
    for fd in unix_fds:
        os.close(fd)


def _ignore(_peripheral: Peripheral) -> None:
    """Nobody asked."""

"""What a connected device offers: `org.bluez.GattService1` and `org.bluez.GattCharacteristic1`."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

from dbus_fast import Variant

from gateway.simulator.bluez.calls import (
    IN_PROGRESS,
    NOT_CONNECTED,
    NOT_SUPPORTED,
    NOTIFY_ACQUIRED,
    READ_NOT_PERMITTED,
    WRITE_NOT_PERMITTED,
    Call,
)
from gateway.simulator.bluez.objects import Exported, Objects, Properties
from gateway.simulator.bluez.peripheral import Characteristic, Service

SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"

MTU = 247  # bytes; what two devices of today agree on


class Gatt:
    """The services of one device. They stay on the bus when the link ends, and go with the device."""

    def __init__(
        self,
        services: Sequence[Service],
        device_path: str,
        objects: Objects,
        is_linked: Callable[[], bool],
    ) -> None:
        self._objects = objects
        self._services: list[str] = []
        self._characteristics: list[RemoteCharacteristic] = []
        handle = 1
        for service in services:
            service_path = f"{device_path}/service{handle:04x}"
            properties: Properties = {
                "UUID": Variant("s", service.uuid),
                "Device": Variant("o", device_path),
                "Primary": Variant("b", True),
                "Includes": Variant("ao", []),
            }
            objects.add(service_path, Exported({SERVICE: properties}))
            self._services.append(service_path)
            handle += 1
            for characteristic in service.characteristics:
                path = f"{service_path}/char{handle:04x}"
                self._characteristics.append(
                    RemoteCharacteristic(characteristic, service_path, path, objects, is_linked)
                )
                handle += 3  # declaration, value, client configuration

    def notify(self, uuid: str, value: bytes) -> None:
        """A notification of the characteristic with this UUID."""
        for characteristic in self._characteristics:
            if characteristic.uuid == uuid:
                characteristic.notify(value)

    def client_gone(self, client: str) -> None:
        """A client's subscriptions end."""
        for characteristic in self._characteristics:
            characteristic.unsubscribe(client)

    def link_lost(self) -> None:
        """All subscriptions end."""
        for characteristic in self._characteristics:
            characteristic.unsubscribe_all()

    def close_sockets(self) -> None:
        """The sockets of those who acquired notifications are closed."""
        for characteristic in self._characteristics:
            characteristic.close_socket()

    def remove(self) -> None:
        """Everything goes from the bus."""
        self.close_sockets()
        for characteristic in self._characteristics:
            self._objects.remove(characteristic.path)
        for path in self._services:
            self._objects.remove(path)


class RemoteCharacteristic:
    """One characteristic on the bus: reads, writes and subscriptions of clients."""

    def __init__(
        self,
        characteristic: Characteristic,
        service_path: str,
        path: str,
        objects: Objects,
        is_linked: Callable[[], bool],
    ) -> None:
        self.uuid = characteristic.uuid
        self.path = path
        self._characteristic = characteristic
        self._objects = objects
        self._is_linked = is_linked
        self._subscribers: set[str] = set()
        self._socket: socket.socket | None = None
        properties: Properties = {
            "UUID": Variant("s", characteristic.uuid),
            "Service": Variant("o", service_path),
            "Value": Variant("ay", b""),
            "Flags": Variant("as", list(characteristic.flags)),
            "MTU": Variant("q", MTU),
        }
        if characteristic.notifies:
            properties["Notifying"] = Variant("b", False)
            if characteristic.is_acquirable:
                properties["NotifyAcquired"] = Variant("b", False)
        methods = {
            (CHARACTERISTIC, "ReadValue"): self._read,
            (CHARACTERISTIC, "WriteValue"): self._write,
            (CHARACTERISTIC, "StartNotify"): self._start_notify,
            (CHARACTERISTIC, "StopNotify"): self._stop_notify,
            (CHARACTERISTIC, "AcquireNotify"): self._acquire_notify,
        }
        objects.add(path, Exported({CHARACTERISTIC: properties}, methods))

    def notify(self, value: bytes) -> None:
        """Send a value to whoever subscribed; without a subscriber the device sends nothing."""
        if self._socket is not None:
            # A client that does not read loses notifications, as it would over the air.
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                self._socket.send(value)
        if self._subscribers:
            self._change(Value=Variant("ay", value))

    def unsubscribe(self, client: str) -> None:
        """One client listens no longer."""
        if client in self._subscribers:
            self._subscribers.remove(client)
            if not self._subscribers:
                self._change(Notifying=Variant("b", False))

    def unsubscribe_all(self) -> None:
        """The link ended."""
        if self._socket is not None:
            self.close_socket()
            self._change(NotifyAcquired=Variant("b", False))
        for client in tuple(self._subscribers):
            self.unsubscribe(client)

    def close_socket(self) -> None:
        """Whoever acquired the notifications sees their end."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _read(self, call: Call) -> None:
        if not self._is_linked():
            call.refuse(NOT_CONNECTED)
        elif "read" not in self._characteristic.flags:
            call.refuse(READ_NOT_PERMITTED)
        else:
            value = self._characteristic.value
            # What was read is told to everybody, too: a subscriber cannot tell it from a notification.
            self._change(Value=Variant("ay", value))
            call.answer("ay", value)

    def _write(self, call: Call) -> None:
        value = call.body[0]
        if not self._is_linked():
            call.refuse(NOT_CONNECTED)
        elif not isinstance(value, bytes) or not {"write", "write-without-response"} & {*self._characteristic.flags}:
            call.refuse(WRITE_NOT_PERMITTED)
        else:
            self._characteristic.value = value
            call.answer()

    def _start_notify(self, call: Call) -> None:
        if not self._is_linked():
            call.refuse(NOT_CONNECTED)
        elif not self._characteristic.notifies:
            call.refuse(NOT_SUPPORTED)
        elif self._socket is not None:
            call.refuse(NOTIFY_ACQUIRED)
        else:
            if not self._subscribers:
                self._change(Notifying=Variant("b", True))
            self._subscribers.add(call.sender)
            call.answer()

    def _stop_notify(self, call: Call) -> None:
        self.unsubscribe(call.sender)
        call.answer()

    def _acquire_notify(self, call: Call) -> None:
        if not self._is_linked():
            call.refuse(NOT_CONNECTED)
        elif not (self._characteristic.notifies and self._characteristic.is_acquirable):
            call.refuse(NOT_SUPPORTED)
        elif self._socket is not None:
            call.refuse(NOTIFY_ACQUIRED)
        elif self._subscribers:
            call.refuse(IN_PROGRESS)
        else:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            self._socket = ours
            asyncio.get_running_loop().add_reader(ours, self._released)
            self._change(NotifyAcquired=Variant("b", True))
            call.answer("hq", 0, MTU, unix_fds=[theirs.detach()])

    def _released(self) -> None:
        self.close_socket()
        self._change(NotifyAcquired=Variant("b", False))

    def _change(self, **changed: Variant) -> None:
        self._objects.change(self.path, CHARACTERISTIC, changed)

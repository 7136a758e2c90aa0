"""The adapters that there are, read over a D-Bus connection of our own, which also tells at once when one changes.

Links that nobody else can end any more are ended over it.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dbus_fast import AuthError, BusType, DBusFastError, Message, MessageFlag, MessageType, unpack_variants
from dbus_fast.aio import MessageBus

from gateway.bluetooth.radio import Adapter, RadioError, RadioState, state_of_error
from gateway.bluetooth.strays import stray_links

CALL_TIMEOUT_S = 5.0
"""BlueZ answers at once; what takes longer hangs."""

_LOG = logging.getLogger(__name__)

_BLUEZ = "org.bluez"
_ADAPTER = "org.bluez.Adapter1"
_DEVICE = "org.bluez.Device1"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_DBUS = "org.freedesktop.DBus"
_DBUS_PATH = "/org/freedesktop/DBus"
_NOT_CONNECTED = "org.bluez.Error.NotConnected"

# Where these are missing, there is no link either.
_LINKLESS = frozenset({RadioState.NO_BUS, RadioState.NO_SERVICE, RadioState.NO_ADAPTER, RadioState.POWERED_OFF})

# Changes of devices, hundreds in a second, are none of ours.
_RULES = (
    f"type='signal',sender='{_DBUS}',interface='{_DBUS}',member='NameOwnerChanged',arg0='{_BLUEZ}'",
    f"type='signal',sender='{_BLUEZ}',interface='{_OBJECTS}'",
    f"type='signal',sender='{_BLUEZ}',interface='{_PROPERTIES}',member='PropertiesChanged',arg0='{_ADAPTER}'",
)


class Adapters:
    """The adapters, as the Bluetooth service describes them.

    Nothing here starts the Bluetooth service: somebody who stopped it meant to.
    """

    def __init__(self, changed: asyncio.Event, sysfs: Path = Path("/sys/class/bluetooth")) -> None:
        """Connects with the first `read`.

        Args:
            changed: Set when `read` would say something new.
            sysfs: Where the kernel describes Bluetooth adapters.
        """
        self._changed = changed
        self._sysfs = sysfs
        self._bus: MessageBus | None = None
        self._is_served = False
        self._is_tidy = False
        self._paths: tuple[str, ...] = ()
        self._revision = 1  # of which adapters there are
        self._known_revision = 0  # that of `_paths`, or an earlier one
        self._restarts = 0
        self._losses = Counter[str]()

    def losses(self, name: str) -> int:
        """Grows with every event that ends a scan of an adapter which ran until then.

        The service went away, or the adapter did, was switched off, or stopped to scan. What becomes of another
        adapter, which somebody else may use, is no such event.
        """
        return self._restarts + self._losses[name]

    async def read(self) -> tuple[Adapter, ...]:
        """The adapters now. Links that a gateway has left behind are ended first, once for each connection and service.

        Raises:
            RadioError: There is no bus, no Bluetooth service on it, or they do not let us ask.
        """
        bus = await self._connected()
        if not self._is_served:
            raise RadioError(RadioState.NO_SERVICE)
        if self._known_revision != self._revision:
            revision = self._revision  # an adapter that comes while the answer is on its way may not be in it
            (objects,) = await _call(bus, _BLUEZ, "/", _OBJECTS, "GetManagedObjects")
            self._known_revision = revision
            self._paths = tuple(path for path, interfaces in objects.items() if _ADAPTER in interfaces)
            if not self._is_tidy:
                self._is_tidy = True
                await self._tidy(unpack_variants(objects))
        adapters = []
        for path in self._paths:
            try:
                (properties,) = await _call(bus, _BLUEZ, path, _PROPERTIES, "GetAll", "s", [_ADAPTER])
            except RadioError as error:
                if error.state is not RadioState.NO_ADAPTER:
                    raise
                self._revision += 1  # unplugged just now
            else:
                adapters.append(self._adapter(path, unpack_variants(properties)))
        return tuple(adapters)

    async def let_go(self, path: str) -> None:
        """End the link with the device of an object path, if there is one.

        Without a connection nothing is done: the next one begins with the search for links that were left behind.
        """
        if self._bus is None or not self._bus.connected:
            return
        try:
            await _call(self._bus, _BLUEZ, path, _DEVICE, "Disconnect")
        except RadioError as error:
            if error.state not in _LINKLESS and error.detail != _NOT_CONNECTED:
                _LOG.warning(
                    "A sensor may still be connected, it could not be let go: %(state)s", {"state": error.state}
                )

    async def close(self) -> None:
        """Close the connection; `read` opens another one."""
        bus, self._bus, self._is_served, self._is_tidy = self._bus, None, False, False
        self._revision += 1
        if bus is not None:
            bus.disconnect()
            with contextlib.suppress(Exception):  # whatever ended it before
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    async def _tidy(self, objects: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        for path in stray_links(objects):
            _LOG.warning("A sensor was still connected and nobody listened to it: it is let go")
            await self.let_go(path)

    async def _connected(self) -> MessageBus:
        if self._bus is not None and self._bus.connected:
            return self._bus
        if self._bus is not None:
            # Said once before there is another connection: whoever has one of their own has lost it too.
            await self.close()
            self._changed.set()
            raise RadioError(RadioState.NO_BUS, "the connection was lost")
        try:
            bus = MessageBus(bus_type=BusType.SYSTEM)
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await bus.connect()
        except (AuthError, PermissionError) as error:
            raise RadioError(RadioState.DENIED, type(error).__name__) from error
        except (OSError, EOFError, DBusFastError) as error:  # a timeout is an OSError
            raise RadioError(RadioState.NO_BUS, type(error).__name__) from error
        self._bus = bus
        try:
            bus.add_message_handler(self._take)
            for rule in _RULES:
                await _call(bus, _DBUS, _DBUS_PATH, _DBUS, "AddMatch", "s", [rule])
            restarts = self._restarts
            (is_served,) = await _call(bus, _DBUS, _DBUS_PATH, _DBUS, "NameHasOwner", "s", [_BLUEZ])
            if self._restarts == restarts:  # else something newer was told while the answer was on its way
                self._is_served = is_served
        except BaseException:
            await self.close()
            raise
        return bus

    def _take(self, message: Message) -> None:
        """Note what a signal says; what it does not say is asked for."""
        if message.message_type is not MessageType.SIGNAL:
            return
        match message.member, message.body:
            case "NameOwnerChanged", [str(name), str(), str(owner)] if name == _BLUEZ:
                self._is_served = bool(owner)
                self._is_tidy = False
                self._revision += 1
                self._restarts += 1
            case "InterfacesAdded", [str(), dict(interfaces)] if _ADAPTER in interfaces:
                self._revision += 1
            case "InterfacesRemoved", [str(path), list(interfaces)] if _ADAPTER in interfaces:
                self._revision += 1
                self._losses[_name(path)] += 1
            case "PropertiesChanged", [str(interface), dict(changed), list()] if interface == _ADAPTER:
                if any(name in changed and not changed[name].value for name in ("Powered", "Discovering")):
                    self._losses[_name(message.path or "")] += 1
            case _:
                return
        self._changed.set()

    def _adapter(self, path: str, properties: Mapping[str, Any]) -> Adapter:
        name = _name(path)
        return Adapter(
            name,
            is_powered=bool(properties.get("Powered")),
            is_blocked=properties.get("PowerState") == "off-blocked" or _is_blocked(self._sysfs / name),
            # Before BlueZ 5.54 adapters did not tell.
            is_central=any("central" in role for role in properties.get("Roles", ("central",))),
            is_discovering=bool(properties.get("Discovering")),
            is_on_board=_is_on_board(self._sysfs / name),
        )


def _name(path: str) -> str:
    """What people call the adapter of an object path: "hci0"."""
    return path.rpartition("/")[2]


async def _call(
    bus: MessageBus,
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    body: Sequence[str] = (),
) -> list[Any]:
    """Call a method and return what it returns; raises `RadioError` whatever is wrong."""
    message = Message(
        destination=destination,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=list(body),
        flags=MessageFlag.NO_AUTOSTART,
    )
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            reply = await bus.call(message)
    except TimeoutError as error:
        raise RadioError(RadioState.FAILED, f"no answer in {CALL_TIMEOUT_S:.0f} s") from error
    except Exception as error:  # the library promises no type for a lost connection
        raise RadioError(RadioState.NO_BUS, type(error).__name__) from error
    if reply is None:
        raise RadioError(RadioState.NO_BUS, "the connection was closed")
    if reply.message_type is MessageType.ERROR:
        name = reply.error_name or ""
        raise RadioError(state_of_error(name), name)
    return list(reply.body)


def _is_blocked(folder: Path) -> bool:
    """Whether rfkill blocks an adapter, for BlueZ before 5.66, which does not tell.

    Args:
        folder: The kernel's description of the adapter, which may be missing.
    """
    switches = (*folder.glob("rfkill*/soft"), *folder.glob("rfkill*/hard"))
    with contextlib.suppress(OSError):
        return any(switch.read_text(encoding="ascii").strip() == "1" for switch in switches)
    return False


def _is_on_board(folder: Path) -> bool | None:
    """Whether an adapter is attached by something else than USB; None for one that is not there or is simulated."""
    if not folder.exists():
        return None
    parts = folder.resolve().parts
    if "virtual" in parts:
        return None
    return not any(part.startswith("usb") for part in parts)

"""One Bluetooth adapter: the controller that is plugged in, and bluetoothd's view of it (`org.bluez.Adapter1`)."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from dbus_fast import Variant

from gateway.simulator.bluez.calls import BLOCKED, DOES_NOT_EXIST, IN_PROGRESS, NO_DISCOVERY, NOT_READY, Call
from gateway.simulator.bluez.device import Device
from gateway.simulator.bluez.objects import Exported, Objects, Properties
from gateway.simulator.bluez.peripheral import Peripheral

INTERFACE = "org.bluez.Adapter1"

# bluetoothd 5.66 and 5.82 forgot a device this long after its last advertisement.
FORGET_AFTER_S = 30.1
# So long after the death of bluetoothd the kernel still scanned for it.
SCAN_OUTLIVES_S = 10.4


@dataclass(slots=True)
class Controller:
    """The hardware, and what the kernel knows of it: it is there whether bluetoothd runs or not."""

    name: str  # "hci0"
    address: str
    is_central: bool = True
    is_on: bool = True  # what somebody chose
    is_blocked: bool = False  # rfkill
    scans_until_s: float = -math.inf  # a scan that a dead bluetoothd left behind

    @property
    def is_powered(self) -> bool:
        """Whether it works."""
        return self.is_on and not self.is_blocked

    @property
    def power_state(self) -> str:
        """BlueZ's word for it."""
        if self.is_blocked:
            return "off-blocked"
        return "on" if self.is_on else "off"


class Adapter:
    """Bluetoothd's view of one controller, from its start until its end or until the adapter is unplugged."""

    def __init__(self, controller: Controller, objects: Objects, on_link: Callable[[Device], None]) -> None:
        self.controller = controller
        self.path = f"/org/bluez/{controller.name}"
        self.devices: dict[str, Device] = {}  # by address
        self._objects = objects
        self._on_link = on_link
        self._loop = asyncio.get_running_loop()
        self._filters: dict[str, frozenset[str]] = {}  # by client: the service UUIDs that it wants
        self._discoveries: set[str] = set()  # clients
        self._forget_s: dict[str, float] = {}  # by address
        self._timers: dict[str, asyncio.TimerHandle] = {}  # by address
        methods = {
            (INTERFACE, "SetDiscoveryFilter"): self._set_discovery_filter,
            (INTERFACE, "StartDiscovery"): self._start_discovery,
            (INTERFACE, "StopDiscovery"): self._stop_discovery,
            (INTERFACE, "RemoveDevice"): self._remove_device,
        }
        setters = {(INTERFACE, "Powered"): self._set_powered}
        self._properties = _properties(controller)
        objects.add(self.path, Exported({INTERFACE: self._properties}, methods, setters))

    @property
    def is_discovering(self) -> bool:
        """Whether it scans for anybody."""
        return bool(self._discoveries)

    def hear(self, peripheral: Peripheral, rssi_dbm: int) -> None:
        """One advertisement reaches the antenna; who listens and is interested is told."""
        if not self._discoveries or not self._is_wanted(peripheral):
            return
        device = self.devices.get(peripheral.address)
        if device is None:
            device = Device(peripheral, self.path, self._objects, self._is_powered, self._link_changed)
            self.devices[peripheral.address] = device
        elif device.is_connected:
            return
        device.heard(peripheral, rssi_dbm)
        self._heard(device)

    def power_changed(self) -> None:
        """The controller was switched on or off, or blocked or freed."""
        if not self.controller.is_powered:
            for device in tuple(self.devices.values()):
                device.drop_link()
            self._discoveries.clear()
            self._filters.clear()
            self._end_discovery()
        self._change(**_power(self.controller))

    def forget(self, address: str) -> None:
        """The device goes from the bus, its link included."""
        device = self.devices.pop(address, None)
        if device is not None:
            device.remove()
        self._forget_s.pop(address, None)
        timer = self._timers.pop(address, None)
        if timer is not None:
            timer.cancel()

    def remove(self) -> None:
        """The adapter goes from the bus, with everything it knew."""
        for address in tuple(self.devices):
            self.forget(address)
        self._objects.remove(self.path)

    def died(self, *, is_scan_left: bool) -> None:
        """Bluetoothd is gone: nobody is told, links end. The scan of one that was killed goes on for a while."""
        if is_scan_left and self._discoveries:
            self.controller.scans_until_s = self._loop.time() + SCAN_OUTLIVES_S
        for device in self.devices.values():
            device.died()
        for timer in self._timers.values():
            timer.cancel()

    def client_gone(self, client: str) -> None:
        """A connection to the bus has ended: so does its discovery."""
        self._filters.pop(client, None)
        if self.lose_discovery(client) and not self._discoveries:
            self._end_discovery()
        for device in self.devices.values():
            device.client_gone(client)

    def lose_discovery(self, client: str) -> bool:
        """Forget that this client discovers, and tell nobody; False if it did not."""
        if client not in self._discoveries:
            return False
        self._discoveries.remove(client)
        return True

    def _set_discovery_filter(self, call: Call) -> None:
        if not self.controller.is_powered:
            call.refuse(NOT_READY)
            return
        wanted = call.body[0]
        uuids = wanted.get("UUIDs") if isinstance(wanted, dict) else None
        self._filters[call.sender] = frozenset(uuids.value) if isinstance(uuids, Variant) else frozenset()
        call.answer()

    def _start_discovery(self, call: Call) -> None:
        if not self.controller.is_powered:
            call.refuse(NOT_READY)
        elif call.sender in self._discoveries or self._loop.time() < self.controller.scans_until_s:
            call.refuse(IN_PROGRESS)
        else:
            self._discoveries.add(call.sender)
            self._tell_discovering()
            call.answer()

    def _stop_discovery(self, call: Call) -> None:
        if not self.controller.is_powered:
            call.refuse(NOT_READY)
            return
        if not self.lose_discovery(call.sender):
            call.refuse(NO_DISCOVERY)
            return
        if not self._discoveries:
            self._end_discovery()
        call.answer()

    def _remove_device(self, call: Call) -> None:
        address = next((address for address, device in self.devices.items() if device.path == call.body[0]), None)
        if address is None:
            call.refuse(DOES_NOT_EXIST)
            return
        self.forget(address)
        call.answer()

    def _set_powered(self, call: Call, value: object) -> None:
        if value and self.controller.is_blocked:
            call.refuse(BLOCKED)
            return
        self.controller.is_on = bool(value)
        self.power_changed()
        call.answer()

    def _end_discovery(self) -> None:
        for device in self.devices.values():
            device.forget_signal()
        self._tell_discovering()

    def _tell_discovering(self) -> None:
        self._change(Discovering=Variant("b", bool(self._discoveries)))

    def _is_powered(self) -> bool:
        return self.controller.is_powered

    def _is_wanted(self, peripheral: Peripheral) -> bool:
        """BlueZ merges the filters of all clients: the widest one decides."""
        filters = [self._filters.get(client) for client in self._discoveries]
        return any(not wanted or not wanted.isdisjoint(peripheral.services) for wanted in filters)

    def _link_changed(self, device: Device) -> None:
        if not device.is_connected:
            self._heard(device)  # its time to be forgotten begins with the end of the link
        self._on_link(device)

    def _heard(self, device: Device) -> None:
        address = device.peripheral.address
        self._forget_s[address] = forget_s = self._loop.time() + FORGET_AFTER_S
        if address not in self._timers:
            self._timers[address] = self._loop.call_at(forget_s, self._silent, address)

    def _silent(self, address: str) -> None:
        """One timer for each device, set anew only when it fires: advertisements are too many to move it each time."""
        due_s = self._timers.pop(address).when()
        forget_s = self._forget_s[address]
        if self.devices[address].is_connected:
            return
        if forget_s > due_s:
            self._timers[address] = self._loop.call_at(forget_s, self._silent, address)
        else:
            self.forget(address)

    def _change(self, **properties: Variant) -> None:
        changed = {name: value for name, value in properties.items() if self._properties[name] != value}
        if changed:
            self._objects.change(self.path, INTERFACE, changed)


def _power(controller: Controller) -> Properties:
    return {"Powered": Variant("b", controller.is_powered), "PowerState": Variant("s", controller.power_state)}


def _properties(controller: Controller) -> Properties:
    roles = ["central", "peripheral"] if controller.is_central else ["peripheral"]
    return {
        "Address": Variant("s", controller.address),
        "AddressType": Variant("s", "public"),
        "Name": Variant("s", "gateway"),
        "Alias": Variant("s", "gateway"),
        "Class": Variant("u", 0),
        **_power(controller),
        "Discoverable": Variant("b", False),
        "DiscoverableTimeout": Variant("u", 180),
        "Pairable": Variant("b", False),
        "PairableTimeout": Variant("u", 0),
        "Discovering": Variant("b", False),
        "UUIDs": Variant("as", []),
        "Modalias": Variant("s", "usb:v1D6Bp0246d0552"),
        "Roles": Variant("as", roles),
    }

"""One device as bluetoothd knows it (`org.bluez.Device1`): what was heard of it, and the link to it."""

from collections.abc import Callable

from dbus_fast import Variant

from gateway.simulator.bluez.calls import ALREADY_CONNECTED, CONNECTION_ABORTED, IN_PROGRESS, NOT_READY, Call
from gateway.simulator.bluez.gatt import Gatt
from gateway.simulator.bluez.objects import Exported, Objects, Properties
from gateway.simulator.bluez.peripheral import Peripheral

INTERFACE = "org.bluez.Device1"


class Device:
    """One device on one adapter. Its properties gather everything it ever advertised, as bluetoothd's do."""

    def __init__(
        self,
        peripheral: Peripheral,
        adapter_path: str,
        objects: Objects,
        is_powered: Callable[[], bool],
        on_link: Callable[["Device"], None],
    ) -> None:
        """`on_link` is told when the link stands and when it has ended."""
        self.peripheral = peripheral
        self.path = f"{adapter_path}/dev_{peripheral.address.replace(':', '_')}"
        self.is_connected = False
        self._adapter_path = adapter_path
        self._objects = objects
        self._is_powered = is_powered
        self._on_link = on_link
        self._properties: Properties = {}
        self._connecting: Call | None = None
        self._gatt: Gatt | None = None

    def heard(self, peripheral: Peripheral, rssi_dbm: int) -> None:
        """One advertisement: the object appears, or its properties change."""
        self.peripheral = peripheral
        news = _advertised(peripheral, self._properties)
        news["RSSI"] = Variant("n", rssi_dbm)
        if self.path in self._objects:
            self._objects.change(self.path, INTERFACE, news)
            return
        self._properties.update(_identity(peripheral, self._adapter_path))
        self._properties.update(news)
        methods = {(INTERFACE, "Connect"): self._connect, (INTERFACE, "Disconnect"): self._disconnect}
        self._objects.add(self.path, Exported({INTERFACE: self._properties}, methods))

    def forget_signal(self) -> None:
        """Nobody listens any more: bluetoothd withdraws the signal strength, which clients see as a change."""
        if "RSSI" in self._properties:
            self._objects.change(self.path, INTERFACE, {}, ["RSSI", "TxPower"])

    def drop_link(self) -> None:
        """The link, or the attempt to have one, ends."""
        if self._connecting is not None:
            connecting, self._connecting = self._connecting, None
            connecting.refuse(CONNECTION_ABORTED)
        if not self.is_connected:
            return
        self.is_connected = False
        if self._gatt is not None:
            self._gatt.link_lost()
        # Each of these is one more call of a scanner's callback, with the strength of the last advertisement.
        self._change(ServicesResolved=Variant("b", False))
        self._change(Connected=Variant("b", False))
        self._on_link(self)

    def remove(self) -> None:
        """The device is forgotten, its link included."""
        self.drop_link()
        if self._gatt is not None:
            self._gatt.remove()
        self._objects.remove(self.path)

    def died(self) -> None:
        """Bluetoothd is gone, without a word to anybody."""
        if self._gatt is not None:
            self._gatt.close_sockets()
        if self.is_connected:
            self.is_connected = False
            self._on_link(self)

    def notify(self, uuid: str, value: bytes) -> None:
        """A notification of the device over the link."""
        if self.is_connected and self._gatt is not None:
            self._gatt.notify(uuid, value)

    def client_gone(self, client: str) -> None:
        """A connection to the bus has ended. The link stays, as with bluetoothd; what it was subscribed to ends."""
        if self._gatt is not None:
            self._gatt.client_gone(client)

    def _connect(self, call: Call) -> None:
        if not self._is_powered():
            call.refuse(NOT_READY)
        elif self.is_connected:
            call.refuse(ALREADY_CONNECTED)
        elif self._connecting is not None:
            call.refuse(IN_PROGRESS)
        elif not self.peripheral.accepts_link:
            self._connecting = call
        else:
            self._link()
            call.answer()

    def _disconnect(self, call: Call) -> None:
        self.drop_link()
        call.answer()

    def _link(self) -> None:
        self.is_connected = True
        self._change(Connected=Variant("b", True))
        if self._gatt is None:
            self._gatt = Gatt(self.peripheral.gatt, self.path, self._objects, lambda: self.is_connected)
        known = list(self._properties["UUIDs"].value)
        discovered = [service.uuid for service in self.peripheral.gatt if service.uuid not in known]
        if discovered:
            self._change(UUIDs=Variant("as", known + discovered))
        self._change(ServicesResolved=Variant("b", True))
        self._on_link(self)

    def _change(self, **changed: Variant) -> None:
        self._objects.change(self.path, INTERFACE, changed)


def _identity(peripheral: Peripheral, adapter_path: str) -> Properties:
    """What a device has before anything was heard of it."""
    no = Variant("b", False)
    return {
        "Address": Variant("s", peripheral.address),
        "AddressType": Variant("s", "random" if peripheral.is_random else "public"),
        "Alias": Variant("s", peripheral.address.replace(":", "-")),
        "Paired": no,
        "Bonded": no,
        "Trusted": no,
        "Blocked": no,
        "LegacyPairing": no,
        "Connected": no,
        "UUIDs": Variant("as", []),
        "Adapter": Variant("o", adapter_path),
        "ServicesResolved": no,
    }


def _advertised(peripheral: Peripheral, known: Properties) -> Properties:
    """What one advertisement changes. Data of companies and services is told anew each time, changed or not."""
    news: Properties = {}

    def tell(name: str, value: Variant) -> None:
        if known.get(name) != value:
            news[name] = value

    if peripheral.name is not None:
        tell("Name", Variant("s", peripheral.name))
        tell("Alias", Variant("s", peripheral.name))
    if peripheral.services:
        uuids = list(known["UUIDs"].value) if "UUIDs" in known else []
        tell("UUIDs", Variant("as", uuids + [uuid for uuid in peripheral.services if uuid not in uuids]))
    if peripheral.appearance is not None:
        tell("Appearance", Variant("q", peripheral.appearance))
    if peripheral.tx_power is not None:
        tell("TxPower", Variant("n", peripheral.tx_power))
    if peripheral.manufacturer_data:
        earlier = known["ManufacturerData"].value if "ManufacturerData" in known else {}
        fresh = {company: Variant("ay", data) for company, data in peripheral.manufacturer_data.items()}
        news["ManufacturerData"] = Variant("a{qv}", {**earlier, **fresh})
    if peripheral.service_data:
        earlier = known["ServiceData"].value if "ServiceData" in known else {}
        fresh_services = {uuid: Variant("ay", data) for uuid, data in peripheral.service_data.items()}
        news["ServiceData"] = Variant("a{sv}", {**earlier, **fresh_services})
    return news

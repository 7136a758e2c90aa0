"""What `gateway.bluetooth.scanner` takes for granted of bleak: a version that changes any of it fails here first."""

import asyncio
import inspect
from importlib.metadata import version

import pytest
from bleak import BleakClient, BleakScanner
from bleak.args.bluez import BlueZScannerArgs
from bleak.backends.bluezdbus import manager
from bleak.backends.bluezdbus.defs import Device1
from bleak.backends.bluezdbus.version import BlueZFeatures
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
)

from gateway.simulator.bluez.peripheral import Characteristic, Peripheral, Service
from gateway.simulator.bluez.service import FakeBluez
from insiders_codecs import gatt
from tests.bluetooth.listening import strap

LOOP = pytest.mark.looptime
ADAPTER: BlueZScannerArgs = {"adapter": "hci0"}


class Heard:
    """What bleak calls back with."""

    def __init__(self) -> None:
        self.devices: list[BLEDevice] = []
        self.data: list[AdvertisementData] = []

    def __call__(self, device: BLEDevice, data: AdvertisementData) -> None:
        self.devices.append(device)
        self.data.append(data)


async def settle() -> None:
    await asyncio.sleep(0.01)


def test_the_version_is_one_that_was_read() -> None:
    assert version("bleak").startswith("3.")


def test_the_arguments_that_are_given_exist() -> None:
    scanner = inspect.signature(BleakScanner).parameters
    assert list(scanner)[:3] == ["detection_callback", "service_uuids", "scanning_mode"]
    assert scanner["scanning_mode"].default == "active"
    assert scanner["service_uuids"].default is None
    assert "bluez" in scanner
    client = inspect.signature(BleakClient).parameters
    assert list(client)[:2] == ["address_or_ble_device", "disconnected_callback"]
    assert "timeout" in client
    assert {"callback"} < set(inspect.signature(BleakClient.start_notify).parameters)


def test_the_errors_are_related_as_they_are_caught() -> None:
    for error in (BleakBluetoothNotAvailableError, BleakDBusError, BleakGATTProtocolError):
        assert issubclass(error, BleakError)
    assert not issubclass(BleakError, OSError)
    assert BleakDBusError("org.bluez.Error.Failed", ["text"]).dbus_error == "org.bluez.Error.Failed"
    assert BleakGATTProtocolError(0x05).code.name == "INSUFFICIENT_AUTHENTICATION"
    assert {"NO_BLUETOOTH", "NO_BLE_CENTRAL_ROLE", "POWERED_OFF", "DENIED_BY_SYSTEM"} <= set(
        BleakBluetoothNotAvailableReason.__members__
    )


def test_bluez_says_of_a_device_what_is_read() -> None:
    assert {"Address", "AddressType", "Connected", "ServicesResolved", "Name"} <= set(Device1.__annotations__)


@LOOP
async def test_a_callback_gets_all_that_was_ever_advertised_with_the_address_kind_and_the_link(
    bluez: FakeBluez,
) -> None:
    heard = Heard()
    sensor = strap()
    sensor.is_random, sensor.appearance = True, 833
    sensor.manufacturer_data = {0x006B: b"\x33\x00\x00\x38"}
    bare = Peripheral(sensor.address, is_random=True)
    async with BleakScanner(heard, bluez=ADAPTER):
        bluez.hear(sensor, -60)
        await settle()
        bluez.hear(bare, -61)
        await settle()
    path, properties = heard.data[1].platform_data
    assert heard.devices[1].address == sensor.address
    assert heard.devices[1].details["path"] == path
    assert properties["AddressType"] == "random"
    assert properties["Appearance"] == 833
    assert (properties["Connected"], properties["ServicesResolved"]) == (False, False)
    assert heard.data[1].local_name == sensor.name
    assert heard.data[1].service_uuids == [gatt.HEART_RATE_SERVICE]
    assert heard.data[1].manufacturer_data == sensor.manufacturer_data
    assert heard.data[1].rssi == -61


@LOOP
async def test_what_an_advertisement_leaves_out_is_none(bluez: FakeBluez) -> None:
    heard = Heard()
    async with BleakScanner(heard, bluez=ADAPTER):
        bluez.hear(Peripheral(strap().address), -60)
        await settle()
    [data] = heard.data
    assert (data.local_name, data.service_uuids, data.manufacturer_data) == (None, [], {})
    assert "Appearance" not in data.platform_data[1]


@LOOP
async def test_each_change_of_a_link_calls_back_with_the_properties_of_that_moment_and_the_signal_of_before(
    bluez: FakeBluez,
) -> None:
    """They are told from advertisements by these properties alone; the ones that a device has are of the first time."""
    changes: list[tuple[bool, bool, int]] = []

    def note(_: BLEDevice, data: AdvertisementData) -> None:
        properties = data.platform_data[1]
        changes.append((properties["Connected"], properties["ServicesResolved"], data.rssi))

    async with BleakScanner(note, bluez=ADAPTER) as scanner:
        bluez.hear(strap(), -60)
        await settle()
        async with BleakClient(scanner.discovered_devices[0]):
            await settle()
        await settle()
    assert changes[0] == changes[-1] == (False, False, -60)
    assert (True, True, -60) in changes
    assert all(is_linked or is_resolved for is_linked, is_resolved, _ in changes[1:-1])


@LOOP
async def test_an_adapter_that_is_missing_is_the_only_failure_without_a_name(bluez: FakeBluez) -> None:
    with pytest.raises(BleakError) as caught:
        await BleakScanner(bluez={"adapter": "hci7"}).start()
    assert type(caught.value) is BleakError
    bluez.power("hci0", is_on=False)
    with pytest.raises(BleakDBusError) as refused:
        await BleakScanner(bluez=ADAPTER).start()
    assert refused.value.dbus_error == "org.bluez.Error.NotReady"


@LOOP
async def test_a_device_that_loses_its_signal_strength_calls_back_with_minus_127(bluez: FakeBluez) -> None:
    heard = Heard()
    scanner = BleakScanner(heard, bluez=ADAPTER)
    await scanner.start()
    bluez.hear(strap(), -60)
    await settle()
    bluez.power("hci0", is_on=False)
    await settle()
    assert [data.rssi for data in heard.data] == [-60, -127]
    bluez.power("hci0", is_on=True)
    with pytest.raises(BleakDBusError, match="No discovery started"):
        await scanner.stop()


@LOOP
async def test_devices_are_found_by_their_address_in_upper_case(bluez: FakeBluez) -> None:
    async with BleakScanner(bluez=ADAPTER) as scanner:
        bluez.hear(strap(), -60)
        await settle()
        [(address, (device, _))] = scanner.discovered_devices_and_advertisement_data.items()
    assert address == strap().address == device.address


@LOOP
async def test_one_scanner_for_each_event_loop(bluez: FakeBluez) -> None:
    async with BleakScanner(bluez=ADAPTER):
        with pytest.raises(BleakDBusError, match="InProgress"):
            await BleakScanner(bluez=ADAPTER).start()


@LOOP
async def test_its_connection_can_be_closed_under_it_and_the_next_scan_gets_another(bluez: FakeBluez) -> None:
    heard = Heard()
    scanner = BleakScanner(heard, bluez=ADAPTER)
    await scanner.start()
    known = manager._global_instances.pop(asyncio.get_running_loop())
    connection = known._bus
    assert connection is not None
    was_connected = connection.connected
    connection.disconnect()
    assert (was_connected, connection.connected) == (True, False)
    await settle()
    assert not bluez.is_discovering()
    await BleakScanner(bluez=ADAPTER).start()
    assert manager._global_instances[asyncio.get_running_loop()] is not known
    assert bluez.is_discovering()
    bluez.hear(strap(), -60)
    await settle()
    assert heard.data == []


@LOOP
async def test_a_closed_connection_loses_links_and_tells_who_holds_them_but_not_bluez(bluez: FakeBluez) -> None:
    """Who let a client go has to ask BlueZ for the end of the link; the end of the subscriptions is told."""
    lost: list[BleakClient] = []
    sensor = strap()
    scanner = BleakScanner(bluez=ADAPTER)
    await scanner.start()
    bluez.hear(sensor, -60)
    await settle()
    client = BleakClient(scanner.discovered_devices[0], lost.append)
    await client.connect()
    await client.start_notify(gatt.HEART_RATE_MEASUREMENT, lambda *_: None)
    assert _is_notifying(bluez)
    connection = manager._global_instances[asyncio.get_running_loop()]._bus
    assert connection is not None
    connection.disconnect()
    await settle()
    assert lost == [client]
    assert not client.is_connected
    await client.disconnect()
    await settle()
    assert bluez.connected(sensor)
    assert not _is_notifying(bluez)


@LOOP
async def test_disconnecting_calls_back_and_may_be_repeated(bluez: FakeBluez) -> None:
    lost: list[BleakClient] = []
    async with BleakScanner(bluez=ADAPTER) as scanner:
        bluez.hear(strap(), -60)
        await settle()
        client = BleakClient(scanner.discovered_devices[0], lost.append)
        await client.disconnect()
        await client.connect()
        await client.disconnect()
        await client.disconnect()
    assert lost == [client]


@LOOP
async def test_characteristics_go_by_their_handles(bluez: FakeBluez) -> None:
    sensor = strap()
    battery = tuple(Service(gatt.BATTERY_SERVICE, (Characteristic(gatt.BATTERY_LEVEL),)) for _ in range(4))
    sensor.gatt = battery
    async with BleakScanner(bluez=ADAPTER) as scanner:
        bluez.hear(sensor, -60)
        await settle()
        async with BleakClient(scanner.discovered_devices[0]) as client:
            characteristics = client.services.characteristics
            assert len(characteristics) == 4
            assert all(handle == characteristic.handle for handle, characteristic in characteristics.items())
            assert {characteristic.uuid for characteristic in characteristics.values()} == {gatt.BATTERY_LEVEL}


@pytest.mark.parametrize("is_acquired", [False, True])
@LOOP
async def test_notifications_come_over_signals_or_a_socket(bluez: FakeBluez, is_acquired: bool) -> None:
    got: list[bytes] = []
    sensor = strap()
    async with BleakScanner(bluez=ADAPTER) as scanner:
        bluez.hear(sensor, -60)
        await settle()
        async with BleakClient(scanner.discovered_devices[0]) as client:
            await client.start_notify(
                gatt.HEART_RATE_MEASUREMENT,
                lambda _, value: got.append(bytes(value)),
                bluez={"use_start_notify": not is_acquired},
            )
            for bpm in (70, 71):
                bluez.notify(sensor, gatt.HEART_RATE_MEASUREMENT, bytes((0, bpm)))
                await settle()
            await client.stop_notify(gatt.HEART_RATE_MEASUREMENT)
    assert got == [b"\0\x46", b"\0\x47"]


def test_the_version_of_bluez_is_asked_once_and_may_be_unknown() -> None:
    """bleak runs bluetoothctl with the first link of a process."""
    assert isinstance(BlueZFeatures.checked_bluez_version, bool)
    assert BlueZFeatures.supported_version


def _is_notifying(bluez: FakeBluez) -> bool:
    return any(
        interfaces["Notifying"].value
        for exported in bluez._objects._objects.values()
        for interfaces in exported.interfaces.values()
        if "Notifying" in interfaces
    )

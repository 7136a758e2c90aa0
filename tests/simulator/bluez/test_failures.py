"""What bleak makes of everything that can go wrong with a radio: one test for each line of what was measured."""

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path

import pytest
from bleak import BleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError, BleakError

from gateway.simulator.bluez.bus import Bus, private_bus
from gateway.simulator.bluez.calls import IN_PROGRESS, Refusal
from gateway.simulator.bluez.service import FakeBluez
from tests.bluetooth.conftest import close_bleak
from tests.simulator.bluez.straps import Listener, strap

pytestmark = pytest.mark.looptime

IN_PROGRESS_NAME = "org.bluez.Error.InProgress"


async def refusal_of(call: Awaitable[object]) -> str:
    """The D-Bus name of the error that a call of bleak raises."""
    with pytest.raises(BleakDBusError) as caught:
        await call
    return caught.value.dbus_error


async def reason_of(scanner: BleakScanner) -> BleakBluetoothNotAvailableReason:
    with pytest.raises(BleakBluetoothNotAvailableError) as caught:
        await scanner.start()
    return caught.value.reason


# --- before a scan ---


async def test_an_adapter_that_is_off(bluez: FakeBluez) -> None:
    bluez.power("hci0", is_on=False)
    assert await reason_of(Listener().scanner) is BleakBluetoothNotAvailableReason.POWERED_OFF
    assert await refusal_of(Listener("hci0").scanner.start()) == "org.bluez.Error.NotReady"
    bluez.power("hci0", is_on=True)
    async with Listener("hci0"):
        assert bluez.is_discovering()


async def test_no_adapter(bus: Bus) -> None:
    async with FakeBluez(bus.address, adapters=()).running():
        assert await reason_of(Listener().scanner) is BleakBluetoothNotAvailableReason.NO_BLUETOOTH


async def test_another_adapter_than_the_one_asked_for(bluez: FakeBluez) -> None:
    with pytest.raises(BleakError, match="adapter 'hci7' not found"):
        await Listener("hci7").scanner.start()
    assert not bluez.is_discovering()


async def test_an_adapter_that_is_no_central(bus: Bus) -> None:
    async with FakeBluez(bus.address, adapters=()).running() as bluez:
        bluez.plug("hci0", is_central=False)
        assert await reason_of(Listener().scanner) is BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE


@pytest.mark.usefixtures("bus")
async def test_no_bluetoothd() -> None:
    assert await refusal_of(Listener().scanner.start()) == "org.freedesktop.DBus.Error.ServiceUnknown"


async def test_no_bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nobody'}")
    with pytest.raises(FileNotFoundError):
        await Listener().scanner.start()
    await close_bleak()


async def test_a_policy_that_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    async with private_bus(deny=True) as bus, FakeBluez(bus.address).running():
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        assert await refusal_of(Listener().scanner.start()) == "org.freedesktop.DBus.Error.AccessDenied"
        await close_bleak()


@pytest.mark.usefixtures("bluez")
async def test_a_bus_that_does_not_believe_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLEAK_DBUS_AUTH_UID", str(os.getuid() + 1))
    assert await reason_of(Listener().scanner) is BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM


async def test_a_scan_that_is_in_progress_elsewhere_may_be_started_later_by_the_same_scanner(bluez: FakeBluez) -> None:
    bluez.refuse("StartDiscovery", times=2)
    listener = Listener()
    assert await refusal_of(listener.scanner.start()) == IN_PROGRESS_NAME
    assert await refusal_of(listener.scanner.start()) == IN_PROGRESS_NAME
    async with listener:
        bluez.hear(strap(), -60)
        await asyncio.sleep(0.1)
    assert listener.rssi == [-60]


async def test_a_bluetoothd_that_does_not_answer(bluez: FakeBluez) -> None:
    bluez.hang("StartDiscovery")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await Listener().scanner.start()
    assert not bluez.is_discovering()
    bluez.obey("StartDiscovery")
    async with Listener():
        assert bluez.is_discovering()


# --- during a scan ---


async def test_bleak_recovers_by_itself_when_a_scan_does_not_stop(bluez: FakeBluez) -> None:
    listener = Listener()
    await listener.scanner.start()
    bluez.refuse("StopDiscovery", IN_PROGRESS, times=1)
    await listener.scanner.stop()
    assert not bluez.is_discovering()
    async with Listener():
        assert bluez.is_discovering()


async def test_a_stop_that_fails(bluez: FakeBluez) -> None:
    listener = Listener()
    await listener.scanner.start()
    bluez.refuse("StopDiscovery", Refusal("org.bluez.Error.Failed", "Did not happen"))
    assert await refusal_of(listener.scanner.stop()) == "org.bluez.Error.Failed"


async def test_power_off_during_a_scan(bluez: FakeBluez) -> None:
    """One last callback for each device, without a signal strength; then silence, power on or not."""
    listener = Listener()
    await listener.scanner.start()
    bluez.hear(strap(1), -60)
    bluez.hear(strap(2), -61)
    await asyncio.sleep(0.1)
    bluez.power("hci0", is_on=False)
    bluez.hear(strap(1), -60)
    await asyncio.sleep(0.1)
    bluez.power("hci0", is_on=True)
    bluez.hear(strap(1), -60)
    await asyncio.sleep(5)
    assert listener.rssi == [-60, -61, -127, -127]
    assert not bluez.is_discovering()
    with pytest.raises(BleakDBusError, match="No discovery started"):
        await listener.scanner.stop()
    async with listener:
        bluez.hear(strap(1), -62)
        await asyncio.sleep(0.1)
    assert listener.rssi[-1] == -62


async def test_a_stop_while_the_adapter_is_off_is_taken_for_a_stop(bluez: FakeBluez) -> None:
    """BlueZ answers NotReady, which bleak swallows: no error does not mean that all was well."""
    listener = Listener()
    await listener.scanner.start()
    bluez.power("hci0", is_on=False)
    await listener.scanner.stop()


async def test_rfkill(bluez: FakeBluez) -> None:
    listener = Listener("hci0")
    await listener.scanner.start()
    bluez.block("hci0")
    await listener.scanner.stop()
    assert await refusal_of(listener.scanner.start()) == "org.bluez.Error.NotReady"
    bluez.block("hci0", is_blocked=False)
    async with listener:
        assert bluez.is_discovering()


async def test_sigterm_and_a_new_bluetoothd(bluez: FakeBluez) -> None:
    """Devices go, and silence follows for ever; a new scan starts at once."""
    listener = Listener()
    await listener.scanner.start()
    bluez.hear(strap(), -60)
    await asyncio.sleep(0.1)
    await bluez.terminate()
    await asyncio.sleep(0.1)
    assert listener.known == []
    assert not bluez.is_running
    await bluez.start()
    bluez.hear(strap(), -60)
    await asyncio.sleep(5)
    assert listener.rssi == [-60]
    with pytest.raises(BleakDBusError, match="No discovery started"):
        await listener.scanner.stop()
    async with listener:
        bluez.hear(strap(), -61)
        await asyncio.sleep(0.1)
    assert listener.rssi == [-60, -61]


async def test_a_stop_while_bluetoothd_is_away(bluez: FakeBluez) -> None:
    listener = Listener()
    await listener.scanner.start()
    await bluez.terminate()
    assert await refusal_of(listener.scanner.stop()) == "org.freedesktop.DBus.Error.ServiceUnknown"
    assert await reason_of(listener.scanner) is BleakBluetoothNotAvailableReason.NO_BLUETOOTH


async def test_sigkill_and_a_new_bluetoothd(bluez: FakeBluez) -> None:
    """Devices stay listed, and the kernel's scan, which nobody owns, keeps others from scanning for 10.4 s."""
    loop = asyncio.get_running_loop()
    listener = Listener()
    await listener.scanner.start()
    bluez.hear(strap(), -60)
    await asyncio.sleep(0.1)
    await bluez.kill()
    killed_s = loop.time()
    await bluez.start()
    bluez.hear(strap(), -60)
    await asyncio.sleep(1)
    assert listener.rssi == [-60]
    assert listener.known == [strap().address]
    with pytest.raises(BleakDBusError, match="No discovery started"):
        await listener.scanner.stop()
    refusals = set()
    while not bluez.is_discovering():
        try:
            await listener.scanner.start()
        except BleakDBusError as error:
            refusals.add(error.dbus_error)
            await asyncio.sleep(0.05)
    assert refusals == {IN_PROGRESS_NAME}
    assert loop.time() - killed_s == pytest.approx(10.4, abs=0.06)
    bluez.hear(strap(), -61)
    await asyncio.sleep(0.1)
    assert listener.rssi == [-60, -61]
    await listener.scanner.stop()


async def test_a_bluetoothd_that_did_not_scan_leaves_no_scan_behind(bluez: FakeBluez) -> None:
    await bluez.kill()
    await bluez.start()
    async with Listener():
        assert bluez.is_discovering()


async def test_an_adapter_is_pulled_out(bluez: FakeBluez) -> None:
    listener = Listener()
    await listener.scanner.start()
    bluez.hear(strap(), -60)
    await asyncio.sleep(0.1)
    bluez.unplug("hci0")
    bluez.hear(strap(), -60)
    await asyncio.sleep(0.1)
    assert listener.rssi == [-60]
    assert listener.known == []
    assert await refusal_of(listener.scanner.stop()) == "org.freedesktop.DBus.Error.UnknownObject"
    assert await reason_of(listener.scanner) is BleakBluetoothNotAvailableReason.NO_BLUETOOTH
    bluez.plug("hci0")
    await asyncio.sleep(0.1)
    async with listener:
        bluez.hear(strap(), -61)
        await asyncio.sleep(0.1)
    assert listener.rssi == [-60, -61]


async def test_the_bus_dies(bus: Bus, bluez: FakeBluez) -> None:
    """Bleak notices, the scan is silent, and both bluetoothd and the scan have to be started anew."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # for a future that dbus_fast forgot about
    listener = Listener()
    await listener.scanner.start()
    bluez.hear(strap(), -60)
    await asyncio.sleep(0.1)
    await bus.restart()
    await asyncio.sleep(0.1)
    assert not bluez.is_running
    assert listener.known == []
    bluez.hear(strap(), -60)
    # On a dead connection dbus_fast fails or, where the number of its socket has another owner by now, waits for ever.
    # Nevertheless it has to be called: otherwise the next scan calls back twice.
    with pytest.raises((OSError, EOFError, TimeoutError)):
        async with asyncio.timeout(5):
            await listener.scanner.stop()
    await bluez.start()
    async with listener:
        bluez.hear(strap(), -61)
        await asyncio.sleep(0.1)
    assert listener.rssi == [-60, -61]


async def test_a_callback_that_fails_does_not_end_the_scan(bluez: FakeBluez) -> None:
    heard = []

    def fail(device: object, _advertisement: object) -> None:
        heard.append(device)
        raise ValueError

    async with BleakScanner(fail):
        bluez.hear(strap(), -60)
        bluez.hear(strap(), -60)
        await asyncio.sleep(0.1)
    assert len(heard) == 2

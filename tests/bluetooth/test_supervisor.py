"""What the radio says where it cannot listen or hears nothing, which adapter it uses, and what it tells.

Times are the event loop's, which is virtual: it passes only while the D-Bus is quiet.
"""

import asyncio
import os
from pathlib import Path

import pytest

from gateway.bluetooth.advertisement import UNKNOWN_RSSI_DBM
from gateway.bluetooth.radio import RadioState
from gateway.bluetooth.supervisor import LOOK_S, SILENT_S, Supervisor
from gateway.simulator.bluez.bus import Bus, private_bus
from gateway.simulator.bluez.service import FakeBluez
from tests.bluetooth.listening import (
    ADDRESS,
    Counted,
    Listening,
    listening,
    now_s,
    on_the_air,
    running,
    strap,
)

pytestmark = pytest.mark.looptime

SOON_S = 1.0
"""After power-on and orderly restarts."""
S = RadioState


def test_a_radio_is_doubted_after_more_than_a_minute_and_within_two() -> None:
    """A minute without a single advertisement is nothing special where few people are."""
    assert 60 < SILENT_S <= 120


async def test_silence_is_said_and_the_scan_begun_anew_until_something_is_heard(
    bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = Counted(bluez, "StartDiscovery", monkeypatch)
    async with listening() as radio:
        await radio.until(S.LISTENING)
        await asyncio.sleep(SILENT_S - 1)
        assert radio.radio.is_listening
        await asyncio.sleep(1 + LOOK_S)
        assert radio.states == [S.LISTENING, S.SILENT]
        assert radio.radio.listening_since_s is None
        assert bluez.is_discovering()
        assert starts.calls == 2
        await asyncio.sleep(3 * (SILENT_S + LOOK_S))
        assert radio.states == [S.LISTENING, S.SILENT]
        assert starts.calls == 5
        bluez.hear(strap(), -60)
        await radio.until(S.LISTENING, within_s=0.1)
        assert radio.radio.listening_since_s == pytest.approx(now_s(), abs=0.1)


async def test_one_device_every_minute_is_no_silence(bluez: FakeBluez) -> None:
    async with listening() as radio:
        await radio.until(S.LISTENING)
        for _ in range(5):
            bluez.hear(strap(), -60)
            await asyncio.sleep(SILENT_S - 5)
        assert radio.states == [S.LISTENING]


async def test_a_silent_radio_that_is_replaced_listens_again_without_proof(bluez: FakeBluez) -> None:
    async with listening() as radio:
        await radio.until(S.SILENT, within_s=SILENT_S + 5)
        bluez.unplug("hci0")
        await radio.until(S.NO_ADAPTER)
        bluez.plug("hci0")
        await radio.until(S.LISTENING, within_s=1.0)


async def test_the_service_may_come_long_after_the_gateway(bus: Bus) -> None:
    async with listening() as radio:
        await asyncio.sleep(300)
        assert radio.states == [S.NO_SERVICE]
        async with FakeBluez(bus.address).running() as bluez, on_the_air(bluez, strap()):
            assert await radio.recovery_s() <= SOON_S


async def test_a_radio_that_can_be_no_central_says_so(bus: Bus) -> None:
    async with FakeBluez(bus.address, adapters=()).running() as bluez, listening() as radio:
        await radio.until(S.NO_ADAPTER)
        bluez.plug("hci0", is_central=False)
        await radio.until(S.NO_CENTRAL)
        bluez.plug("hci1")
        await radio.until(S.LISTENING)
        assert radio.radio.adapter == "hci1"


@pytest.mark.dbus
async def test_without_permission_it_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with private_bus(deny=True) as bus, FakeBluez(bus.address).running():
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        async with listening() as radio:
            await _until_for_real(radio, S.DENIED)


@pytest.mark.parametrize(
    "address", ["unix:path=/nonexistent/dbus", "nonsense", "unix:nothing=1", "tcp:host=127.0.0.1,port=1"]
)
async def test_without_a_bus_it_runs_on(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    async with listening() as radio:
        await asyncio.sleep(300)
        assert radio.states == [S.NO_BUS]
        assert "unset DBUS_SYSTEM_BUS_ADDRESS" in radio.radio.action


async def test_a_bus_that_turns_us_away_is_a_matter_of_permission(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"REJECTED EXTERNAL\r\n")
        await writer.drain()
        writer.close()

    path = tmp_path / "bus"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={path}")
    async with await asyncio.start_unix_server(reject, path), listening() as radio:
        await radio.until(S.DENIED)


async def test_a_bus_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def stare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    path = tmp_path / "bus"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={path}")
    async with await asyncio.start_unix_server(stare, path), listening() as radio:
        await radio.until(S.NO_BUS, within_s=6.0)


async def test_the_configured_adapter_is_used_and_no_other(bus: Bus) -> None:
    async with FakeBluez(bus.address, adapters=("hci0", "hci1")).running() as bluez, listening("hci1") as radio:
        await radio.until(S.LISTENING)
        assert radio.radio.adapter == "hci1"
        assert bluez.is_discovering("hci1")
        assert not bluez.is_discovering("hci0")
        bluez.unplug("hci1")
        await radio.until(S.NO_ADAPTER)
        assert radio.radio.text == "Bluetooth adapter hci1 is missing, only hci0 found"
        assert not bluez.is_discovering("hci0")


async def test_another_adapter_takes_over_and_gives_back(bus: Bus) -> None:
    async with FakeBluez(bus.address, adapters=("hci0", "hci1")).running() as bluez, listening() as radio:
        await radio.until(S.LISTENING)
        bluez.power("hci0", is_on=False)
        await asyncio.sleep(SOON_S)
        assert radio.radio.adapter == "hci1"
        assert radio.radio.is_listening
        bluez.power("hci0", is_on=True)
        await asyncio.sleep(SOON_S)
        assert radio.radio.adapter == "hci0"
        assert bluez.is_discovering("hci0")
        assert not bluez.is_discovering("hci1")


async def test_what_becomes_of_an_adapter_that_is_not_used_disturbs_nothing(bus: Bus) -> None:
    async with FakeBluez(bus.address, adapters=("hci0", "hci1")).running() as bluez, listening("hci0") as radio:
        await radio.until(S.LISTENING)
        other = bluez._adapters["hci1"]
        for _ in range(3):  # another program scans with it, now and then
            other._discoveries.add(":1.99")
            other._tell_discovering()
            await asyncio.sleep(3)
            other._discoveries.clear()
            other._end_discovery()
            await asyncio.sleep(3)
        bluez.power("hci1", is_on=False)
        await asyncio.sleep(3)
        bluez.unplug("hci1")
        await asyncio.sleep(3)
        assert radio.states == [S.LISTENING]


async def test_an_advertisement_is_told_in_full(bluez: FakeBluez) -> None:
    peripheral = strap()
    peripheral.is_random = True
    peripheral.address = "DE:AD:BE:EF:00:01"
    peripheral.manufacturer_data = {0x006B: b"\x33\x00\x00\x38"}
    peripheral.appearance = 833
    async with listening() as radio:
        await radio.until(S.LISTENING)
        bluez.hear(peripheral, -71)
        await radio.recovery_s() if not radio.heard else None
    advertisement = radio.heard[0][1]
    assert advertisement.address == "de:ad:be:ef:00:01"
    assert advertisement.address_kind == "static"
    assert advertisement.name == "Polar H10 AE60D42F"
    assert advertisement.rssi_dbm == -71
    assert advertisement.services == frozenset(peripheral.services)
    assert advertisement.manufacturer_data == {0x006B: b"\x33\x00\x00\x38"}
    assert advertisement.appearance == 833


async def test_a_device_that_tells_nothing_is_heard_too(bluez: FakeBluez) -> None:
    """No filter hides a strap that does not advertise its service."""
    bare = strap("a0:9e:1a:00:00:02")
    bare.name, bare.services = None, ()
    async with on_the_air(bluez, bare), listening() as radio:
        await radio.recovery_s()
    advertisement = radio.heard[0][1]
    assert advertisement.name is None
    assert advertisement.services == frozenset()
    assert advertisement.appearance is None


async def test_an_exception_of_the_listener_ends_nothing_and_is_logged_once(
    bluez: FakeBluez, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    def fail(*_: object) -> None:
        heard.append(now_s())
        raise ZeroDivisionError

    async with running(Supervisor(fail).run()), on_the_air(bluez, strap()):
        await asyncio.sleep(5)
    assert len(heard) > 20
    assert [record.name for record in caplog.records if record.exc_info] == ["gateway.bluetooth.scanner"]


async def test_no_address_or_name_reaches_the_log(bluez: FakeBluez, caplog: pytest.LogCaptureFixture) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.recovery_s()
        await bluez.kill()
        await bluez.start()
        await radio.recovery_s()
        bluez.power("hci0", is_on=False)
        await asyncio.sleep(1)
    text = caplog.text.upper()
    for secret in (ADDRESS, ADDRESS.replace(":", "_"), "AE60D42F"):
        assert secret.upper() not in text
    assert all(advertisement.rssi_dbm > UNKNOWN_RSSI_DBM for _, advertisement in radio.heard)


async def _until_for_real(radio: Listening, state: RadioState) -> None:
    """Where nothing waits for the bus, virtual time passes without it."""
    for _ in range(20_000):
        if radio.radio.state is state:
            return
        await asyncio.sleep(0)
    pytest.fail(f"it is {radio.radio.state}, after {os.times().elapsed:.0f} s")

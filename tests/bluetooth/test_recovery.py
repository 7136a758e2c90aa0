"""The radio listens whatever ends its scan: what is said of it, and how long until it hears again.

Times are the event loop's, which is virtual: it passes only while the D-Bus is quiet.
"""

import asyncio
from typing import cast

import pytest
from bleak.backends.bluezdbus import manager

from gateway.bluetooth import supervisor
from gateway.bluetooth.radio import RadioError, RadioState
from gateway.bluetooth.supervisor import LOOK_S
from gateway.simulator.bluez.bus import Bus
from gateway.simulator.bluez.calls import IN_PROGRESS, NOT_READY, NOT_SUPPORTED, Handler, Refusal
from gateway.simulator.bluez.service import FakeBluez
from tests.bluetooth.listening import (
    ADDRESS,
    ADVERTISING_S,
    Counted,
    Listening,
    listening,
    now_s,
    on_the_air,
    strap,
)

pytestmark = pytest.mark.looptime

SOON_S = 1.0
"""After power-on and orderly restarts."""
KERNEL_S = 12.0
"""After bluetoothd was killed: its scan outlives it."""
S = RadioState


async def test_it_listens_at_once_and_says_with_what(bluez: FakeBluez) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        assert await radio.recovery_s() < 0.5
        assert radio.states == [S.LISTENING]
        assert radio.radio.adapter == "hci0"
        assert radio.radio.listening_since_s == pytest.approx(now_s(), abs=0.5)
        await asyncio.sleep(60)
        assert radio.states == [S.LISTENING]
        assert len(radio.heard) == pytest.approx(60 / ADVERTISING_S, rel=0.02)


async def test_nothing_is_left_scanning_when_it_ends(bluez: FakeBluez) -> None:
    async with listening() as radio:
        await radio.until(S.LISTENING)
        assert bluez.is_discovering()
    assert not bluez.is_discovering()


async def test_power_off_is_said_at_once_and_power_on_is_heard_within_a_second(bluez: FakeBluez) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.recovery_s()
        bluez.power("hci0", is_on=False)
        radio.forget()
        await asyncio.sleep(0.1)
        assert radio.radio.state is S.POWERED_OFF
        assert radio.radio.listening_since_s is None
        await asyncio.sleep(30)
        assert radio.heard == []  # not even what bleak reports with the RSSI that is no more
        bluez.power("hci0", is_on=True)
        assert await radio.recovery_s() <= SOON_S
        assert radio.states == [S.POWERED_OFF, S.LISTENING]


async def test_a_power_cycle_between_two_looks_is_noticed(bluez: FakeBluez) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await asyncio.sleep(15)
        bluez.power("hci0", is_on=False)
        bluez.power("hci0", is_on=True)
        assert await radio.recovery_s() <= SOON_S


async def test_rfkill_is_told_from_a_mere_power_off(bluez: FakeBluez) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.recovery_s()
        bluez.block("hci0")
        await radio.until(S.BLOCKED, within_s=0.5)
        assert "rfkill unblock" in radio.radio.action
        await asyncio.sleep(30)
        bluez.block("hci0", is_blocked=False)
        assert await radio.recovery_s() <= SOON_S


@pytest.mark.parametrize("away_s", [0.0, 0.3, 10.0, 100.0])
async def test_an_orderly_restart_of_bluetoothd_costs_a_second(bluez: FakeBluez, away_s: float) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.recovery_s()
        await bluez.terminate()
        await asyncio.sleep(away_s)
        if away_s:
            assert radio.radio.state is S.NO_SERVICE
        await bluez.start()
        assert await radio.recovery_s() <= SOON_S


@pytest.mark.parametrize("away_s", [0.1, 2.0, 30.0])
async def test_a_killed_bluetoothd_costs_as_long_as_the_kernel_scans_on(bluez: FakeBluez, away_s: float) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.recovery_s()
        radio.forget()
        killed_s = now_s()
        await bluez.kill()
        await asyncio.sleep(away_s)
        assert radio.states == [S.NO_SERVICE]
        await bluez.start()
        await radio.recovery_s()
        assert now_s() - killed_s <= max(KERNEL_S, away_s + SOON_S)
        assert radio.states == [S.NO_SERVICE, *([S.BUSY] if away_s < 10 else []), S.LISTENING]


async def test_an_unplugged_adapter_is_said_and_taken_again_when_it_is_back(bluez: FakeBluez) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.recovery_s()
        radio.forget()
        bluez.unplug("hci0")
        await asyncio.sleep(30)
        assert radio.states == [S.NO_ADAPTER]
        assert radio.radio.action == "plug in a USB Bluetooth adapter"
        bluez.plug("hci0")
        assert await radio.recovery_s() <= SOON_S


@pytest.mark.parametrize("away_s", [0.0, 30.0])
async def test_the_death_of_the_bus_is_survived(bus: Bus, bluez: FakeBluez, away_s: float) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.recovery_s()
        radio.forget()
        lost_s = now_s()
        await bus.kill()
        await asyncio.sleep(away_s)
        if away_s:
            assert radio.states == [S.NO_BUS]
        await bus.start()
        await bluez.start()
        await radio.recovery_s()
        assert now_s() - lost_s <= max(KERNEL_S, away_s + LOOK_S + SOON_S)


@pytest.mark.parametrize("is_bus_lost", [False, True])
async def test_each_advertisement_is_told_once_however_many_scans_were_lost(
    bus: Bus, bluez: FakeBluez, is_bus_lost: bool
) -> None:
    """bleak keeps the callbacks of scans whose connection is gone, and would call all of them with the next."""
    async with on_the_air(bluez, strap()), listening() as radio:
        for _ in range(3):
            if is_bus_lost:
                await bus.kill()
                await bus.start()
            else:
                await bluez.terminate()
                await asyncio.sleep(1.0)
            await bluez.start()
            await radio.recovery_s()
        radio.forget()
        await asyncio.sleep(30)
        assert len(radio.heard) == pytest.approx(30 / ADVERTISING_S, rel=0.02)


async def test_a_scan_that_ends_without_a_word_is_begun_anew(bluez: FakeBluez) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await asyncio.sleep(15)
        bluez._adapters["hci0"]._discoveries.clear()
        bluez._adapters["hci0"]._end_discovery()
        assert await radio.recovery_s() <= SOON_S


async def test_a_scan_that_is_lost_in_silence_is_noticed_by_looking(bluez: FakeBluez) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await asyncio.sleep(15)
        # The property without its signal, as when a message was lost.
        bluez._adapters["hci0"]._discoveries.clear()
        bluez._objects._objects["/org/bluez/hci0"].interfaces["org.bluez.Adapter1"]["Discovering"].value = False
        assert await radio.recovery_s() <= LOOK_S + SOON_S


async def test_a_radio_that_is_busy_for_ever_is_said_and_tried_every_second(bluez: FakeBluez) -> None:
    bluez.refuse("StartDiscovery", IN_PROGRESS)
    async with on_the_air(bluez, strap()), listening() as radio:
        await asyncio.sleep(60)
        assert radio.states == [S.BUSY]
        assert "systemctl restart bluetooth" in radio.radio.action
        bluez.obey("StartDiscovery")
        assert await radio.recovery_s() <= 1.0 + SOON_S


@pytest.mark.parametrize(
    ("refusal", "state"),
    [
        (Refusal("org.bluez.Error.Failed", "Operation failed"), S.FAILED),
        (Refusal("org.bluez.Error.NotAuthorized", "Operation not authorised"), S.DENIED),
        (NOT_READY, S.POWERED_OFF),
    ],
)
async def test_a_scan_that_is_refused_is_tried_every_three_seconds(
    bluez: FakeBluez, refusal: Refusal, state: RadioState
) -> None:
    bluez.refuse("StartDiscovery", refusal)
    async with on_the_air(bluez, strap()), listening() as radio:
        await asyncio.sleep(40)
        assert radio.radio.state is state
        bluez.obey("StartDiscovery")
        assert await radio.recovery_s() <= 3.0 + SOON_S


async def test_a_stop_that_is_refused_leaves_no_scan_behind(bluez: FakeBluez) -> None:
    _methods(bluez)["org.bluez.Adapter1", "StopDiscovery"] = lambda call: call.refuse(NOT_SUPPORTED)
    async with listening() as radio:
        await radio.until(S.LISTENING)
    await asyncio.sleep(0.1)
    assert not bluez.is_discovering()


async def test_a_radio_that_is_switched_off_is_said_before_its_scan_is_stopped_in_vain(bluez: FakeBluez) -> None:
    async with listening() as radio:
        await radio.until(S.LISTENING)
        bluez.hang("StopDiscovery")
        bluez.power("hci0", is_on=False)
        await radio.until(S.POWERED_OFF, within_s=0.1)


async def test_a_start_whose_answer_got_lost_stands_in_nobodys_way(bluez: FakeBluez) -> None:
    methods = _methods(bluez)
    start = methods["org.bluez.Adapter1", "StartDiscovery"]
    methods["org.bluez.Adapter1", "StartDiscovery"] = lambda call: bluez._adapters["hci0"]._discoveries.add(call.sender)
    async with listening() as radio:
        await radio.until(S.FAILED, within_s=8.0)
        methods["org.bluez.Adapter1", "StartDiscovery"] = start
        await radio.until(S.LISTENING, within_s=3.0)


async def test_another_program_that_scans_is_not_taken_for_our_scan(bluez: FakeBluez) -> None:
    async with listening() as radio:
        await asyncio.sleep(15)
        assert radio.radio.is_listening
        bluez.power("hci0", is_on=False)
        bluez.power("hci0", is_on=True)
        clients = bluez._adapters["hci0"]._discoveries
        clients.add(":1.99")
        bluez._adapters["hci0"]._tell_discovering()
        await asyncio.sleep(SOON_S)
        assert len(clients) == 2


async def test_a_start_that_is_never_answered_is_said_and_leaves_no_scan_behind(bluez: FakeBluez) -> None:
    bluez.hang("StartDiscovery")
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.until(S.FAILED, within_s=8.0)
        assert radio.radio.text.endswith("no answer in time")
        await asyncio.sleep(60)
        assert radio.radio.state is S.FAILED
        bluez.obey("StartDiscovery")
        assert await radio.recovery_s() <= 5.0 + 3.0 + SOON_S


async def test_a_service_that_hangs_is_said_and_its_scan_is_kept(
    bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = Counted(bluez, "StartDiscovery", monkeypatch)
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.until(S.LISTENING)
        since_s = radio.radio.listening_since_s
        bluez.hang("GetAll")
        await radio.until(S.FAILED, within_s=LOOK_S + 6.0)
        bluez.obey("GetAll")
        await radio.until(S.LISTENING, within_s=LOOK_S + 6.0)
        assert starts.calls == 1
        assert since_s is not None
        assert radio.radio.listening_since_s is not None
        assert radio.radio.listening_since_s > since_s
        assert radio.states == [S.LISTENING, S.FAILED, S.LISTENING]


async def test_a_scan_that_dies_as_soon_as_it_lives_is_not_hurried(bluez: FakeBluez) -> None:
    """A radio with a loose contact costs a few attempts in ten seconds, not hundreds."""
    async with listening():
        attempts = 0
        end_s = now_s() + 60
        while now_s() < end_s:
            if bluez.is_discovering():
                attempts += 1
                bluez._adapters["hci0"]._discoveries.clear()
                bluez._adapters["hci0"]._end_discovery()
            await asyncio.sleep(0.1)
        assert 60 / 3 - 2 < attempts < 60 / 3 + 8


async def test_losses_far_apart_do_not_add_up(bluez: FakeBluez) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        for _ in range(6):
            await asyncio.sleep(15)
            bluez._adapters["hci0"]._discoveries.clear()
            bluez._adapters["hci0"]._end_discovery()
            assert await radio.recovery_s() <= 0.2


async def test_an_adapter_whose_coming_bleak_has_missed_is_found_all_the_same(bus: Bus) -> None:
    async with FakeBluez(bus.address, adapters=("hci0", "hci1")).running() as bluez, listening() as radio:
        bluez.power("hci0", is_on=False)
        await radio.until(S.LISTENING)
        del manager._global_instances[asyncio.get_running_loop()]._properties["/org/bluez/hci0"]
        bluez.power("hci0", is_on=True)
        await asyncio.sleep(SOON_S)
        assert (radio.radio.adapter, radio.radio.state) == ("hci0", S.LISTENING)


async def test_power_on_ends_the_wait_after_a_refusal(bluez: FakeBluez) -> None:
    bluez.refuse("StartDiscovery", Refusal("org.bluez.Error.Failed", "Operation failed"))
    async with on_the_air(bluez, strap()), listening() as radio:
        await asyncio.sleep(20)
        for _ in range(3):
            bluez.refuse("StartDiscovery", Refusal("org.bluez.Error.Failed", "Operation failed"))
            await asyncio.sleep(3)
            bluez.power("hci0", is_on=False)
            await radio.until(S.POWERED_OFF, within_s=0.1)
            bluez.obey("StartDiscovery")
            bluez.power("hci0", is_on=True)
            assert await radio.recovery_s() <= 0.2


async def test_a_scan_that_shows_a_moment_later_is_the_one_that_was_begun(
    bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = Counted(bluez, "StartDiscovery", monkeypatch)
    adapter = bluez._adapters["hci0"]
    tell = adapter._tell_discovering
    monkeypatch.setattr(adapter, "_tell_discovering", lambda: asyncio.get_running_loop().call_later(0.5, tell))
    async with listening() as radio:
        await radio.until(S.LISTENING)
        await asyncio.sleep(20)
        assert radio.states == [S.LISTENING]
        assert starts.calls == 1


async def test_a_scan_that_is_accepted_and_never_shows_is_no_listening(
    bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluez._adapters["hci0"], "_tell_discovering", lambda: None)
    async with listening() as radio:
        await asyncio.sleep(30)
        assert radio.states == [S.FAILED]
        assert radio.radio.text.endswith("the adapter does not scan")
        monkeypatch.undo()
        await radio.until(S.LISTENING, within_s=3.0 + SOON_S)


async def test_a_surprise_is_said_and_ends_nothing(bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(*_: object) -> None:
        raise LookupError

    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.recovery_s()
        with monkeypatch.context() as patch:
            patch.setattr(supervisor, "outlook", surprise)
            await radio.until(S.FAILED, within_s=LOOK_S + 1.0)
        assert await radio.recovery_s() <= LOOK_S + SOON_S


@pytest.mark.parametrize(
    ("member", "nth"),
    [
        *(("GetManagedObjects", 1), ("GetManagedObjects", 2), ("GetAll", 1), ("GetAll", 2)),
        *(("SetDiscoveryFilter", 1), ("StartDiscovery", 1)),
    ],
)
async def test_wherever_it_is_stopped_no_scan_is_left_behind(
    bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch, member: str, nth: int
) -> None:
    """Cancelled when one of the calls that begin a scan arrives: its answer finds nobody."""
    original, calls = bluez._disobedience, 0

    def count(called: str) -> object:
        nonlocal calls
        calls += called == member
        if called == member and calls == nth:
            task.cancel()
        return original(called)

    monkeypatch.setattr(bluez, "_disobedience", count)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(Listening().supervisor.run())
    await asyncio.sleep(0.1)
    assert calls >= nth
    assert not bluez.is_discovering()


async def test_who_is_in_a_hurry_at_the_end_leaves_no_scan_behind_either(bluez: FakeBluez) -> None:
    _methods(bluez)["org.bluez.Adapter1", "StopDiscovery"] = lambda call: None
    async with asyncio.TaskGroup() as tasks:
        radio = Listening()
        task = tasks.create_task(radio.supervisor.run())
        await radio.until(S.LISTENING)
        task.cancel()
        await asyncio.sleep(0.1)
        assert bluez.is_discovering()
        task.cancel()
    await asyncio.sleep(0.1)
    assert not bluez.is_discovering()


async def test_what_has_ended_links_nobody(bluez: FakeBluez) -> None:
    async with on_the_air(bluez, strap()), listening() as radio:
        await radio.recovery_s()
    assert radio.radio.is_listening
    with pytest.raises(RadioError):
        async with radio.supervisor.connected(ADDRESS, 10.0):
            pass


async def test_what_has_ended_has_no_connection_to_the_bus(bluez: FakeBluez) -> None:
    async with listening() as radio:
        await radio.until(S.LISTENING)
        connection = radio.supervisor._adapters._bus
        assert connection is not None
    assert not connection.connected


def _methods(bluez: FakeBluez) -> dict[tuple[str, str], Handler]:
    """What the adapter's methods do."""
    return cast("dict[tuple[str, str], Handler]", bluez._objects._objects["/org/bluez/hci0"].methods)

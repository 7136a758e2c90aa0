"""Links with sensors through the real bleak: what they give, how they end, and that none is left behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from bleak.backends.bluezdbus import manager
from dbus_fast import Variant

from gateway.bluetooth.link import LinkError
from gateway.bluetooth.notifications import KEPT_NOTIFICATIONS
from gateway.bluetooth.radio import RadioError, RadioState
from gateway.bluetooth.scanner import CALL_TIMEOUT_S, GRACE_S
from gateway.simulator.bluez.bus import Bus
from gateway.simulator.bluez.calls import CONNECTION_ABORTED, IN_PROGRESS, READ_NOT_PERMITTED, Refusal
from gateway.simulator.bluez.peripheral import Peripheral, Service
from gateway.simulator.bluez.service import FakeBluez
from insiders_codecs import gatt
from tests.bluetooth.listening import ADDRESS, Counted, Listening, listening, now_s, on_the_air, running, strap

pytestmark = pytest.mark.looptime

CONNECT_S = 10.0


@contextlib.asynccontextmanager
async def near(bluez: FakeBluez, *peripherals: Peripheral) -> AsyncIterator[Listening]:
    """Devices that the radio has heard."""
    async with on_the_air(bluez, *peripherals), listening() as radio:
        await radio.recovery_s()
        await asyncio.sleep(0.5)
        yield radio


async def test_a_link_reads_and_is_let_go(bluez: FakeBluez) -> None:
    sensor = strap()
    async with near(bluez, sensor) as radio:
        async with radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
            assert bluez.connected(sensor)
            assert link.has(gatt.BATTERY_LEVEL)
            assert not link.has(gatt.MODEL_NUMBER)
            assert await link.read(gatt.BATTERY_LEVEL) == b"\x50"
            assert await link.read(gatt.MODEL_NUMBER) is None
        assert not bluez.connected(sensor)


async def test_a_link_delivers_notifications_in_order_until_the_block_ends(bluez: FakeBluez) -> None:
    sensor = strap()
    async with near(bluez, sensor) as radio, radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
        async with link.notifications(gatt.HEART_RATE_MEASUREMENT) as values:
            for bpm in (70, 71, 72):
                bluez.notify(sensor, gatt.HEART_RATE_MEASUREMENT, bytes((0, bpm)))
            assert [await anext(values) for _ in range(3)] == [b"\0\x46", b"\0\x47", b"\0\x48"]
        bluez.notify(sensor, gatt.HEART_RATE_MEASUREMENT, b"\0\x49")
        assert [value async for value in values] == []


async def test_a_sensor_that_nobody_listens_to_any_more_is_told_so_while_it_is_linked(
    bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = Counted(bluez, "StopNotify", monkeypatch)
    async with near(bluez, strap()) as radio, radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
        async with link.notifications(gatt.HEART_RATE_MEASUREMENT):
            assert stops.calls == 0
        assert stops.calls == 1
        async with link.notifications(gatt.HEART_RATE_MEASUREMENT):
            pass
        assert stops.calls == 2


async def test_what_bluez_learns_over_somebody_elses_link_is_no_advertisement(bluez: FakeBluez) -> None:
    sensor = strap()
    async with listening() as radio:
        await radio.until(RadioState.LISTENING)
        bluez.hear(sensor, -60)
        await asyncio.sleep(0.1)
        radio.forget()
        device = bluez._adapters["hci0"].devices[sensor.address]
        for properties in ({"Connected": True}, {"ServicesResolved": True}, {"Connected": False}):
            device._change(**{name: Variant("b", value) for name, value in properties.items()})
            await asyncio.sleep(3)
        device._change(ServicesResolved=Variant("b", False))
        await asyncio.sleep(0.1)
        assert radio.heard == []


async def test_two_characteristics_notify_at_once(bluez: FakeBluez) -> None:
    sensor = strap()
    async with (
        near(bluez, sensor) as radio,
        radio.supervisor.connected(ADDRESS, CONNECT_S) as link,
        link.notifications(gatt.HEART_RATE_MEASUREMENT) as rates,
        link.notifications(gatt.BATTERY_LEVEL) as levels,
    ):
        bluez.notify(sensor, gatt.BATTERY_LEVEL, b"\x4f")
        bluez.notify(sensor, gatt.HEART_RATE_MEASUREMENT, b"\0\x46")
        assert await anext(rates) == b"\0\x46"
        assert await anext(levels) == b"\x4f"


async def test_connecting_and_letting_go_are_no_advertisements(bluez: FakeBluez) -> None:
    """BlueZ reports several changes with the RSSI of before."""
    sensor = strap()
    async with listening() as radio:
        await radio.until(RadioState.LISTENING)
        bluez.hear(sensor, -60)
        await asyncio.sleep(0.1)
        radio.forget()
        async with radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
            await link.read(gatt.BATTERY_LEVEL)
        await asyncio.sleep(3)
        assert radio.heard == []
        bluez.hear(sensor, -60)
        await asyncio.sleep(0.1)
        assert len(radio.heard) == 1


async def test_others_are_heard_while_one_is_linked(bluez: FakeBluez) -> None:
    sensor, other = strap(), strap("a0:9e:1a:00:00:02")
    async with near(bluez, sensor, other) as radio, radio.supervisor.connected(ADDRESS, CONNECT_S):
        radio.forget()
        await asyncio.sleep(5)
        assert {advertisement.address for _, advertisement in radio.heard} == {"a0:9e:1a:00:00:02"}
        assert len(radio.heard) > 40


async def test_a_link_that_drops_ends_the_stream_and_fails_reads(bluez: FakeBluez) -> None:
    sensor = strap()
    async with (
        near(bluez, sensor) as radio,
        radio.supervisor.connected(ADDRESS, CONNECT_S) as link,
        link.notifications(gatt.HEART_RATE_MEASUREMENT) as values,
    ):
        bluez.notify(sensor, gatt.HEART_RATE_MEASUREMENT, b"\0\x46")
        await anext(values)
        bluez.drop_link(sensor)
        async with asyncio.timeout(1):
            assert [value async for value in values] == []
        with pytest.raises(LinkError):
            await link.read(gatt.BATTERY_LEVEL)
        with pytest.raises(LinkError):
            async with link.notifications(gatt.BATTERY_LEVEL):
                pass


async def test_a_killed_bluetoothd_ends_the_stream_at_once(bluez: FakeBluez) -> None:
    """bleak alone would take the link for alive until something is asked of it."""
    sensor = strap()
    async with near(bluez, sensor) as radio:
        async with (
            radio.supervisor.connected(ADDRESS, CONNECT_S) as link,
            link.notifications(gatt.HEART_RATE_MEASUREMENT) as values,
        ):
            await bluez.kill()
            async with asyncio.timeout(1):
                assert [value async for value in values] == []
        await bluez.start()
        await radio.until(RadioState.LISTENING)
        await radio.recovery_s()
        async with radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
            assert await link.read(gatt.BATTERY_LEVEL) == b"\x50"


async def test_the_death_of_the_bus_ends_the_link(bus: Bus, bluez: FakeBluez) -> None:
    async with (
        near(bluez, strap()) as radio,
        radio.supervisor.connected(ADDRESS, CONNECT_S) as link,
        link.notifications(gatt.HEART_RATE_MEASUREMENT) as values,
    ):
        await bus.kill()
        async with asyncio.timeout(3):
            assert [value async for value in values] == []


async def test_one_that_is_not_in_the_air_cannot_be_linked(bluez: FakeBluez) -> None:
    async with near(bluez, strap()) as radio:
        with pytest.raises(LinkError, match="not in the air"):
            async with radio.supervisor.connected("a0:9e:1a:00:00:99", CONNECT_S):
                pass


async def test_a_device_that_does_not_answer_is_given_up_in_time(bluez: FakeBluez) -> None:
    sensor = strap()
    sensor.accepts_link = False
    async with near(bluez, sensor) as radio:
        began_s = now_s()
        with pytest.raises(LinkError, match="no answer in time"):
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                pass
        assert now_s() - began_s <= CONNECT_S + 0.1
        sensor.accepts_link = True
        async with radio.supervisor.connected(ADDRESS, CONNECT_S):
            assert bluez.connected(sensor)


async def test_a_connect_that_hangs_with_its_disconnect_is_given_up_too(bluez: FakeBluez) -> None:
    bluez.hang("Connect")
    bluez.hang("Disconnect")
    async with near(bluez, strap()) as radio:
        began_s = now_s()
        with pytest.raises(LinkError):
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                pass
        assert now_s() - began_s <= CONNECT_S + GRACE_S + CALL_TIMEOUT_S + 0.1


async def test_services_that_are_never_resolved_are_given_up(bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch) -> None:
    sensor = strap()
    async with near(bluez, sensor) as radio:
        device = bluez._adapters["hci0"].devices[sensor.address]
        change = device._change

        def without_services(**changed: Variant) -> None:
            if "ServicesResolved" not in changed:
                change(**changed)

        monkeypatch.setattr(type(device), "_change", lambda _, **changed: without_services(**changed))
        began_s = now_s()
        with pytest.raises(LinkError):
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                pass
        assert now_s() - began_s <= CONNECT_S + GRACE_S + 0.1
        assert not bluez.connected(sensor)


async def test_a_refused_connection_says_so(bluez: FakeBluez) -> None:
    bluez.refuse("Connect", Refusal("org.bluez.Error.Failed", "br-connection-page-timeout"))
    async with near(bluez, strap()) as radio:
        with pytest.raises(LinkError, match=r"org\.bluez\.Error\.Failed"):
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                pass


async def test_an_aborted_connection_ends_in_time(bluez: FakeBluez) -> None:
    """bleak then waits for a disconnection that may never come."""
    bluez.refuse("Connect", CONNECTION_ABORTED)
    async with near(bluez, strap()) as radio:
        began_s = now_s()
        with pytest.raises(LinkError):
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                pass
        assert now_s() - began_s <= CONNECT_S + GRACE_S + 0.1


async def test_a_read_that_is_busy_for_ever_is_given_up(bluez: FakeBluez) -> None:
    bluez.refuse("ReadValue", IN_PROGRESS)
    async with near(bluez, strap()) as radio, radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
        began_s = now_s()
        with pytest.raises(LinkError, match="no answer in time"):
            await link.read(gatt.BATTERY_LEVEL)
        assert now_s() - began_s <= CALL_TIMEOUT_S + 0.1
        bluez.refuse("ReadValue", IN_PROGRESS, times=3)
        assert await link.read(gatt.BATTERY_LEVEL) == b"\x50"


@pytest.mark.parametrize(
    "refusal", [READ_NOT_PERMITTED, Refusal("org.bluez.Error.Failed", "Operation failed with ATT error: 0x0e")]
)
async def test_a_refused_read_leaves_the_link_as_it_is(bluez: FakeBluez, refusal: Refusal) -> None:
    async with near(bluez, strap()) as radio, radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
        bluez.refuse("ReadValue", refusal, times=1)
        with pytest.raises(LinkError):
            await link.read(gatt.BATTERY_LEVEL)
        assert await link.read(gatt.BATTERY_LEVEL) == b"\x50"


async def test_a_refused_or_unanswered_subscription_fails(bluez: FakeBluez) -> None:
    async with near(bluez, strap()) as radio, radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
        bluez.refuse("StartNotify", times=1)
        with pytest.raises(LinkError):
            async with link.notifications(gatt.HEART_RATE_MEASUREMENT):
                pass
        bluez.hang("StartNotify", times=1)
        with pytest.raises(LinkError, match="no answer in time"):
            async with link.notifications(gatt.HEART_RATE_MEASUREMENT):
                pass
        with pytest.raises(LinkError, match="not offered"):
            async with link.notifications(gatt.CYCLING_POWER_MEASUREMENT):
                pass


async def test_of_two_characteristics_alike_the_first_is_read(bluez: FakeBluez) -> None:
    sensor = strap()
    battery = sensor.gatt[1].characteristics[0]
    second = type(battery)(battery.uuid, battery.flags, b"\x10")
    sensor.gatt = (*sensor.gatt, Service(gatt.BATTERY_SERVICE, (second,)))
    async with near(bluez, sensor) as radio, radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
        assert await link.read(gatt.BATTERY_LEVEL) == b"\x50"


async def test_notifications_that_nobody_fetches_are_bounded_and_counted(
    bluez: FakeBluez, caplog: pytest.LogCaptureFixture
) -> None:
    sensor = strap()
    async with (
        near(bluez, sensor) as radio,
        radio.supervisor.connected(ADDRESS, CONNECT_S) as link,
        link.notifications(gatt.HEART_RATE_MEASUREMENT) as values,
    ):
        for number in range(KEPT_NOTIFICATIONS + 7):
            bluez.notify(sensor, gatt.HEART_RATE_MEASUREMENT, number.to_bytes(2, "big"))
            await asyncio.sleep(0.01)
        assert await anext(values) == (7).to_bytes(2, "big")
    assert "7 notifications of a sensor were dropped" in caplog.text


async def test_links_come_one_at_a_time(bluez: FakeBluez) -> None:
    sensors = [strap(f"a0:9e:1a:00:00:0{number}") for number in (1, 2, 3)]
    most = linked = 0

    async def look(address: str) -> None:
        nonlocal most, linked
        async with radio.supervisor.connected(address, CONNECT_S) as link:
            linked += 1
            most = max(most, linked)
            assert await link.read(gatt.BATTERY_LEVEL) == b"\x50"
            await asyncio.sleep(1)
            linked -= 1

    async with near(bluez, *sensors) as radio, asyncio.TaskGroup() as tasks:
        for sensor in sensors:
            tasks.create_task(look(sensor.address.lower()))
    assert most == 1


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.5])
async def test_a_link_whose_user_is_cancelled_is_let_go(bluez: FakeBluez, after_s: float) -> None:
    sensor = strap()

    async def use() -> None:
        async with (
            radio.supervisor.connected(ADDRESS, CONNECT_S) as link,
            link.notifications(gatt.HEART_RATE_MEASUREMENT) as values,
        ):
            await anext(values)

    async with near(bluez, sensor) as radio:
        async with running(use()):
            await asyncio.sleep(after_s)
        await asyncio.sleep(0.1)
        assert not bluez.connected(sensor)
        async with radio.supervisor.connected(ADDRESS, CONNECT_S):
            assert bluez.connected(sensor)


async def test_a_user_who_is_cancelled_while_connecting_leaves_no_attempt(bluez: FakeBluez) -> None:
    sensor = strap()
    sensor.accepts_link = False
    async with near(bluez, sensor) as radio:

        async def use() -> None:
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                pass

        async with running(use()):
            await asyncio.sleep(1)
            began_s = now_s()
        assert now_s() - began_s < 0.1
        sensor.accepts_link = True
        async with asyncio.timeout(1), radio.supervisor.connected(ADDRESS, CONNECT_S):
            assert bluez.connected(sensor)


async def test_a_user_who_is_cancelled_twice_cannot_prevent_that_the_sensor_is_let_go(bluez: FakeBluez) -> None:
    sensor = strap()
    async with near(bluez, sensor) as radio:

        async def use() -> None:
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                await asyncio.sleep(100)

        async with asyncio.TaskGroup() as tasks:
            user = tasks.create_task(use())
            await asyncio.sleep(0.5)
            assert bluez.connected(sensor)
            user.cancel()
            await asyncio.sleep(0)
            user.cancel()
        await asyncio.sleep(0.1)
        assert not bluez.connected(sensor)


async def test_an_exception_of_the_user_is_his_and_the_sensor_is_let_go(bluez: FakeBluez) -> None:
    sensor = strap()
    async with near(bluez, sensor) as radio:
        with pytest.raises(ZeroDivisionError):
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                raise ZeroDivisionError
        assert not bluez.connected(sensor)
        assert radio.radio.is_listening


async def test_a_disconnect_that_hangs_holds_nobody_for_long(
    bluez: FakeBluez, caplog: pytest.LogCaptureFixture
) -> None:
    async with near(bluez, strap()) as radio:
        async with radio.supervisor.connected(ADDRESS, CONNECT_S):
            bluez.hang("Disconnect")
            began_s = now_s()
        assert now_s() - began_s <= CALL_TIMEOUT_S + GRACE_S + CALL_TIMEOUT_S
    assert "may still be connected" in caplog.text


async def test_the_end_of_the_gateway_lets_the_sensor_go(bluez: FakeBluez) -> None:
    sensor = strap()
    async with on_the_air(bluez, sensor), contextlib.AsyncExitStack() as stack:
        async with listening() as radio:
            await radio.recovery_s()
            link = await stack.enter_async_context(radio.supervisor.connected(ADDRESS, CONNECT_S))
            assert bluez.connected(sensor)
        assert not bluez.connected(sensor)
        assert not bluez.is_discovering()
        with pytest.raises(LinkError):
            await link.read(gatt.BATTERY_LEVEL)


async def test_the_end_of_the_gateway_ends_an_attempt_to_connect(bluez: FakeBluez) -> None:
    sensor = strap()
    sensor.accepts_link = False
    errors = list[str]()

    async def use() -> None:
        try:
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                pass
        except LinkError as error:
            errors.append(str(error))

    async with asyncio.TaskGroup() as tasks, near(bluez, sensor) as radio:
        tasks.create_task(use())
        await asyncio.sleep(1)
    assert errors == ["the radio stopped"]


@pytest.mark.parametrize("is_hanging", [False, True])
async def test_a_scan_that_ends_lets_the_sensor_go(bluez: FakeBluez, is_hanging: bool) -> None:
    """The next scan may need another connection to the bus, and BlueZ keeps the links of one that is gone."""
    sensor = strap()
    async with near(bluez, sensor) as radio:
        async with radio.supervisor.connected(ADDRESS, CONNECT_S) as link:
            if is_hanging:
                bluez.hang("StartDiscovery")
            bluez._adapters["hci0"]._discoveries.clear()
            bluez._adapters["hci0"]._end_discovery()
            await asyncio.sleep(0.5)
            assert not bluez.connected(sensor)
            with pytest.raises(LinkError):
                await link.read(gatt.BATTERY_LEVEL)
        bluez.obey("StartDiscovery")
        await radio.until(RadioState.LISTENING)
        await radio.recovery_s()
        async with radio.supervisor.connected(ADDRESS, CONNECT_S):
            assert bluez.connected(sensor)


@pytest.mark.parametrize("whose", ["bleak", "link", "adapters"])
async def test_a_connection_to_the_bus_that_is_lost_leaves_no_sensor_linked(bluez: FakeBluez, whose: str) -> None:
    """BlueZ does not notice, and bleak takes the link for lost and says nothing to BlueZ."""
    sensor = strap()
    async with near(bluez, sensor) as radio:
        with contextlib.suppress(LinkError):
            async with (
                radio.supervisor.connected(ADDRESS, CONNECT_S) as link,
                link.notifications(gatt.HEART_RATE_MEASUREMENT) as values,
            ):
                buses = {
                    "bleak": manager._global_instances[asyncio.get_running_loop()]._bus,
                    "link": cast("Any", link)._client._backend._bus,
                    "adapters": radio.supervisor._adapters._bus,
                }
                lost = buses[whose]
                assert lost is not None
                lost.disconnect()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(4):
                        await anext(values, None)
        await asyncio.sleep(1)
        assert not bluez.connected(sensor)
        await radio.until(RadioState.LISTENING)
        await radio.recovery_s()
        async with radio.supervisor.connected(ADDRESS, CONNECT_S):
            assert bluez.connected(sensor)


async def test_without_a_radio_that_listens_there_is_no_link(bluez: FakeBluez) -> None:
    async with listening() as radio:
        await radio.until(RadioState.LISTENING)
        bluez.power("hci0", is_on=False)
        await radio.until(RadioState.POWERED_OFF)
        with pytest.raises(RadioError) as caught:
            async with radio.supervisor.connected(ADDRESS, CONNECT_S):
                pass
        assert caught.value.state is RadioState.POWERED_OFF
    with pytest.raises(RadioError):
        async with radio.supervisor.connected(ADDRESS, CONNECT_S):
            pass

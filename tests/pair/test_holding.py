"""The bench: a strap is held to the gateway, offered, and taken with one key of a real pseudo-terminal."""

import asyncio
import os
import pty
import select
from typing import Any

import msgspec
import pytest

from gateway.bluetooth.inspection import Ending, HeartRateStream, Inspection
from gateway.bluetooth.report import RadioReport, SensorReport, TrackerReport
from gateway.live.requests import ErrorCode, RequestError
from gateway.pair.holding import hold_sensor
from gateway.pair.keyboard import Key, keyboard
from gateway.pair.lead import HELD_S
from gateway.pairing.documents import Slot
from gateway.terminal.errors import CommandError
from tests.pair.desk import H9, H10, METER, SPARE, Desk, slot, tracker
from tests.terminal.person import Person, person, pipe
from tests.test_closer import inspection
from tests.test_scan import ADA as WORN_BY_ADA
from tests.test_scan import NOW_MS, OFF, sensor

pytestmark = pytest.mark.looptime

ADA = tracker(1, "Ada", slot("heart_rate", H10, H10))
BEA = tracker(2, "Bea", slot("heart_rate", H9, H9))
FOUND = inspection(
    battery_percent=90,
    heart_rate=HeartRateStream(Ending.COMPLETE, 10, 0, 64, 60, 70, is_contact=True, rr_intervals=9),
    warnings=("Its battery is old",),
)
ENTER, ESCAPE, ARROW_UP = b"\n", b"\x1b", b"\x1b[A"


def heard(name: str, address: str, rssi_dbm: int, **more: Any) -> SensorReport:
    return sensor(name, address=address, id=name, rssi_dbm=rssi_dbm, battery_percent=None, **more)


class Bench:
    """A strap that comes near the gateway after a while, and others that stay where they are."""

    def __init__(self, near_after_s: float = 10.0, found: Inspection | RequestError | None = FOUND) -> None:
        self.near_after_s = near_after_s
        self.name, self.kind = SPARE.name, "heart_rate"
        self.more: list[SensorReport] = []
        self.tracker: TrackerReport | None = None
        self.desk = Desk([BEA, ADA], sensors=self.sensors, found=found)

    def sensors(self) -> list[SensorReport]:
        is_near = asyncio.get_running_loop().time() >= self.near_after_s
        rssi_dbm = -40 if is_near else -70
        return [
            heard(self.name, SPARE.address, rssi_dbm, kind=self.kind, heart_rate_bpm=None, tracker=self.tracker),
            heard(H9.name, H9.address, -65),
            *self.more,
        ]

    async def hold(self, one: Person, slot: Slot | None = None) -> None:
        async with self.desk.open() as url:
            await hold_sensor(url, one.talk, "Ada", slot=slot)

    async def leave(self, one: Person) -> None:
        """The same, and nothing is taken."""
        with pytest.raises(CommandError, match="Left as it was"):
            await self.hold(one)


@pytest.mark.parametrize("key", [b"\n", b"\r"])
async def test_the_strap_that_is_held_is_offered_with_battery_and_heart_rate_and_enter_takes_it(key: bytes) -> None:
    bench = Bench()
    async with person({"battery 90 %, heart rate 64": key}) as one:
        await bench.hold(one)
        assert one.is_echoing
    assert asyncio.get_running_loop().time() >= 15.0
    assert "Hold the sensor for 7 Ada to the gateway." in one.text
    assert f"{H9.name}, -65 dBm, is the strongest and not much ahead" in one.text
    assert "keep it there, 2 of 5 s" in one.text
    assert f"{SPARE.name}, heart-rate strap, {SPARE.address}" in one.text
    assert "! Its battery is old." in one.text
    [(what, serial, body)] = bench.desk.asked
    assert (what, serial, body["is_scanned"]) == ("set", "SIM-0001", True)
    assert body["heart_rate"] == msgspec.to_builtins(SPARE)
    assert "7 Ada shall have the heart-rate strap Polar H10 8D3E." in one.text


@pytest.mark.parametrize("words", ["Hold the sensor for", "Enter: 7 Ada gets it"])
async def test_esc_leaves_everything_as_it_is_at_any_time(words: str) -> None:
    bench = Bench()
    async with person({words: ESCAPE}) as one:
        await bench.leave(one)
        assert one.is_echoing
    assert not bench.desk.asked


async def test_other_keys_mean_nothing_and_what_was_pressed_before_the_offer_takes_nothing() -> None:
    """Neither an early Enter nor an arrow key, whose bytes begin with that of Esc."""
    bench = Bench()
    answers = {"Hold the sensor for": ENTER, "keep it there": b"y", "Enter: 7 Ada gets it": ARROW_UP}
    async with person(answers) as one, asyncio.TaskGroup() as tasks:
        holding = tasks.create_task(bench.leave(one))
        await one.saw("battery 90 %")
        await asyncio.sleep(30)
        assert not bench.desk.asked
        assert not holding.done()
        one.type(ESCAPE)


async def test_enter_at_the_very_moment_before_the_offer_takes_nothing() -> None:
    bench, typed_s = Bench(near_after_s=0.0), set()
    async with person() as one, asyncio.TaskGroup() as tasks:

        def sensors() -> list[SensorReport]:
            now_s = asyncio.get_running_loop().time()
            if now_s >= HELD_S - 1 and now_s not in typed_s and "Enter:" not in one.text:
                typed_s.add(now_s)
                one.type(ENTER)
                assert select.select([one.keyboard], [], [], 10)[0]
            return bench.sensors()

        bench.desk.sensors = sensors
        tasks.create_task(bench.leave(one))
        await one.saw("battery 90 %")
        await asyncio.sleep(10)
        assert not bench.desk.asked
        one.type(ESCAPE)


async def test_enter_need_not_wait_for_the_closer_look() -> None:
    """It ends with the asker, so that the tracker gets the strap's only link."""
    bench = Bench(found=None)
    async with person({"looking closer": ENTER}) as one:
        await bench.hold(one)
    assert bench.desk.looks == 1
    assert asyncio.get_running_loop().time() < 30
    assert [what for what, _, _ in bench.desk.asked] == ["set"]


async def test_a_look_that_is_refused_is_said_and_the_strap_can_be_taken_all_the_same() -> None:
    busy = RequestError(ErrorCode.LINK_NEEDED, "A tracker may need its link.")
    bench = Bench(found=busy)
    bench.tracker = msgspec.structs.replace(WORN_BY_ADA, serial_number="SIM-0002", name="Bea", number=8)
    async with person({"A tracker may need its link.": ENTER}) as one:
        await bench.hold(one)
    assert "battery —, heart rate —" in one.text
    assert "! It is the sensor of 8 Bea." in one.text
    assert [what for what, _, _ in bench.desk.asked] == ["set"]


async def test_a_power_meter_goes_into_its_own_slot_and_has_no_heart_rate() -> None:
    bench = Bench(found=inspection(battery_percent=55))
    bench.name, bench.kind = METER.name, "power"
    async with person({"battery 55 %": ENTER}) as one:
        await bench.hold(one)
    assert "heart rate" not in one.text.partition("battery 55 %")[2].partition("Enter:")[0]
    assert bench.desk.asked[0][2]["power"]["name"] == METER.name


async def test_only_sensors_for_the_slot_compete_and_a_device_that_is_none_never_does() -> None:
    bench = Bench(near_after_s=0.0)
    bench.more = [
        heard("Phone", "a0:9e:1a:00:00:09", -30, kind="unknown"),
        heard(METER.name, METER.address, -35, kind="power"),
        heard("Gone", "a0:9e:1a:00:00:08", -30, last_seen_ms=NOW_MS - 60_000),
    ]
    async with person({"Enter: 7 Ada gets it": ENTER}) as one:
        await bench.hold(one, Slot.HEART_RATE)
    assert bench.desk.asked[0][2]["heart_rate"]["name"] == SPARE.name


async def test_a_radio_that_does_not_listen_ends_it_with_what_to_do() -> None:
    bench = Bench()
    bench.desk.radio = OFF
    async with person() as one:
        with pytest.raises(CommandError, match=r"is switched off\. Switch it on with `bluetoothctl power on`"):
            await bench.hold(one)
        assert one.is_echoing


async def test_what_a_technician_should_know_of_the_radio_stands_above() -> None:
    bench = Bench()
    note = "The on-board radio shares its aerial with Wi-Fi"
    bench.desk.radio = RadioReport(state="listening", adapter="hci0", text="It listens", action="", notes=(note,))
    async with person({"Wi-Fi.": ESCAPE}) as one:
        await bench.leave(one)


async def test_a_strap_that_she_has_already_is_said_to_be_hers_and_the_look_says_how_long_it_takes() -> None:
    bench = Bench(near_after_s=0.0, found=None)
    bench.desk.trackers[1] = tracker(1, "Ada", slot("heart_rate", SPARE))
    async with person({"Enter: 7 Ada gets it": ESCAPE}) as one:
        await bench.leave(one)
    assert "looking closer, which takes up to half a minute …" in one.text
    assert "! 7 Ada shall have this one already." in one.text


async def test_without_a_terminal_it_does_not_begin() -> None:
    talk, _ = pipe()
    async with Bench().desk.open() as url:
        with pytest.raises(CommandError, match="needs a terminal"):
            await hold_sensor(url, talk, "Ada")


async def test_ctrl_c_leaves_the_terminal_as_it_was() -> None:
    bench = Bench()
    async with person() as one:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):  # the program is cancelled while it waits
                await bench.hold(one)
        assert one.is_echoing
    assert not bench.desk.asked


async def test_a_terminal_that_is_gone_counts_as_esc() -> None:
    master, side = pty.openpty()
    with os.fdopen(side) as answers, keyboard(answers) as keys:
        os.close(master)
        assert await keys.pressed(10) is Key.ESCAPE
        assert await keys.pressed(10) is None

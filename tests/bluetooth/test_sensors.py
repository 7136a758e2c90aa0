"""The sensors' part as a whole, on a radio that is played by hand: who asks, who follows, and who looks closer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.holder import OVERLAP_S
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.link import LinkError
from gateway.bluetooth.radio import Radio, RadioError, RadioState
from gateway.bluetooth.report import SensorReport, SensorsReport
from gateway.bluetooth.sensors import InspectionRefused, Sensors
from gateway.bluetooth.sightings import FORGET_AFTER_S, Sightings
from gateway.bluetooth.trouble import TROUBLE_AFTER_S
from gateway.live.board import Board
from gateway.problems import Problems
from insiders_codecs.address import AddressKind
from insiders_codecs.gatt import BATTERY_LEVEL, HEART_RATE_MEASUREMENT
from tests.bluetooth.adverts import HEART_RATE, NOTHING, POWER, address, advertisement, polar_data

pytestmark = pytest.mark.looptime

EPOCH_MS = 1_795_000_000_000
NAME, ID = "Polar H10 AE60D42F", "polar-h10-ae60d42f"
ATHLETE = "Ada Lovelace"
OURS = Assignment("SIM-0001", ATHLETE, 10, SensorKind.HEART_RATE, address(1), NAME, is_applied=True)
METER = Assignment("SIM-0001", ATHLETE, 10, SensorKind.POWER, address(2), "ASSIOMA17287L", is_applied=True)
LISTENING = Radio(RadioState.LISTENING, "hci0", listening_since_s=0.0)
OFF = Radio(RadioState.POWERED_OFF, "hci0")


class StrapLink:
    """A link with a strap that says a little."""

    def __init__(self, values: dict[str, bytes], is_broken: bool = False) -> None:
        self.values = values
        self.is_broken = is_broken

    def has(self, uuid: str) -> bool:
        return uuid in self.values

    async def read(self, uuid: str) -> bytes | None:
        if self.is_broken:
            raise LinkError("the link was lost")
        return self.values.get(uuid)

    @asynccontextmanager
    async def notifications(self, uuid: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if self.is_broken:
            raise LinkError("the link was lost")

        async def values() -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(1.0)
                yield self.values[uuid]

        yield values()


@dataclass
class PlayedReceiver:
    """A radio that does as it is told."""

    radio: Radio = LISTENING
    link: StrapLink = field(
        default_factory=lambda: StrapLink({BATTERY_LEVEL: b"\x50", HEART_RATE_MEASUREMENT: b"\x06\x4b"})
    )
    error: Exception | None = None
    delay_s: float = 0.5
    linked: list[str] = field(default_factory=list)

    async def run(self) -> None:
        await asyncio.Event().wait()

    @asynccontextmanager
    async def connected(self, address: str, timeout_s: float) -> AsyncIterator[StrapLink]:
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        self.linked.append(address)
        try:
            yield self.link
        finally:
            self.linked.remove(address)


@dataclass
class Fleet:
    """Trackers that deliver what they are told to."""

    are_known = True
    all: Sequence[Assignment] = ()
    delivering: dict[str, bool | None] = field(default_factory=dict)

    def assignments(self) -> Sequence[Assignment]:
        return self.all

    def delivers(self, serial_number: str, kind: SensorKind) -> bool | None:
        return self.delivering.get(serial_number)


class World:
    """The part, with everything around it."""

    def __init__(self) -> None:
        self.now = asyncio.get_running_loop().time
        self.receiver, self.fleet, self.board, self.sightings = PlayedReceiver(), Fleet(), Board(), Sightings()
        self.problems = Problems(self.utc_ms)
        self.beats = 0
        self.sensors = Sensors(self.receiver, self.sightings, self.fleet, self.problems, self.board, self.utc_ms)

    def utc_ms(self) -> int:
        return EPOCH_MS + round(self.now() * 1000)

    def beat(self) -> None:
        self.beats += 1

    def hear(
        self, number: int = 1, name: str | None = NAME, services: frozenset[str] = HEART_RATE, **rest: Any
    ) -> None:
        self.sightings.heard(advertisement(number, name, services, **rest), self.now())

    async def advertise(self, seconds: int, number: int = 1, name: str | None = NAME, **rest: Any) -> None:
        """A worn strap, once a second."""
        for second in range(seconds):
            self.hear(number, name, **({"manufacturer_data": polar_data(71, second)} | rest))
            await asyncio.sleep(1.0)

    def report(self) -> SensorsReport:
        return self.sensors.report()

    def one(self) -> SensorReport:
        [sensor] = self.report().sensors
        return sensor

    def told(self) -> dict[str, str]:
        return {message["key"]: message["value"] for message in self.board.since(0)}

    async def refusal(self, sensor_id: str = ID, *, take_link: bool = False) -> tuple[str, str]:
        with pytest.raises(InspectionRefused) as refused:
            await self.sensors.inspect(sensor_id, is_link_taken_knowingly=take_link)
        assert str(refused.value).endswith(".")
        return refused.value.code, str(refused.value)


@asynccontextmanager
async def played() -> AsyncIterator[World]:
    """Within the test and not as a fixture: there time would be another one."""
    world = World()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(world.sensors.run(world.beat))
        await asyncio.sleep(0.5)  # between two turns, so that a second has exactly one
        yield world
        task.cancel()


# --- what is reported -------------------------------------------------------------------------------------------------


async def test_a_strap_in_the_air_is_reported_with_all_that_can_be_known() -> None:
    async with played() as world:
        await world.advertise(10)
        sensor = world.one()
        assert (sensor.id, sensor.kind, sensor.name, sensor.model) == (ID, "heart_rate", NAME, "Polar H10")
        assert (sensor.address, sensor.address_kind) == (address(1), "public")
        assert (sensor.presence, sensor.rssi_dbm, sensor.bars, sensor.interval_ms) == ("seen", -60, 4, 1000)
        assert (sensor.first_seen_ms, sensor.last_seen_ms) == (EPOCH_MS + 500, EPOCH_MS + 9500)
        assert (sensor.heart_rate_bpm, sensor.is_contact, sensor.battery_percent) == (71, True, None)
        assert (sensor.holder, sensor.text, sensor.action) == ("free", "Visible and free", "")
        assert (sensor.tracker, sensor.warnings, sensor.inspection) == (None, (), None)


async def test_a_report_is_json_and_can_be_read_back() -> None:
    async with played() as world:
        world.fleet.all = [OURS, METER]
        await world.advertise(3)
        await world.sensors.inspect(ID, is_link_taken_knowingly=True)
        report = world.report()
        body = msgspec.json.encode(report)
        assert msgspec.json.decode(body)["op"] == "sensors"
        assert msgspec.json.decode(body, type=SensorsReport) == report


async def test_the_sensor_of_a_tracker_is_there_even_if_nobody_has_ever_heard_it() -> None:
    async with played() as world:
        world.fleet.all = [OURS]
        await asyncio.sleep(60.0)
        sensor = world.one()
        assert (sensor.id, sensor.presence, sensor.holder) == (ID, "gone", "not_worn")
        assert (sensor.name, sensor.model, sensor.address, sensor.address_kind) == (NAME, "Polar H10", address(1), None)
        assert (sensor.rssi_dbm, sensor.bars, sensor.first_seen_ms, sensor.last_seen_ms) == (None, 0, None, None)
        assert sensor.tracker is not None
        assert (sensor.tracker.serial_number, sensor.tracker.name, sensor.tracker.number) == ("SIM-0001", ATHLETE, 10)
        assert (sensor.tracker.slot, sensor.tracker.is_applied) == ("heart_rate", True)
        assert world.told()[f"sensor/{ID}"] == "gone"


@pytest.mark.parametrize("name", [NAME, "A strap of no family", None])
async def test_it_keeps_its_id_when_it_is_heard_at_last(name: str | None) -> None:
    async with played() as world:
        world.fleet.all = [
            Assignment("SIM-0001", ATHLETE, 10, SensorKind.HEART_RATE, address(1), name, is_applied=True)
        ]
        await asyncio.sleep(2.0)
        before = world.one().id
        world.hear(name=name)
        assert world.one().id == before


async def test_the_sensor_of_a_tracker_stays_for_ever_and_one_of_nobody_leaves_within_a_minute() -> None:
    async with played() as world:
        world.fleet.all = [OURS]
        await world.advertise(5)
        world.hear(7, "TICKR 1A2B")
        await asyncio.sleep(1.0)
        assert {sensor.id for sensor in world.report().sensors} == {ID, "tickr-1a2b"}
        await asyncio.sleep(FORGET_AFTER_S + 1.0)
        assert world.one().id == ID
        assert world.told()["sensor/tickr-1a2b"] == "forgotten"
        await asyncio.sleep(1800.0)
        assert world.one().id == ID
        assert "sensor/tickr-1a2b" not in world.told()


async def test_a_day_of_bystanders_leaves_nothing_behind() -> None:
    async with played() as world:
        for number in range(100):
            world.hear(number, f"Polar H9 {number:08X}")
            await asyncio.sleep(10.0)
        await asyncio.sleep(2 * FORGET_AFTER_S)
        assert world.report().sensors == ()
        assert world.told() == {"bluetooth": "listening"}
        assert not world.sensors._census._looks
        assert not world.sensors._census._bonds


async def test_sensors_of_trackers_go_first_then_the_strongest_then_strangers() -> None:
    async with played() as world:
        world.fleet.all = [METER, OURS]
        world.hear(20, "Somebody's box", NOTHING)
        world.hear(21, "TICKR 1A2B", rssi_dbm=-85)
        world.hear(22, "TICKR 9999", rssi_dbm=-50)
        world.hear(1, NAME, rssi_dbm=-95)
        world.hear(99, None, NOTHING, address_kind=AddressKind.RESOLVABLE)
        names = [sensor.name for sensor in world.report().sensors]
        assert names == ["ASSIOMA17287L", NAME, "TICKR 9999", "TICKR 1A2B", "Somebody's box"]
        assert world.report().others == 1
        await asyncio.sleep(1.0)
        assert set(world.told()) == {"bluetooth"} | {
            f"sensor/{s.id}" for s in world.report().sensors if s.kind != "unknown"
        }


# --- who has it -------------------------------------------------------------------------------------------------------


async def test_a_strap_that_its_tracker_takes_and_lets_go() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": False}
        await world.advertise(12)
        assert world.one().holder == "unknown", "it may be about to take it"
        await world.advertise(30)
        assert world.one().holder == "not_used"
        world.fleet.delivering["SIM-0001"] = True
        assert (world.one().presence, world.one().holder) == ("seen", "tracker")
        await asyncio.sleep(60.0)
        assert (world.one().presence, world.one().holder) == ("gone", "tracker")
        world.fleet.delivering["SIM-0001"] = None
        await world.advertise(2)
        assert (world.one().presence, world.one().holder) == ("seen", "free")


async def test_a_strap_that_goes_on_advertising_while_its_tracker_has_it_is_shared() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": True}
        await world.advertise(int(OVERLAP_S))
        assert world.one().holder == "tracker"
        await world.advertise(2)
        assert world.one().holder == "shared"
        assert (world.one().heart_rate_bpm, world.one().action) == (71, "")


async def test_a_worn_strap_that_vanishes_is_somewhere_else_and_a_dry_one_was_taken_off() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": False}
        await world.advertise(10)
        await asyncio.sleep(20.0)
        assert (world.one().presence, world.one().holder) == ("gone", "unknown"), "its tracker may be about to tell"
        await asyncio.sleep(15.0)
        assert world.one().holder == "elsewhere"
        dry = {0x6B: bytes([0x20, 0, 71, 71])}
        await world.advertise(10, manufacturer_data=dry)
        assert world.one().is_contact is False
        await asyncio.sleep(20.0)
        assert (world.one().holder, world.one().is_contact) == ("not_worn", None)


async def test_a_strap_that_grows_faint_is_out_of_reach() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": False}
        for rssi_dbm in range(-60, -98, -2):
            await world.advertise(1, rssi_dbm=rssi_dbm)
        await asyncio.sleep(20.0)
        assert (world.one().holder, world.one().bars) == ("out_of_reach", 0)


async def test_a_tracker_that_knows_an_old_address_is_to_be_told_the_new_one() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": False}
        await world.advertise(3)
        await world.advertise(3, number=5)
        sensor = world.one()
        assert (sensor.address, sensor.holder) == (address(5), "not_used")
        assert sensor.action == "assign it to the tracker again"


async def test_one_strap_of_two_trackers_is_warned_of_and_belongs_to_the_one_that_has_it() -> None:
    async with played() as world:
        other = Assignment("SIM-0002", "Bo", None, SensorKind.HEART_RATE, address(1), NAME, is_applied=True)
        world.fleet.all, world.fleet.delivering = [OURS, other], {"SIM-0001": False, "SIM-0002": True}
        await asyncio.sleep(20.0)
        sensor = world.one()
        assert sensor.tracker is not None
        assert (sensor.tracker.serial_number, sensor.holder) == ("SIM-0002", "tracker")
        assert sensor.warnings == ("It is assigned to SIM-0001 and SIM-0002: take it from all but one",)


async def test_a_strap_belongs_to_the_tracker_that_listens_to_it_before_one_that_shall() -> None:
    """What the other delivers may come from the strap that it had before."""
    async with played() as world:
        other = Assignment("SIM-0002", "Bo", None, SensorKind.HEART_RATE, address(1), NAME, is_applied=False)
        world.fleet.all, world.fleet.delivering = [other, OURS], {"SIM-0001": False, "SIM-0002": True}
        await world.advertise(40)
        sensor = world.one()
        assert sensor.tracker is not None
        assert (sensor.tracker.serial_number, sensor.holder) == ("SIM-0001", "not_used")


async def test_a_strap_in_the_place_of_a_power_meter_and_a_right_pedal_are_warned_of() -> None:
    async with played() as world:
        world.fleet.all = [Assignment("SIM-0001", ATHLETE, 10, SensorKind.POWER, address(1), NAME, is_applied=True)]
        await world.advertise(1)
        assert "measures heart rate: assign another one" in world.one().warnings[0]
        world.fleet.all = []
        world.hear(2, "ASSIOMA17287R", POWER)
        [pedal] = [sensor for sensor in world.report().sensors if sensor.kind == "power"]
        assert "about half" in pedal.warnings[0]


# --- the radio --------------------------------------------------------------------------------------------------------


async def test_a_deaf_radio_makes_everything_unknown_at_once_and_says_which_trouble_it_has() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": True}
        await world.advertise(5)
        world.receiver.radio = OFF
        assert (world.one().presence, world.one().holder) == ("unknown", "unknown")
        assert (world.one().text, world.one().action) == (f"Unknown: {OFF.text}", OFF.action)
        assert (world.report().radio.state, world.report().radio.text) == ("powered_off", OFF.text)
        await asyncio.sleep(1.0)
        assert world.told() == {"bluetooth": "powered_off", f"sensor/{ID}": "unknown"}


async def test_lasting_trouble_is_a_problem_until_the_radio_listens() -> None:
    async with played() as world:
        world.receiver.radio = OFF
        await asyncio.sleep(TROUBLE_AFTER_S - 0.5)
        assert list(world.problems) == []
        await asyncio.sleep(2.0)
        [problem] = world.problems
        assert (problem.code, problem.subject, problem.text, problem.action) == (
            "bluetooth_powered_off", "", OFF.text, OFF.action,
        )  # fmt: skip
        world.receiver.radio = Radio(RadioState.STARTING, "hci0")
        await asyncio.sleep(5.0)
        assert list(world.problems) == [problem]
        world.receiver.radio = Radio(RadioState.BUSY, "hci0")
        await asyncio.sleep(1.0)
        assert [problem.code for problem in world.problems] == ["bluetooth_busy"]
        world.receiver.radio = LISTENING
        await asyncio.sleep(1.0)
        assert list(world.problems) == []


async def test_a_restart_that_takes_a_second_is_no_problem() -> None:
    async with played() as world:
        for _ in range(10):
            world.receiver.radio = Radio(RadioState.NO_SERVICE, "hci0")
            await asyncio.sleep(2.0)
            world.receiver.radio = LISTENING
            await asyncio.sleep(5.0)
            assert world.problems.revision == 0


async def test_a_radio_that_is_not_wanted_is_no_problem() -> None:
    async with played() as world:
        world.receiver.radio = Radio(RadioState.DISABLED)
        await asyncio.sleep(60.0)
        assert list(world.problems) == []
        assert world.told() == {"bluetooth": "disabled"}


async def test_it_beats_every_second_whatever_the_radio_does() -> None:
    async with played() as world:
        before = world.beats
        world.receiver.radio = OFF
        await asyncio.sleep(10.0)
        assert world.beats == before + 10


async def test_a_surprise_is_logged_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with played() as world:
        before = world.beats
        world.fleet.all = [None]  # type: ignore[list-item]
        await asyncio.sleep(10.0)
        assert world.beats == before + 10
        assert len(caplog.records) == 1
        world.fleet.all = [OURS]
        await asyncio.sleep(20.0)
        assert world.told()[f"sensor/{ID}"] == "gone"


async def test_no_name_and_no_address_reaches_a_problem_or_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with played() as world:
        caplog.set_level(0)
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": False}
        await world.advertise(5)
        world.receiver.error = LinkError("no link: org.bluez.Error.Failed")
        await world.refusal(take_link=True)
        world.receiver.radio = OFF
        await asyncio.sleep(10.0)
        written = caplog.text + "".join(
            f"{problem.subject}{problem.text}{problem.action}" for problem in world.problems
        )
        assert "bluetooth_powered_off" in written
        for secret in (ATHLETE, NAME, address(1), ID):
            assert secret.lower() not in written.lower()


# --- following --------------------------------------------------------------------------------------------------------


async def test_a_follower_is_told_at_most_once_a_second_of_each_sensor() -> None:
    async with played() as world:
        await asyncio.sleep(0.0)
        before = world.board.revision
        for number in range(100):
            world.hear(rssi_dbm=-40 - number % 50, manufacturer_data=polar_data(60 + number, number))
            await asyncio.sleep(0.1)
        assert 2 <= world.board.revision - before <= 10


async def test_a_sensor_that_does_nothing_new_is_not_told_again() -> None:
    async with played() as world:
        await world.advertise(10)
        before = world.board.revision
        await world.advertise(60)
        assert world.board.revision == before


# --- looking closer ---------------------------------------------------------------------------------------------------


async def inspected(world: World, *, take_link: bool = False) -> Inspection:
    return await world.sensors.inspect(ID, is_link_taken_knowingly=take_link)


async def test_looking_closer_finds_the_battery_and_remembers_what_it_found() -> None:
    async with played() as world:
        await world.advertise(3)
        inspection = await inspected(world)
        assert (inspection.battery_percent, inspection.heart_rate and inspection.heart_rate.median_bpm) == (80, 75)
        assert world.receiver.linked == []
        await world.advertise(3)
        assert (world.one().inspection, world.one().battery_percent) == (inspection, 80)


async def test_while_we_look_we_hold_it_and_its_silence_meanwhile_means_nothing() -> None:
    async with played() as world:
        await world.advertise(3)
        async with asyncio.TaskGroup() as tasks:
            look = tasks.create_task(inspected(world))
            while not look.done():
                await asyncio.sleep(0.5)
                if not look.done():
                    assert world.one().holder == "gateway"
                    assert world.one().presence == "seen", "a link is more than an advertisement"
        assert world.one().presence == "seen"
        await asyncio.sleep(9.0)
        assert world.one().presence == "quiet"
        await asyncio.sleep(2.0)
        assert world.one().presence == "gone"


async def test_a_sensor_nobody_has_heard_of_is_refused() -> None:
    async with played() as world:
        assert (await world.refusal("no-such-sensor"))[0] == "unknown_sensor"


SWITCH_OFF = "to look closer, switch its tracker off first"


async def test_what_is_not_in_the_air_is_refused_with_what_to_do() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": True}
        await asyncio.sleep(20.0)
        code, text = await world.refusal(take_link=True)
        assert (code, text) == (
            "sensor_not_in_the_air",
            f"In use by SIM-0001, which gets its heart rate; {SWITCH_OFF}.",
        )
        world.fleet.delivering["SIM-0001"] = False
        await asyncio.sleep(20.0)
        assert "wet a strap's electrodes" in (await world.refusal(take_link=True))[1]


async def test_what_its_tracker_has_just_taken_is_refused_though_it_was_heard_a_moment_ago() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": True}
        await world.advertise(5)
        await asyncio.sleep(5.0)
        assert (world.one().presence, world.one().holder) == ("quiet", "tracker")
        assert (await world.refusal(take_link=True))[0] == "sensor_not_in_the_air"


async def test_a_link_that_a_tracker_may_need_is_taken_knowingly_only() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": False}
        await world.advertise(3)
        code, text = await world.refusal()
        assert code == "link_needed"
        assert "SIM-0001 could not have it" in text
        assert (await inspected(world, take_link=True)).battery_percent == 80


async def test_a_shared_strap_has_a_link_to_spare() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": True}
        await world.advertise(int(OVERLAP_S) + 2)
        assert (await inspected(world)).battery_percent == 80


async def test_one_at_a_time() -> None:
    async with played() as world:
        await world.advertise(3)
        async with asyncio.TaskGroup() as tasks:
            look = tasks.create_task(inspected(world))
            await asyncio.sleep(1.0)
            assert (await world.refusal())[0] == "inspection_running"
            assert world.receiver.linked == [address(1)]
        assert look.result().battery_percent == 80


async def test_a_deaf_radio_looks_at_nothing() -> None:
    async with played() as world:
        await world.advertise(3)
        world.receiver.radio = OFF
        assert await world.refusal() == ("radio_not_listening", f"{OFF.text}: {OFF.action}.")


async def test_a_radio_that_goes_deaf_meanwhile_is_named() -> None:
    async with played() as world:
        await world.advertise(3)
        world.receiver.error = RadioError(RadioState.POWERED_OFF)
        assert (await world.refusal())[0] == "radio_not_listening"


@pytest.mark.parametrize("what_breaks", ["connecting", "everything after it"])
async def test_a_link_that_fails_is_said_and_the_next_look_may_be_taken(what_breaks: str) -> None:
    async with played() as world:
        await world.advertise(3)
        first = await inspected(world)
        await world.advertise(3)
        if what_breaks == "connecting":
            world.receiver.error = LinkError("no link: org.bluez.Error.Failed")
        else:
            world.receiver.link.is_broken = True
        code, text = await world.refusal()
        assert code == "inspection_failed"
        assert "try again" in text
        assert world.one().inspection == first
        world.receiver.error, world.receiver.link.is_broken = None, False
        await world.advertise(3)
        assert await inspected(world) == first


async def test_whoever_gives_up_waiting_lets_the_sensor_go() -> None:
    async with played() as world:
        await world.advertise(3)
        async with asyncio.TaskGroup() as tasks:
            look = tasks.create_task(inspected(world))
            await asyncio.sleep(2.0)
            assert world.receiver.linked == [address(1)]
            look.cancel()
        assert world.receiver.linked == []
        await world.advertise(1)
        assert world.one().holder == "free"
        assert (await inspected(world)).battery_percent == 80


async def test_a_stranger_that_takes_long_to_look_at_is_not_forgotten_meanwhile() -> None:
    async with played() as world:
        await world.advertise(3)
        world.receiver.delay_s = FORGET_AFTER_S + 10.0
        inspection = await inspected(world)
        await asyncio.sleep(10.0)
        await world.advertise(1)
        assert world.one().inspection == inspection


async def test_what_was_found_out_about_a_stranger_is_forgotten_with_it() -> None:
    async with played() as world:
        await world.advertise(3)
        await world.sensors.inspect(ID, is_link_taken_knowingly=False)
        await asyncio.sleep(FORGET_AFTER_S + 20.0)
        assert world.report().sensors == ()
        assert not world.sensors._census._looks
        world.hear()
        assert (world.one().battery_percent, world.one().inspected_ms) == (None, None)


async def test_a_low_battery_is_warned_of_for_as_long_as_it_is_known_and_dry_skin_is_not() -> None:
    async with played() as world:
        await world.advertise(3)
        world.receiver.link.values = {BATTERY_LEVEL: b"\x08", HEART_RATE_MEASUREMENT: b"\x04\x4b"}
        assert len((await inspected(world)).warnings) == 2
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": False}
        await world.advertise(3)
        assert world.one().warnings == ("The battery has 8 % left: change it before the session",)
        await asyncio.sleep(60.0)
        assert world.one().holder == "flat"

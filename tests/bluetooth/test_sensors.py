"""The sensors' part as a whole, on a radio that is played by hand: who asks, and who follows."""

import asyncio

import msgspec
import pytest

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.holder import OVERLAP_S
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.link import LinkError
from gateway.bluetooth.radio import Radio, RadioState
from gateway.bluetooth.report import SensorsReport
from gateway.bluetooth.sightings import FORGET_AFTER_S
from gateway.bluetooth.trouble import TROUBLE_AFTER_S
from insiders_codecs.address import AddressKind
from tests.bluetooth.adverts import NOTHING, POWER, address, polar_data
from tests.bluetooth.played import (
    ATHLETE,
    EPOCH_MS,
    ID,
    LISTENING,
    METER,
    NAME,
    OFF,
    OURS,
    played,
)

pytestmark = pytest.mark.looptime


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

"""The sensors' part as a whole, from a fake bluetoothd over the real bleak to what a technician is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.holder import OVERLAP_S
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.radio import RadioState
from gateway.bluetooth.report import SensorReport
from gateway.bluetooth.sensors import InspectionRefused, Sensors
from gateway.bluetooth.sightings import Sightings
from gateway.bluetooth.supervisor import Supervisor
from gateway.bluetooth.trouble import TROUBLE_AFTER_S
from gateway.live.board import Board
from gateway.problems import Problems
from gateway.simulator.airspace import Airspace
from gateway.simulator.bluez.service import FakeBluez
from gateway.simulator.bystanders import bystanders
from gateway.simulator.sensor_models import (
    ASSIOMA_RIGHT,
    POLAR_H10,
    POLAR_H10_DUAL,
    TICKR,
    VERITY_SENSE,
    WHOOP,
    Model,
    Unit,
)
from gateway.simulator.sensors import Sensor, Vitals
from tests.bluetooth.listening import now_s, running

pytestmark = pytest.mark.looptime

TRACKER = "SIM-0001"
GONE_S = 35.0
"""Long enough for a sensor to count as gone, and for somebody to be suspected of having it."""


def riding() -> Vitals:
    return Vitals(heart_rate_bpm=142, power_w=230, cadence_rpm=88)


class Field:
    """Sensors in the air, the gateway that hears them, and one tracker that delivers while it holds its sensor."""

    are_known = True

    def __init__(self, bluez: FakeBluez) -> None:
        self.bluez = bluez
        self.airspace = Airspace(bluez, now_s)
        self.board, self.problems = Board(), Problems(lambda: 0)
        self.is_tracker_on = True
        self.assigned: Sensor | None = None
        sightings = Sightings()
        self.radio = Supervisor(sightings.heard)
        self.sensors = Sensors(self.radio, sightings, self, self.problems, self.board, lambda: 0)

    def assignments(self) -> Sequence[Assignment]:
        if self.assigned is None:
            return ()
        unit = self.assigned.unit
        kind = SensorKind.POWER if self.assigned.is_meter else SensorKind.HEART_RATE
        return [Assignment(TRACKER, "Ada", 10, kind, unit.address, unit.name, is_applied=True)]

    def withheld(self) -> Sequence[tuple[str, str | None]]:
        return ()

    def delivers(self, serial_number: str, kind: SensorKind) -> bool | None:
        if not self.is_tracker_on or self.assigned is None:
            return None
        return TRACKER in self.airspace.holders(self.assigned)

    def sensor(self, model: Model = POLAR_H10, *, is_assigned: bool = True, is_worn: bool = True) -> Sensor:
        """A sensor comes near."""
        sensor = Sensor(Unit(model, 1))
        self.airspace.appear(sensor, 2.0, riding if is_worn else None)
        if is_assigned:
            self.assigned = sensor
        return sensor

    def about(self, sensor: Sensor) -> SensorReport:
        """What is said of it."""
        address = sensor.unit.address
        [about] = [report for report in self.sensors.report().sensors if report.address == address]
        return about

    def problem_codes(self) -> list[str]:
        return [problem.code for problem in self.problems]


@contextlib.asynccontextmanager
async def playing(bluez: FakeBluez) -> AsyncIterator[Field]:
    field = Field(bluez)
    async with running(field.airspace.run(), field.radio.run(), field.sensors.run(lambda: None)):
        await asyncio.sleep(1.0)
        yield field


async def test_a_strap_comes_is_taken_by_its_tracker_let_go_and_taken_by_a_phone(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        strap = field.sensor()
        await asyncio.sleep(40)
        about = field.about(strap)
        assert (about.presence, about.holder, about.model) == ("seen", "not_used", "Polar H10")
        assert (about.heart_rate_bpm, about.is_contact) == (142, True)
        assert about.interval_ms == pytest.approx(1000, rel=0.1)
        assert field.airspace.taken_by(strap, TRACKER)
        await asyncio.sleep(GONE_S)
        assert (field.about(strap).presence, field.about(strap).holder) == ("gone", "tracker")
        field.airspace.released(strap, TRACKER)
        await asyncio.sleep(5)
        assert (field.about(strap).presence, field.about(strap).holder) == ("seen", "unknown")
        assert field.airspace.taken_by(strap, "her phone")
        await asyncio.sleep(GONE_S)
        assert (field.about(strap).presence, field.about(strap).holder) == ("gone", "elsewhere")


async def test_a_tracker_that_loses_its_network_is_not_taken_for_a_strap_that_is_not_worn(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        strap = field.sensor()
        field.airspace.taken_by(strap, TRACKER)
        await asyncio.sleep(60)
        assert (field.about(strap).last_seen_ms, field.about(strap).holder) == (None, "tracker")
        field.is_tracker_on = False  # as far as anybody can tell
        await asyncio.sleep(60)
        about = field.about(strap)
        assert (about.holder, about.action) == ("unknown", "bring the tracker where it has network")


async def test_a_strap_with_two_links_is_heard_while_its_tracker_has_it(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        strap = field.sensor(POLAR_H10_DUAL)
        await asyncio.sleep(1)
        assert field.airspace.taken_by(strap, TRACKER)
        await asyncio.sleep(OVERLAP_S + 5)
        about = field.about(strap)
        assert (about.presence, about.holder, about.heart_rate_bpm) == ("seen", "shared", 142)


@pytest.mark.parametrize("model", [POLAR_H10, VERITY_SENSE])
async def test_a_strap_that_is_taken_off_falls_asleep_and_that_is_told_from_being_taken(
    bluez: FakeBluez, model: Model
) -> None:
    async with playing(bluez) as field:
        strap = field.sensor(model)
        await asyncio.sleep(10)
        field.airspace.take_off(strap)
        await asyncio.sleep(10)
        assert (field.about(strap).holder, field.about(strap).is_contact) == ("not_worn", False)
        await asyncio.sleep(45 + GONE_S)
        about = field.about(strap)
        assert (about.presence, about.holder) == ("gone", "not_worn")
        assert "probably taken off" in about.text


async def test_an_athlete_who_walks_away_is_out_of_reach(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        strap = field.sensor()
        field.airspace.appear(bystanders(seed=0)[-1], 3.0)
        await asyncio.sleep(5)
        field.airspace.walk(strap, 150.0)
        await asyncio.sleep(150)
        assert (field.about(strap).presence, field.about(strap).holder) == ("gone", "out_of_reach")


async def test_when_nothing_at_all_is_heard_any_more_the_radio_is_doubted_and_not_the_strap(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        strap = field.sensor()
        await asyncio.sleep(5)
        field.airspace.taken_by(strap, "her phone")
        await asyncio.sleep(GONE_S)
        assert field.about(strap).holder == "elsewhere"
        await asyncio.sleep(90)
        assert (field.about(strap).presence, field.about(strap).holder) == ("unknown", "unknown")
        assert field.radio.radio.state is RadioState.SILENT
        assert field.problem_codes() == [], "an empty pitch is no alarm"


async def test_on_a_quiet_pitch_what_a_tracker_gets_is_believed(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        strap = field.sensor()
        await asyncio.sleep(5)
        field.airspace.taken_by(strap, TRACKER)
        for _ in range(30):
            await asyncio.sleep(10)
            assert field.about(strap).holder == "tracker"
        assert field.radio.radio.state is RadioState.SILENT


async def test_a_strap_in_the_bag_is_not_worn(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        strap = field.sensor(is_worn=False)
        await asyncio.sleep(GONE_S)
        about = field.about(strap)
        assert (about.presence, about.holder) == ("gone", "not_worn")
        assert about.action == "put it on: wet a strap's electrodes, switch an armband on"


async def test_a_strap_that_hides_its_service_and_one_without_broadcast_are_known_and_strangers_are_counted(
    bluez: FakeBluez,
) -> None:
    async with playing(bluez) as field:
        hidden, silent = field.sensor(WHOOP), field.sensor(TICKR, is_assigned=False)
        for bystander in bystanders(seed=0):
            field.airspace.appear(bystander, 8.0)
        await asyncio.sleep(10)
        assert (field.about(hidden).kind, field.about(silent).kind) == ("heart_rate", "heart_rate")
        assert field.about(silent).heart_rate_bpm is None
        report = field.sensors.report()
        assert report.others == 6
        assert [sensor.kind for sensor in report.sensors] == ["heart_rate", "heart_rate", "unknown"]


@pytest.mark.parametrize("disaster", ["power off", "rfkill", "unplugged", "bluetoothd dies"])
async def test_nothing_is_known_while_the_radio_is_down_and_everything_again_soon_after(
    bluez: FakeBluez, disaster: str
) -> None:
    async with playing(bluez) as field:
        strap = field.sensor()
        await asyncio.sleep(10)
        match disaster:
            case "power off":
                code = "bluetooth_powered_off"
                bluez.power("hci0", is_on=False)
            case "rfkill":
                code = "bluetooth_blocked"
                bluez.block("hci0")
            case "unplugged":
                code = "bluetooth_no_adapter"
                bluez.unplug("hci0")
            case _:
                code = "bluetooth_no_service"
                await bluez.kill()
        await asyncio.sleep(1)
        about = field.about(strap)
        assert (about.presence, about.holder, about.heart_rate_bpm) == ("unknown", "unknown", None)
        await asyncio.sleep(60)
        assert field.problem_codes() == [code]
        [problem] = field.problems
        assert (field.about(strap).text, field.about(strap).action) == (f"Unknown: {problem.text}", problem.action)
        match disaster:
            case "power off":
                bluez.power("hci0", is_on=True)
            case "rfkill":
                bluez.block("hci0", is_blocked=False)
            case "unplugged":
                bluez.plug("hci0")
            case _:
                await bluez.start()
        await asyncio.sleep(5)
        assert (field.about(strap).presence, field.about(strap).holder) == ("seen", "unknown")
        assert field.problem_codes() == []


async def test_an_orderly_restart_of_bluetoothd_is_no_problem(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        field.sensor()
        await asyncio.sleep(10)
        await bluez.terminate()
        await asyncio.sleep(TROUBLE_AFTER_S - 2)
        await bluez.start()
        await asyncio.sleep(5)
        assert field.problems.revision == 0


async def test_after_the_radio_came_back_a_strap_in_use_is_never_called_missing(
    bluez: FakeBluez,
) -> None:
    async with playing(bluez) as field:
        strap = field.sensor()
        await asyncio.sleep(10)
        field.airspace.taken_by(strap, TRACKER)
        await asyncio.sleep(GONE_S)
        bluez.power("hci0", is_on=False)
        await asyncio.sleep(5)
        bluez.power("hci0", is_on=True)
        holders = []
        for _ in range(30):
            await asyncio.sleep(1)
            holders.append(field.about(strap).holder)
        assert set(holders[1:]) == {"tracker"}


async def test_looking_closer_reads_a_strap_over_a_link_and_lets_it_go(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        strap = field.sensor()
        await asyncio.sleep(5)
        with pytest.raises(InspectionRefused, match=f"{TRACKER} could not have it"):
            await field.sensors.inspect(field.about(strap).id, is_link_taken_knowingly=False)
        inspection = await field.sensors.inspect(field.about(strap).id, is_link_taken_knowingly=True)
        assert (inspection.battery_percent, inspection.manufacturer) == (85, "Polar Electro Oy")
        assert inspection.heart_rate is not None
        assert inspection.heart_rate.median_bpm == 142
        assert not bluez.connected(strap.peripheral)
        assert (field.about(strap).presence, field.about(strap).holder) == ("seen", "unknown")
        await asyncio.sleep(5)
        about = field.about(strap)
        assert (about.presence, about.battery_percent, about.inspection) == ("seen", 85, inspection)


async def test_looking_closer_at_a_right_pedal_warns_of_half_the_power(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        pedal = field.sensor(ASSIOMA_RIGHT, is_assigned=False)
        await asyncio.sleep(5)
        inspection = await field.sensors.inspect(field.about(pedal).id, is_link_taken_knowingly=False)
        assert inspection.power is not None
        assert inspection.power.mean_w == 230
        assert inspection.power.cadence_rpm == pytest.approx(88, abs=1)
        await asyncio.sleep(2)
        assert [warning for warning in field.about(pedal).warnings if "about half" in warning]


async def test_the_gateway_stops_in_the_middle_of_a_look_and_holds_nothing_any_more(bluez: FakeBluez) -> None:
    looks: list[asyncio.Task[object]] = []
    async with asyncio.TaskGroup() as tasks:
        async with playing(bluez) as field:
            strap = field.sensor(is_assigned=False)
            await asyncio.sleep(5)
            look = field.sensors.inspect(field.about(strap).id, is_link_taken_knowingly=False)

            async def refused() -> None:
                with contextlib.suppress(InspectionRefused):
                    await look

            looks.append(tasks.create_task(refused()))
            await asyncio.sleep(4)
            assert bluez.connected(strap.peripheral)
        assert not bluez.connected(strap.peripheral)
    assert looks[0].done()


async def test_a_strap_that_walks_off_with_our_link_is_said_and_let_go(bluez: FakeBluez) -> None:
    async with playing(bluez) as field:
        strap = field.sensor(is_assigned=False)
        await asyncio.sleep(5)
        bluez.hang("Connect")
        with pytest.raises(InspectionRefused, match="move closer"):
            await field.sensors.inspect(field.about(strap).id, is_link_taken_knowingly=False)
        bluez.obey("Connect")
        await asyncio.sleep(10)
        inspection = await field.sensors.inspect(field.about(strap).id, is_link_taken_knowingly=False)
        assert inspection.battery_percent == 85

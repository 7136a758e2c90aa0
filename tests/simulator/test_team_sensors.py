"""The sensors of a team: who is in the air, and what the trackers record of it."""

import asyncio
import shutil
from collections import Counter
from typing import Any

import pytest
from bleak import BleakScanner

from gateway.simulator.airspace import Airspace
from gateway.simulator.bluez.bus import BusError
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import Refusal
from gateway.simulator.faults import Faults
from gateway.simulator.sensor_models import Unit, meter, strap
from gateway.simulator.team_sensors import FORGOTTEN, SNATCHED, SNATCHED_AT_S, SPARES, Team, sensors_in_the_air
from tests.bluetooth.conftest import close_bleak
from tests.fakes.quiet_bus import quiet_bus
from tests.simulator.bench import LoopClock, ManualClock, bench
from tests.simulator.test_airspace import Radio

TRACKERS = 12


class Ground:
    """A team of twelve, and one clock for cloud and air."""

    def __init__(self, trackers: int = TRACKERS) -> None:
        self.clock = ManualClock()
        self.cloud = SimulatedCloud(trackers, 7, Faults(initially_owned=trackers), self.clock)
        self.radio = Radio()
        self.air = Airspace(self.radio, self.now_s)
        self.team = Team(self.cloud, self.air, self.now_s)
        self.ids = [device.device_id for device in self.cloud.devices]

    def now_s(self) -> float:
        return self.clock() / 1000

    def wait(self, seconds: int) -> Counter[str]:
        """Let time pass; how often each name was heard."""
        before = len(self.radio.heard)
        for _ in range(seconds):
            self.team.look()
            for _ in range(20):
                self.clock.advance(0.05)
                self.air.advance(self.now_s())
        return Counter(peripheral.name or "" for peripheral, _ in self.radio.heard[before:])

    def recorded(self, place: int) -> dict[str, Any]:
        """What was in the rows of a second, three seconds ago."""
        now_ms = self.clock()
        rows = self.cloud.truth(self.ids[place], now_ms - 4000, now_ms - 3000)
        assert rows
        return {key: value for row in rows for key, value in row.items()}

    def pair(self, place: int, unit: Unit) -> None:
        """Assign a strap to a tracker, and start it anew."""
        pairing = {"mac_address": unit.address, "name": unit.name}
        self.cloud.write_pairings(self.ids[place], {"pairing_1": pairing})
        self.cloud.restart(self.ids[place])


@pytest.fixture(scope="module")
def later() -> Ground:
    """The beginning is over, and the phone has taken the strap."""
    ground = Ground()
    ground.wait(40)
    return ground


@pytest.fixture
def ground() -> Ground:
    ground = Ground()
    ground.wait(5)
    return ground


def test_the_cloud_has_the_sensors_that_are_in_the_air_paired() -> None:
    ground = Ground()
    for place, device_id in enumerate(ground.ids):
        pairings = ground.cloud.bluetooth(device_id).current(ground.clock())
        units = [unit for unit in (strap(place), meter(place)) if unit is not None]
        assert list(pairings.values()) == [{"mac_address": unit.address, "name": unit.name} for unit in units]


def test_what_a_tracker_holds_is_not_in_the_air_unless_it_has_links_to_spare(later: Ground) -> None:
    heard = later.wait(10)
    for place in range(TRACKERS):
        for unit in filter(None, (strap(place), meter(place))):
            is_heard = unit.model.links > 1
            assert bool(heard[unit.name]) is is_heard, unit.name
    assert heard[strap(0).name], "the dual-link strap"
    assert all(heard[spare.name] for spare in SPARES)
    assert heard[""], "phones"


def test_every_tracker_records_its_athlete_but_for_two(later: Ground) -> None:
    lacking = [place for place in range(TRACKERS) if "ecg.hr" not in later.recorded(place)]
    assert lacking == [SNATCHED, FORGOTTEN]
    riders = [place for place in range(TRACKERS) if "pwr.pwr_instantpower" in later.recorded(place)]
    assert riders == [1, 3, 5, 7, 9, 11]


def test_the_snatched_strap_is_in_the_air_until_the_phone_has_it() -> None:
    ground = Ground()
    name = strap(SNATCHED).name
    assert ground.wait(int(SNATCHED_AT_S))[name] > 15
    assert ground.wait(2)[name] <= 1
    assert ground.wait(10)[name] == 0


def test_the_forgotten_strap_is_not_heard_before_she_puts_it_on() -> None:
    ground, name = Ground(), strap(FORGOTTEN).name
    assert ground.wait(60)[name] == 0
    assert [sensor["athlete"] for sensor in ground.team.sensors() if sensor["name"] == name] == [None]
    ground.team.wear(name, FORGOTTEN)
    ground.wait(8)
    assert "ecg.hr" in ground.recorded(FORGOTTEN)


@pytest.mark.parametrize("place", [4, 9])
def test_what_a_tracker_held_is_back_within_seconds_after_it_was_switched_off(ground: Ground, place: int) -> None:
    units = [unit for unit in (strap(place), meter(place)) if unit is not None]
    ground.cloud.set_power(ground.ids[place], on=False)
    heard = ground.wait(4)
    assert all(heard[unit.name] >= 2 for unit in units)
    ground.cloud.set_power(ground.ids[place], on=True)
    ground.wait(2)
    heard = ground.wait(10)
    assert all(heard[unit.name] == 0 for unit in units if unit.model.links == 1)
    assert "ecg.hr" in ground.recorded(place)


def test_a_tracker_that_is_paired_anew_lets_go_of_one_strap_and_takes_the_other(ground: Ground) -> None:
    spare = SPARES[0]
    assert ground.wait(10)[spare.name]
    ground.pair(4, spare)
    ground.wait(2)
    heard = ground.wait(10)
    assert heard[spare.name] == 0
    assert heard[strap(4).name] >= 8
    assert ground.recorded(4)["ecg.hr"] == pytest.approx(ground.cloud.athlete(4).heart_rate, abs=8), "she wears it now"


def test_a_tracker_paired_with_the_strap_of_another_athlete_records_that_ones_heart(ground: Ground) -> None:
    """And the other's tracker, switched on later, does not get it any more."""
    ground.cloud.set_power(ground.ids[4], on=False)
    ground.pair(8, strap(4))
    ground.wait(10)
    ground.cloud.set_power(ground.ids[4], on=True)
    ground.wait(10)
    first_ms = ground.cloud.delivery(ground.ids[8]).first_ms
    of: dict[int, list[int | None]] = {4: [], 8: []}
    recorded = []
    for _ in range(20):
        ground.wait(3)
        row = ground.recorded(8)
        recorded.append(row["ecg.hr"])
        for place, rates in of.items():
            rates.append(ground.cloud._world.second(place, (row["ecg.timestamp"] - first_ms) // 1000).heart_rate)
    assert recorded == of[4] != of[8]
    assert "ecg.hr" not in ground.recorded(4)


def test_a_tracker_that_only_says_so_goes_on_with_the_strap_it_had(ground: Ground) -> None:
    ground.cloud.set_obedience(ground.ids[4], "says_so")
    ground.pair(4, SPARES[0])
    heard = ground.wait(10)
    assert heard[SPARES[0].name] >= 7
    assert heard[strap(4).name] == 0
    assert "ecg.hr" in ground.recorded(4)
    current = ground.cloud.bluetooth(ground.ids[4]).current(ground.clock())
    assert current["pairing_1"]["name"] == SPARES[0].name


def test_a_tracker_that_was_reset_lets_go_of_everything(ground: Ground) -> None:
    ground.cloud.forget_pairings(ground.ids[9])
    ground.wait(2)
    heard = ground.wait(5)
    assert heard[strap(9).name] >= 2
    assert "ecg.hr" not in ground.recorded(9)
    assert "pwr.pwr_instantpower" not in ground.recorded(9)


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_a_strap_that_is_taken_off_goes_on_with_its_last_heart_rate_and_soon_sleeps(ground: Ground) -> None:
    name = strap(4).name
    last = ground.cloud.athlete(4).heart_rate
    ground.team.wear(name, None)
    ground.wait(5)
    rates = []
    for _ in range(12):
        ground.wait(3)
        rates.append(ground.recorded(4)["ecg.hr"])
        ground.team.wear(name, None)
    assert rates == [last] * 12
    ground.wait(30)
    assert "ecg.hr" not in ground.recorded(4)
    ground.cloud.set_power(ground.ids[4], on=False)
    assert ground.wait(10)[name] == 0
    ground.team.wear(name, 4)
    assert ground.wait(10)[name] >= 8
    ground.cloud.set_power(ground.ids[4], on=True)
    ground.wait(8)
    assert "ecg.hr" in ground.recorded(4)


def test_pedals_that_nobody_turns_any_more_give_no_power(ground: Ground) -> None:
    unit = meter(5)
    assert unit is not None
    ground.team.wear(unit.name, None)
    ground.wait(8)
    assert ground.recorded(5)["pwr.pwr_instantpower"] == 0


def test_two_athletes_who_exchange_their_straps_are_recorded_by_each_others_trackers(ground: Ground) -> None:
    ground.team.wear(strap(0).name, 8)
    ground.team.wear(strap(8).name, 0)
    ground.wait(5)
    for place, other in ((0, 8), (8, 0)):
        first_ms = ground.cloud.delivery(ground.ids[place]).first_ms
        row = ground.recorded(place)
        second = (row["ecg.timestamp"] - first_ms) // 1000
        rates = [ground.cloud._world.second(athlete, second).heart_rate for athlete in (place, other)]
        assert rates[0] != rates[1] == row["ecg.hr"]


def test_a_sensor_is_found_by_part_of_its_name_and_nothing_else(ground: Ground) -> None:
    part = SPARES[0].name[-4:].lower()
    ground.team.place(part, 0.1)
    [spare] = [sensor for sensor in ground.team.sensors() if sensor["name"] == SPARES[0].name]
    assert (spare["distance_m"], spare["athlete"], spare["holders"]) == (0.1, None, [])
    for unclear, status in (("H10", 409), ("nothing", 404)):
        with pytest.raises(Refusal) as refused:
            ground.team.place(unclear, 0.1)
        assert refused.value.status == status


@pytest.mark.parametrize("trackers", [1, TRACKERS])
def test_a_spare_strap_held_to_the_gateway_leads_the_team_by_more_than_ten_decibels(trackers: int) -> None:
    ground = Ground(trackers)
    ground.wait(25)
    ground.team.place(SPARES[1].name, 0.1)
    before = len(ground.radio.heard)
    ground.wait(10)
    of: dict[str, list[int]] = {}
    for peripheral, rssi_dbm in ground.radio.heard[before:]:
        of.setdefault(peripheral.name or "", []).append(rssi_dbm)
    held = of.pop(SPARES[1].name)
    assert min(held) > max(rssi_dbm for others in of.values() for rssi_dbm in others) + 10


def test_at_least_three_straps_broadcast_while_their_trackers_hold_them(later: Ground) -> None:
    heard = later.wait(10)
    broadcasting = [
        unit
        for unit in map(strap, range(TRACKERS))
        if unit.model.broadcasts and heard[unit.name] >= 7 and "ecg.hr" in later.recorded(unit.number)
    ]
    assert len(broadcasting) >= 3


def test_a_strap_in_the_place_of_a_power_meter_is_no_power_meter(ground: Ground) -> None:
    pairing = {"mac_address": SPARES[0].address.upper(), "name": SPARES[0].name}
    ground.cloud.write_pairings(ground.ids[5], {"pairing_2": pairing})
    ground.cloud.restart(ground.ids[5])
    assert ground.wait(10)[SPARES[0].name] >= 7
    assert "pwr.pwr_instantpower" not in ground.recorded(5)


def test_a_team_of_one_has_no_story_and_spare_straps_all_the_same() -> None:
    ground = Ground(trackers=1)
    heard = ground.wait(30)
    assert "ecg.hr" in ground.recorded(0)
    assert heard.keys() >= {strap(0).name, SPARES[0].name, SPARES[1].name}


# --- on a bus ---------------------------------------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.dbus
async def test_a_scanner_on_the_address_hears_the_team(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real bleak, in virtual time; the bus is gone afterwards."""
    cloud = SimulatedCloud(TRACKERS, 7, Faults(), LoopClock())
    names: Counter[str | None] = Counter()
    async with sensors_in_the_air(cloud) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        with quiet_bus(address):
            async with BleakScanner(lambda device, _: names.update([device.name])):
                await asyncio.sleep(SNATCHED_AT_S - 2)
                assert names[strap(SNATCHED).name] > 10
                assert names[strap(0).name] > 10
                assert names[strap(4).name] <= 1
                await asyncio.sleep(3)
                names.clear()
                await asyncio.sleep(5)
                assert names[strap(SNATCHED).name] == 0
            await close_bleak()
    with pytest.raises(OSError):
        await asyncio.open_unix_connection(address.removeprefix("unix:path="))


@pytest.mark.dbus
async def test_sensors_are_moved_and_worn_by_control_as_long_as_they_are_in_the_air() -> None:
    async with bench(trackers=4) as sim:
        part = SPARES[0].name.replace(" ", "%20")
        assert (await sim.control("GET", "sensors")).status == 404
        async with sensors_in_the_air(sim.cloud):
            assert len((await sim.control("GET", "sensors")).body["sensors"]) == 8
            moved = (await sim.control("POST", f"sensors/{part}/place", {"distance_m": 0.1})).body["sensors"]
            assert [sensor["name"] for sensor in moved if sensor["distance_m"] == 0.1] == [SPARES[0].name]
            worn = (await sim.control("POST", f"sensors/{part}/wear", {"athlete": 2})).body["sensors"]
            assert [sensor["athlete"] for sensor in worn if sensor["name"] == SPARES[0].name] == [2]
            worn = (await sim.control("POST", f"sensors/{part}/wear", {"athlete": None})).body["sensors"]
            assert [sensor["athlete"] for sensor in worn if sensor["name"] == SPARES[0].name] == [None]
            for command, body, status in WRONG_COMMANDS:
                assert (await sim.control("POST", f"sensors/{command}", body)).status == status, (command, body)
        assert (await sim.control("POST", f"sensors/{part}/place", {"distance_m": 0.1})).status == 404


WRONG_COMMANDS: tuple[tuple[str, object, int], ...] = (
    ("H/place", {"distance_m": 1}, 409),
    ("nobody/place", {"distance_m": 1}, 404),
    ("TICKR/place", {"distance_m": 0}, 400),
    ("TICKR/place", {"distance_m": True}, 400),
    ("TICKR/place", {"distance_m": "near"}, 400),
    ("TICKR/place", {"metres": 1}, 400),
    ("TICKR/place", {}, 400),
    ("TICKR/wear", {}, 400),
    ("TICKR/wear", {"athlete": 4}, 400),
    ("TICKR/wear", {"athlete": -1}, 400),
    ("TICKR/wear", {"athlete": False}, 400),
    ("TICKR/wear", {"athlete": "Ada"}, 400),
)


@pytest.mark.dbus
async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    cloud = SimulatedCloud(1, 7, Faults(), ManualClock())
    with pytest.raises(OSError, match="the port is taken"):
        async with sensors_in_the_air(cloud):
            raise OSError("the port is taken")


async def test_without_a_dbus_daemon_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(BusError, match="dbus"):
        async with sensors_in_the_air(SimulatedCloud(1, 7, Faults(), ManualClock())):
            pass

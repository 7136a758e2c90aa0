"""What the pairings are told of the radio, the live data, and the straps' own words."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.radio import Radio, RadioState
from gateway.bridges.evidence import PairingEvidence
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.evidence.proof import FEWEST_S, NEWEST_S
from gateway.pairing.evidence.session import LOCK_S
from gateway.pairing.observation import Air, Delivery, Ears, Match
from gateway.telemetry import delivery as telemetry
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.address import AddressKind
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock
from tests.bluetooth.adverts import address, polar_data
from tests.bluetooth.played import NAME, OFF, World, played

pytestmark = pytest.mark.looptime

STRAP = Sensor(address(1), NAME)
BEN, EVE = "SIM-0001", "SIM-0002"
DELAY_MS = 3000
OFFSET_MS = 250_000
"""The Pi's wall clock is wrong by so much, and the cloud's is right."""


class Team:
    """Two trackers and what they send, on the cloud's time; the radio of the world around them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.channels = {
            number: Channel(number, Wearer(serial_number), 3000, reference_ms=self.cloud_ms)
            for number, serial_number in enumerate((BEN, EVE), 1)
        }
        for number, channel in self.channels.items():
            channel.device_id = number
        self.is_cloud_known = True
        self.beats = 0
        self.evidence = PairingEvidence(
            self.channels, world.sensors, lambda: self.cloud_ms() if self.is_cloud_known else None
        )

    def cloud_ms(self) -> int:
        return self.world.utc_ms() + OFFSET_MS

    def beat(self) -> None:
        self.beats += 1

    def send(self, number: int, speed: float = 0.0, heart_rate: float = np.nan, power: float = np.nan) -> None:
        """One second, measured some seconds ago."""
        first_ms = (self.cloud_ms() - DELAY_MS) // 1000 * 1000
        values = np.full((len(QUANTITIES), 10), np.nan)
        values[Column.SPEED] = speed
        values[Column.HEART_RATE, 0] = heart_rate
        values[Column.POWER, 0] = power
        block = SampleBlock(first_ms + 100 * np.arange(10, dtype=np.int64), values)
        self.channels[number].rows_came(block, self.world.now())

    async def seconds(self, count: int, happens: Callable[[int], None]) -> None:
        for second in range(count):
            happens(second)
            await asyncio.sleep(1.0)


@asynccontextmanager
async def team() -> AsyncIterator[Team]:
    async with played() as world, asyncio.TaskGroup() as tasks:
        made = Team(world)
        task = tasks.create_task(made.evidence.run(made.beat))
        yield made
        task.cancel()


def heart(second: int, phase_s: int = 0) -> int:
    return 140 + round(30 * math.sin((second + phase_s) * 2 * math.pi / 120))


def wants(serial_number: str, name: str = NAME) -> Assignment:
    return Assignment(serial_number, None, None, SensorKind.HEART_RATE, address(1), name, is_applied=True)


# --- the radio --------------------------------------------------------------------------------------------------------


async def test_how_the_radio_is() -> None:
    async with team() as made:
        await asyncio.sleep(59.5)
        assert made.evidence.ears() == Ears("listening", 60.0)
        made.world.receiver.radio = OFF
        assert made.evidence.ears() == Ears("powered_off", None, OFF.text, OFF.action)
        made.world.receiver.radio = silent = Radio(RadioState.SILENT, "hci0", listening_since_s=None)
        assert made.evidence.ears() == Ears("silent", None, silent.text, silent.action)


async def test_a_strap_in_the_air_whether_or_not_a_tracker_has_it_yet() -> None:
    async with team() as made:
        await made.world.advertise(5)
        expected = Air("seen", True, 1.0, -60, "heart_rate", AddressKind.PUBLIC, "free")
        assert made.evidence.air([STRAP]) == {address(1): expected}
        made.world.fleet.all, made.world.fleet.delivering = [wants(BEN)], {BEN: True}
        await asyncio.sleep(60.0)
        [air] = made.evidence.air([STRAP]).values()
        assert (air.presence, air.holder, air.silent_s) == ("gone", "tracker", 61.0)


async def test_a_strap_that_was_heard_this_very_moment() -> None:
    async with team() as made:
        await asyncio.sleep(60.0)
        made.world.hear()
        [air] = made.evidence.air([STRAP]).values()
        assert (air.presence, air.was_heard, air.silent_s) == ("seen", True, 0.0)


@pytest.mark.parametrize(("after_s", "presence"), [(5.0, "unknown"), (60.0, "gone")])
async def test_a_sensor_that_was_never_heard(after_s: float, presence: str) -> None:
    async with team() as made:
        await asyncio.sleep(after_s)
        assert made.evidence.air([STRAP]) == {address(1): Air(presence, was_heard=False)}


async def test_the_silence_of_a_deaf_radio_says_nothing() -> None:
    async with team() as made:
        await made.world.advertise(5)
        made.world.receiver.radio = OFF
        await asyncio.sleep(40.0)
        [air] = made.evidence.air([STRAP]).values()
        assert (air.presence, air.holder) == ("unknown", "unknown")


async def test_a_strap_that_has_a_new_address_is_found_by_its_name() -> None:
    async with team() as made:
        made.world.fleet.all = [wants(BEN)]
        await made.world.advertise(2, number=7, address_kind=AddressKind.STATIC)
        [air] = made.evidence.air([STRAP]).values()
        assert (air.has_new_address, air.new_address, air.address_kind) == (True, address(7), AddressKind.STATIC)


async def test_two_straps_that_tell_the_same_id_are_said_to() -> None:
    async with team() as made:
        for _turn in range(3):
            for number in (1, 2):
                made.world.hear(number)
                await asyncio.sleep(1.0)
        known, unknown = Sensor(address(1), NAME), Sensor(address(9), NAME)
        air = made.evidence.air([known, unknown])
        assert (air[known.address].was_heard, air[known.address].is_ambiguous) == (True, True)
        assert (air[unknown.address].was_heard, air[unknown.address].is_ambiguous) == (False, True)


async def test_a_sensor_whose_name_nobody_knows_is_found_by_its_address() -> None:
    async with team() as made:
        await made.world.advertise(2)
        [air] = made.evidence.air([Sensor(address(1), "")]).values()
        assert air.presence == "seen"


# --- the live data ----------------------------------------------------------------------------------------------------


async def test_what_comes_of_each_slot() -> None:
    async with team() as made:
        assert made.evidence.delivery(BEN, Slot.HEART_RATE) is Delivery.TRACKER_SILENT
        await made.seconds(35, lambda second: made.send(1, 4.0, 150, 200 + second))
        assert made.evidence.delivery(BEN, Slot.HEART_RATE) is Delivery.FLAT
        assert made.evidence.delivery(BEN, Slot.POWER) is Delivery.FLOWING
        assert made.evidence.delivery(EVE, Slot.POWER) is Delivery.TRACKER_SILENT
        await made.seconds(15, lambda _second: made.send(1, 4.0, power=200))
        assert made.evidence.delivery(BEN, Slot.HEART_RATE) is Delivery.NOTHING
        assert made.evidence.delivery("a tracker of others", Slot.POWER) is Delivery.TRACKER_SILENT


@pytest.mark.parametrize("told", telemetry.Delivery)
def test_every_word_for_a_delivery_is_one_that_the_pairings_know(told: telemetry.Delivery) -> None:
    assert Delivery(told)


async def test_when_a_tracker_brought_something_new() -> None:
    async with team() as made:
        assert made.evidence.contact_s(BEN) is None
        await asyncio.sleep(7.0)
        made.send(1)
        moved_s = made.world.now()
        await asyncio.sleep(60.0)
        assert made.evidence.contact_s(BEN) == moved_s
        assert made.evidence.contact_s("a tracker of others") is None


async def test_one_who_runs_locks_for_all_until_ten_minutes_after() -> None:
    async with team() as made:
        await made.seconds(20, lambda _second: made.send(1, 1.5))
        assert made.evidence.session_until_s() is None, "a technician carries it"
        await made.seconds(10, lambda _second: made.send(1, 4.0))
        until_s = made.evidence.session_until_s()
        assert until_s is not None
        assert until_s - made.world.now() == pytest.approx(LOCK_S, abs=1.0)
        await made.seconds(60, lambda _second: made.send(1, 0.0))
        assert made.evidence.session_until_s() == pytest.approx(until_s, abs=10.0)
        await asyncio.sleep(LOCK_S)
        assert made.evidence.session_until_s() is None


# --- the strap's own words --------------------------------------------------------------------------------------------


def broadcast(made: Team, second: int) -> None:
    """Eve wears the strap, and both trackers send what they have."""
    made.world.hear(manufacturer_data=polar_data(heart(second), second))
    made.send(1, heart_rate=heart(second - DELAY_MS // 1000, 60))
    made.send(2, heart_rate=heart(second - DELAY_MS // 1000))


async def test_a_strap_that_broadcasts_is_found_on_the_tracker_that_sends_the_same() -> None:
    async with team() as made:
        made.world.fleet.all = [wants(BEN)]
        await made.seconds(FEWEST_S - 5, lambda second: broadcast(made, second))
        assert made.evidence.matches()[address(1)].serial_number is None
        await made.seconds(70, lambda second: broadcast(made, second + FEWEST_S - 5))
        match = made.evidence.matches()[address(1)]
        assert match.serial_number == EVE
        assert match.confidence > 0.9
        assert match.seconds >= FEWEST_S
        await asyncio.sleep(NEWEST_S + 6.0)
        assert made.evidence.matches() == {}, "nothing is broadcast any more"


async def test_without_the_clouds_clock_nothing_is_compared() -> None:
    async with team() as made:
        made.world.fleet.all, made.is_cloud_known = [wants(BEN)], False
        await made.seconds(120, lambda second: broadcast(made, second))
        assert made.evidence.matches() == {}


async def test_the_heart_of_somebody_who_has_no_tracker_is_not_collected() -> None:
    async with team() as made:
        await made.seconds(120, lambda second: broadcast(made, second))
        assert made.evidence.matches() == {}
        assert made.world.sensors.heart_rates() == {}


async def test_the_heart_of_who_is_not_released_is_not_collected_any_more_and_what_was_is_overwritten() -> None:
    async with team() as made:
        made.world.fleet.all = [wants(BEN)]
        await made.seconds(30, lambda second: broadcast(made, second))
        rates = made.evidence._broadcasts._straps[address(1)].rates
        assert not np.isnan(rates).all()
        made.world.fleet.all = [replace(wants(BEN), is_released=False)]
        await made.seconds(5, lambda second: broadcast(made, second))
        assert np.isnan(rates).all()
        assert made.evidence._broadcasts._straps == {}
        assert made.evidence.matches() == {}


async def test_a_strap_with_a_new_address_is_told_under_the_one_that_its_tracker_looks_for() -> None:
    async with team() as made:
        made.world.fleet.all = [wants(BEN)]
        await made.world.advertise(3, number=7)
        assert made.world.sensors.heart_rates() == {address(1): 71}
        assert made.evidence.matches() == {address(1): Match(None, 0.0, 0)}


async def test_a_tracker_that_nobody_may_follow_is_not_called_silent() -> None:
    async with team() as made:
        made.channels[1].since_ms = None
        await asyncio.sleep(2.0)
        assert made.evidence.delivery(BEN, Slot.HEART_RATE) is Delivery.UNRELEASED
        assert made.evidence.delivery(EVE, Slot.HEART_RATE) is Delivery.TRACKER_SILENT


async def test_a_turn_that_fails_ends_nothing_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with team() as made:
        await asyncio.sleep(2.0)
        with monkeypatch.context() as broken:
            broken.setattr(made.world.sensors, "heart_rates", lambda: 1 // 0)
            await made.seconds(5, lambda _second: made.send(1, heart_rate=150))
        beats = made.beats
        await asyncio.sleep(2.0)
        assert made.beats > beats
        assert made.evidence.delivery(BEN, Slot.HEART_RATE) is Delivery.FLOWING
        assert [record.levelname for record in caplog.records] == ["ERROR"]

"""Who is heard how often and how loudly, and who may connect: in time that a test tells."""

from collections import Counter
from statistics import mean, stdev

import pytest

from gateway.simulator.airspace import METER_LINGERS_S, STRAP_LINGERS_S, Airspace
from gateway.simulator.bluez.peripheral import Peripheral
from gateway.simulator.bystanders import bystanders
from gateway.simulator.encoders import CYCLING_POWER_MEASUREMENT, HEART_RATE_MEASUREMENT
from gateway.simulator.sensor_models import MODELS, Unit, strap
from gateway.simulator.sensors import Sensor, Vitals

WORKING = Vitals(heart_rate_bpm=150, power_w=240, cadence_rpm=90)
TRACKER, PHONE = "a tracker", "a phone"


def working() -> Vitals:
    return WORKING


class Radio:
    """Keeps what reaches it."""

    def __init__(self) -> None:
        self.heard: list[tuple[Peripheral, int]] = []
        self.told: list[tuple[str, bytes]] = []
        self.links: set[Peripheral] = set()

    def hear(self, peripheral: Peripheral, rssi_dbm: int) -> None:
        self.heard.append((peripheral, rssi_dbm))

    def notify(self, peripheral: Peripheral, uuid: str, value: bytes) -> None:
        assert peripheral in self.links
        self.told.append((uuid, value))

    def connected(self, peripheral: Peripheral) -> bool:
        return peripheral in self.links

    def drop_link(self, peripheral: Peripheral) -> None:
        self.links.discard(peripheral)


class Field:
    """An airspace with a radio, and its clock."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.radio = Radio()
        self.air = Airspace(self.radio, lambda: self.now_s, seed=5)

    def sensor(self, model: str = "polar_h10", distance_m: float = 3.0, *, is_worn: bool = True) -> Sensor:
        sensor = Sensor(Unit(MODELS[model], len(self.radio.heard) + 1))
        self.air.appear(sensor, distance_m, working if is_worn else None)
        return sensor

    def wait(self, seconds: float) -> list[int]:
        """Let time pass; the strengths of what was heard meanwhile."""
        before, until_s = len(self.radio.heard), self.now_s + seconds
        while (next_s := self.air.advance(self.now_s)) <= until_s:
            self.now_s = next_s
        self.now_s = until_s
        return [rssi_dbm for _, rssi_dbm in self.radio.heard[before:]]


@pytest.fixture
def field() -> Field:
    return Field()


@pytest.mark.parametrize("model", MODELS)
def test_each_model_advertises_at_its_own_interval_but_for_what_the_radio_misses(field: Field, model: str) -> None:
    field.sensor(model)
    expected = 200 / (MODELS[model].interval_s + 0.005)
    assert 0.88 * expected < len(field.wait(200)) < 0.99 * expected


def test_strength_follows_distance_and_varies(field: Field) -> None:
    sensor = field.sensor(distance_m=1)
    strengths = [field.wait(300)]
    for metres in (3, 10):
        field.air.walk(sensor, metres, speed_m_s=1000)
        field.wait(1)
        strengths.append(field.wait(300))
    assert [round(mean(values)) for values in strengths] == pytest.approx([-60, -71, -84], abs=1)
    assert all(2.5 < stdev(values) < 4.5 for values in strengths)


def test_who_walks_away_fades_and_is_lost_and_comes_back(field: Field) -> None:
    sensor = field.sensor(distance_m=2)
    field.wait(10)
    field.air.walk(sensor, 80)
    fading = [field.wait(6) for _ in range(10)]
    means = [mean(values) for values in fading if values]
    assert len(means) >= 4
    assert means[0] > means[1] > means[2] > means[3]
    assert fading[-2:] == [[], []]
    assert sensor.peripheral.accepts_link is False
    field.air.walk(sensor, 2)
    field.wait(60)
    assert len(field.wait(10)) >= 8
    assert sensor.peripheral.accepts_link is True


def test_what_is_put_somewhere_is_there_at_once_and_leads_when_held_to_the_gateway(field: Field) -> None:
    """Even smoothed over a few seconds, and beside others that are near."""
    far, near = field.sensor(distance_m=30), field.sensor(distance_m=1)
    field.wait(5)
    field.air.place(far, 0.1)
    assert field.air.distance_m(far) == 0.1
    for _ in range(20):
        before = len(field.radio.heard)
        field.wait(5)
        heard = field.radio.heard[before:]
        held, other = (
            mean(rssi_dbm for peripheral, rssi_dbm in heard if peripheral is sensor.peripheral)
            for sensor in (far, near)
        )
        assert held > other + 10
    field.air.place(far, 200)
    assert all(rssi < -50 for rssi in field.wait(5))


def test_a_strap_that_is_held_is_not_in_the_air_until_it_is_released(field: Field) -> None:
    sensor = field.sensor()
    assert field.wait(5)
    assert field.air.taken_by(sensor, TRACKER)
    assert field.wait(60) == []
    assert not sensor.peripheral.accepts_link
    assert not field.air.taken_by(sensor, PHONE), "it has one link only"
    assert field.air.taken_by(sensor, TRACKER), "it has it already"
    field.air.released(sensor, TRACKER)
    assert len(field.wait(3)) >= 2
    assert sensor.peripheral.accepts_link


def test_a_strap_with_two_links_stays_in_the_air_while_one_is_free(field: Field) -> None:
    sensor = field.sensor("polar_h10_dual")
    assert field.air.taken_by(sensor, TRACKER)
    assert field.wait(10)
    assert field.air.taken_by(sensor, PHONE)
    assert field.wait(10) == []
    assert field.air.holders(sensor) == {TRACKER, PHONE}


def test_the_gateways_own_link_counts(field: Field) -> None:
    sensor = field.sensor()
    field.radio.links.add(sensor.peripheral)
    assert field.wait(10) == []
    assert not field.air.taken_by(sensor, TRACKER)
    field.radio.links.clear()
    assert field.air.taken_by(sensor, TRACKER)


@pytest.mark.parametrize(
    ("model", "uuid"), [("polar_h10", HEART_RATE_MEASUREMENT), ("stages", CYCLING_POWER_MEASUREMENT)]
)
def test_who_is_connected_is_told_a_measurement_each_second(field: Field, model: str, uuid: str) -> None:
    sensor = field.sensor(model)
    field.wait(10)
    assert field.radio.told == []
    field.radio.links.add(sensor.peripheral)
    field.wait(10)
    assert Counter(told for told, _ in field.radio.told) == {uuid: 10}
    assert len({value for _, value in field.radio.told}) > 5


@pytest.mark.parametrize(("model", "lingers_s"), [("polar_h10", STRAP_LINGERS_S), ("stages", METER_LINGERS_S)])
def test_what_is_not_used_any_more_falls_asleep_after_a_while(field: Field, model: str, lingers_s: float) -> None:
    sensor = field.sensor(model)
    field.wait(5)
    field.air.take_off(sensor)
    assert len(field.wait(lingers_s - 2)) > 0.8 * lingers_s
    field.wait(3)
    assert field.wait(60) == []
    field.air.put_on(sensor, working)
    assert field.wait(3)


def test_a_sleeping_strap_lets_go_of_everybody(field: Field) -> None:
    sensor = field.sensor("polar_h10_dual")
    assert field.air.taken_by(sensor, TRACKER)
    field.radio.links.add(sensor.peripheral)
    field.air.take_off(sensor)
    field.wait(STRAP_LINGERS_S + 2)
    assert field.air.holders(sensor) == set()
    assert field.radio.links == set()
    assert not field.air.taken_by(sensor, TRACKER)


def test_what_nobody_uses_is_silent(field: Field) -> None:
    field.sensor(is_worn=False)
    assert field.wait(60) == []


def test_a_meter_sleeps_while_the_cranks_stand(field: Field) -> None:
    meter = Sensor(Unit(MODELS["assioma_left"], 0))
    standing = Vitals(heart_rate_bpm=90)
    field.air.appear(meter, 2, lambda: standing)
    assert field.wait(20) == []


def test_a_dead_battery_is_a_silent_sensor_that_drops_its_links(field: Field) -> None:
    sensor = field.sensor("polar_h10_dual")
    field.radio.links.add(sensor.peripheral)
    assert field.wait(5)
    field.air.set_battery(sensor, 1)
    assert field.wait(5)
    field.air.set_battery(sensor, 0)
    assert field.radio.links == set()
    assert field.wait(60) == []
    field.air.set_battery(sensor, 100)
    assert field.wait(5)


def test_who_leaves_is_gone_and_may_come_again(field: Field) -> None:
    sensor = field.sensor()
    field.radio.links.add(sensor.peripheral)
    field.air.leave(sensor)
    assert field.radio.links == set()
    assert field.wait(10) == []
    field.air.appear(sensor, 3, working)
    assert 25 <= len(field.wait(30)) <= 30


def test_what_was_slept_through_is_not_made_up_for(field: Field) -> None:
    """The event loop may stand still for a while; a burst afterwards would be no air."""
    field.sensor("powrlink")
    field.wait(1)
    field.now_s += 60
    before = len(field.radio.heard)
    field.air.advance(field.now_s)
    assert len(field.radio.heard) - before <= 1
    assert 7 <= len(field.wait(1)) <= 11


def test_the_frame_counter_of_a_strap_in_the_air_moves(field: Field) -> None:
    sensor = Sensor(strap(0))
    field.air.appear(sensor, 2, working)
    payloads = set()
    for _ in range(5):
        field.wait(1)
        payloads |= set(sensor.peripheral.manufacturer_data.values())
    assert len(payloads) >= 4


def test_bystanders_are_heard_too_and_have_no_links_to_give(field: Field) -> None:
    for bystander in bystanders(seed=1):
        field.air.appear(bystander, 4)
    field.wait(20)
    assert len({peripheral.address for peripheral, _ in field.radio.heard}) >= 7

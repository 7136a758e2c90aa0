"""A scan where no gateway runs: this machine's own radio, and nothing known of trackers."""

import asyncio

import pytest

from gateway.live.requests import ErrorCode
from gateway.scan.own_radio import SETTLE_S, START_S, own_radio
from gateway.simulator.airspace import Airspace
from gateway.simulator.bluez.bus import Bus
from gateway.simulator.bluez.service import FakeBluez
from gateway.simulator.sensor_models import POLAR_H10, Unit
from gateway.simulator.sensors import Sensor, Vitals
from gateway.terminal.errors import RefusedError
from tests.bluetooth.listening import now_s, running

pytestmark = pytest.mark.looptime


async def test_what_is_near_is_known_after_ten_seconds_and_can_be_looked_at(bluez: FakeBluez) -> None:
    airspace = Airspace(bluez, now_s)
    airspace.appear(Sensor(Unit(POLAR_H10, 1), 85), 2.0, lambda: Vitals(142, 0, 0))
    async with running(airspace.run()), own_radio(None) as source:
        began_s = now_s()
        await source.settle()
        assert now_s() - began_s == pytest.approx(SETTLE_S, abs=0.1)
        [sensor] = (await source.report()).sensors
        assert (sensor.presence, sensor.holder, sensor.heart_rate_bpm) == ("seen", "unknown", 142)
        found = await source.inspect(sensor.id, take_link=False)
        assert found.battery_percent == 85
        with pytest.raises(RefusedError) as refused:
            await source.inspect("nobody", take_link=False)
        assert refused.value.code == ErrorCode.UNKNOWN_SENSOR


async def test_a_strap_that_vanishes_is_nobodys_fault(bluez: FakeBluez) -> None:
    airspace = Airspace(bluez, now_s)
    strap = Sensor(Unit(POLAR_H10, 1), 85)
    airspace.appear(strap, 2.0, lambda: Vitals(142, 0, 0))
    async with running(airspace.run()), own_radio(None) as source:
        await source.settle()
        airspace.taken_by(strap, "SIM-0001")
        await asyncio.sleep(40)
        [sensor] = (await source.report()).sensors
        assert (sensor.presence, sensor.holder, sensor.action) == ("gone", "unknown", "")
        assert "tracker" in sensor.text


@pytest.mark.usefixtures("bus")
async def test_nobody_waits_for_a_radio_that_is_not_there() -> None:
    async with own_radio(None) as source:
        began_s = now_s()
        await source.settle()
        assert now_s() - began_s == pytest.approx(START_S, abs=0.1)
        report = await source.report()
        assert (report.radio.state, report.sensors) == ("no_service", ())


async def test_the_adapter_that_is_wanted_is_used_or_said_to_be_missing(bluez: FakeBluez, bus: Bus) -> None:
    assert bus.pid is not None
    assert bluez.is_running
    async with own_radio("hci7") as source:
        await source.settle()
        assert (await source.report()).radio.text == "Bluetooth adapter hci7 is missing, only hci0 found"

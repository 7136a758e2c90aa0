"""A tracker whose strap is elsewhere: its rows lack what nobody measures, from then on and for ever."""

import msgspec
import pytest

from gateway.simulator.bluetooth import HEART_RATE, POWER
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.listening import Listening
from tests.simulator.bench import Bench, ManualClock, bench

RIDER, OTHER_RIDER = 1, 3


def second_of(sim: Bench, place: int, ago_s: int) -> dict[str, object]:
    """What is in the ten rows of the last whole second that began before then."""
    now_ms = sim.clock()
    rows = sim.cloud.truth(sim.ids[place], now_ms - ago_s * 1000 - 1000, now_ms - ago_s * 1000)
    return {key: value for row in rows for key, value in row.items()}


def test_a_tracker_hears_its_own_athlete_until_told_otherwise() -> None:
    listening = Listening(4)
    assert listening.heard(HEART_RATE, 0) == listening.heard(POWER, 10**15) == 4
    listening.change(HEART_RATE, None, 1000)
    listening.change(HEART_RATE, 7, 2000)
    heard = [listening.heard(HEART_RATE, at_ms) for at_ms in (999, 1000, 1999, 2000)]
    assert heard == [4, None, None, 7]
    assert listening.heard(POWER, 3000) == 4


@pytest.mark.parametrize(
    ("slot", "missing"),
    [
        (HEART_RATE, {"ecg.hr", "ecg.timestamp"}),
        (POWER, {"pwr.pwr_instantpower", "pwr.pwr_cadence", "pwr.timestamp"}),
    ],
)
async def test_rows_lack_what_nobody_measures_and_only_from_then_on(sim: Bench, slot: str, missing: set[str]) -> None:
    before = second_of(sim, RIDER, ago_s=5)
    assert missing <= before.keys()
    sim.cloud.listen(sim.ids[RIDER], slot, None)
    sim.clock.advance(60)
    assert before.keys() - second_of(sim, RIDER, ago_s=5).keys() == missing
    assert second_of(sim, RIDER, ago_s=65) == before, "what was recorded stays"
    sim.cloud.listen(sim.ids[RIDER], slot, RIDER)
    sim.clock.advance(60)
    assert second_of(sim, RIDER, ago_s=5).keys() == before.keys()
    assert second_of(sim, RIDER, ago_s=65).keys() == before.keys() - missing


@pytest.mark.parametrize(("form", "absent"), [("absent", "absent"), ("null", None), ("zero", 0)])
async def test_rest_interface_and_websocket_say_the_same(form: str, absent: object) -> None:
    """Whatever form a missing value has."""
    async with bench(missing=form) as sim:
        device_id = sim.ids[RIDER]
        sim.cloud.listen(device_id, HEART_RATE, None)
        began_ms = sim.clock()
        sim.clock.advance(30)
        rows = (await sim.get(f"devices/{device_id}/latest-preprocessed-data/", size=100)).body
        assert {row.get("ecg.hr", "absent") for row in rows} == {absent}
        updates = sim.cloud.updates(device_id, began_ms + 5000, sim.clock(), [(0, sim.clock())])
        assert {msgspec.json.decode(update).get("ecg", {}).get("hr", "absent") for update in updates} == {absent}


async def test_the_strap_of_another_athlete_brings_that_ones_heart_rate(sim: Bench) -> None:
    sim.cloud.listen(sim.ids[RIDER], HEART_RATE, OTHER_RIDER)
    sim.clock.advance(60)
    recorded = [second_of(sim, RIDER, ago_s)["ecg.hr"] for ago_s in range(5, 50)]
    theirs = [second_of(sim, OTHER_RIDER, ago_s)["ecg.hr"] for ago_s in range(4, 51)]
    assert set(recorded) <= set(theirs)
    assert second_of(sim, RIDER, 10)["pwr.pwr_instantpower"] != second_of(sim, OTHER_RIDER, 10)["pwr.pwr_instantpower"]


def test_what_there_is_to_measure_is_there_whoever_listens() -> None:
    clock = ManualClock()
    cloud = SimulatedCloud(4, 7, Faults(), clock)
    cloud.listen(cloud.devices[RIDER].device_id, HEART_RATE, None)
    clock.advance(30)
    now = cloud.athlete(RIDER)
    assert now.heart_rate
    assert now.power is not None
    assert cloud.athlete(0).power is None

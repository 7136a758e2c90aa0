"""What the rest of the gateway says: what of it is worth another plan, and of which sensors it is asked."""

from dataclasses import replace

import pytest

from gateway.pairing.desired import Desired
from gateway.pairing.documents import Document, Sensor, Slot, Wish
from gateway.pairing.observation import Air, Delivery, Ears, Match
from gateway.pairing.reconciling.surroundings import Surroundings, counting

A, B = Sensor("a0:9e:1a:00:00:01", "H10 1"), Sensor("a0:9e:1a:00:00:02", "H10 2")
METER = Sensor("e8:fe:6e:00:00:01", "ASSIOMA1")
AIR = Air("seen", silent_s=0.4, rssi_dbm=-61)
AROUND = Surroundings(
    Ears("listening", 100.0),
    {A.address: AIR},
    {"SIM-1": {Slot.HEART_RATE: Delivery.FLOWING}},
    {A.address: Match("SIM-1", 0.91, 60)},
    session_until_s=1000.0,
)


def with_air(air: Air) -> Surroundings:
    return replace(AROUND, air={A.address: air})


@pytest.mark.parametrize(
    "other",
    [
        replace(AROUND, ears=Ears("listening", 102.0)),
        with_air(replace(AIR, silent_s=1.9, rssi_dbm=-64)),
        replace(AROUND, matches={A.address: Match("SIM-1", 0.93, 62)}),
        replace(AROUND, session_until_s=1002.0),
    ],
    ids=["time passes", "it is heard again", "a proof goes on", "somebody still runs"],
)
def test_what_changes_all_the_time_is_no_news(other: Surroundings) -> None:
    assert other.is_like(AROUND)


@pytest.mark.parametrize(
    "other",
    [
        replace(AROUND, ears=Ears("silent")),
        with_air(replace(AIR, presence="gone")),
        with_air(replace(AIR, rssi_dbm=-86)),
        with_air(replace(AIR, has_new_address=True, new_address=B.address)),
        replace(AROUND, air={}),
        replace(AROUND, deliveries={"SIM-1": {Slot.HEART_RATE: Delivery.FLAT}}),
        replace(AROUND, matches={A.address: Match("SIM-2", 0.91, 60)}),
        replace(AROUND, session_until_s=None),
    ],
)
def test_everything_else_is(other: Surroundings) -> None:
    assert not other.is_like(AROUND)


def test_the_sensor_that_counts_is_the_desired_one_else_the_one_it_has() -> None:
    current = Document(B, METER)
    assert counting(Desired(heart_rate=A), current) == {Slot.HEART_RATE: A, Slot.POWER: METER}
    assert counting(Desired(heart_rate=Wish.NONE), current) == {Slot.HEART_RATE: B, Slot.POWER: METER}
    assert counting(Desired(heart_rate=A), None) == {Slot.HEART_RATE: A}
    assert counting(Desired(), None) == {}

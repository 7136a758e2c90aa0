"""What followers are told of the sensors: each change once, trifles not at all, and nothing for ever."""

from typing import Any

import msgspec
import pytest

from gateway.bluetooth.publisher import FORGOTTEN_FOR_S, RSSI_STEP_DB, Publisher
from gateway.bluetooth.report import RadioReport, SensorReport
from gateway.live.board import Board
from tests.bluetooth.adverts import address

SENSOR = SensorReport(
    id="polar-h10-ae60d42f",
    kind="heart_rate",
    name="Polar H10 AE60D42F",
    model="Polar H10",
    address=address(1),
    address_kind="public",
    presence="seen",
    rssi_dbm=-61,
    bars=3,
    interval_ms=1000,
    first_seen_ms=1_795_000_000_000,
    last_seen_ms=1_795_000_060_000,
    battery_percent=80,
    heart_rate_bpm=71,
    is_contact=True,
    tracker=None,
    holder="free",
    text="Visible and free",
    action="",
    warnings=(),
    inspection=None,
    inspected_ms=None,
)
KEY = "sensor/polar-h10-ae60d42f"


def changed(**changes: Any) -> SensorReport:
    return msgspec.structs.replace(SENSOR, **changes)


@pytest.fixture(name="board")
def _board() -> Board:
    return Board()


@pytest.fixture(name="publisher")
def _publisher(board: Board) -> Publisher:
    return Publisher(board)


def test_a_state_holds_all_that_is_reported_but_the_inspection(board: Board, publisher: Publisher) -> None:
    publisher.publish([SENSOR], 0.0)
    fields = msgspec.to_builtins(SENSOR)
    del fields["inspection"], fields["inspected_ms"], fields["presence"]
    assert board.since(0) == [{"op": "state", "key": KEY, "value": "seen", **fields}]


@pytest.mark.parametrize(
    "trifle",
    [
        {"rssi_dbm": -61 - RSSI_STEP_DB + 1, "bars": 2},
        {"rssi_dbm": -61 + RSSI_STEP_DB - 1, "bars": 4},
        {"interval_ms": 1013},
        {"first_seen_ms": 1_795_000_000_001},
        {"last_seen_ms": 1_795_000_061_000},
    ],
)
def test_a_trifle_is_not_told(board: Board, publisher: Publisher, trifle: dict[str, Any]) -> None:
    publisher.publish([SENSOR], 0.0)
    revision = board.revision
    publisher.publish([changed(**trifle)], 1.0)
    assert board.revision == revision


@pytest.mark.parametrize(
    "news",
    [
        {"rssi_dbm": -61 - RSSI_STEP_DB},
        {"rssi_dbm": -61 + RSSI_STEP_DB},
        {"rssi_dbm": None},
        {"presence": "quiet"},
        {"heart_rate_bpm": 72},
        {"is_contact": False},
        {"battery_percent": 79},
        {"text": "Something else"},
        {"warnings": ("A warning",)},
        {"address": address(2)},
    ],
)
def test_what_matters_is_told_with_the_newest_of_everything(
    board: Board, publisher: Publisher, news: dict[str, Any]
) -> None:
    publisher.publish([SENSOR], 0.0)
    seen = board.revision
    publisher.publish([changed(last_seen_ms=1_795_000_061_000, **news)], 1.0)
    [message] = board.since(seen)
    assert message["last_seen_ms"] == 1_795_000_061_000


def test_a_strength_may_flicker_by_two_decibels_and_not_by_half_a_bar() -> None:
    assert 2 < RSSI_STEP_DB < 10 / 2


def test_a_strength_that_creeps_is_told_in_the_end(board: Board, publisher: Publisher) -> None:
    """The step is counted from what was told and not from what was measured before."""
    for rssi_dbm in range(-61, -71, -1):
        publisher.publish([changed(rssi_dbm=rssi_dbm)], 0.0)
    assert board.revision == 1 + 9 // RSSI_STEP_DB


def test_devices_of_unknown_kind_are_not_told_until_they_are_known(board: Board, publisher: Publisher) -> None:
    publisher.publish([changed(kind="unknown")], 0.0)
    assert board.revision == 0
    publisher.publish([SENSOR], 1.0)
    assert board.revision == 1


def test_a_sensor_that_left_is_forgotten_and_then_dropped(board: Board, publisher: Publisher) -> None:
    publisher.publish([SENSOR], 0.0)
    publisher.publish([], 1.0)
    assert board.since(0) == [{"op": "state", "key": KEY, "value": "forgotten"}]
    publisher.publish([], 1.0 + FORGOTTEN_FOR_S - 0.1)
    assert board.since(0) != []
    publisher.publish([], 1.0 + FORGOTTEN_FOR_S)
    assert board.since(0) == []


def test_a_sensor_that_comes_back_in_time_is_not_dropped(board: Board, publisher: Publisher) -> None:
    publisher.publish([SENSOR], 0.0)
    publisher.publish([], 1.0)
    publisher.publish([SENSOR], 2.0)
    publisher.publish([SENSOR], 2.0 + 2 * FORGOTTEN_FOR_S)
    [message] = board.since(0)
    assert message["value"] == "seen"


def test_weeks_of_bystanders_leave_nothing_behind(board: Board, publisher: Publisher) -> None:
    for day in range(1000):
        publisher.publish([changed(id=f"bystander-{day}")], day * 100.0)
        publisher.publish([], day * 100.0 + 50)
        publisher.publish([], day * 100.0 + 70)
    assert board.since(0) == []
    assert not publisher._told
    assert not publisher._drop_at_s


def test_the_radio_is_a_state_too(board: Board, publisher: Publisher) -> None:
    radio = RadioReport(state="powered_off", adapter="hci0", text="It is off", action="switch it on", notes=())
    publisher.publish_radio(radio)
    publisher.publish_radio(radio)
    assert board.since(0) == [
        {
            "op": "state",
            "key": "bluetooth",
            "value": "powered_off",
            "adapter": "hci0",
            "text": "It is off",
            "action": "switch it on",
        }
    ]
    assert board.revision == 1

"""Whether a sensor shows in its tracker's rows."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.delivery import FLAT_S, WITHIN_MS, Delivery, deliveries, delivers
from gateway.telemetry.seconds import Seconds
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

NOW_MS = 1_795_000_000_000


def channel(device_id: int | None = 1) -> Channel:
    made = Channel(1, Wearer("1"), 1000, reference_ms=lambda: NOW_MS)
    made.device_id = device_id
    return made


def rows(first_ms: int, count: int, column: Column | None = None, value: float = np.nan) -> SampleBlock:
    """Ten rows a second; the value stands on the first of them only, as sensors that report once a second have it."""
    values = np.full((len(QUANTITIES), count), np.nan)
    values[Column.SPEED] = 1.0
    if column is not None:
        values[column, 0] = value
    return SampleBlock(first_ms + 100 * np.arange(count, dtype=np.int64), values)


@pytest.mark.parametrize(
    ("column", "value", "is_delivered"),
    [
        (Column.HEART_RATE, 71.0, True),
        (Column.HEART_RATE, 0.0, False),  # what trackers without a strap may send
        (Column.POWER, 210.0, True),
        (Column.POWER, 0.0, True),  # coasting
    ],
)
def test_a_value_of_the_last_seconds_is_a_sensor_that_delivers(
    column: Column, value: float, *, is_delivered: bool
) -> None:
    tracker = channel()
    tracker.rows_came(rows(NOW_MS - 2000, 10, column, value), 100.0)
    assert delivers(tracker, column, 100.5) is is_delivered


def test_rows_without_the_value_say_that_the_sensor_is_missing() -> None:
    tracker = channel()
    tracker.rows_came(rows(NOW_MS - 2000, 10), 100.0)
    assert delivers(tracker, Column.HEART_RATE, 100.5) is False


def test_a_value_counts_for_ten_seconds_of_the_trackers_own_time() -> None:
    tracker = channel()
    tracker.rows_came(rows(NOW_MS - WITHIN_MS - 2000, 1, Column.HEART_RATE, 71.0), 90.0)
    tracker.rows_came(rows(NOW_MS - 2000, 1), 100.0)
    assert delivers(tracker, Column.HEART_RATE, 100.0) is True
    tracker.rows_came(rows(NOW_MS - 1900, 1), 100.0)
    assert delivers(tracker, Column.HEART_RATE, 100.0) is False


@pytest.mark.parametrize("silent_s", [10.0, 3600.0])
def test_a_tracker_that_says_nothing_says_nothing_about_its_sensor(silent_s: float) -> None:
    tracker = channel()
    tracker.rows_came(rows(NOW_MS - 2000, 10, Column.HEART_RATE, 71.0), 100.0)
    assert delivers(tracker, Column.HEART_RATE, 100.0 + silent_s) is None


def test_nothing_is_known_before_the_first_row_and_of_a_tracker_that_is_not_ours() -> None:
    assert delivers(channel(), Column.HEART_RATE, 100.0) is None
    assert delivers(channel(None), Column.HEART_RATE, 100.0) is None


# --- what moves, and what stands still --------------------------------------------------------------------------------


def trained(
    values: Sequence[float], column: Column = Column.HEART_RATE, speed: float | Sequence[float] = 3.0
) -> Channel:
    """A tracker whose sensor measured this, one value a second, the last of them 2 s ago."""
    tracker = channel()
    for place, (value, fast) in enumerate(zip(values, np.broadcast_to(speed, len(values)), strict=True)):
        first_ms = NOW_MS - 2000 - 1000 * (len(values) - place)
        block = rows(first_ms, 10, column, value)
        block.values[Column.SPEED] = fast
        tracker.rows_came(block, 100.0)
    return tracker


def delivery(tracker: Channel, column: Column = Column.HEART_RATE, now_s: float = 100.5) -> Delivery:
    seconds = Seconds([tracker])
    seconds.update()
    [told] = deliveries(seconds, column, now_s)
    return told


def test_a_heart_that_beats_is_delivered_and_one_that_stands_still_for_half_a_minute_of_running_is_not() -> None:
    assert delivery(trained([150, 151, 150, *[150] * 27])) is Delivery.FLOWING
    assert delivery(trained([150] * FLAT_S)) is Delivery.FLAT
    assert delivery(trained([120, 140, 160, *[150] * FLAT_S])) is Delivery.FLAT


@pytest.mark.parametrize("speed", [0.0, 0.9, np.nan])
def test_who_does_not_move_or_nobody_knows_may_have_a_heart_that_stays_the_same(speed: float) -> None:
    assert delivery(trained([61] * FLAT_S, speed=speed)) is Delivery.FLOWING


def test_who_stands_still_now_and_then_moves_all_the_same() -> None:
    assert delivery(trained([150] * FLAT_S, speed=[0.0] * 9 + [4.0] * 21)) is Delivery.FLAT
    assert delivery(trained([150] * FLAT_S, speed=[0.0] * 12 + [4.0] * 18)) is Delivery.FLOWING


def test_a_sensor_that_has_only_just_begun_is_not_judged() -> None:
    assert delivery(trained([np.nan] * 10 + [150] * 20)) is Delivery.FLOWING
    assert delivery(trained([150] * 20)) is Delivery.FLOWING


def test_lost_values_do_not_hide_that_the_others_stand_still() -> None:
    assert delivery(trained([150, np.nan, 150] * 10)) is Delivery.FLAT


def test_a_power_that_stays_zero_on_the_move_is_flat_and_one_that_is_zero_now_is_coasting() -> None:
    assert delivery(trained([0] * FLAT_S, Column.POWER), Column.POWER) is Delivery.FLAT
    assert delivery(trained([180] * 15 + [0] * 15, Column.POWER), Column.POWER) is Delivery.FLOWING


def test_a_heart_rate_of_zero_is_none() -> None:
    assert delivery(trained([0] * FLAT_S)) is Delivery.NOTHING


def test_a_sensor_is_missed_after_ten_seconds() -> None:
    assert delivery(trained([150, *[np.nan] * 9])) is Delivery.FLOWING
    assert delivery(trained([150, *[np.nan] * 10])) is Delivery.NOTHING


@pytest.mark.parametrize(("tracker", "now_s"), [(channel(), 100.5), (channel(None), 100.5), (trained([150]), 110.5)])
def test_a_tracker_without_rows_of_now_is_silent(tracker: Channel, now_s: float) -> None:
    assert delivery(tracker, now_s=now_s) is Delivery.TRACKER_SILENT


@given(
    st.lists(st.sampled_from([np.nan, 0.0, 150.0, 151.0]), min_size=1, max_size=40),
    st.sampled_from([Column.HEART_RATE, Column.POWER]),
    st.sampled_from([0.0, 3.0]),
)
def test_flat_is_told_only_of_a_sensor_that_the_tracker_has(values: list[float], column: Column, speed: float) -> None:
    """The two judgements never contradict each other: who asks for holders and who asks for values get the same."""
    tracker = trained(values, column, speed)
    expected = {None: {Delivery.TRACKER_SILENT}, False: {Delivery.NOTHING}, True: {Delivery.FLOWING, Delivery.FLAT}}
    assert delivery(tracker, column) in expected[delivers(tracker, column, 100.5)]

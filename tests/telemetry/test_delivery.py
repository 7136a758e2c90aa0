"""Whether a sensor shows in its tracker's rows."""

import numpy as np
import pytest

from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.delivery import WITHIN_MS, delivers
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

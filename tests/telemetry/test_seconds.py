"""The last minutes of all trackers, a value a second."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.seconds import SPAN_S, Seconds
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

NOW_S = 1_795_000_000


def rows(t_ms: Sequence[int], **values: float | Sequence[float]) -> SampleBlock:
    made = np.full((len(QUANTITIES), len(t_ms)), np.nan)
    for name, value in values.items():
        made[Column[name.upper()]] = value
    return SampleBlock(np.array(t_ms, np.int64), made)


def second(at_s: int, heart_rate: float, speed: float = 3.0) -> SampleBlock:
    """Ten rows, with the heart rate on the first of them."""
    t_ms = [at_s * 1000 + 100 * place for place in range(10)]
    return rows(t_ms, heart_rate=[heart_rate, *[np.nan] * 9], speed=speed)


def channel(ring_rows: int = 20_000) -> Channel:
    return Channel(1, Wearer("1"), ring_rows)


def told(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> list[float | None]:
    """Of the only tracker."""
    return [None if np.isnan(value) else float(value) for value in values[0]]


def test_each_second_has_the_heart_rate_that_came_in_it_and_the_slowest_speed() -> None:
    tracker = channel()
    tracker.ring.append(second(NOW_S, 71))
    t_ms = [(NOW_S + 1) * 1000 + 100 * place for place in range(10)]
    tracker.ring.append(rows(t_ms, speed=[5, 4, 3, 1, 3, 4, 5, np.nan, 6, 7]))
    tracker.ring.append(second(NOW_S + 2, 73))
    seconds = Seconds([tracker])
    seconds.update()
    assert told(seconds.last(Column.HEART_RATE, 4)) == [None, 71, None, 73]
    assert told(seconds.last(Column.SPEED, 4)) == [None, 3, 1, 3]
    assert told(seconds.between(Column.HEART_RATE, NOW_S, NOW_S + 5)) == [71, None, 73, None, None]


def test_rows_that_come_late_stand_in_their_second() -> None:
    tracker, seconds = channel(), None
    tracker.ring.append(second(NOW_S, 70))
    seconds = Seconds([tracker])
    seconds.update()
    tracker.ring.append(second(NOW_S + 3, 73))
    seconds.update()
    tracker.ring.append(second(NOW_S + 1, 71))
    seconds.update()
    assert told(seconds.last(Column.HEART_RATE, 4)) == [70, 71, None, 73]


def test_a_tracker_that_was_lost_has_nothing_left_and_begins_anew() -> None:
    tracker = channel()
    tracker.device_id = 1
    tracker.ring.append(second(NOW_S, 70))
    seconds = Seconds([tracker])
    seconds.update()
    tracker.lose()
    seconds.update()
    assert told(seconds.last(Column.HEART_RATE, 2)) == [None, None]
    assert told(seconds.between(Column.HEART_RATE, NOW_S, NOW_S + 1)) == [None]
    tracker.ring.append(second(NOW_S - 50, 90))  # the one after it may have another clock
    seconds.update()
    assert told(seconds.last(Column.HEART_RATE, 2)) == [None, 90]


def test_a_row_with_a_wrong_time_is_in_no_second() -> None:
    tracker = channel()
    tracker.ring.append(second(NOW_S, 70))
    tracker.ring.append(second(NOW_S + 99_999, 200), is_misdated=True)
    seconds = Seconds([tracker])
    seconds.update()
    assert told(seconds.last(Column.HEART_RATE, 2)) == [None, 70]


def test_what_a_long_ring_holds_at_the_start_is_read_as_far_as_it_counts() -> None:
    tracker = channel()
    for at_s in range(NOW_S - 1500, NOW_S):
        tracker.ring.append(second(at_s, at_s % 100 + 50))
    seconds = Seconds([tracker])
    seconds.update()
    assert told(seconds.last(Column.HEART_RATE, SPAN_S)) == [at_s % 100 + 50 for at_s in range(NOW_S - SPAN_S, NOW_S)]


def test_no_rows_are_no_values() -> None:
    seconds = Seconds([channel(), channel()])
    seconds.update()
    assert np.isnan(seconds.last(Column.POWER, 30)).all()
    assert Seconds([]).last(Column.POWER, 30).shape == (0, 30)


@pytest.mark.parametrize("ring_rows", [400, 8000])
@given(
    batches=st.lists(
        st.lists(st.integers(0, 2 * SPAN_S), min_size=1, max_size=30, unique=True), min_size=1, max_size=12
    )
)
@settings(max_examples=60, deadline=None)
def test_in_whatever_order_rows_come_each_second_has_what_was_measured_in_it(
    ring_rows: int, batches: list[list[int]]
) -> None:
    """The ring is read after each batch: what it has overwritten before that, nobody knows."""
    tracker = channel(ring_rows)
    seconds = Seconds([tracker])
    measured: dict[int, float] = {}
    for batch in batches:
        ordered = sorted(batch)
        new = tracker.ring.append(
            rows([(NOW_S + at_s) * 1000 for at_s in ordered], heart_rate=[50.0 + a % 150 for a in ordered])
        )
        seconds.update()
        measured |= {int(t_ms) // 1000 - NOW_S: 50.0 + (int(t_ms) // 1000 - NOW_S) % 150 for t_ms in new.t_ms}
    newest = max(measured)
    expected = [measured.get(at_s) for at_s in range(newest - SPAN_S + 1, newest + 1)]
    assert told(seconds.last(Column.HEART_RATE, SPAN_S)) == expected

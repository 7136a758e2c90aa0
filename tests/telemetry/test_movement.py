"""Whether athletes run."""

from collections.abc import Sequence

import numpy as np
import pytest

from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.movement import runs
from gateway.telemetry.seconds import Seconds
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

NOW_MS = 1_795_000_000_000
NAN = np.nan


def carried(speeds: Sequence[float], age_ms: int = 2000) -> Channel:
    """A tracker whose last seconds were as fast as this."""
    channel = Channel(1, Wearer("1"), 1000, reference_ms=lambda: NOW_MS)
    channel.device_id = 1
    values = np.full((len(QUANTITIES), 10 * len(speeds)), np.nan)
    values[Column.SPEED] = np.repeat(speeds, 10)
    first_ms = NOW_MS - age_ms - 1000 * len(speeds)
    channel.rows_came(SampleBlock(first_ms + 100 * np.arange(values.shape[1], dtype=np.int64), values), 100.0)
    return channel


def does_run(channel: Channel, now_s: float = 100.5) -> bool:
    seconds = Seconds([channel])
    seconds.update()
    return bool(runs(seconds, now_s)[0])


@pytest.mark.parametrize(
    ("speeds", "is_run"),
    [
        ([2.0, 2.0, 2.0], True),
        ([6.0, 7.0, 6.0], True),
        ([1.9, 1.9, 1.9, 1.9, 1.9, 1.9], False),  # a technician in a hurry
        ([2.5, 2.5, 1.5, 2.5, 2.5], False),  # never for three seconds
        ([0.0, 9.0, 0.0, 0.0], False),  # a position that jumped
        ([3.0, 3.0, NAN, 3.0, 3.0], False),  # under a roof
        ([3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0], True),  # came many at a time
        ([3.0, 3.0, 3.0, *[0.0] * 10], False),  # is over
        ([], False),
    ],
)
def test_three_seconds_faster_than_people_walk_are_a_run(speeds: list[float], *, is_run: bool) -> None:
    assert does_run(carried(speeds)) is is_run


@pytest.mark.parametrize(("age_ms", "now_s"), [(20_000, 100.5), (2000, 111.0)])
def test_what_was_long_ago_or_has_come_long_ago_is_no_run_of_now(age_ms: int, now_s: float) -> None:
    assert not does_run(carried([4.0] * 10, age_ms), now_s)


def test_each_tracker_runs_for_itself() -> None:
    seconds = Seconds([carried([4.0] * 5), carried([1.0] * 5), carried([])])
    seconds.update()
    assert runs(seconds, 100.5).tolist() == [True, False, False]

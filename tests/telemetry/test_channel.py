"""One tracker's channel: how alive it is, what it counts, and what it forgets."""

import numpy as np
import pytest

from gateway.telemetry.channel import LOST_AFTER_S, STALE_AFTER_S, Channel, Presence, Wearer
from gateway.telemetry.holes import GapReason
from insiders_codecs.samples import QUANTITIES, SampleBlock

JUST_BEFORE = -1e-6


def block(*times: int) -> SampleBlock:
    return SampleBlock(np.array(times, np.int64), np.zeros((len(QUANTITIES), len(times))))


@pytest.fixture(name="channel")
def _channel() -> Channel:
    channel = Channel(1, Wearer("SN-1"), 100)
    channel.device_id = 7
    return channel


@pytest.mark.parametrize(
    ("silent_s", "presence"),
    [
        (0.0, Presence.LIVE),
        (STALE_AFTER_S + JUST_BEFORE, Presence.LIVE),
        (STALE_AFTER_S, Presence.STALE),
        (LOST_AFTER_S + JUST_BEFORE, Presence.STALE),
        (LOST_AFTER_S, Presence.LOST),
        (1e6, Presence.LOST),
    ],
)
def test_presence_is_told_by_the_time_since_the_last_new_row(
    channel: Channel, silent_s: float, presence: Presence
) -> None:
    channel.rows_came(block(100), 0.0)
    assert channel.presence(silent_s) is presence


def test_before_the_first_row_a_channel_waits_and_without_a_device_it_is_unclaimed(channel: Channel) -> None:
    assert channel.presence(1e6) is Presence.WAITING
    channel.rows_came(block(100), 0.0)
    channel.device_id = None
    assert channel.presence(0.0) is Presence.UNCLAIMED


def test_only_a_new_row_is_a_sign_of_life(channel: Channel) -> None:
    channel.rows_came(block(100, 200), 0.0)
    channel.rows_came(block(100, 200), 9.0)
    channel.rows_came(block(), 9.0)
    assert channel.presence(9.0) is Presence.STALE
    channel.rows_came(block(150), 9.0)
    assert channel.presence(9.0) is Presence.LIVE


def test_rows_are_counted_once_and_late_ones_are_those_older_than_the_newest_before_them(channel: Channel) -> None:
    assert channel.rows_came(block(500, 600), 0.0) == 2
    assert channel.rows_came(block(300, 400, 600, 700), 0.0) == 3
    assert (channel.counters.rows, channel.counters.rows_late) == (5, 2)
    assert channel.ring.duplicates == 1


def test_a_lost_tracker_leaves_no_sample_and_begins_anew(channel: Channel) -> None:
    channel.rows_came(block(100, 5_000, 20_000), 0.0)
    assert len(channel.gaps.changes()) == 1
    channel.lose()
    assert channel.device_id is None
    assert (len(channel.ring), channel.ring.newest_ms) == (0, None)
    channel.device_id = 7
    assert channel.presence(0.0) is Presence.WAITING
    channel.rows_came(block(900_000), 0.0)
    assert channel.gaps.gaps == ()
    assert channel.gaps.oldest_hole_ms(0) is None


def test_an_outage_of_the_last_owner_is_not_carried_over(channel: Channel) -> None:
    channel.rows_came(block(100), 0.0)
    channel.gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 5.0)
    first = channel.gaps.changes()[0].id
    channel.lose()
    channel.device_id = 7
    channel.rows_came(block(50_000), 0.0)
    channel.gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 5.0)
    (gap,) = [gap for gap in channel.gaps.changes() if gap.from_ms == 50_000]
    assert gap.id > first, "a client that heard of the first gap would take the second for it"

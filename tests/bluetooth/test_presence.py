"""Seen, quiet, gone, and what nobody can know because nobody has listened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bluetooth.presence import Presence, presence
from gateway.bluetooth.sightings import FORGET_AFTER_S


@pytest.mark.parametrize(
    ("last_seen_s", "interval_s", "listening_since_s", "expected"),
    [
        (99.0, 1.0, 0.0, Presence.SEEN),
        (96.0, 1.0, 0.0, Presence.QUIET),
        (90.1, 1.0, 0.0, Presence.QUIET),
        (90.0, 1.0, 0.0, Presence.GONE),
        (98.0, 0.1, 0.0, Presence.SEEN),  # a lively one may lose a few
        (89.0, 5.0, 0.0, Presence.SEEN),  # a slow one is not missed at once
        (70.0, 5.0, 0.0, Presence.QUIET),
        (52.0, 5.0, 0.0, Presence.GONE),
        (79.0, 10.24, 0.0, Presence.SEEN),  # the slowest there may be, and one advertisement was missed
        (74.0, 10.24, 0.0, Presence.QUIET),
        (56.0, 10.24, 0.0, Presence.QUIET),
        (54.0, 10.24, 0.0, Presence.GONE),
        (98.0, None, 0.0, Presence.SEEN),
        (None, None, 0.0, Presence.GONE),
        (None, None, 95.0, Presence.UNKNOWN),
        # The radio has only just begun to listen again.
        (50.0, 1.0, 95.0, Presence.UNKNOWN),
        (50.0, 1.0, 89.0, Presence.GONE),
        (98.0, 1.0, 99.0, Presence.SEEN),
        # It does not listen.
        (99.9, 1.0, None, Presence.UNKNOWN),
        (None, None, None, Presence.UNKNOWN),
    ],
)
def test_presence_at_100_s(
    last_seen_s: float | None, interval_s: float | None, listening_since_s: float | None, expected: Presence
) -> None:
    assert presence(last_seen_s, interval_s, listening_since_s, 100.0) is expected


TIMES = st.one_of(st.none(), st.floats(0.0, 100.0))


@given(TIMES, st.one_of(st.none(), st.floats(0.01, 60.0)), TIMES)
def test_only_silence_that_the_radio_listened_to_makes_gone(
    last_seen_s: float | None, interval_s: float | None, listening_since_s: float | None
) -> None:
    told = presence(last_seen_s, interval_s, listening_since_s, 100.0)
    if listening_since_s is None:
        assert told is Presence.UNKNOWN
    elif told in {Presence.GONE, Presence.QUIET}:
        heard_since_s = max(listening_since_s, last_seen_s or 0.0)
        assert 100.0 - heard_since_s >= (10.0 if told is Presence.GONE else 0.0)
        assert last_seen_s is None or 100.0 - last_seen_s >= 3.0


@given(st.floats(0.01, 60.0), st.floats(0.0, 100.0))
def test_a_sensor_in_the_air_goes_from_seen_over_quiet_to_gone_and_never_back(interval_s: float, step: float) -> None:
    order = [Presence.SEEN, Presence.QUIET, Presence.GONE]
    told = [order.index(presence(0.0, interval_s, 0.0, now * step / 20)) for now in range(20)]
    assert told == sorted(told)


def test_what_is_nobodys_was_called_gone_before_it_is_forgotten() -> None:
    assert presence(0.0, 1000.0, 0.0, FORGET_AFTER_S) is Presence.GONE

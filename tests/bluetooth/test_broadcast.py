"""An advertised heart rate counts only while its frame counter moves."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.bluetooth.broadcast import FRESH_S, Broadcast
from insiders_codecs.polar import PolarHeartRate


def frame(heart_rate_bpm: int, counter: int, *, has_counter: bool = True, is_contact: bool = True) -> PolarHeartRate:
    return PolarHeartRate(heart_rate_bpm, is_contact, counter % 8, battery_status=False, has_counter=has_counter)


def bpm(broadcast: Broadcast, now_s: float) -> int | None:
    value = broadcast.value(now_s)
    return None if value is None else value.heart_rate_bpm


def test_nothing_is_shown_before_the_counter_has_moved() -> None:
    broadcast = Broadcast()
    assert bpm(broadcast, 0.0) is None
    broadcast.heard(frame(60, 4), 0.0)
    assert bpm(broadcast, 0.0) is None
    broadcast.heard(frame(61, 5), 1.0)
    assert bpm(broadcast, 1.0) == 61


def test_a_counter_that_stands_shows_nothing_after_five_seconds() -> None:
    broadcast = Broadcast()
    for second in range(20):
        broadcast.heard(frame(60, min(second, 3)), second)
        assert bpm(broadcast, second) == (60 if 1 <= second < 3 + FRESH_S else None)


def test_a_moving_counter_without_new_advertisements_is_old_as_well() -> None:
    broadcast = Broadcast()
    broadcast.heard(frame(60, 1), 0.0)
    broadcast.heard(frame(60, 2), 1.0)
    assert bpm(broadcast, 5.9) == 60
    assert bpm(broadcast, 6.0) is None


def test_a_counter_that_differs_after_a_long_silence_proves_nothing() -> None:
    broadcast = Broadcast()
    broadcast.heard(frame(60, 1), 0.0)
    broadcast.heard(frame(180, 2), 60.0)
    assert bpm(broadcast, 60.0) is None
    broadcast.heard(frame(180, 2), 61.0)
    assert bpm(broadcast, 61.0) is None
    broadcast.heard(frame(181, 3), 62.0)
    assert bpm(broadcast, 62.0) == 181


def test_an_old_unit_without_a_counter_is_new_where_its_value_is() -> None:
    broadcast = Broadcast()
    broadcast.heard(frame(60, 0, has_counter=False), 0.0)
    broadcast.heard(frame(60, 0, has_counter=False), 1.0)
    assert bpm(broadcast, 1.0) is None
    broadcast.heard(frame(61, 0, has_counter=False), 2.0)
    assert bpm(broadcast, 2.0) == 61


def test_a_new_value_with_a_counter_that_stands_is_not_new() -> None:
    broadcast = Broadcast()
    broadcast.heard(frame(60, 3), 0.0)
    broadcast.heard(frame(61, 3), 1.0)
    assert bpm(broadcast, 1.0) is None


def test_no_heart_rate_is_not_zero() -> None:
    broadcast = Broadcast()
    broadcast.heard(frame(0, 1), 0.0)
    broadcast.heard(frame(0, 2), 1.0)
    assert broadcast.value(1.0) is None


def test_an_advertisement_without_heart_rate_says_nothing_of_it() -> None:
    broadcast = Broadcast()
    broadcast.heard(frame(60, 1), 0.0)
    broadcast.heard(None, 0.5)
    broadcast.heard(frame(60, 2), 1.0)
    assert bpm(broadcast, 1.0) == 60


def test_the_contact_it_told_last_is_remembered() -> None:
    broadcast = Broadcast()
    told = [broadcast.is_contact]
    for now_s, is_contact in ((0.0, True), (100.0, False)):
        broadcast.heard(frame(60, 1, is_contact=is_contact), now_s)
        told.append(broadcast.is_contact)
    assert told == [None, True, False]


@given(st.lists(st.tuples(st.floats(0.0, 8.0), st.integers(0, 1), st.integers(40, 200)), max_size=60))
def test_a_value_is_shown_exactly_while_a_move_was_witnessed_within_five_seconds(
    steps: list[tuple[float, int, int]],
) -> None:
    broadcast = Broadcast()
    now_s, counter, heard_s, moved_s = 0.0, 0, None, None
    for pause_s, step, heart_rate_bpm in steps:
        now_s, counter = now_s + pause_s, counter + step
        if heard_s is None or now_s - heard_s >= FRESH_S:
            moved_s = None
        elif step:
            moved_s = now_s
        heard_s = now_s
        broadcast.heard(frame(heart_rate_bpm, counter), now_s)
        is_fresh = moved_s is not None and now_s - moved_s < FRESH_S
        assert bpm(broadcast, now_s) == (heart_rate_bpm if is_fresh else None)

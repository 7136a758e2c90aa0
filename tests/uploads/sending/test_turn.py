"""Whose turn it is: nobody is kept for ever, whatever the others are."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.uploads.recording import Recording, Source, Way
from gateway.uploads.sending.turn import SMALL_BYTES, SMALL_EVERY, next_of
from gateway.uploads.transitions import taken


def queued(number: int, size: int, since_ms: int) -> Recording:
    recording = taken(f"{number:064x}", size, Source(Way.INBOX, "a.asi", since_ms), serial_number="S1")
    return replace(recording, changed_ms=since_ms)


def order(queue: Sequence[Recording], turns: int = 0) -> list[int]:
    """Numbers in the order in which they are sent."""
    left, numbers = list(queue), list[int]()
    while (recording := next_of(left, turns)) is not None:
        left.remove(recording)
        numbers.append(int(recording.sha256, 16))
        turns += 1
    return numbers


def test_nobody_waits_for_nobody() -> None:
    assert next_of([], 0) is None
    assert next_of([], SMALL_EVERY - 1) is None


def test_oldest_first_and_every_fourth_turn_a_small_one() -> None:
    giants = [queued(number, 50 * SMALL_BYTES, number) for number in range(6)]
    smalls = [queued(number, SMALL_BYTES - 1, number) for number in range(10, 13)]
    assert order([*smalls, *giants]) == [0, 1, 2, 10, 3, 4, 5, 11, 12]
    assert order([*smalls, *giants], turns=3) == [10, 0, 1, 2, 11, 3, 4, 5, 12]


def test_a_megabyte_is_not_small() -> None:
    queue = [queued(0, 2 * SMALL_BYTES, 0), queued(1, SMALL_BYTES, 1)]
    assert order(queue, turns=SMALL_EVERY - 1) == [0, 1]


@given(
    st.lists(st.tuples(st.sampled_from([1, SMALL_BYTES - 1, SMALL_BYTES, 10**9]), st.integers(0, 5)), max_size=20),
    st.integers(0, 7),
)
def test_everybody_has_a_turn_and_those_of_one_kind_in_order(queue: list[tuple[int, int]], turns: int) -> None:
    recordings = [queued(number, *it) for number, it in enumerate(queue)]
    numbers = order(recordings, turns)
    assert sorted(numbers) == list(range(len(queue)))
    for is_small in (True, False):
        kind = [recordings[number] for number in numbers if (queue[number][0] < SMALL_BYTES) is is_small]
        assert kind == sorted(kind, key=lambda recording: (recording.changed_ms, recording.sha256))


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 7))
def test_a_small_one_waits_three_turns_per_small_one_before_it_and_a_giant_is_kept_by_every_fourth_only(
    are_small: list[bool], turns: int
) -> None:
    queue = [queued(number, 1 if small else 10**9, number) for number, small in enumerate(are_small)]
    numbers = order(queue, turns)
    smalls_before = 0
    for number, small in enumerate(are_small):
        place = numbers.index(number)
        if small:
            assert place < SMALL_EVERY * (smalls_before + 1)
            smalls_before += 1
        else:
            assert place <= number + (place + turns % SMALL_EVERY) // SMALL_EVERY + 1

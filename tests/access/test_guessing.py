"""Guessing: five tries are free, then each costs a longer wait, and nobody has to pay for somebody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.guessing import FORGOTTEN_S, FREE_TRIES, LONGEST_WAIT_S, MAX_ADDRESSES, Guesses

HERE, ELSEWHERE = "192.0.2.7", "192.0.2.8"


def guess(guesses: Guesses, count: int, now_s: float = 0.0, address: str = HERE) -> None:
    for number in range(count):
        guesses.wrong(address, f"{number}@{now_s}".encode(), now_s)


def test_five_tries_are_free() -> None:
    guesses = Guesses()
    for _ in range(FREE_TRIES):
        assert guesses.wait_s(HERE, 0.0) == 0.0
        guess(guesses, 1, now_s=0.0)
    guess(guesses, FREE_TRIES)
    assert guesses.wait_s(HERE, 0.0) > 0.0


def test_waits_double_up_to_a_minute() -> None:
    guesses, now_s, waits = Guesses(), 0.0, []
    guess(guesses, FREE_TRIES - 1)
    for number in range(9):
        guesses.wrong(HERE, bytes([number]), now_s)
        waits.append(guesses.wait_s(HERE, now_s))
        now_s += waits[-1]
        assert guesses.wait_s(HERE, now_s) == 0.0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_another_address_does_not_wait() -> None:
    guesses = Guesses()
    guess(guesses, 20)
    assert guesses.wait_s(ELSEWHERE, 0.0) == 0.0


def test_the_same_wrong_one_again_is_no_guess() -> None:
    """A laptop that was thrown out asks with its old token for ever, and must not shut out its owner."""
    guesses = Guesses()
    for second in range(1000):
        guesses.wrong(HERE, b"old", second)
        assert guesses.wait_s(HERE, second) == 0.0


def test_an_hour_without_a_guess_is_a_new_beginning() -> None:
    guesses = Guesses()
    guess(guesses, FREE_TRIES + 10)
    guess(guesses, FREE_TRIES - 1, FORGOTTEN_S)
    assert guesses.wait_s(HERE, FORGOTTEN_S) == 0.0
    guess(guesses, 1, FORGOTTEN_S + 1)
    assert guesses.wait_s(HERE, FORGOTTEN_S + 1) == 1.0


def test_guesses_of_many_addresses_take_a_bounded_memory() -> None:
    guesses = Guesses()
    for number in range(3 * MAX_ADDRESSES):
        guess(guesses, 1, now_s=number / 1000, address=str(number))
        assert len(guesses) <= MAX_ADDRESSES
    guess(guesses, 2 * FREE_TRIES, now_s=4.0)
    assert guesses.wait_s(HERE, 4.0) > 0.0


@given(st.lists(st.tuples(st.floats(0, 100), st.binary(max_size=2)), max_size=80))
def test_who_keeps_to_the_waits_never_waits_longer_than_a_minute(tries: list[tuple[float, bytes]]) -> None:
    guesses, now_s = Guesses(), 0.0
    for pause_s, digest in tries:
        now_s += pause_s
        wait_s = guesses.wait_s(HERE, now_s)
        assert 0.0 <= wait_s <= LONGEST_WAIT_S
        if not wait_s:
            guesses.wrong(HERE, digest, now_s)


@pytest.mark.parametrize("hours", [1, 24])
def test_a_persistent_guesser_gets_sixty_tries_an_hour(hours: int) -> None:
    guesses, now_s, tries = Guesses(), 0.0, 0
    while now_s < hours * 3600:
        now_s += guesses.wait_s(HERE, now_s)
        guesses.wrong(HERE, str(tries).encode(), now_s)
        tries += 1
    assert tries <= FREE_TRIES + 7 + 60 * hours

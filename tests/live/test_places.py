"""Places: how many may be here, that strangers never take all of it, and that everybody who goes leaves theirs."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.door.places import GUESTS, GUESTS_PER_ADDRESS, Place, Places

SEATED = {Place.SEAT, Place.GUEST}


def come(places: Places, address: str) -> Place:
    """Somebody comes who is let in."""
    return places.recognise(address, places.enter(address))


def test_one_address_gets_no_more_seats_than_its_own() -> None:
    places = Places(most=10, most_per_address=2, standing=1)
    assert [come(places, "a") for _ in range(4)] == [Place.SEAT, Place.SEAT, Place.STANDING, Place.NONE]
    assert come(places, "b") is Place.SEAT, "who crowds at the wall keeps nobody else from a seat"


def test_a_seat_that_is_left_is_there_for_the_next_one() -> None:
    places = Places(most=1, most_per_address=1)
    assert come(places, "a") is Place.SEAT
    assert come(places, "b") is Place.STANDING
    places.leave("a", Place.SEAT)
    assert places.recognise("b", Place.STANDING) is Place.SEAT


def test_a_crowd_of_strangers_leaves_three_seats_of_four_to_those_who_are_let_in() -> None:
    places = Places(most=200, most_per_address=20)
    came = Counter(places.enter(str(number % 50)) for number in range(500))
    assert came == {Place.GUEST: 50, Place.STANDING: 450}
    assert Counter(come(places, f"known {number % 10}") for number in range(200)) == {
        Place.SEAT: 150,
        Place.STANDING: 50,
    }


def test_strangers_at_one_address_leave_half_of_its_seats_to_their_neighbours() -> None:
    places = Places(most=200, most_per_address=20)
    assert Counter(places.enter("a") for _ in range(30)) == {Place.GUEST: 10, Place.STANDING: 20}
    assert Counter(come(places, "a") for _ in range(20)) == {Place.SEAT: 10, Place.STANDING: 10}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["come", "show", "go"]))))
def test_whatever_comes_and_goes_the_bounds_hold_and_in_the_end_all_is_empty(steps: list[tuple[str, str]]) -> None:
    most, most_per_address, most_standing = 6, 4, 2
    places = Places(most, most_per_address, most_standing)
    here: list[tuple[str, Place]] = []
    for address, step in steps:
        seats = Counter(who for who, its in here if its in SEATED)
        guests = Counter(who for who, its in here if its is Place.GUEST)
        has_seat = seats.total() < most and seats[address] < most_per_address
        if step == "come":
            is_welcome = guests.total() < most / GUESTS and guests[address] < most_per_address / GUESTS_PER_ADDRESS
            is_standing_full = sum(its is Place.STANDING for _, its in here) == most_standing
            place = places.enter(address)
            otherwise = Place.NONE if is_standing_full else Place.STANDING
            assert place is (Place.GUEST if has_seat and is_welcome else otherwise)
            if place is not Place.NONE:
                here.append((address, place))
        elif step == "show" and any(who == address for who, _ in here):
            index = next(index for index, (who, _) in enumerate(here) if who == address)
            before = here[index][1]
            here[index] = (address, places.recognise(address, before))
            assert here[index][1] is (Place.SEAT if before in SEATED or has_seat else Place.STANDING)
        elif step == "go" and here:
            places.leave(*here.pop(0))
    for who in here:
        places.leave(*who)
    assert [come(places, address) for address in "aaaabb"] == [Place.SEAT] * 6

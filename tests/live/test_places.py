"""Places: how many may be here, and that everybody who goes leaves theirs."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.places import Place, Places


def test_one_address_gets_no_more_seats_than_its_own() -> None:
    places = Places(most=10, most_per_address=2, standing=1)
    assert [places.enter("a") for _ in range(4)] == [Place.SEAT, Place.SEAT, Place.STANDING, Place.NONE]
    assert places.enter("b") is Place.SEAT, "who crowds at the wall keeps nobody else from a seat"


def test_a_seat_that_is_left_is_there_for_the_next_one() -> None:
    places = Places(most=1, most_per_address=1)
    assert places.enter("a") is Place.SEAT
    assert places.enter("b") is Place.STANDING
    places.leave("a", Place.SEAT)
    assert places.enter("b") is Place.SEAT


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_whatever_comes_and_goes_the_bounds_hold_and_in_the_end_all_is_empty(steps: list[tuple[str, bool]]) -> None:
    places = Places(most=3, most_per_address=2, standing=2)
    here: list[tuple[str, Place]] = []
    for address, is_coming in steps:
        if is_coming:
            place = places.enter(address)
            seated = [who for who, its in here if its is Place.SEAT]
            has_room = len(seated) < 3 and seated.count(address) < 2
            is_standing_full = sum(its is Place.STANDING for _, its in here) == 2
            expected = Place.SEAT if has_room else Place.NONE if is_standing_full else Place.STANDING
            assert place is expected
            if place is not Place.NONE:
                here.append((address, place))
        elif here:
            places.leave(*here.pop(0))
    for who in here:
        places.leave(*who)
    assert [places.enter(address) for address in "aab"] == [Place.SEAT] * 3

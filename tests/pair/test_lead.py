"""Which sensor is held to the gateway: the rule by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pair.lead import HELD_S, LEAD_DB, PAUSE_S, ROOM_DBM, Lead


def held_after(strengths: list[dict[str, int]], step_s: float = 1.0) -> list[str | None]:
    """Whom each turn would offer."""
    lead = Lead()
    standings = [lead.heard(strength, step_s * turn) for turn, strength in enumerate(strengths)]
    return [standing.leader if standing.is_held else None for standing in standings]


def test_a_lead_of_ten_for_five_seconds_is_one_that_is_held() -> None:
    assert held_after([{"a": -45, "b": -55}] * 7) == [None] * 5 + ["a"] * 2


@pytest.mark.parametrize("b", [-54, -45, -30])
def test_less_is_none_however_long(b: int) -> None:
    assert held_after([{"a": -45, "b": b}] * 20).count("a") == 0


def test_a_lead_that_is_lost_begins_anew() -> None:
    near, level = {"a": -45, "b": -60}, {"a": -45, "b": -50}
    assert held_after([near] * 5 + [level] + [near] * 6) == [None] * 11 + ["a"]


def test_another_leader_begins_anew() -> None:
    assert held_after([{"a": -40, "b": -60}] * 4 + [{"a": -60, "b": -40}] * 6) == [None] * 9 + ["b"]


@pytest.mark.parametrize(("strength", "is_offered"), [(ROOM_DBM + LEAD_DB, True), (ROOM_DBM + LEAD_DB - 1, False)])
def test_one_that_nobody_competes_with_has_to_be_near(strength: int, *, is_offered: bool) -> None:
    assert (held_after([{"a": strength}] * 8)[-1] == "a") is is_offered


def test_the_time_in_which_nothing_was_told_does_not_count() -> None:
    assert held_after([{"a": -40}] * 3, step_s=PAUSE_S + 0.1) == [None] * 3


def test_nobody_in_the_air_leads_nobody() -> None:
    assert held_after([{}] * 9) == [None] * 9


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(-100, -20), max_size=3), max_size=40),
    st.floats(0.1, 2.5),
)
def test_only_who_was_ahead_all_the_time_is_offered(strengths: list[dict[str, int]], step_s: float) -> None:
    for turn, offered in enumerate(held_after(strengths, step_s)):
        if offered is not None:
            turns = range(max(0, turn - int(HELD_S / step_s)), turn + 1)
            for heard in (strengths[earlier] for earlier in turns):
                others = [strength for name, strength in heard.items() if name != offered]
                assert heard[offered] - max([ROOM_DBM, *others]) >= LEAD_DB

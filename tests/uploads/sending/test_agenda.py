"""Who is due is found without looking at all, and is always who has waited longest."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.uploads.sending.agenda import Agenda


def test_each_is_taken_once_and_when_it_is_due() -> None:
    agenda = Agenda()
    agenda.put("a", 5.0)
    agenda.put("b", 3.0)
    assert [agenda.take(2.9), agenda.take(5.0), agenda.take(5.0), agenda.take(99.0)] == [None, "b", "a", None]


def test_what_is_said_last_holds() -> None:
    agenda = Agenda()
    agenda.put("a", 5.0)
    agenda.put("a", 2.0)
    assert [agenda.take(2.0), agenda.take(9.0)] == ["a", None]
    agenda.put("a", 5.0)
    agenda.put("a", 7.0)
    assert [agenda.take(6.0), agenda.take(7.0)] == [None, "a"]
    agenda.put("a", 5.0)
    agenda.put("b", 5.0)
    agenda.keep({"b"})
    assert [agenda.take(9.0), agenda.take(9.0)] == ["b", None]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9))), st.integers(0, 9))
def test_it_is_as_if_all_were_looked_at(puts: list[tuple[str, int]], now_s: int) -> None:
    agenda, times = Agenda(), dict[str, int]()
    for key, when_s in puts:
        agenda.put(key, when_s)
        times[key] = when_s
    taken = list(iter(lambda: agenda.take(now_s), None))
    assert taken == sorted((key for key, when_s in times.items() if when_s <= now_s), key=lambda it: (times[it], it))

"""What people ask for, and what becomes of it: wanted, or refused with a sentence that says what to do."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from gateway.pairing.desired import Basis, Desired, Origin, Word
from gateway.pairing.desk.permission import Situation
from gateway.pairing.desk.wanting import adopted, commanded, imported
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish
from gateway.pairing.memory import Suspension
from gateway.pairing.observation import Air, Observation
from gateway.pairing.planning.plan import plan
from gateway.pairing.requests import (
    EntryRequest,
    ImportRequest,
    PairingRefused,
    PersonRequest,
    Refusal,
    SetRequest,
    asked,
)
from insiders_codecs.address import AddressKind
from tests.pairing.desks import situation
from tests.pairing.fleets import FREE, HR, NONE, NOW_MS, POWER, drifted, fleet, sensor, tracker

ONE, TWO = sensor("one"), sensor("two")
BY = PersonRequest(author="Kim", reason="new strap")


def refused(work: Callable[[], object]) -> tuple[Refusal, str]:
    with pytest.raises(PairingRefused) as error:
        work()
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 300
    return error.value.code, text


def command(met: Situation, serial: str = "A", /, **said: Any) -> Desired:
    said |= {slot: asked(said[slot]) for slot in Slot if slot in said}
    return commanded(met, serial, SetRequest(author="Kim", **said))


def entry(
    serial: str,
    heart_rate: Wanted = Wish.UNMANAGED,
    power: Wanted = Wish.UNMANAGED,
    generation: int | UnsetType = UNSET,
) -> EntryRequest:
    return EntryRequest(serial_number=serial, heart_rate=asked(heart_rate), power=asked(power), generation=generation)


def team(*entries: EntryRequest, **said: Any) -> ImportRequest:
    return ImportRequest(trackers=entries, author="Kim", **said)


def filed(seen: Observation) -> Observation:
    """The same, wanted by the configuration."""
    return replace(seen, desired=msgspec.structs.replace(seen.desired, origin=Origin.FILE, basis=Basis.FILE))


def test_a_command_wants_one_slot_and_leaves_the_other() -> None:
    met = situation(tracker("A", power=("meter", "meter", "meter")))
    wanted = command(met, heart_rate=ONE, reason="new strap")
    assert (wanted.heart_rate, wanted.power) == (ONE, sensor("meter"))
    assert (wanted.generation, wanted.basis, wanted.author, wanted.reason, wanted.at_ms) == (
        2,
        Basis.COMMAND,
        "Kim",
        "new strap",
        NOW_MS,
    )


def test_what_was_said_with_a_command_goes_with_it() -> None:
    wanted = command(situation(tracker("A")), heart_rate=ONE, is_scanned=True, immediate=True, during_session=True)
    assert (wanted.basis, wanted.is_immediate, wanted.is_during_session) == (Basis.SCAN, True, True)


@pytest.mark.parametrize("address", [ONE.address.upper(), ONE.address.replace(":", ""), ONE.address.replace(":", "-")])
def test_an_address_is_taken_in_any_form_and_kept_in_one(address: str) -> None:
    assert command(situation(tracker("A")), heart_rate=Sensor(address, f" {ONE.name} ")).heart_rate == ONE


def test_a_command_without_a_slot_is_refused() -> None:
    assert refused(lambda: command(situation(tracker("A"))))[0] is Refusal.BAD_MESSAGE


@pytest.mark.parametrize("serial", ["", "B", "a", "A ", "x" * 5000, "\0\n"])
def test_a_stranger_is_not_known_and_not_repeated(serial: str) -> None:
    code, text = refused(lambda: command(situation(tracker("A")), serial, heart_rate=ONE))
    assert code is Refusal.UNKNOWN_TRACKER
    assert "pair list" in text


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"heart_rate": ONE}, "change heart_rate_sensor under"),
        ({"power": ONE}, "change power_meter under"),
        ({"heart_rate": NONE, "power": NONE}, "change heart_rate_sensor and power_meter under"),
    ],
)
def test_a_tracker_of_the_configuration_is_changed_there(said: dict[str, Wanted], key: str) -> None:
    code, text = refused(lambda: command(situation(filed(tracker("A", "two", "two"))), **said))
    assert code is Refusal.FILE_MANAGED
    assert key in text
    assert 'serial_number = "A" in config.toml' in text
    assert "Anna (A)" in text


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Sensor("8D3E", "Polar H10 8D3E"), "six octets"),
        (Sensor("", "Polar"), "six octets"),
        (Sensor("00:00:00:00:00:00", "Polar"), "six octets"),
        (Sensor("a0" * 4000, "Polar"), "six octets"),
        (Sensor(ONE.address, ""), "needs the name"),
        (Sensor(ONE.address, "   "), "needs the name"),
        (Sensor(ONE.address, "x" * 101), "at most 100"),
        (Sensor(ONE.address, "Polar\x1b[2J"), "printable"),
        (Sensor(ONE.address, "Polar\nH10"), "printable"),
        (Sensor("\x1b[2J" * 500, ""), "six octets"),
    ],
)
def test_what_can_be_no_sensor_is_refused(wrong: Sensor, says: str) -> None:
    code, text = refused(lambda: command(situation(tracker("A")), heart_rate=wrong))
    assert code is Refusal.INVALID_SENSOR
    assert says in text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("air", "slot", "says"),
    [
        (Air("seen", address_kind=AddressKind.RESOLVABLE), HR, "keeps changing its address"),
        (Air("seen", kind="power"), HR, "is no heart-rate strap"),
        (Air("seen", kind="heart_rate"), POWER, "is no power meter"),
    ],
)
def test_what_the_radio_knows_of_a_sensor_counts(air: Air, slot: str, says: str) -> None:
    met = situation(tracker("A"), air={ONE: air})
    code, text = refused(lambda: command(met, **{slot: ONE}))
    assert code is Refusal.INVALID_SENSOR
    assert says in text
    both = situation(tracker("A"), air={ONE: Air("seen", kind="both")})
    assert command(both, **{slot: ONE})[Slot(slot)] == ONE


def test_a_list_that_wants_what_the_cloud_has_is_taken_though_nothing_may_be_written() -> None:
    """So that a pending exchange can be taken back at any time."""
    pending = [tracker("A", "two", "one"), tracker("B", "one", "two")]
    training = situation(of=replace(fleet(*pending), session_until_ms=NOW_MS + 60_000))
    met = situation(of=replace(training.fleet, pause=Suspension("Lee", "", 0)))
    back = imported(met, team(entry("A", ONE), entry("B", TWO)))
    assert [wanted.heart_rate for wanted in back.values()] == [ONE, TWO]
    assert refused(lambda: imported(training, team(entry("A", ONE), entry("B", NONE))))[0] is Refusal.SESSION_RUNNING


def test_the_same_once_more_is_nothing_to_do() -> None:
    code, text = refused(lambda: command(situation(tracker("A", "one", "one")), heart_rate=ONE))
    assert code is Refusal.NOTHING_TO_DO
    assert "pair explain A" in text


def test_the_same_once_more_while_it_is_on_its_way_is_nothing_to_do_unless_it_shall_be_otherwise() -> None:
    met = situation(tracker("A", "one", ""))
    assert refused(lambda: command(met, heart_rate=ONE))[0] is Refusal.NOTHING_TO_DO
    again = command(met, heart_rate=ONE, immediate=True)
    assert (again.generation, again.is_immediate) == (1, True)


def test_the_same_once_more_against_drift_is_wanted_anew() -> None:
    assert command(situation(drifted(tracker("A", "one", "two"))), heart_rate=ONE).generation == 1


def test_a_command_makes_an_approval_needless_but_not_for_what_a_list_wants_of_the_other_slot() -> None:
    listed = tracker("A", NONE, "one", basis=Basis.IMPORT, power=(NONE, "meter", "meter"), is_bulk=True)
    both = command(situation(listed), heart_rate=NONE, power=NONE)
    assert (both.generation, both.earlier) == (1, {})
    assert all(both.word(slot) == Word(Basis.COMMAND, False, False, False) for slot in Slot)
    one = command(situation(listed), heart_rate=sensor("new"), immediate=True, during_session=True)
    assert one.word(HR) == Word(Basis.COMMAND, is_immediate=True, is_during_session=True, is_bulk=False)
    assert one.word(POWER) == Word(Basis.IMPORT, is_immediate=False, is_during_session=False, is_bulk=True)
    assert (one.generation, one.generation_of(HR), one.generation_of(POWER)) == (2, 2, 1)


def test_what_was_said_of_a_slot_holds_whatever_is_said_of_the_other() -> None:
    first = tracker("A", "one", "", power=("meter", "", ""))
    said = command(situation(first), heart_rate=TWO, immediate=True, during_session=True)
    then = command(situation(replace(first, desired=said)), power=NONE)
    assert then.word(HR) == Word(Basis.COMMAND, is_immediate=True, is_during_session=True, is_bulk=False)
    assert not then.word(POWER).is_during_session
    again = command(situation(replace(first, desired=then)), heart_rate=TWO)
    assert not again.word(HR).is_during_session
    assert (again.generation, again.generation_of(HR), again.generation_of(POWER)) == (3, 2, 3)


def test_the_same_once_more_is_wanted_of_the_slot_that_somebody_else_has_changed_and_of_no_other() -> None:
    met = situation(drifted(tracker("A", "one", "two", power=("meter", "meter", "meter"))))
    assert refused(lambda: command(met, power=sensor("meter")))[0] is Refusal.NOTHING_TO_DO
    assert command(met, heart_rate=ONE).generation == 1


@pytest.mark.parametrize(
    ("paused", "remembered", "says"),
    [
        (Suspension("Lee", "", 0), {}, "Lee has stopped all changes: type `insiders-gateway pair resume` to"),
        (
            None,
            {"suspension": Suspension("", "lost", 0)},
            'Somebody ("lost") has stopped the changes of Anna (A): type `insiders-gateway pair resume A` to',
        ),
        (
            None,
            {"rival_since_ms": 1},
            "Another program keeps changing Anna (A): stop that one, then type `insiders-gateway pair resume A`",
        ),
    ],
)
def test_while_suspended_a_command_is_refused_loudly(
    paused: Suspension | None, remembered: dict[str, Any], says: str
) -> None:
    seen = tracker("A", "one", "one")
    seen = replace(seen, memory=msgspec.structs.replace(seen.memory, **remembered))
    met = situation(of=replace(fleet(seen), pause=paused))
    for said in ({"heart_rate": TWO}, {"heart_rate": NONE}, {"heart_rate": TWO, "during_session": True}):
        code, text = refused(partial(command, met, **said))
        assert code is Refusal.SUSPENDED
        assert says in text
    assert command(met, heart_rate=FREE).heart_rate is FREE


def test_while_athletes_train_a_command_has_to_say_so() -> None:
    met = situation(of=replace(fleet(tracker("A", "one", "one")), session_until_ms=NOW_MS + 600_000))
    code, text = refused(lambda: command(met, heart_rate=TWO))
    assert code is Refusal.SESSION_RUNNING
    assert "--during-session" in text
    assert command(met, heart_rate=TWO, during_session=True).is_during_session
    assert command(met, heart_rate=FREE).heart_rate is FREE


@pytest.mark.parametrize(
    "other",
    [
        tracker("B", "one", "one"),  # has it, and shall
        tracker("B", "one", ""),  # shall have it
        tracker("B", FREE, "one"),  # has it, and nobody says what it shall have
        tracker("B", power=("one", "", "")),  # in the other slot
        filed(tracker("B", "one", "one")),
    ],
)
def test_a_sensor_of_another_tracker_is_taken_and_the_ways_out_are_said(other: Observation) -> None:
    code, text = refused(lambda: command(situation(tracker("A"), other), heart_rate=ONE))
    assert code is Refusal.SENSOR_TAKEN
    assert "tracker B" in text
    assert "--swap" in text
    its_slot = POWER if other.desired.power == ONE else HR
    assert f"`insiders-gateway pair clear B --slot {its_slot}`" in text, "B may have a second sensor"


@pytest.mark.parametrize(
    "other",
    [
        tracker("B", "two", "one"),  # is about to get another
        tracker("B", NONE, "one"),  # is about to lose it
        tracker("B", FREE, "", "one"),  # has let it go, as far as the cloud is concerned
    ],
)
def test_a_sensor_that_is_being_let_go_can_be_had(other: Observation) -> None:
    assert command(situation(tracker("A"), other), heart_rate=ONE).heart_rate == ONE


def test_a_refusal_tells_a_program_which_tracker_and_until_when() -> None:
    met = situation(tracker("A"), tracker("B", "one", "one"))
    with pytest.raises(PairingRefused) as error:
        command(met, heart_rate=ONE)
    assert error.value.facts == {"serial_number": "B"}
    met = situation(of=replace(fleet(tracker("A")), session_until_ms=NOW_MS + 600_000))
    with pytest.raises(PairingRefused) as error:
        command(met, heart_rate=ONE)
    assert error.value.facts == {"session_until_ms": NOW_MS + 600_000}


def test_a_command_that_knows_of_another_wish_is_refused() -> None:
    met = situation(tracker("A", "one", "one", generation=7))
    assert command(met, heart_rate=TWO, generation=7).generation == 8
    for generation in (0, 6, 8):
        code, text = refused(partial(command, met, heart_rate=TWO, generation=generation))
        assert code is Refusal.GENERATION_CHANGED
        assert "Anna (A)" in text


def test_a_list_that_knows_of_another_wish_is_refused_whatever_else_is_in_it() -> None:
    met = situation(tracker("A", generation=3), tracker("B", "two", "two", generation=7))
    assert set(imported(met, team(entry("A", ONE, generation=3), entry("B", TWO, generation=7)))) == {"A"}
    for stale in (entry("B", TWO, generation=6), entry("B", sensor("new"), generation=8)):
        code, text = refused(partial(imported, met, team(entry("A", ONE, generation=3), stale)))
        assert code is Refusal.GENERATION_CHANGED
        assert "tracker B" in text


def test_one_sensor_cannot_be_both_of_a_tracker() -> None:
    for seen, said in (
        (tracker("A"), {"heart_rate": ONE, "power": ONE}),
        (tracker("A", "one", "one"), {"power": ONE}),
        (tracker("A", FREE, "one"), {"power": ONE}),
    ):
        code, _ = refused(partial(command, situation(seen), **said))
        assert code is Refusal.INVALID_SENSOR


def test_a_list_exchanges_two_sensors() -> None:
    met = situation(tracker("A", "one", "one"), tracker("B", "two", "two"))
    changed = imported(met, team(entry("A", TWO), entry("B", ONE)))
    assert {serial: wanted.heart_rate for serial, wanted in changed.items()} == {"A": TWO, "B": ONE}
    assert {wanted.basis for wanted in changed.values()} == {Basis.IMPORT}


def test_a_list_takes_over_a_sensor_that_an_unmanaged_tracker_has_only_with_that_tracker() -> None:
    met = situation(tracker("A"), tracker("B", FREE, "one"))
    assert refused(lambda: imported(met, team(entry("A", ONE))))[0] is Refusal.SENSOR_TAKEN
    assert set(imported(met, team(entry("A", ONE), entry("B", NONE)))) == {"A", "B"}


def test_a_list_is_taken_as_a_whole_or_not_at_all() -> None:
    met = situation(tracker("A"), tracker("B"))
    for wrong, code in (
        (team(entry("A", ONE), entry("X", TWO), entry("\x1b[2J")), Refusal.UNKNOWN_TRACKER),
        (team(entry("A", ONE), entry("A", TWO)), Refusal.BAD_MESSAGE),
        (team(entry("A", ONE), entry("B", ONE)), Refusal.SENSOR_TAKEN),
        (team(entry("A", ONE), entry("B", Sensor("x", "y"))), Refusal.INVALID_SENSOR),
    ):
        assert refused(partial(imported, met, wrong))[0] is code


def test_what_a_list_repeats_is_no_change_and_of_the_configuration_neither() -> None:
    met = situation(tracker("A", "one", "one"), filed(tracker("B", "two", "two")), tracker("C"))
    assert set(imported(met, team(entry("A", ONE), entry("B", TWO), entry("C", sensor("three"))))) == {"C"}
    code, text = refused(lambda: imported(met, team(entry("B", sensor("three")))))
    assert code is Refusal.FILE_MANAGED
    assert "tracker B" in text


def test_a_list_is_bulk_if_it_changes_many() -> None:
    for changed, of, is_bulk in ((1, 1, False), (2, 9, True), (2, 10, False), (5, 30, False), (6, 60, True)):
        met = situation(*(tracker(str(i)) for i in range(of)))
        wanted = imported(met, team(*(entry(str(i), sensor(str(i))) for i in range(changed))))
        assert {it.is_bulk for it in wanted.values()} == {is_bulk}


def test_what_a_list_only_repeats_is_no_verdict_on_what_somebody_else_has_changed() -> None:
    met = situation(
        drifted(tracker("A", "one", "two", power=("meter", "meter", "meter"))), tracker("B", "three", "three")
    )
    assert imported(met, team(entry("A", ONE, sensor("meter")), entry("B", sensor("three")))) == {}
    changed = imported(met, team(entry("A", ONE, NONE, generation=1), during_session=True))["A"]
    assert changed.word(HR) == met.fleet.trackers[0].desired.word(HR)
    assert (changed.word(POWER).basis, changed.word(POWER).is_during_session) == (Basis.IMPORT, True)


def test_a_list_waits_for_the_session_unless_it_says_so() -> None:
    met = situation(of=replace(fleet(tracker("A"), tracker("B")), session_until_ms=NOW_MS + 1))
    assert refused(lambda: imported(met, team(entry("A", ONE))))[0] is Refusal.SESSION_RUNNING
    assert imported(met, team(entry("A", ONE), during_session=True))["A"].is_during_session


def test_a_tracker_is_adopted_as_it_is() -> None:
    met = situation(drifted(tracker("A", "one", "two", power=(FREE, "meter", ""))))
    wanted = adopted(met, "A", BY)["A"]
    assert (wanted.heart_rate, wanted.power, wanted.basis, wanted.generation) == (TWO, FREE, Basis.ADOPTED, 2)


def test_of_a_tracker_of_which_nothing_was_wanted_what_is_there_is_adopted() -> None:
    wanted = adopted(situation(tracker("A", FREE, "one")), "A", BY)["A"]
    assert (wanted.heart_rate, wanted.power) == (ONE, FREE)


def test_all_that_nobody_waits_for_is_adopted_at_once() -> None:
    met = situation(
        drifted(tracker("A", "one", "two")),
        tracker("B", FREE, "three"),
        tracker("C", "four", ""),  # on its way
        filed(drifted(tracker("D", "five", "six"))),
        tracker("E", FREE, "seven", is_read=False),
        tracker("F", "eight", "eight"),
        drifted(tracker("G", "nine", "", power=("ten", "", ""))),  # and its power meter is on its way
    )
    changed = adopted(met, None, BY)
    assert changed["G"].power == sensor("ten")
    assert {serial: it.heart_rate for serial, it in changed.items()} == {"A": TWO, "B": sensor("three"), "G": NONE}


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (tracker("A", "one", "one"), Refusal.NOTHING_TO_DO),
        (tracker("A"), Refusal.NOTHING_TO_DO),
        (filed(drifted(tracker("A", "one", "two"))), Refusal.FILE_MANAGED),
        (tracker("A", "one", "two", is_read=False), Refusal.NOT_READ_YET),
    ],
)
def test_what_cannot_be_adopted_is_refused(seen: Observation, code: Refusal) -> None:
    assert refused(lambda: adopted(situation(seen), "A", BY))[0] is code


def test_nothing_is_adopted_that_another_tracker_shall_have() -> None:
    met = situation(drifted(tracker("A", "one", "two")), tracker("B", "two", "two"))
    assert refused(lambda: adopted(met, "A", BY))[0] is Refusal.SENSOR_TAKEN


WISHES = st.sampled_from([Wish.UNMANAGED, Wish.NONE, *map(sensor, "uvwxyz")])


@given(
    st.lists(st.tuples(WISHES, st.sampled_from(["", *"uvwxyz"])), min_size=2, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), WISHES), max_size=12),
)
def test_whatever_is_commanded_no_sensor_is_ever_wanted_for_two(
    start: list[tuple[Wanted, str]], commands: list[tuple[int, Wanted]]
) -> None:
    seen = {str(i): tracker(str(i), FREE, target) for i, (_, target) in enumerate(start)}
    everything = [(i, wish) for i, (wish, _) in enumerate(start)] + commands
    for place, wish in everything:
        serial = str(place % len(seen))
        try:
            wanted = command(situation(*seen.values()), serial, heart_rate=wish)
        except PairingRefused:
            continue
        seen[serial] = replace(seen[serial], desired=wanted)
        had = [it.desired.heart_rate for it in seen.values() if isinstance(it.desired.heart_rate, Sensor)]
        assert len(had) == len(set(had))
        assert plan(fleet(*seen.values())).trackers

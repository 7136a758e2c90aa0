"""What is remembered of a tracker after each step of a write, after each reading, and after what others do."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.pairing.desired import Desired
from gateway.pairing.documents import ClearForm, Document, Documents, Sensor, Slot, Wish
from gateway.pairing.memory import Intent, Memory, Refusal, Renaming
from gateway.pairing.planning.plan import Write
from gateway.pairing.reconciling.remembering import (
    LATE_MS,
    RIVAL_MS,
    SETTLING_MS,
    after_answer,
    after_reading,
    after_refusal,
    with_form,
    with_intent,
    without_intent,
)

A, B, C = (Sensor(f"a0:9e:1a:00:00:0{number}", f"Polar H10 {number}") for number in (1, 2, 3))
METER = Sensor("e8:fe:6e:00:00:01", "ASSIOMA1")
NOW_MS = 1_795_000_000_000
FREE = Wish.UNMANAGED
HR, POWER = Slot.HEART_RATE, Slot.POWER
OLD = Document(heart_rate=A, power=METER)
NEW = Document(heart_rate=B, power=METER)
WANTED = Desired(heart_rate=B, generation=3)
WRITE = Write(OLD, {Slot.HEART_RATE: B}, 3)
KNOWN = Memory(target=OLD, current=OLD)
INTENDED = with_intent(KNOWN, WRITE, ClearForm.NULL, NOW_MS)
ANSWERED = after_answer(INTENDED, NEW, NOW_MS)


def read(memory: Memory, target: Document, desired: Desired = WANTED, now_ms: int = NOW_MS) -> Memory:
    return after_reading(memory, Documents(target, OLD), desired, now_ms)[0]


def reasons(memory: Memory, target: Document, desired: Desired = WANTED, now_ms: int = NOW_MS) -> list[str]:
    return [it.reason for it in after_reading(memory, Documents(target, OLD), desired, now_ms)[1]]


# --- what became of a write ---------------------------------------------------------------------------------------


def test_a_write_leaves_an_intent_that_says_what_it_replaces_and_makes() -> None:
    assert INTENDED.intent == Intent(OLD, NEW, (Slot.HEART_RATE,), 3, WRITE.fingerprint, NOW_MS)
    assert without_intent(INTENDED) == KNOWN


@pytest.mark.parametrize("memory", [INTENDED, ANSWERED], ids=["not answered", "answered"])
def test_a_write_that_is_found_there_has_landed_and_is_ours(memory: Memory) -> None:
    assert read(memory, NEW) == Memory(target=NEW, current=OLD, ours=NEW, ours_ms=NOW_MS, served={HR: B})
    assert reasons(memory, NEW) == ["Written"]


def test_a_write_without_answer_that_is_not_found_there_is_over_and_counts_as_ours_if_it_turns_up() -> None:
    lapsed = read(INTENDED, OLD, now_ms=NOW_MS + 5000)
    assert lapsed.intent is None
    assert lapsed.foreign_ms == ()
    assert reasons(INTENDED, OLD) == ["NotArrived"]
    after_all = read(lapsed, NEW, now_ms=NOW_MS + 60_000)
    assert (after_all.ours, after_all.late, after_all.foreign_ms) == (NEW, None, ())
    assert reasons(lapsed, NEW, now_ms=NOW_MS + 60_000) == ["ArrivedLate"]


def test_what_turns_up_a_quarter_of_an_hour_later_is_somebody_elses() -> None:
    lapsed = read(INTENDED, OLD, now_ms=NOW_MS)
    assert read(lapsed, NEW, now_ms=NOW_MS + LATE_MS).foreign_ms == (NOW_MS + LATE_MS,)


def test_a_write_that_was_answered_is_looked_for_until_the_cloud_has_settled_and_then_never_sent_again() -> None:
    assert read(ANSWERED, OLD, now_ms=NOW_MS + SETTLING_MS - 1) == ANSWERED
    refused = read(ANSWERED, OLD, now_ms=NOW_MS + SETTLING_MS)
    assert refused == replace(KNOWN, refusals=(Refusal(WRITE.fingerprint, Refusal.Kind.NOT_ECHOED),))
    assert reasons(ANSWERED, OLD, now_ms=NOW_MS + SETTLING_MS) == ["NotEchoed"]


def test_a_wall_clock_that_was_set_back_does_not_keep_a_write_waiting() -> None:
    assert read(ANSWERED, OLD, now_ms=NOW_MS - 1).intent is None


CUT = Sensor(B.address, "Polar")


@pytest.mark.parametrize("memory", [INTENDED, ANSWERED], ids=["not answered", "answered"])
def test_a_name_that_the_cloud_keeps_in_its_own_way_is_the_same_from_then_on(memory: Memory) -> None:
    kept = read(memory, Document(heart_rate=CUT, power=METER))
    assert kept.renamings == (Renaming(wanted=B, kept=CUT),)
    assert kept.ours == Document(heart_rate=CUT, power=METER)
    assert kept.is_same(CUT, B)
    assert not kept.is_same(B, CUT)
    assert read(kept, Document(heart_rate=CUT, power=METER)).drifted == {}


def test_a_name_that_the_cloud_has_cut_before_is_found_to_be_kept_only_after_it_has_settled() -> None:
    cut = Document(heart_rate=CUT)
    write = Write(cut, {Slot.HEART_RATE: B}, 3)
    memory = with_intent(Memory(target=cut), write, ClearForm.NULL, NOW_MS)
    answered = after_answer(memory, cut, NOW_MS)
    assert read(answered, cut, now_ms=NOW_MS + 1).intent is not None
    assert read(answered, cut, now_ms=NOW_MS + SETTLING_MS).renamings == (Renaming(wanted=B, kept=CUT),)
    assert read(memory, cut).renamings == (), "nobody knows whether it arrived"


OTHER = Document(heart_rate=C, power=METER)


def test_what_stands_there_after_a_write_that_landed_and_is_not_it_was_written_by_others() -> None:
    overwritten = read(ANSWERED, OTHER)
    assert (overwritten.ours, overwritten.foreign_ms, overwritten.drifted) == (NEW, (NOW_MS,), {HR: B})
    assert reasons(ANSWERED, OTHER) == ["Written", "ChangedByOther"]


def test_what_the_cloud_answered_in_another_way_was_its_own_doing() -> None:
    memory = read(after_answer(INTENDED, OTHER, NOW_MS), OTHER)
    assert (memory.foreign_ms, memory.drifted) == ((), {})
    assert memory.refusals == (Refusal(WRITE.fingerprint, Refusal.Kind.NOT_ECHOED),)


def test_what_stands_there_after_a_write_without_answer_and_is_not_it_was_written_by_others() -> None:
    memory = read(INTENDED, OTHER)
    assert (memory.ours, memory.intent, memory.foreign_ms, memory.drifted) == (None, None, (NOW_MS,), {HR: B})


BOTH = Desired(heart_rate=B, power=Wish.NONE, generation=3)
WRITE_BOTH = Write(OLD, {Slot.HEART_RATE: B, Slot.POWER: None}, 3)


def test_a_write_of_which_one_slot_is_taken_is_not_sent_again_if_the_cloud_said_yes() -> None:
    memory = with_intent(KNOWN, WRITE_BOTH, ClearForm.NULL, NOW_MS)
    half = Document(heart_rate=B, power=METER)
    answered = after_answer(memory, half, NOW_MS)
    refused = read(answered, half, BOTH, NOW_MS + SETTLING_MS)
    assert refused.refusals == (Refusal(WRITE_BOTH.fingerprint, Refusal.Kind.NOT_ECHOED, form=ClearForm.NULL),)
    assert refused.foreign_ms == ()
    assert read(memory, half, BOTH).refusals == (), "without an answer it may be sent once more"


def test_a_change_of_a_slot_that_was_not_written_is_seen_beside_a_write_that_landed() -> None:
    both = replace(BOTH, power=METER)
    memory = read(ANSWERED, Document(heart_rate=B, power=None), both)
    assert memory.ours == Document(heart_rate=B, power=None)
    assert (memory.foreign_ms, memory.drifted) == ((NOW_MS,), {POWER: METER})


def test_a_change_of_another_slot_is_told_once_however_often_a_write_is_looked_for() -> None:
    both = replace(BOTH, power=METER)
    memory = read(ANSWERED, Document(heart_rate=A), both)
    assert (memory.intent, memory.foreign_ms) == (ANSWERED.intent, (NOW_MS,))
    memory = read(memory, Document(heart_rate=A), both, NOW_MS + 5000)
    assert (memory.intent, memory.foreign_ms) == (ANSWERED.intent, (NOW_MS,))


def test_content_that_is_refused_is_remembered_once_and_in_the_form_in_which_it_was_sent() -> None:
    memory = with_intent(KNOWN, WRITE_BOTH, ClearForm.EMPTY_OBJECT, NOW_MS)
    refused = after_refusal(memory, Refusal.Kind.REJECTED, "status 400")
    expected = Refusal(WRITE_BOTH.fingerprint, Refusal.Kind.REJECTED, "status 400", ClearForm.EMPTY_OBJECT)
    assert refused == replace(KNOWN, refusals=(expected,))
    again = after_refusal(with_intent(refused, WRITE_BOTH, ClearForm.EMPTY_OBJECT, NOW_MS), Refusal.Kind.REJECTED)
    assert len(again.refusals) == 1
    assert with_form(refused, ClearForm.EMPTY_OBJECT) is refused
    assert with_form(refused, ClearForm.NULL) == KNOWN, "another way to clear may be taken"


# --- what others do -----------------------------------------------------------------------------------------------


def test_the_first_reading_of_a_tracker_is_nobodys_change() -> None:
    assert read(Memory(), OTHER) == Memory(target=OTHER, current=OLD)


def test_a_change_without_an_intent_of_ours_is_drift() -> None:
    memory = read(replace(KNOWN, target=NEW), OTHER)
    assert (memory.foreign_ms, memory.drifted, memory.target) == ((NOW_MS,), {HR: B}, OTHER)


def test_what_others_do_to_a_slot_that_is_not_managed_is_not_ours_to_judge() -> None:
    memory = read(replace(KNOWN, target=NEW), Document(heart_rate=B, power=None))
    assert (memory.foreign_ms, memory.drifted) == ((), {})
    assert memory.target == Document(heart_rate=B, power=None)


def test_somebody_else_who_does_what_is_wanted_makes_no_drift() -> None:
    memory = read(KNOWN, NEW)
    assert (memory.foreign_ms, memory.drifted) == ((NOW_MS,), {})


def test_what_the_configuration_wants_as_it_is_already_counts_as_done() -> None:
    assert read(Memory(), NEW).served == {HR: B}
    assert read(replace(KNOWN, target=NEW), OTHER).served == {HR: B}, "it was so before somebody else came"
    assert read(KNOWN, OLD).served == {}
    assert read(ANSWERED, OTHER).served == {HR: B}, "for a moment"


BY_WISH = Desired(heart_rate=B, power=METER, generation=3)


def test_drift_is_of_the_slot_that_was_changed_and_a_write_of_the_other_one_does_not_end_it() -> None:
    memory = read(replace(KNOWN, target=NEW), Document(heart_rate=C, power=METER), BY_WISH)
    assert memory.drifted == {HR: B}
    both = read(memory, Document(heart_rate=C, power=None), BY_WISH)
    assert both.drifted == {HR: B, POWER: METER}
    write = Write(Document(heart_rate=C), {POWER: METER}, 3)
    answered = after_answer(with_intent(both, write, ClearForm.NULL, NOW_MS), write.payload, NOW_MS)
    assert read(answered, write.payload, BY_WISH).drifted == {HR: B}
    other = replace(BY_WISH, power=Wish.NONE, generation=4)
    assert read(both, Document(heart_rate=C), other).drifted == {HR: B}, "another wish of the other slot neither"


def test_drift_is_not_ended_by_a_new_generation_that_wants_the_same() -> None:
    drifted = replace(KNOWN, target=OTHER, drifted={HR: B})
    assert read(drifted, OTHER, replace(WANTED, generation=4)).drifted == {HR: B}


def test_a_change_beside_a_write_that_was_overtaken_is_told_once() -> None:
    memory = read(ANSWERED, Document(heart_rate=A), BY_WISH)
    assert memory.foreign_ms == (NOW_MS,)
    _, happened = after_reading(memory, Documents(Document(heart_rate=C), OLD), BY_WISH, NOW_MS + 1)
    assert [it.slot for it in happened if it.reason == "ChangedByOther"] == [HR]


@pytest.mark.parametrize(
    ("desired", "target"),
    [(replace(WANTED, heart_rate=A, generation=4), OTHER), (WANTED, NEW), (replace(WANTED, heart_rate=FREE), OTHER)],
    ids=["something else is desired", "as desired again", "left alone"],
)
def test_drift_ends(desired: Desired, target: Document) -> None:
    drifted = replace(KNOWN, target=OTHER, drifted={HR: B})
    assert read(drifted, OTHER).drifted == {HR: B}
    assert read(drifted, target, desired).drifted == {}


def test_three_changes_by_others_in_ten_minutes_are_another_controller() -> None:
    memory = replace(KNOWN, target=NEW)
    for turn in range(3):
        assert memory.rival_since_ms is None
        memory = read(memory, (OTHER, NEW)[turn % 2], now_ms=NOW_MS + turn * 60_000)
    assert memory.rival_since_ms == NOW_MS + 120_000
    later = read(memory, NEW, now_ms=NOW_MS + 180_000)
    assert later.rival_since_ms == NOW_MS + 120_000, "only a person ends that"


def test_three_changes_over_a_longer_time_are_not() -> None:
    memory = replace(KNOWN, target=NEW)
    for turn in range(6):
        memory = read(memory, (OTHER, NEW)[turn % 2], now_ms=NOW_MS + turn * RIVAL_MS // 2)
    assert memory.rival_since_ms is None
    assert len(memory.foreign_ms) == 6


# --- all of it ----------------------------------------------------------------------------------------------------

SENSORS = st.sampled_from([None, A, B, C, CUT])
DOCUMENTS = st.builds(Document, SENSORS, st.sampled_from([None, METER]))
DESIRED = st.builds(
    Desired,
    st.sampled_from([Wish.UNMANAGED, Wish.NONE, A, B]),
    st.sampled_from([Wish.UNMANAGED, Wish.NONE, METER]),
    st.integers(1, 3),
)
MEMORIES = st.sampled_from([Memory(), KNOWN, INTENDED, ANSWERED, replace(KNOWN, drifted={HR: B, POWER: METER})])


@given(MEMORIES, DOCUMENTS, DOCUMENTS, DESIRED, st.integers(0, 10**6))
def test_reading_the_same_again_changes_nothing_and_survives_the_disk(
    memory: Memory, target: Document, current: Document, desired: Desired, later_ms: int
) -> None:
    once, _ = after_reading(memory, Documents(target, current), desired, NOW_MS + later_ms)
    assert msgspec.json.decode(msgspec.json.encode(once), type=Memory) == once
    assert (once.target, once.current) == (target, current)
    assert after_reading(once, Documents(target, current), desired, NOW_MS + later_ms) == (once, ())


@given(MEMORIES, st.lists(DOCUMENTS, max_size=40), DESIRED)
def test_a_memory_does_not_grow(memory: Memory, targets: list[Document], desired: Desired) -> None:
    for turn, target in enumerate(targets):
        memory = read(memory, target, desired, NOW_MS + turn * 1000)
        memory = after_refusal(with_intent(memory, WRITE, ClearForm.NULL, NOW_MS), Refusal.Kind.REJECTED)
    assert len(memory.foreign_ms) <= 8
    assert len(memory.refusals) <= 8
    assert len(memory.renamings) <= 8

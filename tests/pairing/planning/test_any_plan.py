"""Whatever is known of a fleet, what must not be written is not."""

from dataclasses import replace
from datetime import UTC

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pairing.approval import Approval
from gateway.pairing.conditions import ConditionType
from gateway.pairing.desired import Basis, Word
from gateway.pairing.documents import Document, Documents, Slot, Wish
from gateway.pairing.memory import Intent, Suspension
from gateway.pairing.observation import Fleet, Mode, Observation, Trouble
from gateway.pairing.planning.changes import approval_of, change_sets, is_drifted
from gateway.pairing.planning.plan import Plan, State, plan
from tests.pairing.fleets import FREE, HR, NONE, NOW_MS, fleet, tracker

_STOPPED = Suspension("Kim", "", NOW_MS)


def planned(one: Fleet) -> Plan:
    return plan(one, UTC)


letters = st.sampled_from(["", "A", "B", "C"])
wishes = st.sampled_from([FREE, NONE, "A", "B", "C"])


@st.composite
def observations(draw: st.DrawFn, serial_number: str) -> Observation:
    """Anything that can be known of a tracker."""
    one = tracker(
        serial_number,
        draw(wishes),
        draw(letters),
        draw(letters),
        power=(draw(wishes), draw(letters), draw(letters)),
        basis=draw(st.sampled_from(Basis)),
        is_bulk=draw(st.booleans()),
        is_ours=draw(st.sampled_from([True, True, True, None, False])),
        is_read=draw(st.sampled_from([True, True, True, False])),
    )
    memory = msgspec.structs.replace(
        one.memory,
        drifted={slot: one.desired[slot] for slot in draw(st.sets(st.sampled_from(Slot)))},
        served={slot: one.desired[slot] for slot in draw(st.sets(st.sampled_from(Slot)))},
        rival_since_ms=draw(st.sampled_from([None, None, None, NOW_MS])),
        suspension=draw(st.sampled_from([None, None, None, _STOPPED])),
        intent=draw(st.sampled_from([None, None, None, Intent(Document(), Document(), (HR,), 1, "f", NOW_MS)])),
    )
    words = st.builds(Word, st.sampled_from(Basis), st.booleans(), st.booleans(), st.booleans())
    earlier = draw(st.dictionaries(st.sampled_from(Slot), words, max_size=1))
    return replace(
        one,
        desired=msgspec.structs.replace(one.desired, earlier=earlier),
        memory=memory,
        trouble=draw(st.sampled_from([None, None, *Trouble])),
        next_try_s=draw(st.sampled_from([0.0, 0.0, 3.0])),
        is_busy=draw(st.sampled_from([False, False, True])),
        replans=draw(st.integers(0, 3)),
        contact_ago_s=draw(st.sampled_from([None, 1.0, 50.0])),
        contacts=draw(st.integers(0, 4)),
        waiting_s=draw(st.sampled_from([None, 5.0, 5000.0])),
        still_s=draw(st.sampled_from([0.0, 5000.0])),
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    one = replace(
        fleet(*(draw(observations(f"T{number}")) for number in range(draw(st.integers(1, 4))))),
        mode=draw(st.sampled_from(Mode)),
        session_until_ms=draw(st.sampled_from([None, None, NOW_MS + 1])),
        is_clock_sure=draw(st.sampled_from([True, True, False])),
        is_store_working=draw(st.sampled_from([True, True, False])),
        pause=draw(st.sampled_from([None, None, None, _STOPPED])),
    )
    changes = [change for group in change_sets(one) for change in group.changes]
    said = draw(st.booleans())
    approval = approval_of(changes, one, "Kim", is_during_session=said)
    return replace(one, approvals=(approval,)) if draw(st.booleans()) else one


@given(fleets())
@settings(max_examples=150)
def test_whatever_is_known_what_must_not_be_written_is_not(one: Fleet) -> None:
    made = planned(one)
    groups = {(it.serial_number, it.slot): group for group in made.change_sets for it in group.changes}
    hashes = {group.hash for group in made.change_sets}
    assert list(made.trackers) == [seen.serial_number for seen in one.trackers]
    for seen in one.trackers:
        found = made.trackers[seen.serial_number]
        assert sum(it.type is ConditionType.READY for it in found.conditions) == 1
        assert found.conditions[0].type is ConditionType.READY
        assert found.write is None or found.state not in {
            State.UNKNOWN,
            State.UNMANAGED,
            State.IN_SYNC,
            State.AWAITING_DEVICE,
            State.SUSPENDED,
            State.BACKOFF,
            State.STALLED,
            State.NEEDS_HUMAN,
        }
        if found.write is None:
            continue
        assert seen.documents is not None
        assert found.change_set in hashes
        assert seen.is_ours
        assert not seen.is_busy
        assert seen.memory.intent is None
        assert found.write.base == seen.documents.target
        for slot in Slot:
            if slot not in found.write.changes:
                assert found.write.payload[slot] == found.write.base[slot]
            else:
                assert groups[seen.serial_number, slot].is_approved
                assert not (one.mode is Mode.OBSERVE and is_drifted(seen, slot))
                assert one.session_until_ms is None or _is_said(one) or seen.desired.word(slot).is_during_session
                assert seen.desired[slot] is not Wish.UNMANAGED
                assert found.write.changes[slot] != seen.documents.target[slot]
                assert found.write.changes[slot] in {None, seen.desired[slot]}


def _is_said(one: Fleet) -> bool:
    return any(it.is_during_session for it in one.approvals)


@given(fleets())
def test_the_same_input_gives_the_same_plan(one: Fleet) -> None:
    assert planned(one) == planned(replace(one, trackers=tuple(replace(it) for it in one.trackers)))


@given(fleets())
def test_everything_that_is_told_is_a_sentence(one: Fleet) -> None:
    for found in planned(one).trackers.values():
        for it in found.conditions:
            assert it.text
            assert not {"{", "}"} & set(it.text + it.action)
            assert not it.text.endswith(".")


@given(st.lists(st.tuples(wishes, letters, wishes, letters), min_size=1, max_size=5))
@settings(max_examples=20)
def test_a_hundred_replays_of_what_is_in_place_write_nothing(
    wanted: list[tuple[str | Wish, str, str | Wish, str]],
) -> None:
    """Everything is written that may be; after that, whether trackers follow or not, nothing ever is again."""
    one = fleet(*(tracker(f"T{n}", it[0], it[1], power=(it[2], it[3], it[3])) for n, it in enumerate(wanted)))
    writes = 0
    for follows in (True, False):
        for _ in range(10):
            made = planned(replace(one, approvals=_all_agreed(one)))
            trackers = []
            for seen in one.trackers:
                assert seen.documents is not None
                write = made.trackers[seen.serial_number].write
                target = seen.documents.target if write is None else write.payload
                ours = seen.memory.ours if write is None else write.payload
                memory = msgspec.structs.replace(seen.memory, target=target, ours=ours, ours_ms=NOW_MS)
                current = target if follows else seen.documents.current
                trackers.append(replace(seen, documents=Documents(target, current), memory=memory))
                writes += write is not None
            one = replace(one, trackers=tuple(trackers))
    assert writes <= 4 * len(wanted)
    agreed = replace(one, approvals=_all_agreed(one))
    assert all(it.write is None for _ in range(100) for it in planned(agreed).trackers.values())


def _all_agreed(one: Fleet) -> tuple[Approval, ...]:
    return (approval_of([change for group in change_sets(one) for change in group.changes], one, "Kim"),)

"""The desk in front of a real store: what is asked, kept, refused and told."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.live.board import Board
from gateway.pairing.desired import Desired
from gateway.pairing.desk.pairings import Pairings
from gateway.pairing.documents import Documents, Sensor, Slot, Wanted, Wish
from gateway.pairing.keeping import records as pairing_records
from gateway.pairing.keeping.chronicle import Dated
from gateway.pairing.keeping.records import Records
from gateway.pairing.memory import Memory
from gateway.pairing.observation import Air, Fleet, Mode, Observation
from gateway.pairing.planning.plan import Plan, State, plan
from gateway.pairing.report import PairingReport, PairingsReport
from gateway.pairing.requests import (
    ApplyRequest,
    EntryRequest,
    ImportRequest,
    PairingRefused,
    PersonRequest,
    Refusal,
    SetRequest,
    asked,
)
from gateway.problems import Problems
from gateway.store import Store, StoreError, open_store
from tests.pairing.desks import wearers
from tests.pairing.fleets import NONE, NOW_MS, document, sensor, tracker

ONE, TWO, THREE = sensor("one"), sensor("two"), sensor("three")
KIM = PersonRequest(author="Kim", reason="lost")


@dataclass
class Observed:
    """A reconciler that only looks: the cloud is what the test says.

    Attributes:
        seen: The trackers, without what the records know.
        retried: Of which trackers somebody said to try again.
        woken: How often it was woken.
    """

    records: Records
    seen: dict[str, Observation]
    is_planned: bool = True
    mode: Mode = Mode.PROPOSE
    session_until_ms: int | None = None
    retried: list[str | None] = field(default_factory=list)
    woken: int = 0

    @property
    def plan(self) -> Plan:
        return plan(self.fleet()) if self.is_planned else Plan({}, (), "")

    @property
    def dated(self) -> Dated:
        return {
            serial: tuple((condition, 17) for condition in planned.conditions)
            for serial, planned in self.plan.trackers.items()
        }

    def fleet(self) -> Fleet:
        records = self.records
        return Fleet(
            tuple(
                replace(
                    it, desired=records.desired.get(serial, Desired()), memory=records.memories.get(serial, Memory())
                )
                for serial, it in self.seen.items()
            ),
            records.approvals,
            self.mode,
            records.pause,
            self.session_until_ms,
            now_ms=NOW_MS,
        )

    def read_ms(self, serial_number: str) -> int | None:
        return NOW_MS - 1000 if self.seen[serial_number].documents is not None else None

    def wake(self) -> None:
        self.woken += 1

    def retry(self, serial_number: str | None) -> None:
        self.retried.append(serial_number)

    def cloud_has(self, serial: str, target: str, current: str | None = None) -> None:
        documents = Documents(document(target), document(target if current is None else current))
        self.seen[serial] = replace(self.seen[serial], documents=documents)


class Radio:
    """The evidence, as far as the desk asks."""

    def air(self, _sensors: Collection[Sensor]) -> Mapping[str, Air]:
        return {}


@dataclass
class Desk:
    store: Store
    records: Records
    observed: Observed
    pairings: Pairings
    problems: Problems
    board: Board

    async def set_(self, serial: str, wanted: Wanted, **said: Any) -> PairingReport:
        return await self.pairings.set_(serial, SetRequest(heart_rate=asked(wanted), author="Kim", **said))

    async def refused(self, doing: Any) -> Refusal:
        with pytest.raises(PairingRefused) as error:
            await doing
        assert str(error.value).endswith(".")
        return error.value.code


@pytest.fixture(name="desk")
async def _desk(tmp_path: Path) -> AsyncIterator[Desk]:
    seen = {serial: tracker(serial) for serial in "ABCDEFGHIJ"}
    async with open_store(tmp_path, [pairing_records.SCHEMA]) as store:
        records = Records(store)
        await records.load()
        observed = Observed(records, seen)
        problems, board = Problems(lambda: NOW_MS), Board()
        people = list(wearers(list(seen.values())).values())
        yield Desk(
            store, records, observed, Pairings(observed, records, Radio(), people, problems, board), problems, board
        )


async def test_what_is_set_is_kept_told_and_set_about(desk: Desk) -> None:
    report = await desk.set_("A", ONE, reason="new strap")
    assert (report.name, report.managed_by, report.generation) == ("Anna", "field", 1)
    assert (report.slots[0].desired, report.slots[0].target, report.slots[1].desired) == (ONE, None, Wish.UNMANAGED)
    assert [(it.slot, it.reason, it.author) for it in report.events] == [("heart_rate", "Wanted", "Kim")]
    assert report.events[0].text == f'{ONE.name} is wanted ("new strap")'
    assert desk.observed.woken == 1
    later = Records(desk.store)
    await later.load()
    assert later.desired["A"] == desk.records.desired["A"]


async def test_a_report_has_every_tracker_with_the_dates_of_its_conditions_and_without_events(desk: Desk) -> None:
    await desk.set_("A", ONE)
    report = desk.pairings.report()
    assert [it.serial_number for it in report.trackers] == list("ABCDEFGHIJ")
    first, second = report.trackers[:2]
    assert (first.events, first.read_ms, first.conditions[0].type) == ((), NOW_MS - 1000, "Ready")
    assert {it.since_ms for it in first.conditions} == {17}
    assert (first.text, first.action) == (first.conditions[0].text, first.conditions[0].action)
    assert (second.managed_by, second.state) == ("nobody", "unmanaged")
    assert (report.mode, report.paused_by, report.session_until_ms, report.utc_ms) == ("propose", None, None, NOW_MS)


async def test_before_the_first_plan_there_is_a_report_all_the_same(desk: Desk) -> None:
    desk.observed.is_planned = False
    assert len(desk.pairings.report().trackers) == 10
    assert desk.pairings.report().trackers[0].conditions[0].since_ms == NOW_MS


async def test_what_is_refused_changes_nothing(desk: Desk) -> None:
    await desk.set_("A", ONE)
    before = dict(desk.records.desired)
    assert await desk.refused(desk.set_("A", ONE)) is Refusal.NOTHING_TO_DO
    assert await desk.refused(desk.set_("B", ONE)) is Refusal.SENSOR_TAKEN
    assert await desk.refused(desk.pairings.explain("X")) is Refusal.UNKNOWN_TRACKER
    assert desk.records.desired == before


async def test_two_who_want_the_same_sensor_at_the_same_moment_do_not_both_get_it(desk: Desk) -> None:
    answers = await asyncio.gather(desk.set_("A", ONE), desk.set_("B", ONE), return_exceptions=True)
    assert [type(it) for it in answers] == [PairingReport, PairingRefused]


async def test_the_same_once_more_ends_drift_whatever_is_being_remembered_meanwhile(desk: Desk) -> None:
    await desk.set_("A", ONE)
    desk.observed.cloud_has("A", "two")
    await desk.records.remember("A", Memory(drifted={Slot.HEART_RATE: ONE}, foreign_ms=(5,)))
    assert desk.pairings.report().trackers[0].state == State.DRIFTED
    remembered = replace_memory(desk, foreign_ms=(5, 6))
    report, _ = await asyncio.gather(desk.set_("A", ONE), desk.records.remember("A", remembered))
    assert (report.generation, report.state) == (1, State.WRITING)
    assert [it.reason for it in report.events] == ["Reapplied", "Wanted"]
    memory = desk.records.memories["A"]
    assert (memory.drifted, memory.foreign_ms) == ({}, (5, 6))


async def test_a_command_ends_drift_of_the_slot_that_it_names_and_of_no_other(desk: Desk) -> None:
    await desk.pairings.set_("A", SetRequest(heart_rate=asked(ONE), power=asked(TWO)))
    both: dict[Slot, Wanted] = {Slot.HEART_RATE: ONE, Slot.POWER: TWO}
    await desk.records.remember("A", Memory(drifted=both))
    await desk.pairings.import_(
        ImportRequest(trackers=(EntryRequest(serial_number="A", heart_rate=asked(ONE), power=asked(TWO)),))
    )
    assert desk.records.memories["A"].drifted == both, "a list that repeats it is no verdict"
    await desk.set_("A", ONE)
    assert desk.records.memories["A"].drifted == {Slot.POWER: TWO}
    await desk.pairings.import_(
        ImportRequest(trackers=(EntryRequest(serial_number="A", heart_rate=asked(ONE), power=NONE),))
    )
    assert desk.records.memories["A"].drifted == {}, "something else is wanted, even if the same is again later"


async def test_what_is_adopted_is_no_drift_whatever_is_wanted_later(desk: Desk) -> None:
    await desk.set_("A", ONE)
    desk.observed.cloud_has("A", "two")
    await desk.records.remember("A", Memory(drifted={Slot.HEART_RATE: ONE}))
    await desk.pairings.adopt("A", KIM)
    assert desk.records.memories["A"].drifted == {}


def replace_memory(desk: Desk, **changes: Any) -> Memory:
    return msgspec.structs.replace(desk.records.memories["A"], **changes)


async def test_a_swap_waits_for_a_person_who_approves_exactly_that(desk: Desk) -> None:
    await desk.set_("A", ONE)
    await desk.set_("B", TWO)
    desk.observed.cloud_has("A", "one")
    desk.observed.cloud_has("B", "two")
    asked = await desk.pairings.import_(team(("A", TWO), ("B", ONE)))
    assert [(group.why, group.is_approved) for group in asked.change_sets] == [(("swap",), False)]
    assert [it.text for it in asked.change_sets[0].changes] == [
        "Anna gets Strap two instead of Strap one",
        "B gets Strap one instead of Strap two",
    ]
    for wrong in ("", "0" * 12, asked.hash[:-1], "x" * 10_000):
        assert await desk.refused(desk.pairings.apply(ApplyRequest(approve=wrong))) is Refusal.PLAN_CHANGED
    done = await desk.pairings.apply(ApplyRequest(approve=asked.change_sets[0].hash, author="Lee", unconfirmed=True))
    assert [group.is_approved for group in done.change_sets] == [True]
    (approval,) = desk.records.approvals
    assert (approval.author, approval.is_unconfirmed_ok, approval.at_ms) == ("Lee", True, NOW_MS)
    assert approval.expires_ms == NOW_MS + 24 * 3_600_000
    assert (await desk.pairings.explain("B")).events[0].reason == "Approved"


async def test_approving_again_replaces_and_all_of_it_has_a_hash_too(desk: Desk) -> None:
    await desk.pairings.import_(team(("A", ONE), ("B", TWO), ("C", THREE)))
    asked = desk.pairings.plan()
    assert len(asked.change_sets) == 3
    assert {group.why for group in asked.change_sets} == {("bulk",)}
    for _ in range(3):
        done = await desk.pairings.apply(ApplyRequest(approve=asked.hash, immediate=True))
    assert all(group.is_approved for group in done.change_sets)
    assert [(len(it.changes), it.is_immediate) for it in desk.records.approvals] == [(3, True)]


async def test_what_is_approved_is_refused_while_stopped_or_in_a_session(desk: Desk) -> None:
    await desk.set_("A", ONE)
    approve = ApplyRequest(approve=desk.pairings.plan().hash)
    desk.observed.session_until_ms = NOW_MS + 1
    assert await desk.refused(desk.pairings.apply(approve)) is Refusal.SESSION_RUNNING
    await desk.pairings.apply(msgspec.structs.replace(approve, during_session=True))
    await desk.pairings.suspend("A", KIM)
    assert await desk.refused(desk.pairings.apply(approve)) is Refusal.SUSPENDED


async def test_a_list_that_changes_nothing_is_answered_with_what_is_to_change(desk: Desk) -> None:
    await desk.set_("A", ONE)
    for _ in range(3):
        answer = await desk.pairings.import_(team(("A", ONE)))
    assert [it.serial_number for group in answer.change_sets for it in group.changes] == ["A"]
    assert desk.records.desired["A"].generation == 1


def team(*wanted: tuple[str, Wanted]) -> ImportRequest:
    return ImportRequest(
        trackers=tuple(EntryRequest(serial_number=it, heart_rate=asked(of), power=Wish.UNMANAGED) for it, of in wanted)
    )


async def test_a_dry_run_answers_what_the_list_would_be_answered_and_wants_nothing(desk: Desk) -> None:
    desk.observed.cloud_has("A", "one")
    desk.observed.cloud_has("B", "two")
    exchange = msgspec.structs.replace(team(("A", TWO), ("B", ONE)), dry_run=True)
    supposed = await desk.pairings.import_(exchange)
    assert not desk.records.desired
    assert not desk.pairings.plan().change_sets
    assert await desk.pairings.import_(msgspec.structs.replace(exchange, dry_run=False)) == supposed
    unknown = msgspec.structs.replace(team(("Z", ONE)), dry_run=True)
    assert await desk.refused(desk.pairings.import_(unknown)) is Refusal.UNKNOWN_TRACKER


async def test_what_is_exported_is_imported_without_a_change(desk: Desk) -> None:
    await desk.set_("A", ONE)
    await desk.set_("B", NONE)
    exported = desk.pairings.team()
    assert [(it.heart_rate, it.power) for it in exported.trackers[:2]] == [
        (ONE, Wish.UNMANAGED),
        (NONE, Wish.UNMANAGED),
    ]
    assert [it.generation for it in exported.trackers[:3]] == [1, 1, 0]
    before = dict(desk.records.desired)
    again = msgspec.convert({"trackers": msgspec.to_builtins(exported.trackers)}, ImportRequest)
    await desk.pairings.import_(again)
    assert desk.records.desired == before
    await desk.set_("C", THREE)
    assert await desk.refused(desk.pairings.import_(again)) is Refusal.GENERATION_CHANGED, "the list is stale now"
    assert desk.records.desired["C"].heart_rate == THREE


async def test_what_the_cloud_has_is_adopted_for_one_or_for_all(desk: Desk) -> None:
    desk.observed.cloud_has("A", "one")
    desk.observed.cloud_has("B", "two")
    one = await desk.pairings.adopt("A", KIM)
    assert isinstance(one, PairingReport)
    assert (one.state, one.slots[0].desired, one.events[0].reason) == ("in_sync", ONE, "Adopted")
    everything = await desk.pairings.adopt(None, KIM)
    assert isinstance(everything, PairingsReport)
    assert [it.slots[0].desired for it in everything.trackers[:3]] == [ONE, TWO, Wish.UNMANAGED]
    assert await desk.refused(desk.pairings.adopt(None, KIM)) is Refusal.NOTHING_TO_DO


async def test_a_tracker_is_suspended_and_resumed(desk: Desk) -> None:
    assert await desk.refused(desk.pairings.resume("A", KIM)) is Refusal.NOTHING_TO_DO
    report = await desk.pairings.suspend("A", KIM)
    assert isinstance(report, PairingReport)
    assert [(it.reason, it.author) for it in report.events] == [("Suspended", "Kim")]
    assert await desk.refused(desk.pairings.suspend("A", KIM)) is Refusal.NOTHING_TO_DO
    assert await desk.refused(desk.set_("A", ONE)) is Refusal.SUSPENDED
    assert await desk.refused(desk.pairings.retry("A", KIM)) is Refusal.SUSPENDED
    await desk.set_("B", TWO)
    await desk.pairings.resume("A", KIM)
    assert (await desk.set_("A", ONE)).generation == 1


async def test_the_whole_fleet_is_suspended_and_resumed_but_not_what_was_suspended_alone(desk: Desk) -> None:
    await desk.pairings.suspend("B", KIM)
    report = await desk.pairings.suspend(None, KIM)
    assert isinstance(report, PairingsReport)
    assert report.paused_by == "Kim"
    assert await desk.refused(desk.set_("A", ONE)) is Refusal.SUSPENDED
    with pytest.raises(PairingRefused, match=r"resume them all \(`insiders-gateway pair resume`\)") as error:
        await desk.pairings.resume("A", KIM)
    assert error.value.code is Refusal.SUSPENDED
    assert await desk.refused(desk.pairings.suspend(None, KIM)) is Refusal.NOTHING_TO_DO
    await desk.pairings.resume(None, KIM)
    await desk.set_("A", ONE)
    assert await desk.refused(desk.set_("B", TWO)) is Refusal.SUSPENDED
    assert await desk.refused(desk.pairings.resume(None, KIM)) is Refusal.NOTHING_TO_DO


@pytest.mark.parametrize("serial", ["A", None])
async def test_another_controller_is_over_when_a_person_says_so(desk: Desk, serial: str | None) -> None:
    await desk.records.remember("A", Memory(rival_since_ms=5, foreign_ms=(1, 2, 3)))
    assert await desk.refused(desk.set_("A", ONE)) is Refusal.SUSPENDED
    await desk.pairings.resume(serial, KIM)
    memory = desk.records.memories["A"]
    assert (memory.rival_since_ms, memory.foreign_ms) == (None, (3,))
    await desk.set_("A", ONE)


async def test_what_is_remembered_while_a_person_resumes_is_kept(desk: Desk) -> None:
    for serial in "AB":
        await desk.records.remember(serial, Memory(rival_since_ms=5, foreign_ms=(1, 2, 3)))
    newer = replace_memory(desk, target=document("one"))
    await asyncio.gather(
        desk.pairings.resume(None, KIM), desk.records.remember("A", newer), desk.records.remember("B", newer)
    )
    for memory in desk.records.memories.values():
        assert (memory.rival_since_ms, memory.target) == (None, document("one"))


async def test_retrying_is_handed_on_and_noted(desk: Desk) -> None:
    report = await desk.pairings.retry("A", KIM)
    await desk.pairings.retry(None, KIM)
    assert desk.observed.retried == ["A", None]
    assert isinstance(report, PairingReport)
    assert [it.reason for it in report.events] == ["Retried"]
    assert await desk.refused(desk.pairings.retry("X", KIM)) is Refusal.UNKNOWN_TRACKER


async def test_what_cannot_be_written_down_is_not_wanted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("The disk of /state is full", "free some space")

    monkeypatch.setattr(desk.store, "write", fail)
    for doing in (
        desk.set_("A", ONE),
        desk.pairings.import_(team(("A", ONE))),
        desk.pairings.suspend("A", KIM),
        desk.pairings.suspend(None, KIM),
    ):
        with pytest.raises(PairingRefused) as error:
            await doing
        assert error.value.code is Refusal.STORE_FAILED
        assert str(error.value) == "The disk of /state is full, so that was not written down: free some space."
    assert not desk.records.desired
    assert not desk.records.memories


@pytest.mark.looptime
async def test_what_changes_is_told_once_and_what_needs_a_person_is_a_problem(desk: Desk) -> None:
    beats: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(desk.pairings.run(lambda: beats.append(0)))
        await asyncio.sleep(3.5)
        revision = desk.board.revision
        assert (revision, len(beats)) == (11, 4)
        await desk.set_("A", ONE)
        desk.observed.cloud_has("A", "", "")
        await desk.records.remember("A", Memory(rival_since_ms=5))
        await asyncio.sleep(5)
        fleet, told = desk.board.since(revision)
        assert (fleet["key"], fleet["hash"]) == ("pairings", desk.pairings.plan().hash)
        assert (told["op"], told["key"], told["value"]) == ("state", "pairing/A", "suspended")
        (problem,) = desk.problems
        assert (problem.code, problem.subject) == ("pairing_rival", "A")
        assert "pair resume A" in problem.action
        await desk.pairings.resume("A", KIM)
        await asyncio.sleep(2)
        assert not len(desk.problems)
        telling.cancel()

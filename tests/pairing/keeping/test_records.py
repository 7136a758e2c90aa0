"""What the pairings must not forget: in memory is what is on the disk, whatever happens to either."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pairing.approval import Approval, Change
from gateway.pairing.desired import Basis, Desired, Origin
from gateway.pairing.documents import Document, Sensor, Slot, Wish
from gateway.pairing.keeping.chronicle import Mark
from gateway.pairing.keeping.events import KEPT_EVENTS, KEPT_MS, Event, event
from gateway.pairing.keeping.records import FLUSH_S, MEND_S, PENDING_EVENTS, PRUNE_S, SCHEMA, Records
from gateway.pairing.keeping.settling import settled
from gateway.pairing.memory import Intent, Memory, Refusal, Renaming, Suspension
from gateway.pairing.planning.changes import is_many
from gateway.store import DATABASE, Connection, Store, StoreError, open_store

STRAP, OTHER = Sensor("a0:9e:1a:12:34:56", "Polar H10"), Sensor("c4:11:22:33:44:55", "TICKR")
WANTED = Desired(heart_rate=STRAP, author="Ada", at_ms=5)
INTENT = Intent(Document(), Document(STRAP), (Slot.HEART_RATE,), 3, "f00", 17)
MEMORY = Memory(
    target=Document(STRAP),
    current=Document(None, OTHER),
    intent=INTENT,
    ours=Document(),
    ours_ms=8,
    drifted={Slot.HEART_RATE: STRAP},
    served={Slot.POWER: Wish.NONE},
    foreign_ms=(1, 2),
    rival_since_ms=2,
    refusals=(Refusal("f00", Refusal.Kind.NOT_ECHOED, "no"),),
    renamings=(Renaming(STRAP, OTHER),),
    suspension=Suspension("Ada", "repair", 3),
)
APPROVAL = Approval("abc", (Change("A", Slot.POWER, None, OTHER, 4),), "Ada", 5, 6)
FILE = Desired(heart_rate=STRAP, origin=Origin.FILE, basis=Basis.FILE)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Records, Store]]:
    async with open_store(folder, [SCHEMA]) as store:
        records = Records(store)
        await records.load()
        yield records, store


def happened(at_ms: int, reason: str = "Set", serial_number: str = "A") -> Event:
    return event(serial_number, Slot.POWER, reason, "text", at_ms)


def told(records: list[Event]) -> list[tuple[str, int, int]]:
    return [(it.reason, it.count, it.last_ms) for it in records]


def trouble(records: Records) -> StoreError | None:
    """Why nothing can be written."""
    assert records.is_working == (records.trouble is None)
    return records.trouble


async def break_disk(store: Store, work: str = "PRAGMA query_only = ON") -> None:
    """As it is with a disk that cannot be written: the next one who tries finds out."""
    await store.read(lambda connection: connection.execute(work).fetchall())


def change(folder: Path, sql: str) -> None:
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
    connection.execute(sql)
    connection.close()


async def test_everything_is_there_again_at_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, _):
        assert trouble(records) is None
        await records.set_desired({"A": WANTED, "B": Desired(power=Wish.NONE)}, [happened(5)])
        await records.remember("A", MEMORY, [happened(6, "Written")])
        await records.set_approvals((APPROVAL,))
        await records.set_pause(MEMORY.suspension)
        records.note([happened(7, "Later")])
        records.mark("A", {"Ready": Mark("true", "Ok", 3)})
        await records.flush()
        before = (dict(records.desired), dict(records.memories), records.approvals, records.pause, dict(records.marks))
    async with opened(tmp_path) as (records, _):
        after = (dict(records.desired), dict(records.memories), records.approvals, records.pause, dict(records.marks))
        assert after == before
        assert records.desired["A"] == msgspec.structs.replace(WANTED, generation=1)
        assert records.memories == {"A": MEMORY}
        assert told(await records.events("A")) == [("Later", 1, 7), ("Written", 1, 6), ("Set", 1, 5)]
        await records.set_pause(None)
    async with opened(tmp_path) as (records, _):
        assert records.pause is None


async def test_memory_follows_the_disk_and_never_runs_ahead(tmp_path: Path) -> None:
    begun, answers = threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        begun.set()
        answers.wait()

    async with opened(tmp_path) as (records, store), asyncio.TaskGroup() as tasks:
        tasks.create_task(store.read(slow))
        try:
            while not begun.is_set():
                await asyncio.sleep(0)
            writing = tasks.create_task(records.set_desired({"A": WANTED}))
            given_up = tasks.create_task(records.remember("A", MEMORY))
            for _ in range(10):
                await asyncio.sleep(0)
            given_up.cancel()
            assert (dict(records.desired), dict(records.memories)) == ({}, {})
        finally:
            answers.set()
        await writing
        await store.read(lambda _: None)
        assert records.desired["A"].generation == 1
        assert records.memories == {"A": MEMORY}  # who asked for it has gone, and it was done


async def test_two_who_want_something_at_the_same_time_do_not_share_a_generation(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, _):
        first, second = WANTED.after(Desired()), Desired(heart_rate=OTHER).after(Desired())
        await asyncio.gather(records.set_desired({"A": first}), records.set_desired({"A": second}))
        assert records.desired["A"] == msgspec.structs.replace(second, generation=2)
        await records.set_desired({"A": msgspec.structs.replace(second, author="Eve")})
        assert records.desired["A"].generation == 2


async def test_two_who_remember_different_things_of_a_tracker_are_both_right(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, _):
        suspended = Memory(suspension=Suspension("Ada", "", 1))
        await asyncio.gather(records.remember("A", Memory(intent=INTENT)), records.remember("A", suspended))
        assert records.memories["A"] == Memory(intent=INTENT, suspension=suspended.suspension)
        await records.remember("A", msgspec.structs.replace(records.memories["A"], intent=None))
        assert records.memories["A"] == suspended


async def test_an_approval_that_is_used_stays_one_that_was_taken_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, _):
        await records.set_approvals((APPROVAL,))
        await asyncio.gather(records.set_approvals(()), records.begin("abc"))
        assert not records.approvals
        await records.set_approvals((APPROVAL,))
        await records.begin("abc")
        assert records.approvals == (msgspec.structs.replace(APPROVAL, has_begun=True),)


async def test_a_disk_that_cannot_be_written_changes_nothing_and_is_made_the_same_as_memory_when_it_can(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as (records, store):
        await records.set_desired({"A": WANTED})
        await break_disk(store)
        for refused in (records.set_desired({"B": WANTED}), records.remember("A", MEMORY), records.set_pause(None)):
            with pytest.raises(StoreError, match="cannot be written"):
                await refused
        assert trouble(records) is not None
        assert (set(records.desired), dict(records.memories)) == ({"A"}, {})
        records.note([happened(1)])
        await records.flush()
        assert told(await records.events("A")) == [("Set", 1, 1)]
        await records.mend(50)
        assert trouble(records) is None
        await records.set_desired({"B": WANTED})
        await records.flush()
        assert told(await records.events("A")) == [("Set", 1, 1)]
    async with opened(tmp_path) as (records, _):
        assert set(records.desired) == {"A", "B"}
        assert told(await records.events("A")) == [("Set", 1, 1)]


async def test_a_database_that_is_damaged_while_the_gateway_runs_loses_nothing_but_events(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, store):
        await records.set_desired({"A": WANTED})
        await records.remember("A", MEMORY)
        change(tmp_path, "PRAGMA wal_checkpoint(TRUNCATE)")  # else the log would heal it
        await break_disk(store)
        with pytest.raises(StoreError):
            await records.set_pause(None)
        (tmp_path / DATABASE).write_bytes(b"nonsense" * 1000)
        await records.mend(50)
        assert trouble(records) is None
        assert records.damage is not None
        assert store.damage in records.damage.text
    async with opened(tmp_path) as (records, _):
        assert records.desired == {"A": msgspec.structs.replace(WANTED, generation=1)}
        assert records.memories == {"A": MEMORY}


async def test_a_database_that_somebody_else_has_begun_anew_gets_all_of_it_again(tmp_path: Path) -> None:
    """Several keep things in the store, and any of them may be the one that mends it."""
    async with opened(tmp_path) as (records, store):
        await records.set_desired({"A": WANTED})
        change(tmp_path, "PRAGMA wal_checkpoint(TRUNCATE)")
        await break_disk(store)
        with pytest.raises(StoreError):
            await records.set_pause(None)
        (tmp_path / DATABASE).write_bytes(b"nonsense" * 1000)
        assert await store.mend()
        assert not records.is_working
        await records.mend(50)
        assert trouble(records) is None
    async with opened(tmp_path) as (records, _):
        assert set(records.desired) == {"A"}


async def test_a_database_that_was_lost_is_said_and_what_is_configured_comes_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, _):
        await records.set_desired({"A": WANTED})
    (tmp_path / DATABASE).unlink()
    async with opened(tmp_path) as (records, _):
        await records.settle({"B": FILE}, ["A", "B"], 9)
        assert trouble(records) is None
        assert set(records.desired) == {"B"}
        assert records.damage is not None
        assert records.damage.action.startswith("import the team's list, or adopt")


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE pairing_record SET document = CAST(REPLACE(CAST(document AS TEXT), 'Polar', 'Pokar') AS BLOB)",
        "UPDATE pairing_record SET document = X'7B'",
        "UPDATE pairing_record SET kind = 'nothing'",
    ],
)
async def test_a_record_that_is_damaged_counts_as_never_written_and_is_said(tmp_path: Path, harm: str) -> None:
    async with opened(tmp_path) as (records, _):
        await records.set_desired({"A": WANTED})
        await records.set_pause(Suspension("Ada", "", 1))
    change(tmp_path, f"{harm} WHERE key = 'A'")
    async with opened(tmp_path) as (records, _):
        assert trouble(records) is None
        assert dict(records.desired) == {}
        assert records.pause is not None
        assert records.rejected == 1
        assert records.damage is not None
        assert records.damage.text.startswith("1 records")
        await records.set_desired({"A": WANTED})
        assert records.desired["A"].generation == 1


async def test_without_a_disk_what_is_configured_is_wanted_all_the_same(tmp_path: Path) -> None:
    """And as soon as there is one, it is counted as on the disk, with what else was there."""
    async with opened(tmp_path) as (records, _):
        await records.set_desired({"B": WANTED})
        await records.settle({"A": FILE}, ["A", "B"], 1)
        await records.settle({"A": msgspec.structs.replace(FILE, heart_rate=OTHER)}, ["A", "B"], 2)
    database = (tmp_path / DATABASE).read_bytes()
    (tmp_path / DATABASE).unlink()
    (tmp_path / DATABASE).mkdir()
    async with opened(tmp_path) as (records, store):
        await records.settle({"A": FILE}, ["A", "B"], 3)
        assert trouble(records) is not None
        assert {serial: wanted.heart_rate for serial, wanted in records.desired.items()} == {"A": STRAP}
        with pytest.raises(StoreError):
            await records.set_desired({"B": WANTED})
        assert await records.events("A") == []
        await records.mend(4)
        assert trouble(records) is not None
        (tmp_path / DATABASE).rmdir()
        (tmp_path / DATABASE).write_bytes(database)
        await records.mend(5)
        assert trouble(records) is None
        assert store.damage == ""
        assert {serial: wanted.generation for serial, wanted in records.desired.items()} == {"A": 3, "B": 1}


async def test_events_wait_for_a_disk_and_the_oldest_go_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, store):
        await break_disk(store)
        with pytest.raises(StoreError):
            await records.set_pause(None)
        for number in range(PENDING_EVENTS + 7):
            records.note([happened(number, f"Reason{number}")])
            if number == PENDING_EVENTS // 2:
                await records.flush()
        assert records.events_lost == 7
        assert len(await records.events("A")) == PENDING_EVENTS


async def test_a_tracker_keeps_so_many_events_and_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, _):
        records.note(happened(number, f"Reason{number}") for number in range(PENDING_EVENTS))
        await records.flush()
        records.note([happened(number, f"Reason{number}") for number in range(2000, 2003)])
        records.note([happened(1, serial_number="B")])
        await records.flush()
        kept = await records.events("A")
        assert len(kept) == KEPT_EVENTS
        assert [it.last_ms for it in kept[:2]] == [2002, 2001]
        assert kept[-1].last_ms == 3
        assert len(await records.events("B")) == 1


@pytest.mark.looptime
async def test_the_card_is_written_to_every_ten_seconds_at_most_and_once_more_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    write = Store.write

    async def counted(store: Store, *args: Any) -> Any:
        commits.append(1)
        return await write(store, *args)

    monkeypatch.setattr(Store, "write", counted)
    async with opened(tmp_path) as (records, _):
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(records.run(lambda: 0, lambda: False))
            for second in range(35):
                records.note([happened(second)])
                records.mark("A", {"Ready": Mark("true", "Ok", second)})
                await asyncio.sleep(1)
            assert len(commits) == 3
            running.cancel()
        assert len(commits) == 4
    async with opened(tmp_path) as (records, _):
        assert told(await records.events("A")) == [("Set", 35, 34)]
        assert records.marks["A"]["Ready"].since_ms == 34


@pytest.mark.looptime
async def test_what_is_old_goes_only_while_the_clock_is_right(tmp_path: Path) -> None:
    """A clock that is years ahead would otherwise empty the list."""
    is_sure = False
    async with opened(tmp_path) as (records, _), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(records.run(lambda: KEPT_MS + 1000, lambda: is_sure))
        records.note([happened(999, "Old"), happened(1000, "Young")])
        await asyncio.sleep(2 * PRUNE_S)
        assert len(await records.events("A")) == 2
        is_sure = True
        await asyncio.sleep(2 * FLUSH_S)
        assert told(await records.events("A")) == [("Young", 1, 1000)]
        running.cancel()


@pytest.mark.looptime
async def test_a_disk_is_tried_again_every_minute(tmp_path: Path) -> None:
    async with opened(tmp_path) as (records, store), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(records.run(lambda: 0, lambda: True))
        await break_disk(store)
        with pytest.raises(StoreError):
            await records.set_pause(None)
        await asyncio.sleep(MEND_S + 2 * FLUSH_S)
        assert trouble(records) is None
        running.cancel()


# What the configuration changes, as a pure function.

CONTENT = st.builds(Desired, heart_rate=st.sampled_from([*Wish, STRAP, OTHER]), power=st.sampled_from([*Wish, OTHER]))
FLEETS = st.dictionaries(st.sampled_from("ABCDEFGH"), CONTENT)


def taken_over(stored: Mapping[str, Desired], configured: Mapping[str, Desired], fleet: int = 30) -> dict[str, Desired]:
    desired, _ = settled(stored, configured, fleet, 7)
    return {**stored, **desired}


@given(st.lists(FLEETS, min_size=1, max_size=4))
def test_after_a_start_the_configured_trackers_want_what_it_says_and_no_other_is_of_the_file(
    starts: list[dict[str, Desired]],
) -> None:
    """The generation grows with each change, a second start with the same file changes nothing, nothing is erased."""
    stored: dict[str, Desired] = {"A": msgspec.structs.replace(WANTED, generation=4)}
    for configured in starts:
        before, stored = stored, taken_over(stored, configured)
        assert settled(stored, configured, 30, 8) == ({}, [])
        assert stored.keys() == {*before, *configured}
        for serial, wanted in stored.items():
            was = before.get(serial, Desired())
            assert wanted.generation == was.generation + (not wanted.is_same_as(was))
            assert (wanted.origin is Origin.FILE) == (serial in configured)
            if serial in configured:
                assert wanted.is_same_as(configured[serial])
            elif was.origin is Origin.FILE:
                assert wanted.managed == ()
            else:
                assert wanted is was


def test_what_changes_is_told_once_for_each_tracker() -> None:
    stored = {"A": FILE, "B": FILE, "C": WANTED, "D": WANTED}
    desired, events = settled(stored, {"A": FILE, "C": FILE, "E": FILE}, 30, 7)
    assert [(it.serial_number, it.reason) for it in events] == [
        ("E", "Configured"),
        ("C", "TakenByFile"),
        ("B", "LeftFile"),
    ]
    assert desired.keys() == {"B", "C", "E"}
    assert desired["C"].generation == stored["C"].generation
    assert all(it.first_ms == 7 for it in events)


@pytest.mark.parametrize(
    ("changed", "fleet", "expected"),
    [(1, 1, False), (1, 30, False), (2, 9, True), (2, 10, False), (5, 25, False), (5, 24, True), (6, 1000, True)],
)
def test_a_list_is_bulk_from_so_many_trackers_on(changed: int, fleet: int, expected: bool) -> None:
    assert is_many(changed, fleet) is expected


def test_what_the_configuration_only_repeats_of_a_slot_is_wanted_as_it_was() -> None:
    stored = {serial: Desired(heart_rate=STRAP, power=Wish.NONE).after(Desired()) for serial in "ABCDEF"}
    configured = msgspec.structs.replace(FILE, power=OTHER)
    for wanted in taken_over(stored, dict.fromkeys("ABCDEF", configured)).values():
        assert wanted.word(Slot.HEART_RATE) == stored["A"].word(Slot.HEART_RATE)
        assert (wanted.word(Slot.POWER).basis, wanted.word(Slot.POWER).is_bulk) == (Basis.FILE, True)
        assert (wanted.generation_of(Slot.HEART_RATE), wanted.generation_of(Slot.POWER)) == (1, 2)


def test_only_trackers_that_change_are_marked_as_bulk() -> None:
    stored = {"A": FILE}
    desired = taken_over(stored, dict.fromkeys("ABCDEFG", FILE))
    assert not desired["A"].is_bulk
    assert all(desired[serial].is_bulk for serial in "BCDEFG")
    fewer = taken_over({}, dict.fromkeys("ABCDE", FILE))
    assert not any(wanted.is_bulk for wanted in fewer.values())

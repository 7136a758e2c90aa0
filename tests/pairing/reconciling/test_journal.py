"""Memories that are changed at once and written down when that works; an intent counts only on the disk."""

import asyncio
from collections.abc import Iterable, Mapping

import pytest
from msgspec.structs import replace

from gateway.pairing.approval import Approval
from gateway.pairing.documents import Document, Sensor
from gateway.pairing.keeping.events import Event
from gateway.pairing.memory import Intent, Memory, Suspension
from gateway.pairing.reconciling.journal import AGAIN_S, MOST_EVENTS, PATIENCE_S, Journal
from gateway.pairing.reconciling.remembering import Happening
from gateway.store import StoreError

pytestmark = pytest.mark.looptime

OLD, NEW = Document(), Document(heart_rate=Sensor("a0:9e:1a:00:00:01", "H10"))
INTENT = Intent(OLD, NEW, (), 1, "0123456789ab", 5)
KIM = Suspension("Kim", "", 5)


class Book:
    """Records whose disk takes as long as it likes, or fails."""

    def __init__(self) -> None:
        self.memories: dict[str, Memory] = {}
        self.events: list[Event] = []
        self.approvals: tuple[Approval, ...] = ()
        self.takes_s = 0.0
        self.is_failing = False
        self.transactions = 0

    async def remember_all(self, memories: Mapping[str, Memory], events: Iterable[Event] = ()) -> None:
        known = dict(self.memories)
        noted = tuple(events)
        await asyncio.sleep(self.takes_s)
        if self.is_failing:
            raise StoreError("The disk is full", "free some space")
        self.transactions += 1
        for serial, memory in memories.items():
            before = known.get(serial, Memory())
            names = [it for it in Memory.__struct_fields__ if getattr(memory, it) != getattr(before, it)]
            stored = self.memories.get(serial, Memory())
            self.memories[serial] = replace(stored, **{name: getattr(memory, name) for name in names})
        self.events += noted

    async def begin(self, approval: str) -> None:
        self.approvals = tuple(replace(it, has_begun=it.hash == approval) for it in self.approvals)


@pytest.fixture
def book() -> Book:
    return Book()


async def test_an_intent_is_on_the_disk_when_it_counts(book: Book) -> None:
    journal = Journal(book)
    book.takes_s = 3.0
    await journal.intend("A", Memory(intent=INTENT))
    assert book.memories == {"A": Memory(intent=INTENT)}
    assert journal.memory("A").intent == INTENT


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_an_intent_that_is_not_on_the_disk_is_none(book: Book, how: str) -> None:
    journal = Journal(book)
    book.is_failing, book.takes_s = (True, 0.0) if how == "fails" else (False, 2 * PATIENCE_S)
    with pytest.raises(StoreError):
        await journal.intend("A", Memory(target=OLD, intent=INTENT))
    assert journal.memory("A") == Memory(target=OLD)


async def test_what_came_of_a_write_is_known_at_once_and_written_down_as_soon_as_that_works(book: Book) -> None:
    journal = Journal(book)
    book.is_failing = True
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(journal.run())
        journal.note("A", Memory(target=NEW), (Happening("Written", "It is there"),), 5)
        assert journal.memory("A").target == NEW
        await asyncio.sleep(3 * AGAIN_S)
        assert book.memories == {}
        assert journal.memory("A").target == NEW
        book.is_failing = False
        await asyncio.sleep(AGAIN_S + 1)
        assert book.memories == {"A": Memory(target=NEW)}
        assert [(it.serial_number, it.reason, it.last_ms) for it in book.events] == [("A", "Written", 5)]
        task.cancel()


async def test_what_a_person_writes_meanwhile_stays_and_so_does_what_comes_later(book: Book) -> None:
    journal = Journal(book)
    book.takes_s = 1.0
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(journal.run())
        journal.note("A", Memory(target=NEW))
        await asyncio.sleep(0.5)
        book.memories["A"] = Memory(suspension=KIM)
        journal.note("A", replace(journal.memory("A"), current=NEW, target=OLD))
        await asyncio.sleep(0.6)
        assert book.memories["A"] == Memory(target=NEW, suspension=KIM)
        assert journal.memory("A") == Memory(target=OLD, current=NEW, suspension=KIM)
        await asyncio.sleep(1.0)
        assert book.memories["A"] == Memory(target=OLD, current=NEW, suspension=KIM)
        task.cancel()


async def test_a_fleet_that_is_read_costs_a_few_transactions_and_nothing_new_none(book: Book) -> None:
    journal = Journal(book)
    book.takes_s = 0.1
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(journal.run())
        for _ in range(5):
            for number in range(100):
                journal.note(f"SIM-{number}", Memory(target=NEW))
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        assert len(book.memories) == 100
        assert book.transactions <= 2
        task.cancel()


async def test_the_last_words_are_written_down_and_a_disk_that_takes_none_keeps_nobody(book: Book) -> None:
    for is_failing in (False, True):
        journal = Journal(book)
        book.is_failing = is_failing
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(journal.run())
            await asyncio.sleep(1)
            journal.note("A", Memory(ours_ms=int(is_failing)))
            task.cancel()
    assert book.memories == {"A": Memory(ours_ms=0)}


async def test_a_disk_that_never_works_does_not_fill_the_memory(book: Book) -> None:
    journal = Journal(book)
    book.is_failing = True
    for number in range(3 * MOST_EVENTS):
        journal.note("A", Memory(ours_ms=number), (Happening("Written", str(number)),), number)
    book.is_failing = False
    await journal.intend("A", Memory(intent=INTENT))
    assert len(book.events) == MOST_EVENTS
    assert book.events[-1].text == str(3 * MOST_EVENTS - 1)


async def test_an_approval_begins_once(book: Book) -> None:
    journal = Journal(book)
    book.approvals = (Approval("a", (), "Kim", 1, 2), Approval("b", (), "Kim", 1, 2))
    await journal.begin("a")
    assert [it.has_begun for it in book.approvals] == [True, False]
    before = book.approvals
    await journal.begin("a")
    assert book.approvals is before

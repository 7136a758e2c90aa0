"""One write, step by step: in which order, and what each way in which it can end leaves behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    Forbidden,
    LoginRefused,
    NetworkLoginNeeded,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    TlsFailed,
    Unauthorized,
    Unreachable,
)
from gateway.cloud.models import BluetoothConfig, Pairing, PairingSet
from gateway.pairing.approval import Approval
from gateway.pairing.documents import ClearForm, Document, Documents, Sensor, Slot
from gateway.pairing.keeping.records import SCHEMA, Records
from gateway.pairing.memory import Refusal, Suspension
from gateway.pairing.planning.plan import Write
from gateway.pairing.reconciling.journal import Journal
from gateway.pairing.reconciling.writing import READ_AGE_S, End, Outcome, Writer
from gateway.store import StoreError, open_store
from tests.fakes.disk import disk_takes_no_time

pytestmark = pytest.mark.looptime

A, B = Sensor("a0:9e:1a:00:00:01", "H10 1"), Sensor("a0:9e:1a:00:00:02", "H10 2")
METER = Sensor("e8:fe:6e:00:00:01", "ASSIOMA1")
OLD, NEW = Document(A, METER), Document(B, METER)
WRITE = Write(OLD, {Slot.HEART_RATE: B}, 3, is_immediate=True)
NOW_MS = 1_795_000_000_000
OP = "set_bluetooth_config"


def pairings(document: Document) -> PairingSet:
    both = [
        None if it is None else Pairing(it.address.upper(), it.name) for it in (document.heart_rate, document.power)
    ]
    return PairingSet(*both)


class Cloud:
    """A cloud with one tracker, in which something may happen in the place of the n-th request."""

    def __init__(self, trace: list[str]) -> None:
        self.trace = trace
        self.target = OLD
        self.sent: PairingSet | None = None
        self.failures: dict[str, CloudError] = {}
        self.is_done = True
        self.queue_s = 0.0

    async def bluetooth_config(self, _device_id: int) -> BluetoothConfig:
        self.trace.append("read" if self.sent is None else "read back")
        self._fail(self.trace[-1])
        return BluetoothConfig(pairings(OLD), pairings(self.target))

    async def set_bluetooth_config(
        self,
        _device_id: int,
        change: PairingSet,
        *,
        immediate_sending: bool = False,
        before_sending: Callable[[], None] = lambda: None,
    ) -> BluetoothConfig:
        await asyncio.sleep(self.queue_s)
        before_sending()
        self.trace.append("write at once" if immediate_sending else "write")
        self.sent = change
        if self.is_done:
            self.target = NEW
        self._fail("write")
        return BluetoothConfig(pairings(OLD), pairings(self.target))

    def _fail(self, step: str) -> None:
        if step in self.failures:
            raise self.failures[step]


class Bench:
    """A writer over a real store."""

    def __init__(self, records: Records) -> None:
        self.trace: list[str] = []
        self.cloud = Cloud(self.trace)
        self.records = records
        self.journal = Journal(records)
        self.taken: list[BluetoothConfig] = []
        self.is_due = True

    async def write(self, write: Write = WRITE) -> Outcome:
        writer = Writer(self.cloud, self.journal, ClearForm.NULL, lambda: NOW_MS)
        return await writer.perform("A", 7, write, self._is_due, self.taken.append)

    @property
    def has_intent(self) -> bool:
        return self.journal.memory("A").intent is not None

    def _is_due(self, documents: Documents) -> bool:
        on_disk = self.records.memories["A"].intent
        assert on_disk is not None, "asked before it is on the disk"
        assert documents.target == OLD
        self.trace.append("asked")
        return self.is_due


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    disk_takes_no_time()
    async with open_store(tmp_path, [SCHEMA]) as store:
        records = Records(store)
        await records.load()
        yield Bench(records)


async def test_a_write_is_journaled_read_compared_asked_for_sent_and_read_back(bench: Bench) -> None:
    assert (await bench.write()).end is End.READ_BACK
    assert bench.trace == ["read", "asked", "write at once", "read back"]
    assert bench.cloud.sent == PairingSet(Pairing(B.address, B.name), Pairing(METER.address.upper(), METER.name))
    assert len(bench.taken) == 1
    intent = bench.journal.memory("A").intent
    assert intent is not None, "what came of it is for the reading to say"
    assert (intent.acknowledged_ms, intent.answer) == (NOW_MS, NEW)


async def test_a_target_that_is_another_one_by_now_is_not_written(bench: Bench) -> None:
    bench.cloud.target = Document(A, None)
    assert (await bench.write()).end is End.CONFLICT
    assert bench.trace == ["read"]
    assert not bench.has_intent
    assert len(bench.taken) == 1


async def test_what_is_no_longer_to_be_written_is_not(bench: Bench) -> None:
    bench.is_due = False
    assert (await bench.write()).end is End.WITHDRAWN
    assert bench.trace == ["read", "asked"]
    assert not bench.has_intent


@pytest.mark.parametrize(("waits_s", "end"), [(READ_AGE_S - 1, End.READ_BACK), (READ_AGE_S + 1, End.WITHDRAWN)])
async def test_what_was_read_too_long_ago_is_no_ground_to_write_on(bench: Bench, waits_s: float, end: End) -> None:
    bench.cloud.queue_s = waits_s
    assert (await bench.write()).end is end
    assert ("write at once" in bench.trace) == (end is End.READ_BACK)


async def test_nothing_is_even_read_for_a_write_that_is_not_on_the_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object) -> None:
        raise StoreError("The disk is full", "free some space")

    monkeypatch.setattr(bench.records, "remember_all", fail)
    assert (await bench.write()).end is End.NOT_JOURNALED
    assert bench.trace == []
    assert not bench.has_intent


async def test_an_approval_has_begun_before_anything_is_sent_or_nothing_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.records.set_approvals((Approval("a", (), "Kim", 1, 2),))
    write = Write(OLD, WRITE.changes, 3, approvals=("a",))

    async def fail(*_args: object) -> None:
        raise StoreError("The disk is full", "free some space")

    with monkeypatch.context() as patch:
        patch.setattr(bench.records, "begin", fail)
        assert (await bench.write(write)).end is End.NOT_JOURNALED
    assert bench.trace == ["read"]
    assert not bench.has_intent
    bench.cloud.failures["write"] = Unreachable(OP, Broken.CUT)
    await bench.write(write)
    assert [it.has_begun for it in bench.records.approvals] == [True]


FAILURES = [
    Unreachable(OP, Broken.TIMEOUT),
    ServerFailed(OP, 503),
    Forbidden(OP),
    Throttled(OP, 60.0),
    Rejected(OP, 400),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda it: type(it).__name__)
async def test_a_write_whose_reading_fails_was_not_sent(bench: Bench, error: CloudError) -> None:
    bench.cloud.failures["read"] = error
    assert await bench.write() == Outcome(End.FAILED, error)
    assert not bench.has_intent
    assert bench.journal.memory("A").refusals == ()


@pytest.mark.parametrize("error", FAILURES, ids=lambda it: type(it).__name__)
async def test_a_write_that_cannot_be_read_back_is_remembered_as_answered(bench: Bench, error: CloudError) -> None:
    bench.cloud.failures["read back"] = error
    assert await bench.write() == Outcome(End.UNKNOWN, error)
    intent = bench.journal.memory("A").intent
    assert intent is not None
    assert intent.acknowledged_ms == NOW_MS


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (Unreachable(OP, Broken.TIMEOUT), End.UNKNOWN),
        (Unreachable(OP, Broken.CUT), End.UNKNOWN),
        (Unreachable(OP, Broken.CONNECT), End.UNKNOWN),
        (TlsFailed(OP, "expired"), End.UNKNOWN),
        (NetworkLoginNeeded(OP), End.UNKNOWN),
        (ServerFailed(OP, 500), End.UNKNOWN),
        (ServerFailed(OP, 504), End.UNKNOWN),
        (BadAnswer(OP, Fault.NOT_JSON), End.UNKNOWN),
        (BadAnswer(OP, Fault.WRONG_SHAPE), End.UNKNOWN),
        (Rejected(OP, 408), End.UNKNOWN),
        (Rejected(OP, 499), End.UNKNOWN),
        (Forbidden(OP), End.FAILED),
        (Throttled(OP, 60.0), End.FAILED),
        (Unauthorized(OP), End.FAILED),
        (LoginRefused(OP, "invalid_grant"), End.FAILED),
        (NotFound(OP, "devices/7/", is_path_unknown=True), End.FAILED),
        (NotFound(OP, "devices/7/", is_path_unknown=False), End.REFUSED),
        (Rejected(OP, 400), End.REFUSED),
        (Rejected(OP, 409), End.REFUSED),
        (Rejected(OP, 422), End.REFUSED),
    ],
    ids=lambda it: getattr(it, "name", f"{type(it).__name__}{getattr(it, 'status', '')}"),
)
async def test_every_failure_of_a_write_leaves_what_it_must(bench: Bench, error: CloudError, end: End) -> None:
    bench.cloud.failures["write"] = error
    assert await bench.write() == Outcome(end, error)
    assert bench.has_intent == (end is End.UNKNOWN)
    refusals = bench.journal.memory("A").refusals
    assert [it.kind for it in refusals] == ([Refusal.Kind.REJECTED] if end is End.REFUSED else [])
    assert all(B.name not in it.text and B.address not in it.text for it in refusals)


async def test_a_person_who_stops_the_tracker_meanwhile_is_not_overruled(bench: Bench) -> None:
    suspension = Suspension("Kim", "", 5)
    await bench.records.remember("A", replace(bench.journal.memory("A"), suspension=suspension))
    bench.cloud.failures["write"] = Rejected(OP, 400)
    await bench.write()
    assert bench.journal.memory("A").suspension == suspension

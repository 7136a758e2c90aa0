"""The worker: jobs in their order and to their end, whoever waits for them, and no waiting for ever."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from gateway import worker as worker_module
from gateway.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("test")
    yield worker
    worker.close()


@pytest.fixture
def answers() -> Iterator[threading.Event]:
    """Set when the disk shall answer, at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


async def test_jobs_are_done_in_their_order_in_one_thread(worker: Worker) -> None:
    seen: list[tuple[int, str]] = []

    def note(number: int) -> None:
        seen.append((number, threading.current_thread().name))

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(worker.run(partial(note, number)))
    assert [number for number, _ in seen] == list(range(20))
    assert {name for _, name in seen} == {"test_0"}


async def test_what_a_job_raises_reaches_who_asked_and_nobody_else(worker: Worker) -> None:
    told: list[int] = []

    def fail() -> int:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        await worker.run(fail, told.append)
    assert await worker.run(lambda: 3, told.append) == 3
    assert told == [3]


async def test_a_job_whose_caller_is_cancelled_goes_on_and_is_told(worker: Worker, answers: threading.Event) -> None:
    begun = threading.Event()
    told: list[int] = []

    def slow() -> int:
        begun.set()
        answers.wait()
        return 1

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(worker.run(slow, told.append))
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
    assert told == []
    answers.set()
    await worker.run(lambda: None)
    assert told == [1]


async def test_a_job_that_is_stuck_is_told_until_it_is_done_and_an_attempt_ends_before(
    worker: Worker, answers: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "OVERDUE_S", 0.05)
    told = [worker.is_overdue]
    await worker.attempt(lambda: void(answers.wait()))
    told.append(worker.is_overdue)
    answers.set()
    await worker.run(lambda: None)
    told.append(worker.is_overdue)
    assert told == [False, True, False]


async def test_what_waits_behind_a_long_job_is_not_stuck_before_it_has_begun(
    worker: Worker, answers: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that gets one thing after another done is none that does not answer."""
    monkeypatch.setattr(worker_module, "OVERDUE_S", 0.05)
    first, second = threading.Event(), answers
    async with asyncio.TaskGroup() as tasks:
        jobs = [tasks.create_task(worker.run(answer.wait)) for answer in (first, second)]
        await until_overdue(worker)
        monkeypatch.setattr(worker_module, "OVERDUE_S", 1000)
        first.set()
        await jobs[0]
        told = [worker.is_overdue]
        second.set()
        await jobs[1]
        monkeypatch.setattr(worker_module, "OVERDUE_S", 0.05)
        stuck = threading.Event()
        last = tasks.create_task(worker.run(stuck.wait))
        await until_overdue(worker)
        stuck.set()
        await last
        told.append(worker.is_overdue)
    assert told == [False, False]


async def until_overdue(worker: Worker) -> None:
    while not worker.is_overdue:
        await asyncio.sleep(0.05)


def void(_: object) -> None:
    pass

"""The audit log: everything that people do is written down once, and no flood and no disk makes it lose a word."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access import audit as module
from gateway.access.audit import (
    DENIED,
    FLUSH_S,
    KEPT_MS,
    LOOKED,
    MAX_PENDING,
    MAX_REFUSED_PER_MINUTE,
    MERGED_MS,
    SCHEMA,
    Audit,
    Line,
    merged,
)
from gateway.access.caller import Caller
from gateway.access.roles import Role
from gateway.store import Store, StoreError, open_store
from tests.fakes.disk import disk_takes_no_time

ROOT = Path(__file__).parents[2]
BEGAN_MS = 1_795_000_000_000
ADA = Caller("Ada", "laptop", Role.VIEWER, grant="a1")
BEA = Caller("Bea", "phone", Role.TECHNICIAN, grant="b2")
KIM = Caller("root", "this machine", Role.ADMIN)
HERE = "192.0.2.7"


class Clock:
    def __init__(self) -> None:
        self.ms = BEGAN_MS
        self.is_sure = True

    def __call__(self) -> int:
        return self.ms


@asynccontextmanager
async def opened(folder: Path, clock: Clock | None = None) -> AsyncIterator[tuple[Audit, Store]]:
    clock = clock or Clock()
    async with open_store(folder, [SCHEMA]) as store:
        yield Audit(store, clock, lambda: clock.is_sure), store


async def break_disk(store: Store, switch: str = "ON") -> None:
    await store.read(lambda connection: connection.execute(f"PRAGMA query_only = {switch}").fetchall())


def told(lines: list[Line]) -> list[tuple[str, str, int]]:
    return [(line.person, line.deed, line.count) for line in lines]


async def test_a_line_says_who_did_what_to_whom_from_where_and_when(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (audit, _):
        audit.note(ADA, "change_pairings", "SIM-0001", address=HERE)
        expected = Line(BEGAN_MS, BEGAN_MS, 1, "Ada", "laptop", "a1", HERE, "change_pairings", "SIM-0001", "done", id=1)
        assert await audit.read(10) == [expected]
    async with opened(tmp_path, clock) as (audit, _):
        assert await audit.read(10) == [expected]


async def test_the_newest_come_first_and_older_ones_can_be_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as (audit, _):
        for number in range(10):
            audit.note(ADA, f"deed {number}")
        newest = await audit.read(4)
        assert [line.deed for line in newest] == ["deed 9", "deed 8", "deed 7", "deed 6"]
        assert [line.deed for line in await audit.read(4, newest[-1].id)] == ["deed 5", "deed 4", "deed 3", "deed 2"]
        assert await audit.read(4, 1) == []


async def test_who_looks_on_and_on_is_one_line_in_ten_minutes(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (audit, _):
        for second in range(0, 1200, 10):
            clock.ms = BEGAN_MS + 1000 * second
            audit.note(ADA, LOOKED)
            if second % 50 == 0:
                audit.note(BEA, LOOKED)
                await audit.flush()
        lines = await audit.read(10)
        for person, times, most in (("Ada", 120, 3), ("Bea", 24, 2)):
            own = [line for line in lines if line.person == person]
            assert sum(line.count for line in own) == times
            assert len(own) <= most
            assert all(line.last_ms - line.first_ms < MERGED_MS for line in own)
        bea = next(line.count for line in lines if line.person == "Bea")
    async with opened(tmp_path, clock) as (audit, _):
        audit.note(BEA, LOOKED)  # a restart does not begin another
        assert ("Bea", LOOKED, bea + 1) in told(await audit.read(10))


async def test_what_goes_on_is_newer_than_what_was_done_meanwhile(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (audit, _):
        audit.note(None, "admission", outcome=DENIED, address=HERE)
        audit.note(ADA, "change_pairings")
        await audit.flush()
        audit.note(KIM, "let_in")
        clock.ms += 60_000
        audit.note(None, "admission", outcome=DENIED, address=HERE)
        first, second, third = await audit.read(10)
        assert (first.deed, first.count, first.first_ms, first.last_ms) == ("admission", 2, BEGAN_MS, clock.ms)
        assert [second.deed, third.deed] == ["let_in", "change_pairings"]
        assert first.id > second.id > third.id


async def test_what_was_done_twice_are_two_lines(tmp_path: Path) -> None:
    async with opened(tmp_path) as (audit, _):
        audit.note(ADA, "change_pairings", "SIM-0001")
        audit.note(ADA, "change_pairings", "SIM-0001")
        assert told(await audit.read(10)) == [("Ada", "change_pairings", 1)] * 2


async def test_who_is_turned_away_again_and_again_is_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (audit, _):
        for _ in range(500):
            audit.note(None, "follow", outcome=DENIED, address=HERE)
            audit.note(ADA, "change_pairings", outcome=DENIED, address=HERE)
        assert told(await audit.read(10)) == [("Ada", "change_pairings", 500), ("", "follow", 500)]


async def test_a_flood_of_different_attempts_takes_thirty_lines_a_minute_and_is_counted(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (audit, _):
        for minute in range(2):
            clock.ms = BEGAN_MS + minute * 60_000
            for number in range(1000):
                audit.note(None, "follow", outcome=DENIED, address=f"{minute}:{number}")
                if number % 100 == 0:
                    await audit.flush()
            audit.note(ADA, "change_pairings")
        lines = await audit.read(1000)
        denied = [line for line in lines if line.outcome == DENIED]
        assert len(denied) <= 2 * (MAX_REFUSED_PER_MINUTE + 1)
        assert sum(line.count for line in denied) == 2000
        assert len(lines) - len(denied) == 2


async def test_what_failed_again_and_again_is_counted(tmp_path: Path) -> None:
    """A program of a technician that goes on asking for what there is not."""
    async with opened(tmp_path) as (audit, _):
        for _ in range(500):
            audit.note(BEA, "change_pairings", "SIM-9999", "unknown_tracker")
        assert told(await audit.read(10)) == [("Bea", "change_pairings", 500)]


async def test_strange_words_move_no_cursor_and_take_no_room(tmp_path: Path) -> None:
    async with opened(tmp_path) as (audit, _):
        audit.note(None, "follow\x1b[2J", "x\n" * 5000, address="\u202e")
        (line,) = await audit.read(10)
        assert (line.deed, line.address) == ("follow[2J", "")
        assert line.subject.isprintable()
        assert len(line.subject) <= module.MAX_WORDS


async def test_on_a_disk_that_cannot_be_written_lines_wait_and_can_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as (audit, store):
        audit.note(ADA, "first")
        await audit.flush()
        await break_disk(store)
        audit.note(ADA, "second")
        audit.note(BEA, "third")
        assert [(line.deed, line.id) for line in await audit.read(10)] == [("third", 0), ("second", 0), ("first", 1)]
        await store.mend()
        await break_disk(store, "OFF")
        assert [(line.deed, line.id) for line in await audit.read(10)] == [("third", 3), ("second", 2), ("first", 1)]
        assert audit.lost == 0


async def test_what_waits_is_bounded_and_what_is_lost_is_counted_and_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as (audit, store):
        await break_disk(store)
        for number in range(MAX_PENDING + 7):
            audit.note(ADA, f"deed {number}")
        await audit.flush()
        for number in range(5):
            audit.note(ADA, f"more {number}")
        assert audit.lost == 12
        await store.mend()
        await break_disk(store, "OFF")
        lines = await audit.read(2 * MAX_PENDING)
        assert (lines[0].deed, lines[0].count) == ("lines_lost", 12)
        assert [line.deed for line in lines[-2:]] == ["deed 13", "deed 12"]
        assert audit.lost == 12
        assert len(await audit.read(2 * MAX_PENDING)) == len(lines)


@pytest.mark.looptime
async def test_it_is_written_down_within_seconds_and_at_the_end(tmp_path: Path) -> None:
    disk_takes_no_time()
    async with opened(tmp_path) as (audit, _), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(audit.run(lambda: None))
        await asyncio.sleep(0)
        audit.note(ADA, "first")
        await asyncio.sleep(FLUSH_S + 1.5)
        assert not audit._pending
        audit.note(ADA, "second")
        running.cancel()
    async with opened(tmp_path) as (audit, _):
        assert told(await audit.read(10)) == [("Ada", "second", 1), ("Ada", "first", 1)]


@pytest.mark.looptime
async def test_lines_are_kept_for_a_year_while_the_clock_is_right(tmp_path: Path) -> None:
    disk_takes_no_time()
    clock = Clock()
    async with opened(tmp_path, clock) as (audit, _), asyncio.TaskGroup() as tasks:
        audit.note(ADA, "old")
        running = tasks.create_task(audit.run(lambda: None))
        await asyncio.sleep(FLUSH_S + 2)
        clock.ms, clock.is_sure = clock.ms + KEPT_MS + 1, False
        audit.note(ADA, "new")
        await asyncio.sleep(module.PRUNE_S + 10)
        assert told(await audit.read(10)) == [("Ada", "new", 1), ("Ada", "old", 1)]
        clock.is_sure = True
        await asyncio.sleep(module.PRUNE_S + 10)
        assert told(await audit.read(10)) == [("Ada", "new", 1)]
        running.cancel()


async def test_who_is_turned_away_for_weeks_pushes_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REFUSED", 5)
    monkeypatch.setattr(module, "MAX_LINES", 3)
    clock = Clock()
    async with opened(tmp_path, clock) as (audit, _):
        for number in range(10):
            audit.note(ADA, f"deed {number}")
        for number in range(20):
            audit.note(None, f"attempt {number}", outcome=DENIED)
        await audit.flush()
        await audit._prune()
        deeds = [line.deed for line in await audit.read(100)]
        assert deeds == [*(f"attempt {number}" for number in range(19, 14, -1)), "deed 9", "deed 8", "deed 7"]


WORDS = st.sampled_from(["", "a", "b"])
LINES = st.builds(
    Line,
    first_ms=st.integers(0, 2 * MERGED_MS),
    last_ms=st.integers(0, 2 * MERGED_MS),
    count=st.integers(1, 5),
    person=WORDS,
    device=st.just(""),
    grant=st.just(""),
    address=WORDS,
    deed=st.sampled_from([LOOKED, "change"]),
    subject=st.just(""),
    outcome=st.sampled_from(["done", DENIED, "unknown_tracker"]),
)


@given(LINES, LINES)
def test_nothing_is_lost_where_two_become_one(line: Line, later: Line) -> None:
    both = merged(line, later)
    if both is not None:
        assert both.count == line.count + later.count
        assert both.first_ms == line.first_ms
        assert both.last_ms >= later.last_ms
        assert line.deed == LOOKED or later.outcome != "done"


DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.access.test_audit import ADA, opened

async def main():
    async with opened(Path(sys.argv[1])) as (audit, _):
        audit.note(ADA, "written")
        await audit.flush()
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_was_written_down_survives_a_kill(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "codecs")))}
    result = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False, env=environment,
    )  # fmt: skip
    assert result.returncode == -9, result.stderr
    async with opened(tmp_path) as (audit, _):
        assert told(await audit.read(10)) == [("Ada", "written", 1)]


async def test_a_disk_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").mkdir()
    async with opened(tmp_path) as (audit, _):
        audit.note(ADA, "waits")
        with pytest.raises(StoreError):
            await audit.read(10)

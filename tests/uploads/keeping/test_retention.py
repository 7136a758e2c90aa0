"""Retention: the file of what is done goes in time, no other ever, and none while nobody knows what time it is."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.uploads.keeping.retention import DAY_MS, PAST_MS, PURGE_S, Retention, due, misdated
from gateway.uploads.recording import State
from tests.uploads.keeping.ledgers import Kept, break_database, opened
from tests.uploads.keeping.stages import recording, sha256_of

S = State
NOW_MS = 1_795_000_000_000
DONE_MS = recording(0, S.DONE).changed_ms


@given(st.sampled_from(State), st.floats(0, 30), st.integers(-40 * DAY_MS, 40 * DAY_MS))
def test_only_what_is_done_goes_and_not_before_its_time(state: State, keep_days: float, age_ms: int) -> None:
    it = replace(recording(0, state), changed_ms=100 * DAY_MS)
    found = due([it], 100 * DAY_MS + age_ms, keep_days)
    is_due = state is S.DONE and age_ms >= max(0.0, keep_days * DAY_MS)
    assert found == ([it.sha256] if is_due else [])
    # What seems to be of the future was done while the clock was wrong; it must not stay for ever.
    assert misdated([it], 100 * DAY_MS + age_ms) == ([it.sha256] if state is S.DONE and age_ms < 0 else [])


@pytest.mark.parametrize("done_ms", [5, PAST_MS - 1, NOW_MS + 1, NOW_MS + 44 * 365 * DAY_MS])
async def test_what_was_done_by_a_wrong_clock_is_kept_as_long_from_when_that_is_seen(
    tmp_path: Path, done_ms: int
) -> None:
    """As by that of a Raspberry Pi without a network: it begins in 1970, or with what it was last."""
    now_ms = NOW_MS
    async with opened(tmp_path) as kept:
        await kept.put(replace(await kept.take(0, S.DONE), changed_ms=done_ms, version=9))
        retention = Retention(kept.ledger, 7, lambda: now_ms, lambda: True)
        await retention.purge()
        assert (kept.states, there(kept)) == ([S.DONE], [0])
    async with opened(tmp_path) as kept:
        retention = Retention(kept.ledger, 7, lambda: now_ms, lambda: True)
        now_ms += 7 * DAY_MS - 1
        await retention.purge()
        assert (kept.states, there(kept)) == ([S.DONE], [0])
        now_ms += 1
        await retention.purge()
        assert (kept.states, there(kept)) == ([S.PURGED], [])


def there(kept: Kept) -> list[int]:
    """Whose file is there."""
    return [number for number in range(10) if kept.spool.path(sha256_of(number)).exists()]


async def test_first_the_row_says_so_then_the_file_goes(tmp_path: Path) -> None:
    states = [S.DONE, S.ACCEPTED, S.FAILED, S.CORRUPT, S.QUARANTINED, S.AMBIGUOUS, S.DONE]
    async with opened(tmp_path) as kept:
        for number, state in enumerate(states):
            await kept.take(number, state)
        retention = Retention(kept.ledger, 7, lambda: DONE_MS + 7 * DAY_MS, lambda: True)
        await retention.purge()
        assert kept.states == [S.PURGED, *states[1:-1], S.PURGED]
        assert there(kept) == [1, 2, 3, 4, 5]
    async with opened(tmp_path) as kept:
        assert (kept.trouble(), kept.damage()) == (None, None)
        assert kept.states == [S.PURGED, *states[1:-1], S.PURGED]


async def test_on_a_disk_that_cannot_be_written_nothing_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as kept:
        await kept.take(0, S.DONE)
        await break_database(kept)
        monkeypatch.setattr(type(kept.store), "mend", nothing)
        await Retention(kept.ledger, 0, lambda: DONE_MS, lambda: True).purge()
        assert (kept.states, there(kept)) == ([S.DONE], [0])


async def nothing(_: object) -> bool:
    return False


@pytest.mark.looptime
async def test_it_waits_for_a_clock_that_is_right_and_looks_every_hour(tmp_path: Path) -> None:
    now_ms, is_sure = DONE_MS + 30 * DAY_MS, False
    async with opened(tmp_path) as kept, asyncio.TaskGroup() as tasks:
        await kept.take(0, S.DONE)
        beats: list[None] = []
        retention = Retention(kept.ledger, 7, lambda: now_ms, lambda: is_sure)
        running = tasks.create_task(retention.run(lambda: beats.append(None)))
        await asyncio.sleep(2 * PURGE_S)
        assert kept.states == [S.DONE]
        assert len(beats) >= PURGE_S
        is_sure = True
        await asyncio.sleep(5)
        assert (kept.states, there(kept)) == ([S.PURGED], [])
        await kept.take(1, S.DONE)
        await asyncio.sleep(PURGE_S / 2)
        assert kept.states == [S.PURGED, S.DONE]
        await asyncio.sleep(PURGE_S)
        assert kept.states == [S.PURGED, S.PURGED]
        running.cancel()

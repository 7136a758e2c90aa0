"""Releases: closed by itself, at once when withdrawn, on the disk when given, and only for what is measured after."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.access.caller import Caller
from gateway.access.errors import AccessCode, AccessError
from gateway.access.release import AthleteReport
from gateway.access.releases import ALL, MAX_BASIS, SCHEMA, Releases
from gateway.access.roles import Role
from gateway.problems import Problems
from gateway.store import DATABASE, Connection, Store, open_store

ADA, BO, SPARE = "Ada de la Cruz", "Bo", "SN-4"
TEAM = {"SN-1": ADA, "SN-2": BO, "SN-3": ADA, "SN-4": SPARE}
"""Ada has two trackers, and the fourth is nobody's in particular."""

ADMIN = Caller("pi", "this machine", Role.ADMIN)
BASIS = "consent signed"


@dataclass
class World:
    """The clocks, and who takes note."""

    utc_ms: int = 5_000_000
    reference_ms: int | None = 7_000_000
    problems: Problems = field(default_factory=lambda: Problems(lambda: 0))
    notes: list[tuple[str, str, str]] = field(default_factory=list)

    def note(self, caller: Caller | None, deed: str, subject: str = "", outcome: str = "done") -> None:
        assert caller is ADMIN
        self.notes.append((deed, subject, outcome))

    def codes(self) -> set[str]:
        return {problem.code for problem in self.problems}


@pytest.fixture(name="world")
def _world() -> World:
    return World()


@asynccontextmanager
async def opened(
    folder: Path, world: World, team: dict[str, str] | None = None, *, is_required: bool = True
) -> AsyncIterator[tuple[Releases, Store]]:
    async with open_store(folder, [SCHEMA]) as store:
        releases = Releases(
            store,
            TEAM if team is None else team,
            lambda: world.utc_ms,
            lambda: world.reference_ms,
            world.problems,
            world,
            is_required=is_required,
        )
        await releases.load()
        yield releases, store


async def break_disk(store: Store) -> None:
    """As it is with a disk that cannot be written: the next one who tries finds out."""
    await store.read(lambda connection: connection.execute("PRAGMA query_only = ON").fetchall())


@asynccontextmanager
async def slow_disk(store: Store) -> AsyncIterator[None]:
    """A disk that answers nobody within the context."""
    begun, answers = threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        begun.set()
        answers.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.read(slow))
        try:
            while not begun.is_set():
                await asyncio.sleep(0)
            yield
        finally:
            answers.set()


@pytest.fixture(name="turning")
def _turning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The turns of `Releases.run` follow each other at once."""
    monkeypatch.setattr("gateway.access.releases._TURN_S", 0)


async def until(store: Store, is_so: Callable[[], bool]) -> None:
    """Look each time that the disk has answered, which goes by no clock."""
    while not is_so():
        await store.read(lambda _: None)


def on_disk(folder: Path) -> set[str]:
    connection = sqlite3.connect(folder / DATABASE)
    try:
        return {athlete for (athlete,) in connection.execute("SELECT athlete FROM athlete_release")}
    finally:
        connection.close()


def named(athletes: Iterable[AthleteReport]) -> set[str]:
    return {athlete.athlete for athlete in athletes if athlete.is_released}


# --- what is given and taken back ------------------------------------------------------------------------------------


async def test_nobody_may_be_shown_before_somebody_says_so(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, _):
        assert dict(releases.released) == {}
        assert not any(releases.is_released(serial) for serial in (*TEAM, "SN-9"))
        assert [athlete.athlete for athlete in releases.report().athletes] == [ADA, BO, SPARE]
        assert named(releases.report().athletes) == set()


async def test_a_release_counts_for_all_trackers_of_an_athlete_from_when_it_was_given(
    tmp_path: Path, world: World
) -> None:
    async with opened(tmp_path, world) as (releases, _):
        report = await releases.give([ADA], f" {BASIS} ", ADMIN)
        assert releases.released == {"SN-1": 7_000_000, "SN-3": 7_000_000}
        assert report.athletes[0] == AthleteReport(ADA, ("SN-1", "SN-3"), True, 5_000_000, BASIS, "pi")
        assert named(report.athletes) == {ADA}
        assert report.trouble is None
    world.reference_ms, world.utc_ms = 9_000_000, 9_500_000
    async with opened(tmp_path, world) as (releases, _):
        assert releases.released == {"SN-1": 7_000_000, "SN-3": 7_000_000}
        assert releases.report() == report


async def test_given_once_more_it_goes_on_and_tells_the_new_basis(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, _):
        await releases.give([BO], BASIS, ADMIN)
        world.reference_ms, world.utc_ms = 8_000_000, 6_000_000
        report = await releases.give([BO], "agreement of the club", ADMIN)
        assert releases.released == {"SN-2": 7_000_000}
        assert (report.athletes[1].basis, report.athletes[1].given_ms) == ("agreement of the club", 6_000_000)


async def test_all_are_those_of_the_configuration(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, _):
        assert named((await releases.give(ALL, BASIS, ADMIN)).athletes) == {ADA, BO, SPARE}
        assert named((await releases.withdraw([SPARE], ADMIN)).athletes) == {ADA, BO}
        assert named((await releases.withdraw(ALL, ADMIN)).athletes) == set()
        assert on_disk(tmp_path) == set()


async def test_withdrawn_and_given_again_it_begins_anew(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, _):
        await releases.give([BO], BASIS, ADMIN)
        await releases.withdraw([BO], ADMIN)
        assert releases.released == {}
        world.reference_ms = 8_000_000
        await releases.give([BO], BASIS, ADMIN)
        assert releases.released == {"SN-2": 8_000_000}


@pytest.mark.parametrize("basis", ["", "  ", "x" * (MAX_BASIS + 1), "two\nlines"])
async def test_without_a_basis_of_one_line_nothing_is_released(tmp_path: Path, world: World, basis: str) -> None:
    async with opened(tmp_path, world) as (releases, _):
        with pytest.raises(AccessError) as refused:
            await releases.give([ADA], basis, ADMIN)
        assert refused.value.code is AccessCode.BAD_REQUEST
        assert releases.released == {}


@pytest.mark.parametrize("names", [[ADA, "Nobody"], ["ada de la cruz"], [], [""]])
async def test_who_is_not_in_the_configuration_spoils_all_and_is_not_repeated(
    tmp_path: Path, world: World, names: list[str]
) -> None:
    async with opened(tmp_path, world) as (releases, _):
        await releases.give([BO], BASIS, ADMIN)
        before = dict(releases.released)
        for change in (releases.give(names, BASIS, ADMIN), releases.withdraw([BO, *names] if names else [], ADMIN)):
            with pytest.raises(AccessError) as refused:
                await change
            assert refused.value.code is (AccessCode.UNKNOWN_ATHLETE if names else AccessCode.BAD_REQUEST)
            assert "Nobody" not in str(refused.value)
            assert ADA not in str(refused.value)
        assert releases.released == before


async def test_who_did_what_to_whom_is_noted(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, store):
        await releases.give([ADA, BO], BASIS, ADMIN)
        await releases.withdraw([BO], ADMIN)
        await break_disk(store)
        with pytest.raises(AccessError):
            await releases.give([BO], BASIS, ADMIN)
    given, withdrawn = "release given", "release withdrawn"
    assert world.notes == [(given, ADA, "done"), (given, BO, "done"), (withdrawn, BO, "done"), (given, BO, "failed")]


async def test_whoever_waits_hears_of_every_change(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, _), asyncio.timeout(5):
        revision = await releases.changed(0)
        for change in (releases.give([ADA], BASIS, ADMIN), releases.withdraw([ADA], ADMIN)):
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(releases.changed(revision))
                await change
            assert waiting.result() > revision
            revision = waiting.result()


async def test_where_no_release_is_asked_for_everybody_is_shown_and_nobody_can_believe_otherwise(
    tmp_path: Path, world: World
) -> None:
    async with opened(tmp_path, world, is_required=False) as (releases, _):
        assert releases.released == dict.fromkeys(TEAM, 0)
        with pytest.raises(AccessError) as refused:
            await releases.withdraw([ADA], ADMIN)
        assert refused.value.code is AccessCode.RELEASES_OFF
        report = await releases.give([ADA], BASIS, ADMIN)
        assert (report.is_required, releases.released["SN-1"]) == (False, 0)
    async with opened(tmp_path, world) as (releases, _):
        assert releases.released == {"SN-1": 7_000_000, "SN-3": 7_000_000}


# --- the time --------------------------------------------------------------------------------------------------------


async def test_while_nobody_knows_the_time_a_release_waits(tmp_path: Path, world: World) -> None:
    world.reference_ms = None
    async with opened(tmp_path, world) as (releases, _):
        report = await releases.give([BO], BASIS, ADMIN)
        assert report.athletes[1].is_waiting
        releases.date()
        assert releases.released == {}
    async with opened(tmp_path, world) as (releases, _):
        world.reference_ms = 8_000_000
        releases.date()
        assert releases.released == {"SN-2": 8_000_000}
        assert not releases.report().athletes[1].is_waiting
        world.reference_ms = 9_000_000
        releases.date()
        assert releases.released == {"SN-2": 8_000_000}


async def test_one_that_was_given_by_a_wrong_clock_does_not_wait_for_years(tmp_path: Path, world: World) -> None:
    world.reference_ms = 9_999_000_000
    async with opened(tmp_path, world) as (releases, _):
        await releases.give([BO], BASIS, ADMIN)
        world.reference_ms = 9_999_000_000 - 500  # a clock that is known a little better now
        releases.date()
        assert releases.released == {"SN-2": 9_999_000_000}
        world.reference_ms = 7_000_000
        releases.date()
        assert releases.released == {"SN-2": 7_000_000}


# --- trackers that are given to another ------------------------------------------------------------------------------


@pytest.mark.usefixtures("turning")
@pytest.mark.parametrize("is_required", [True, False])
async def test_a_tracker_that_another_wears_now_begins_anew(tmp_path: Path, world: World, is_required: bool) -> None:
    async with opened(tmp_path, world, is_required=is_required) as (releases, _):
        await releases.give([ADA, BO], BASIS, ADMIN)
        before = dict(releases.released)
    swapped = {**TEAM, "SN-1": BO}
    async with opened(tmp_path, world, swapped, is_required=is_required) as (releases, store):
        assert "SN-1" not in releases.released, "until the time is known, so that a snapshot of Ada's is dropped"
        assert {serial: since for serial, since in releases.released.items() if serial != "SN-1"} == {
            serial: since for serial, since in before.items() if serial != "SN-1"
        }
        world.reference_ms = 8_000_000
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(5):
            running = tasks.create_task(releases.run())
            await until(store, lambda: releases.released.get("SN-1") == 8_000_000 and releases._is_kept)
            running.cancel()
    async with opened(tmp_path, world, swapped, is_required=is_required) as (releases, _):
        assert releases.released["SN-1"] == 8_000_000


async def test_a_tracker_that_was_away_comes_back_to_another(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, _):
        await releases.give([ADA, BO], BASIS, ADMIN)
    async with opened(tmp_path, world, {"SN-2": BO}) as (releases, _):
        assert releases.released == {"SN-2": 7_000_000}
        await releases.withdraw([BO], ADMIN)  # and all is written down anew
    async with opened(tmp_path, world, {"SN-1": BO}) as (releases, _):
        await releases.give([BO], BASIS, ADMIN)
        assert releases.released == {}
        releases.date()
        assert releases.released == {"SN-1": 7_000_000}


# --- the disk --------------------------------------------------------------------------------------------------------


async def test_a_withdrawal_counts_before_the_disk_has_answered(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, store):
        await releases.give([ADA], BASIS, ADMIN)
        async with slow_disk(store), asyncio.TaskGroup() as tasks:
            with pytest.MonkeyPatch.context() as hasty:
                hasty.setattr("gateway.access.releases._PATIENCE_S", 0)
                withdrawing = tasks.create_task(releases.withdraw([ADA], ADMIN))
                await asyncio.sleep(0)
                assert releases.released == {}
                assert not withdrawing.done()
                assert world.codes() == set()
                report = await withdrawing
                assert report.trouble is not None
                assert world.codes() == {"releases_unsaved"}
        await store.read(lambda _: None)
        await releases._keep()
        assert (releases.report().trouble, world.codes()) == (None, set())


async def test_a_release_counts_only_when_it_is_on_the_disk(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, store), asyncio.TaskGroup() as tasks:
        async with slow_disk(store):
            giving = tasks.create_task(releases.give([ADA], BASIS, ADMIN))
            for _ in range(10):
                await asyncio.sleep(0)
            assert releases.released == {}
            giving.cancel()
        await store.read(lambda _: None)
        assert set(releases.released) == {"SN-1", "SN-3"}, "although whoever gave it has left"
        assert world.notes == [("release given", ADA, "done")]


async def test_a_withdrawal_while_the_release_is_written_wins(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, store), asyncio.TaskGroup() as tasks:
        async with slow_disk(store):
            tasks.create_task(releases.give([ADA, BO], BASIS, ADMIN))
            await asyncio.sleep(0)
            tasks.create_task(releases.withdraw([ADA], ADMIN))
            await asyncio.sleep(0)
        while not releases._is_kept or not releases.released:
            await releases._keep()
        assert set(releases.released) == {"SN-2"}
        assert on_disk(tmp_path) == {BO}


async def test_on_a_disk_that_fails_nothing_is_given_and_all_is_withdrawn_and_told(
    tmp_path: Path, world: World
) -> None:
    async with opened(tmp_path, world) as (releases, store):
        await releases.give([ADA], BASIS, ADMIN)
        await break_disk(store)
        with pytest.raises(AccessError, match=r"No release was given") as refused:
            await releases.give([BO], BASIS, ADMIN)
        assert refused.value.code is AccessCode.STORE_FAILED
        report = await releases.withdraw([ADA], ADMIN)
        assert (dict(releases.released), named(report.athletes)) == ({}, set())
        assert report.trouble is not None
        assert world.codes() == {"releases_unsaved"}
        assert all(ADA not in f"{it.text}{it.action}{it.subject}" for it in world.problems)
        assert await store.mend()
        await releases._keep()
        assert releases.report().trouble is None
        assert world.codes() == set()
    async with opened(tmp_path, world) as (releases, _):
        assert releases.released == {}


async def test_what_is_lost_while_it_runs_is_written_again(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, store):
        await releases.give([ADA], BASIS, ADMIN)
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        await store._worker.run(store._database.open)
        assert on_disk(tmp_path) == set()
        await releases._keep()
        assert on_disk(tmp_path) == {ADA}


@pytest.mark.usefixtures("turning")
async def test_releases_that_are_lost_are_told_and_nobody_is_shown(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, _):
        await releases.give(ALL, BASIS, ADMIN)
    (tmp_path / DATABASE).write_bytes(b"no database at all" * 100)
    async with opened(tmp_path, world) as (releases, store), asyncio.TaskGroup() as tasks, asyncio.timeout(5):
        assert releases.released == {}
        running = tasks.create_task(releases.run())
        await until(store, lambda: world.codes() == {"releases_lost"})
        running.cancel()


@pytest.mark.usefixtures("turning")
async def test_that_nobody_is_released_is_a_problem_until_somebody_is(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, store), asyncio.TaskGroup() as tasks, asyncio.timeout(5):
        running = tasks.create_task(releases.run())
        await until(store, lambda: world.codes() == {"nobody_released"})
        await releases.give([BO], BASIS, ADMIN)
        await until(store, lambda: not world.codes())
        running.cancel()


@pytest.mark.parametrize(("team", "is_required"), [({}, True), (TEAM, False)])
async def test_where_nobody_needs_a_release_it_is_none(
    tmp_path: Path, world: World, team: dict[str, str], *, is_required: bool
) -> None:
    async with opened(tmp_path, world, team, is_required=is_required) as (releases, _):
        releases._tell_emptiness()
        assert world.codes() == set()


@pytest.mark.usefixtures("turning")
async def test_where_the_disk_cannot_be_read_nobody_is_shown_until_it_can(tmp_path: Path, world: World) -> None:
    async with opened(tmp_path, world) as (releases, _):
        await releases.give([ADA, BO], BASIS, ADMIN)
    (tmp_path / DATABASE).rename(tmp_path / "away")
    (tmp_path / DATABASE).mkdir()
    async with opened(tmp_path, world) as (releases, store):
        assert releases.released == {}
        assert world.codes() == {"releases_unread"}
        with pytest.raises(AccessError) as refused:
            await releases.give([ADA], BASIS, ADMIN)
        assert refused.value.code is AccessCode.STORE_FAILED
        await releases.withdraw([BO], ADMIN)
        (tmp_path / DATABASE).rmdir()
        (tmp_path / "away").rename(tmp_path / DATABASE)
        assert await store.mend()
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(5):
            running = tasks.create_task(releases.run())
            await until(store, lambda: on_disk(tmp_path) == {ADA})
            running.cancel()
        assert set(releases.released) == {"SN-1", "SN-3"}, "who was withdrawn meanwhile stays so"
        assert world.codes() == set()

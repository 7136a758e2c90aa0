"""Keeping trackers ours: over HTTP for what happens, in virtual time for when."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.cloud.client import CloudClient
from gateway.cloud.errors import Broken, CloudError, Forbidden, Unreachable
from gateway.cloud.models import Device
from gateway.fleet.claim import ClaimStatus
from gateway.fleet.ownership import DOUBT_CAP_S, RECHECK_S, RETRY_CAP_S, Claims
from gateway.fleet.roster import Tracker
from gateway.problems import Problems
from gateway.simulator.cloud import SimulatedCloud


def half() -> float:
    return 0.5


@pytest.fixture
def problems() -> Problems:
    return Problems(lambda: 0)


def told(problems: Problems) -> set[tuple[str, str]]:
    return {(problem.code, problem.subject) for problem in problems}


def roster(cloud: SimulatedCloud, *places: int) -> list[Tracker]:
    return [Tracker(cloud.devices[place].serial_number, cloud.devices[place].device_name) for place in places]


async def test_a_tracker_taken_over_is_noticed_reported_and_resolved_when_it_is_free_again(
    client: CloudClient, simulated_cloud: SimulatedCloud, problems: Problems
) -> None:
    claims = Claims(client, problems, roster(simulated_cloud, 0, 1))
    assert await claims.check()
    assert [found.status for found in claims.current] == [ClaimStatus.OWNED] * 2
    first = claims.revision
    simulated_cloud.move(4102, "other")
    assert await claims.check()
    assert [found.status for found in claims.current] == [ClaimStatus.OWNED, ClaimStatus.FOREIGN]
    assert claims.revision == first + 1
    assert told(problems) == {("tracker_foreign", simulated_cloud.devices[1].serial_number)}
    assert await claims.check()
    assert claims.revision == first + 1
    simulated_cloud.move(4102, "nobody")
    assert await claims.check()
    assert [found.status for found in claims.current] == [ClaimStatus.OWNED] * 2
    assert not told(problems)


async def test_a_problem_that_becomes_another_is_replaced(
    client: CloudClient, simulated_cloud: SimulatedCloud, problems: Problems
) -> None:
    serial_number = simulated_cloud.devices[5].serial_number
    claims = Claims(client, problems, [Tracker(serial_number)])
    await claims.check()
    assert told(problems) == {("tracker_name_missing", serial_number)}
    claims.set_roster(roster(simulated_cloud, 5))
    await claims.check()
    assert told(problems) == {("tracker_foreign", serial_number)}
    claims.set_roster([])
    await claims.check()
    assert not told(problems)
    assert claims.current == ()


async def test_an_outage_takes_no_tracker_away(
    client: CloudClient, simulated_cloud: SimulatedCloud, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)
    claims = Claims(client, problems, roster(simulated_cloud, 0))
    await claims.check()
    simulated_cloud.faults = simulated_cloud.faults.merged({"error_fraction": 1})
    assert not await claims.check()
    assert [found.status for found in claims.current] == [ClaimStatus.OWNED]
    assert told(problems) == {("trackers_unchecked", "")}
    simulated_cloud.faults = simulated_cloud.faults.merged({"error_fraction": 0})
    assert await claims.check()
    assert not told(problems)


class Cloud:
    """Owns what it is told to, fails when told to, and notes when it was asked."""

    def __init__(self) -> None:
        self.owned = [Device(1, "A", "a")]
        self.error: CloudError | None = None
        self.looked_at: list[float] = []
        self.while_looking: Callable[[], None] = lambda: None

    async def devices(self, *, current: bool | None = None) -> AsyncIterator[Device]:
        if current:
            self.looked_at.append(asyncio.get_running_loop().time())
        self.while_looking()
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        for device in self.owned:
            yield device

    async def take_ownership(self, serial_number: str, device_name: str) -> Device:
        raise Forbidden("take_ownership")


async def watch(claims: Claims, seen: list[list[str]]) -> None:
    revision = claims.revision
    while True:
        revision = await claims.changed(revision)
        seen.append([found.tracker.serial_number for found in claims.current])


async def run_for(claims: Claims, duration_s: float) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(duration_s):
            await claims.run()


@pytest.mark.looptime(start=0)
async def test_the_cloud_is_looked_at_every_five_minutes(problems: Problems) -> None:
    cloud = Cloud()
    await run_for(Claims(cloud, problems, [Tracker("A")]), 2 * RECHECK_S + 1)
    assert cloud.looked_at == [0, RECHECK_S, 2 * RECHECK_S]


@pytest.mark.timeout(10)
@pytest.mark.looptime(start=0)
async def test_a_timer_that_fires_early_by_the_rounding_of_a_float_makes_nobody_spin(problems: Problems) -> None:
    clouds = [Cloud() for _ in range(50)]
    async with asyncio.timeout(4 * RECHECK_S), asyncio.TaskGroup() as tasks:
        running = []
        for cloud in clouds:
            running.append(tasks.create_task(Claims(cloud, problems, [Tracker("A")]).run()))
            await asyncio.sleep(0.012347)
        await asyncio.sleep(3 * RECHECK_S)
        for task in running:
            task.cancel()
    assert {len(cloud.looked_at) for cloud in clouds} == {4}


@pytest.mark.looptime(start=0)
async def test_an_outage_is_retried_with_growing_pauses_up_to_ten_seconds(problems: Problems) -> None:
    cloud = Cloud()
    cloud.error = Unreachable("devices", Broken.CONNECT)
    await run_for(Claims(cloud, problems, [Tracker("A")], half), 200)
    pauses = [later - earlier for earlier, later in zip(cloud.looked_at, cloud.looked_at[1:], strict=False)]
    assert pauses[:5] == [1, 2, 4, RETRY_CAP_S / 2, RETRY_CAP_S / 2]


@pytest.mark.looptime(start=0)
async def test_a_doubt_is_looked_into_soon_and_answered_even_if_nothing_changed(problems: Problems) -> None:
    cloud = Cloud()
    claims = Claims(cloud, problems, [Tracker("A")])
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(claims.run())
        revision = await claims.changed(0)
        await asyncio.sleep(100)
        claims.recheck()
        revision = await claims.changed(revision)
        assert cloud.looked_at == [0, 100]
        for _ in range(20):  # whoever doubts is told "it is ours", and is refused again at once
            claims.recheck()
            revision = await claims.changed(revision)
        running.cancel()
    pauses = [later - earlier for earlier, later in zip(cloud.looked_at[1:], cloud.looked_at[2:], strict=False)]
    assert pauses[:6] == [4, 8, 16, 32, DOUBT_CAP_S, DOUBT_CAP_S]


@pytest.mark.looptime(start=0)
async def test_a_new_roster_is_claimed_at_once_even_while_the_old_one_is_being_looked_at(problems: Problems) -> None:
    cloud = Cloud()
    claims = Claims(cloud, problems, [Tracker("A")])
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(claims.run())
        await claims.changed(0)
        await asyncio.sleep(50)
        claims.set_roster([Tracker("A"), Tracker("B", "b")])
        assert [found.status for found in claims.current] == [ClaimStatus.OWNED, ClaimStatus.PENDING]
        await asyncio.sleep(1)
        assert [found.status for found in claims.current] == [ClaimStatus.OWNED, ClaimStatus.FOREIGN]

        def meanwhile() -> None:
            cloud.while_looking = lambda: None
            claims.set_roster([Tracker("A")])

        seen: list[list[str]] = []
        cloud.while_looking = meanwhile
        watching = tasks.create_task(watch(claims, seen))
        await asyncio.sleep(RECHECK_S)
        watching.cancel()
        assert seen[-1] == ["A"]
        assert ["A", "B"] not in seen[seen.index(["A"]) :]
        assert [found.tracker.serial_number for found in claims.current] == ["A"]
        assert cloud.looked_at == [0, 50, 50 + RECHECK_S, 50 + RECHECK_S]
        running.cancel()


@pytest.mark.looptime(start=0)
async def test_the_first_look_is_a_change_even_if_it_finds_an_empty_roster(problems: Problems) -> None:
    claims = Claims(Cloud(), problems, [])
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(claims.run())
        assert await claims.changed(0) == 1
        running.cancel()

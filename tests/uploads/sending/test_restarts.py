"""A gateway that ends in the middle of anything goes on from there: nothing is lost, nothing is sent twice unmarked."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.uploads.keeping.ledger import Ledger
from gateway.uploads.recording import Recording, State
from gateway.uploads.sending.uploader import Options
from tests.uploads.sending.bringing import LOOKUP, asi, living, simulation, wall_ms

pytestmark = [pytest.mark.looptime, pytest.mark.usefixtures("long_turns")]

HOUR_S = 3600.0


def ahead() -> int:
    """A wall clock that was set after all, a month later than it was."""
    return wall_ms() + 30 * 86_400_000


async def test_before_its_end_it_is_simply_sent_anew(tmp_path: Path) -> None:
    async with simulation(2, upload_seconds_per_mb=20.0) as (cloud, served):
        async with living(cloud, served, tmp_path) as one:
            sha256 = await one.put(asi(3_000_000))
            await one.until(sha256, State.SENDING)
            await one.passing(20)
        async with living(cloud, served, tmp_path) as one:
            assert (one.state(sha256), one[sha256].error_code) == (State.QUEUED, "interrupted")
            done = await one.until(sha256, State.DONE)
    assert (cloud.jobs.accepted(sha256), done.tries, done.maybe_duplicate) == (1, 0, False)


@pytest.mark.parametrize("was_taken", [True, False])
async def test_after_its_end_it_is_looked_up(tmp_path: Path, was_taken: bool) -> None:
    fate = "upload_answer_lost_fraction" if was_taken else "upload_swallowed_fraction"
    knobs = {fate: 1.0, "lookup_enabled": True, "lost_answer_form": "hang"}
    async with simulation(2, **knobs) as (cloud, served):
        async with living(cloud, served, tmp_path, LOOKUP) as one:
            sha256 = await one.put(asi())
            await one.until(sha256, State.CLOSING)
            await one.passing(30)
            one.faults(**{fate: 0.0})
        async with living(cloud, served, tmp_path, LOOKUP) as one:
            assert (one.state(sha256), one[sha256].tries) == (State.AMBIGUOUS, 0)
            done = await one.until(sha256, State.DONE)
    assert (cloud.jobs.accepted(sha256), done.maybe_duplicate) == (1, False)


async def test_a_gateway_that_is_started_anew_every_eighty_seconds_finds_out_all_the_same(tmp_path: Path) -> None:
    knobs = {"upload_swallowed_fraction": 1.0, "lookup_enabled": True}
    async with simulation(2, **knobs) as (cloud, served):
        async with living(cloud, served, tmp_path, LOOKUP) as one:
            sha256 = await one.put(asi())
            await one.until(sha256, State.AMBIGUOUS)
            await one.passing(80)
            assert one.state(sha256) is State.AMBIGUOUS
            one.faults(upload_swallowed_fraction=0.0)
        async with living(cloud, served, tmp_path, LOOKUP) as one:
            await one.passing(80)
            assert one.state(sha256) is not State.AMBIGUOUS
        async with living(cloud, served, tmp_path, LOOKUP) as one:
            done = await one.until(sha256, State.DONE, within_s=80)
    assert (cloud.jobs.accepted(sha256), done.maybe_duplicate) == (1, False)


async def test_without_a_lookup_an_hour_counts_from_the_sending_over_any_number_of_restarts(tmp_path: Path) -> None:
    async with simulation(2, upload_answer_lost_fraction=1.0) as (cloud, served):
        async with living(cloud, served, tmp_path) as one:
            sha256 = await one.put(asi())
            await one.until(sha256, State.AMBIGUOUS)
        for _ in range(5):
            async with living(cloud, served, tmp_path) as one:
                await one.passing(600)
                assert one.state(sha256) is State.AMBIGUOUS
        one.faults(upload_answer_lost_fraction=0.0)
        async with living(cloud, served, tmp_path) as one:
            done = await one.until(sha256, State.DONE, within_s=700)
    assert (cloud.requests["load_asi"], done.maybe_duplicate) == (2, True)


async def test_with_a_wall_clock_that_is_not_sure_an_hour_counts_from_the_start(tmp_path: Path) -> None:
    async with simulation(2, upload_answer_lost_fraction=1.0) as (cloud, served):
        async with living(cloud, served, tmp_path) as one:
            sha256 = await one.put(asi())
            await one.until(sha256, State.AMBIGUOUS)
            await one.passing(600)
        async with living(cloud, served, tmp_path, utc_ms=ahead, is_clock_sure=lambda: False) as one:
            await one.passing(HOUR_S - 60)
            assert one.uploads == 1
            await one.passing(120)
            assert one.uploads == 2


async def test_what_the_cloud_works_on_is_followed_on(tmp_path: Path) -> None:
    async with simulation(2, job_delay_s=600.0) as (cloud, served):
        async with living(cloud, served, tmp_path) as one:
            sha256 = await one.put(asi())
            await one.until(sha256, State.ACCEPTED)
        async with living(cloud, served, tmp_path) as one:
            assert one.state(sha256) is State.ACCEPTED
            await one.until(sha256, State.DONE, within_s=1000)
    assert cloud.requests["load_asi"] == 1


class Stop:
    """Ends a life before or after the n-th change of the ledger: nothing happens after that."""

    def __init__(self, moment: int) -> None:
        self.is_reached = asyncio.Event()
        self._left = moment

    async def pass_by(self) -> None:
        if self._left == 0:
            self.is_reached.set()
            await asyncio.Event().wait()
        self._left -= 1


MOMENTS = 8
"""Before and after SENDING, CLOSING, ACCEPTED and DONE."""


@pytest.mark.parametrize("moment", range(MOMENTS + 1))
@pytest.mark.parametrize("options", [LOOKUP, Options()], ids=["lookup", "blind"])
async def test_a_stop_at_any_moment_loses_nothing_and_doubles_nothing_without_a_mark(
    tmp_path: Path, options: Options, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, stop = Ledger.change, Stop(moment)

    async def change(self: Ledger, sha256: str, change: Callable[[Recording], Recording]) -> Recording:
        await stop.pass_by()
        known = await really(self, sha256, change)
        await stop.pass_by()
        return known

    async with simulation(1, lookup_enabled=True) as (cloud, served):
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "change", change)
            async with living(cloud, served, tmp_path, options) as one:
                sha256 = await one.put(asi(200_000))
                async with asyncio.timeout(600):
                    while not stop.is_reached.is_set() and one.state(sha256) is not State.DONE:
                        await asyncio.sleep(0.1)
                assert stop.is_reached.is_set() == (moment < MOMENTS)
        async with living(cloud, served, tmp_path, options) as one:
            done = await one.until(sha256, State.DONE, within_s=2 * HOUR_S)
    is_in_doubt = moment in {3, 4}  # CLOSING is on the disk, and ACCEPTED is not
    assert cloud.jobs.accepted(sha256) == (2 if options == Options() and moment == 4 else 1)
    assert done.maybe_duplicate == (options == Options() and is_in_doubt)

"""Days on which anything may go wrong: in the end the cloud has every recording, once where it can be asked."""

import asyncio
import random
from pathlib import Path

import pytest

from gateway.uploads.recording import State
from gateway.uploads.sending.uploader import Options
from tests.uploads.sending.bringing import LOOKUP, Bringing, asi, living, simulation

pytestmark = [pytest.mark.looptime, pytest.mark.usefixtures("long_turns")]

BLIND = Options()
HEALTHY: dict[str, object] = {
    "upload_answer_lost_fraction": 0.0,
    "upload_swallowed_fraction": 0.0,
    "upload_cut_fraction": 0.0,
    "upload_error_fraction": 0.0,
    "upload_refuses": 0,
    "upload_html_fraction": 0.0,
    "job_lost": False,
    "job_never_ends": False,
    "job_immediate": False,
    "outage_every_s": 0.0,
    "outage_s": 0.0,
    "error_fraction": 0.0,
    "truncated_fraction": 0.0,
    "lost_answer_form": "reset",
    "lookup_error_fraction": 0.0,
    "upload_seconds_per_mb": 5.0,
}
MISHAPS: list[dict[str, object]] = [
    {},
    {"upload_answer_lost_fraction": 0.5},
    {"upload_answer_lost_fraction": 1.0, "lost_answer_form": "hang"},
    {"upload_swallowed_fraction": 0.7},
    {"upload_cut_fraction": 0.7},
    {"upload_error_fraction": 0.5, "upload_error_status": 502, "upload_error_accepted_fraction": 0.5},
    {"upload_refuses": 429},
    {"upload_refuses": 503},
    {"upload_refuses": 403},
    {"upload_html_fraction": 1.0},
    {"job_lost": True, "job_immediate": True},
    {"job_never_ends": True},
    {"outage_every_s": 1.0, "outage_s": 1.0},
    {"outage_every_s": 100.0, "outage_s": 40.0, "outage_form": "hang"},
    {"error_fraction": 0.3, "error_status": 500},
    {"truncated_fraction": 0.3},
    {"lookup_error_fraction": 0.6},
]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("options", [LOOKUP, BLIND], ids=["lookup", "blind"])
async def test_whatever_happens_the_cloud_has_each_in_the_end(tmp_path: Path, options: Options, seed: int) -> None:
    dice = random.Random(seed)
    put: list[str] = []
    async with simulation(2, lookup_enabled=True, **HEALTHY) as (cloud, served):
        for _ in range(dice.randint(3, 6)):
            async with living(cloud, served, tmp_path, options, jitter=dice.random) as one:
                for _ in range(dice.randint(1, 4)):
                    if len(put) < 8 and dice.random() < 0.7:
                        content = asi(dice.choice([40, 3_000, 90_000, 1_500_000]), seed=len(put))
                        put.append(await one.put(content, dice.randrange(2)))
                    one.faults(**{**HEALTHY, **dice.choice(MISHAPS)})
                    await one.passing(dice.choice([3, 20, 100, 700]) * dice.random())
        async with living(cloud, served, tmp_path, options, jitter=dice.random) as one:
            one.faults(**HEALTHY)
            await over(one, put)
            for sha256 in put:
                known = one[sha256]
                # Five answers in doubt, and a person decides; on a day like this that can be.
                assert known.state in {State.DONE, State.QUARANTINED}
                if options == LOOKUP:
                    assert (cloud.jobs.accepted(sha256), known.maybe_duplicate) == (1, False)
                elif known.state is State.DONE:
                    assert cloud.jobs.accepted(sha256) == 1 or known.maybe_duplicate


async def over(one: Bringing, put: list[str]) -> None:
    async with asyncio.timeout(12 * 3600):
        while not all(one.state(sha256) in {State.DONE, State.QUARANTINED} for sha256 in put):
            await asyncio.sleep(30)


@pytest.mark.parametrize("options", [LOOKUP, BLIND], ids=["lookup", "blind"])
async def test_a_stop_after_any_number_of_turns_of_the_loop(tmp_path: Path, options: Options) -> None:
    """Wherever it waits then: for the disk, for the line, for an answer."""
    async with simulation(1, lookup_enabled=True) as (cloud, served):
        ids = []
        for number, turns in enumerate(range(0, 240, 12)):
            folder = tmp_path / str(number)
            async with living(cloud, served, folder, options) as one:
                ids.append(await one.put(asi(100_000, seed=number)))
                for _ in range(turns):
                    await asyncio.sleep(0)
            async with living(cloud, served, folder, options) as one:
                done = await one.until(ids[-1], State.DONE, within_s=2 * 3600)
                doubled = cloud.jobs.accepted(ids[-1]) - 1
                assert doubled == 0 or (options == BLIND and done.maybe_duplicate)
    assert len(set(ids)) == len(ids)

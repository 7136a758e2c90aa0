"""Recordings."""

import base64
from typing import Any

from tests.simulator.bench import Bench, bench

ASI = b"ASI\x00\x00\x00\x10\x04\x04\x06ASI V2 synthetic, not a recording"


async def upload(sim: Bench, content: bytes | str, place: int = 0) -> Any:
    text = content if isinstance(content, str) else base64.b64encode(content).decode()
    return await sim.call("POST", f"devices/{sim.ids[place]}/asi/", json={"asi_b64": text})


async def test_an_upload_becomes_a_job_that_ends(sim: Bench) -> None:
    answer = await upload(sim, ASI)
    assert answer.status == 200
    assert set(answer.body) == {"id", "job_id", "state", "details"}
    assert answer.body["job_id"].startswith("job-")
    states = []
    for _ in range(4):
        states.append((await sim.get(f"jobs/{answer.body['job_id']}/")).body["state"])
        sim.clock.advance(1)
    assert states == ["PENDING", "PENDING", "STARTED", "SUCCESS"]
    assert sim.cloud.jobs.all[0].size == len(ASI)


async def test_jobs_may_fail_and_take_their_time() -> None:
    async with bench(job_failure_fraction=1, job_delay_s=60) as sim:
        job = (await upload(sim, ASI)).body["job_id"]
        sim.clock.advance(59)
        assert (await sim.get(f"jobs/{job}/")).body["state"] == "STARTED"
        sim.clock.advance(1)
        body = (await sim.get(f"jobs/{job}/")).body
        assert (body["state"], bool(body["details"])) == ("FAILURE", True)


async def test_uploads_that_are_refused(sim: Bench) -> None:
    sim.set_faults(upload_limit_bytes=100)
    assert (await upload(sim, b"")).status == 400
    assert (await upload(sim, b"RIFF")).status == 400
    assert (await upload(sim, "QVNJ*")).status == 400
    assert (await upload(sim, "QVN\nJ")).status == 400
    assert (await upload(sim, ASI + bytes(100))).status == 413
    assert (await upload(sim, ASI, place=3)).status == 403
    assert sim.cloud.jobs.all == []


async def test_jobs_belong_to_who_started_them(sim: Bench) -> None:
    job = (await upload(sim, ASI)).body["job_id"]
    assert (await sim.get("jobs/job-0/")).status == 404
    await sim.log_in("rival@example.org", "other-simulated-password")
    assert (await sim.get(f"jobs/{job}/")).status == 404

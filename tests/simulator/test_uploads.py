"""Uploads of recordings, their jobs, and looking them up."""

import asyncio
import base64
import gzip
import hashlib
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, get_args

import aiohttp
import pytest

from gateway.simulator.synthetic_asi import MAGIC, synthetic_asi
from gateway.simulator.upload_faults import Details
from tests.simulator.bench import Answer, Bench, LoopClock, bench

pytestmark = pytest.mark.looptime

ASI = MAGIC + b" synthetic, not a recording"
SHA256 = hashlib.sha256(ASI).hexdigest()
GONE = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


async def upload(sim: Bench, content: bytes | str, place: int = 0) -> Answer:
    text = content if isinstance(content, str) else base64.b64encode(content).decode()
    body = io.BytesIO(json.dumps({"asi_b64": text}).encode())
    payload = aiohttp.BytesIOPayload(body, content_type="application/json")
    return await sim.call("POST", f"devices/{sim.ids[place]}/asi/", data=payload)


async def look_up(sim: Bench, sha256: str = SHA256, place: int = 0) -> Answer:
    return await sim.get(f"devices/{sim.ids[place]}/asi/", sha256=sha256)


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    """A body whose length is not told."""
    yield body


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


async def test_a_large_file_is_known_by_its_digest(sim: Bench) -> None:
    content = b"".join(synthetic_asi(3_000_001, 5))
    assert (await upload(sim, content)).status == 200
    assert (sim.cloud.jobs.all[0].sha256, sim.cloud.jobs.all[0].size) == (
        hashlib.sha256(content).hexdigest(),
        3_000_001,
    )
    assert sim.cloud.jobs.accepted(hashlib.sha256(content).hexdigest()) == 1


# --- the request -----------------------------------------------------------------------------------------------------


async def test_only_json_of_a_known_length_is_read(sim: Bench) -> None:
    body = json.dumps({"asi_b64": base64.b64encode(ASI).decode()}).encode()
    is_json = {"Content-Type": "application/json"}
    path, token = f"devices/{sim.ids[0]}/asi/", {"Authorization": f"Bearer {sim.token}"}

    async def status(data: Any, **headers: str) -> int:
        async with sim.session.post(sim.served.api_url + path, data=data, headers=token | headers) as answer:
            return answer.status

    assert await status(body) == 415
    assert await status(pieces(body), **is_json) == 411
    assert await status(gzip.compress(body), **is_json, **{"Content-Encoding": "gzip"}) == 415
    assert sim.cloud.jobs.all == []
    assert await status(body, **is_json) == 200
    sim.set_faults(upload_needs_length=False)
    assert await status(pieces(body), **is_json) == 200


async def test_a_body_that_is_too_large_by_its_length_is_refused_unread() -> None:
    async with bench(upload_limit_bytes=1000) as sim:
        answer, sent = await _trickle(sim, 10_000_000)
        assert (answer.startswith(b"HTTP/1.1 413"), sent < 1_000_000) == (True, True)
        assert b"exceeded" in answer
        assert (await upload(sim, ASI)).status == 200


async def test_or_after_all_of_it() -> None:
    async with bench(upload_limit_bytes=1000, upload_early_413=False) as sim:
        assert (await upload(sim, "*" * 2000)).status == 400, "it was read"
        assert (await upload(sim, ASI + bytes(1000))).status == 413


async def test_who_does_not_own_the_tracker_is_refused_unread(sim: Bench) -> None:
    answer, sent = await _trickle(sim, 10_000_000, place=3)
    assert (answer.startswith(b"HTTP/1.1 403"), sent < 1_000_000) == (True, True)


async def test_who_goes_after_an_early_answer_is_not_waited_for() -> None:
    async with bench(upload_limit_bytes=1000) as sim:
        answer, _ = await _trickle(sim, 10_000_000)
        assert answer.startswith(b"HTTP/1.1 413")
    handling = [task for task in asyncio.all_tasks() if "RequestHandler" in str(task)]
    assert handling == []


async def test_an_early_answer_may_be_followed_by_a_reset() -> None:
    """A client that writes on and does not look finds a reset."""
    async with bench(upload_limit_bytes=1000, upload_unread="cut") as sim:
        answer, _ = await _trickle(sim, 10_000_000)
        assert answer.startswith(b"HTTP/1.1 413"), "who looks, sees it"
        with pytest.raises(ConnectionError):
            await _trickle(sim, 10_000_000, is_blind=True)
        assert (await upload(sim, ASI)).status == 200


async def test_an_upload_may_be_cut_at_any_point_of_its_body(sim: Bench) -> None:
    sim.set_faults(upload_cut_fraction=1)
    for size in (100, 3_000_000):
        with pytest.raises(GONE):
            await upload(sim, ASI + bytes(size))
    assert sim.cloud.jobs.fates == {"cut": 2}


async def test_the_cloud_may_read_slowly(sim: Bench) -> None:
    loop = asyncio.get_running_loop()
    sim.set_faults(upload_seconds_per_mb=30)
    began_s = loop.time()
    assert (await upload(sim, ASI + bytes(1_500_000))).status == 200
    assert 59 < loop.time() - began_s < 63


async def test_an_outage_meets_what_is_under_way() -> None:
    async with bench(clock=LoopClock(), upload_seconds_per_mb=30, outage_every_s=1000, outage_s=20) as sim:
        await asyncio.sleep(1000 - 20 - 5)
        await sim.log_in()
        with pytest.raises(GONE):
            await upload(sim, ASI + bytes(1_500_000))
        assert sim.cloud.jobs.all == []


# --- the answer ------------------------------------------------------------------------------------------------------


async def test_an_upload_may_be_swallowed_and_another_accepted_without_an_answer(sim: Bench) -> None:
    sim.set_faults(upload_swallowed_fraction=1)
    with pytest.raises(GONE):
        await upload(sim, ASI)
    assert sim.cloud.jobs.accepted(SHA256) == 0
    sim.set_faults(upload_swallowed_fraction=0, upload_answer_lost_fraction=1)
    with pytest.raises(GONE):
        await upload(sim, ASI)
    assert sim.cloud.jobs.accepted(SHA256) == 1
    sim.set_faults(lost_answer_form="status")
    assert (await upload(sim, ASI)).status == 504
    assert sim.cloud.jobs.accepted(SHA256) == 2
    assert sim.cloud.jobs.fates == {"swallowed": 1, "accepted": 2}


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_an_error_says_nothing_about_what_was_done(status: int) -> None:
    async with bench(upload_error_fraction=1, upload_error_status=status, error_body="html") as sim:
        answer = await upload(sim, ASI)
        assert (answer.status, answer.body[:6]) == (status, "<html>")
        assert sim.cloud.jobs.accepted(SHA256) == 0
        sim.set_faults(upload_error_accepted_fraction=1)
        assert (await upload(sim, ASI)).status == status
        assert sim.cloud.jobs.accepted(SHA256) == 1


@pytest.mark.parametrize("status", [400, 413, 422, 500])
async def test_one_file_may_be_refused_and_the_next_accepted(sim: Bench, status: int) -> None:
    sim.set_faults(upload_refuses=status, upload_refuses_only=SHA256[:8])
    assert (await upload(sim, ASI)).status == status
    assert (await upload(sim, ASI + b"1")).status == 200
    sim.set_faults(upload_refuses_only="")
    assert (await upload(sim, ASI + b"2")).status == status
    assert sim.cloud.jobs.fates == {"refused": 2, "accepted": 1}


async def test_a_page_may_come_in_place_of_the_job(sim: Bench) -> None:
    sim.set_faults(upload_html_fraction=1)
    answer = await upload(sim, ASI)
    assert (answer.status, answer.headers["Content-Type"][:9]) == (200, "text/html")
    assert sim.cloud.jobs.accepted(SHA256) == 1


async def test_an_equal_file_is_a_second_job_or_the_same_or_a_conflict(sim: Bench) -> None:
    first = (await upload(sim, ASI)).body["job_id"]
    assert (await upload(sim, ASI)).body["job_id"] != first
    sim.set_faults(upload_duplicate="same_job")
    assert (await upload(sim, ASI)).body["job_id"] == first
    sim.set_faults(upload_duplicate="conflict")
    assert (await upload(sim, ASI)).status == 409
    assert (await upload(sim, ASI, place=1)).status == 200, "for another tracker it is another"
    assert sim.cloud.jobs.accepted(SHA256) == 3


# --- jobs ------------------------------------------------------------------------------------------------------------


async def test_the_answer_may_say_success_before_it_is_known() -> None:
    async with bench(job_immediate=True, job_failure_fraction=1) as sim:
        answer = await upload(sim, ASI)
        assert (answer.body["state"], answer.body["details"]) == ("SUCCESS", {})
        assert (await sim.get(f"jobs/{answer.body['job_id']}/")).body["state"] == "PENDING"
        sim.clock.advance(3)
        assert (await sim.get(f"jobs/{answer.body['job_id']}/")).body["state"] == "FAILURE"


async def test_a_job_may_be_lost_or_in_an_unknown_state_or_never_end_for_a_while(sim: Bench) -> None:
    job = (await upload(sim, ASI)).body["job_id"]
    sim.clock.advance(3600)
    sim.set_faults(job_lost=True)
    assert (await sim.get(f"jobs/{job}/")).status == 404
    sim.set_faults(job_lost=False, job_unknown_state="AWAITING_MATLAB")
    assert (await sim.get(f"jobs/{job}/")).body["state"] == "AWAITING_MATLAB"
    sim.set_faults(job_unknown_state="", job_never_ends=True)
    assert (await sim.get(f"jobs/{job}/")).body["state"] == "STARTED"
    sim.set_faults(job_never_ends=False)
    assert (await sim.get(f"jobs/{job}/")).body["state"] == "SUCCESS"


@pytest.mark.parametrize("form", get_args(Details))
@pytest.mark.parametrize("state", ["FAILURE", "REVOKED", "ERROR"])
async def test_a_bad_end_has_details_of_many_forms(form: str, state: str) -> None:
    async with bench(job_failure_fraction=1, job_delay_s=0) as sim:
        sim.set_faults(job_failure_details=form, job_failure_state=state)
        job = (await upload(sim, ASI)).body["job_id"]
        body = (await sim.get(f"jobs/{job}/")).body
        assert body["state"] == state
        assert ("details" in body) == (form != "absent")
        assert {"text": str, "list": list, "null": type(None)}.get(form, dict) is type(body.get("details", {}))
        assert (len(str(body)) > 1_000_000) == (form == "huge")
        assert "\x1b" in str(body.get("details", {}).get("error")) if form == "controls" else True


# --- looking up ------------------------------------------------------------------------------------------------------


async def test_no_upload_can_be_looked_up_unless_that_is_enabled() -> None:
    async with bench() as sim:
        answer = await look_up(sim)
        assert (answer.status, answer.headers["Content-Type"][:9]) == (404, "text/html")


async def test_what_was_accepted_is_found_after_a_while_by_its_owner() -> None:
    async with bench(lookup_enabled=True, lookup_lag_s=10, upload_answer_lost_fraction=1) as sim:
        assert (await look_up(sim)).body["results"] == []
        with pytest.raises(GONE):
            await upload(sim, ASI)
        sim.clock.advance(9)
        assert (await look_up(sim)).body["count"] == 0
        sim.clock.advance(1)
        job = sim.cloud.jobs.all[0]
        assert (await look_up(sim)).body == {
            "count": 1,
            "page": 1,
            "next": None,
            "previous": None,
            "results": [{"id": 1, "job_id": job.job_id, "sha256": SHA256, "state": "SUCCESS", "details": {}}],
        }
        assert (await look_up(sim, place=1)).body["count"] == 0
        assert (await look_up(sim, place=3)).status == 403
        assert (await look_up(sim, SHA256.upper())).status == 400


async def test_a_lookup_may_fail_or_tell_more_than_was_asked_for() -> None:
    async with bench(lookup_enabled=True, lookup_filters=False) as sim:
        await upload(sim, ASI + b"1")
        await upload(sim, ASI + b"2")
        assert (await look_up(sim)).body["count"] == 2
        sim.set_faults(lookup_error_fraction=1)
        assert (await look_up(sim)).status == 503
        assert (await upload(sim, ASI)).status == 200


# --- control ---------------------------------------------------------------------------------------------------------


async def test_the_control_tells_what_was_uploaded_how_often_and_with_what_end(sim: Bench) -> None:
    await upload(sim, ASI)
    await upload(sim, ASI)
    sim.set_faults(upload_cut_fraction=1)
    with pytest.raises(GONE):
        await upload(sim, ASI)
    told = (await sim.control("GET", "uploads")).body
    assert [(it["serial_number"], it["sha256"], it["size"], it["times"]) for it in told["uploads"]] == [
        ("SIM-0001", SHA256, len(ASI), 2)
    ] * 2
    assert told["fates"] == {"accepted": 2, "cut": 1}


async def test_the_control_gives_synthetic_recordings(sim: Bench) -> None:
    async def fetch(query: str) -> tuple[bytes, str]:
        async with sim.session.get(f"{sim.served.control_url}asi{query}") as answer:
            return await answer.read(), answer.headers["Content-Disposition"]

    content, disposition = await fetch("?kb=300&seed=4")
    assert (len(content), disposition) == (300_000, 'attachment; filename="synthetic-300-4.asi"')
    assert (await upload(sim, content)).status == 200
    assert len((await fetch(""))[0]) == 200_000
    _, disposition = await fetch("?device=4102")
    assert re.fullmatch(r'attachment; filename="SIM-0003B_20250615_\d{6}\.asi"', disposition)


@pytest.mark.parametrize(("query", "status"), [("kb=0", 400), ("kb=x", 400), ("seed=-1", 400), ("device=9", 404)])
async def test_a_recording_that_cannot_be_made_is_refused(sim: Bench, query: str, status: int) -> None:
    assert (await sim.control("GET", f"asi?{query}")).status == status


async def _trickle(sim: Bench, size: int, place: int = 0, *, is_blind: bool = False) -> tuple[bytes, int]:
    """Announce so many bytes and send them piece by piece; what is answered, and how many bytes had left by then."""
    reader, writer = await asyncio.open_connection(sim.served.host, sim.served.port)
    try:
        head = f"POST /v1/devices/{sim.ids[place]}/asi/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sim.token}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode())
        sent = 0
        while sent < size:
            if not is_blind:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        return await reader.read(65_536), sent
            writer.write(bytes(50_000))
            await writer.drain()
            sent += 50_000
        return await reader.read(65_536), sent
    finally:
        writer.close()

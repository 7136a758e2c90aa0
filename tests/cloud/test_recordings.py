"""Recordings as operations of the API: one attempt, one replay with a new token, and what the cloud knows of them."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncGenerator

import pytest
from aiohttp import web

from gateway.cloud.errors import (
    BadAnswer,
    CloudError,
    Forbidden,
    NetworkLoginNeeded,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    Unauthorized,
)
from gateway.cloud.models import JobState
from gateway.cloud.pacing import FAILURES_TO_CLOSE
from gateway.cloud.uploading import Stream
from gateway.simulator.faults import Faults
from insiders_codecs.asi import AsiBody, body_size
from tests.cloud.asi import body_of
from tests.cloud.scripted import Handler, ScriptedCloud, empty_rows
from tests.cloud.simulated import simulated
from tests.cloud.uploads import Body

pytestmark = pytest.mark.looptime

ASI = b"ASI" + bytes(200_000)
SHA256 = hashlib.sha256(ASI).hexdigest()


def now() -> float:
    return asyncio.get_running_loop().time()


def says(status: int, document: object = None, **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({"detail": "no"} if document is None else document, status=status, headers=headers)

    return handler


def known(sha256: str = SHA256, job_id: str = "job-1", state: str = "SUCCESS") -> dict[str, object]:
    return {"sha256": sha256, "job_id": job_id, "state": state, "details": {}}


def listed(*items: object, count: int | None = None, following: int | None = None) -> Handler:
    count = len(items) if count is None else count
    return says(200, {"count": count, "page": 1, "next": following, "previous": None, "results": items})


async def html(_request: web.Request) -> web.Response:
    return web.Response(text="<html>Log in</html>", content_type="text/html")


async def no_json(_request: web.Request) -> web.Response:
    return web.Response(text="{", content_type="application/json")


async def test_what_arrives_is_the_document_that_the_api_asks_for(cloud: ScriptedCloud) -> None:
    cloud.handler = says(200, {"id": 3, "job_id": "job-3", "state": "PENDING", "details": {}})
    async with cloud.open() as client:
        job = await client.load_asi(7, body_of(ASI))
    assert (job.job_id, job.meaning) == ("job-3", JobState.RUNNING)
    [asked] = cloud.asked
    assert (asked.method, asked.path) == ("POST", "/v1/devices/7/asi/")
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["Content-Length"] == str(len(asked.body))
    assert "Transfer-Encoding" not in asked.headers
    assert json.loads(asked.body) == {"asi_b64": base64.b64encode(ASI).decode()}


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (says(400), Rejected),
        (says(403), Forbidden),
        (says(404), NotFound),
        (says(409), Rejected),
        (says(413), Rejected),
        (says(422), Rejected),
        (says(429, **{"Retry-After": "2"}), Throttled),
        (says(500), ServerFailed),
        (says(503), ServerFailed),
        (says(307, Location="/portal/"), NetworkLoginNeeded),
        (html, NetworkLoginNeeded),
        (no_json, BadAnswer),
        (says(200, {"state": "SUCCESS"}), BadAnswer),
        (says(200, []), BadAnswer),
        (says(204), BadAnswer),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_whatever_is_answered_an_upload_is_sent_once(
    cloud: ScriptedCloud, handler: Handler, kind: type[CloudError]
) -> None:
    cloud.handler = handler
    body = Body(3)
    async with cloud.open() as client:
        with pytest.raises(kind):
            await client.load_asi(7, body.stream)
    assert (len(cloud.asked), len(cloud.tokens)) == (1, 1)
    assert (body.begun, body.closed) == (1, 1)


async def test_a_refused_token_costs_one_more_sending_from_the_start(cloud: ScriptedCloud) -> None:
    async def only_second(request: web.Request) -> web.StreamResponse:
        is_valid = request.headers["Authorization"] == "Bearer access-2"
        return await says(*((200, {"job_id": "job-1", "state": "SUCCESS"}) if is_valid else (401,)))(request)

    cloud.handler = only_second
    body = Body(3)
    async with cloud.open() as client:
        assert (await client.load_asi(7, body.stream)).job_id == "job-1"
    assert (body.begun, body.made, body.closed) == (2, 6, 2)
    first, second = cloud.asked
    assert first.body == second.body


async def test_a_token_that_is_refused_twice_costs_two_sendings_and_no_more(cloud: ScriptedCloud) -> None:
    cloud.handler = says(401)
    body = Body(3)
    async with cloud.open() as client:
        with pytest.raises(Unauthorized):
            await client.load_asi(7, body.stream)
        assert body.begun == 2
        with pytest.raises(Unauthorized):
            await client.load_asi(7, body.stream)
    assert body.begun == 3


async def test_what_a_body_raises_passes_through_and_is_nobodys_failure(cloud: ScriptedCloud) -> None:
    reason = LookupError("other bytes than were taken over")
    async with cloud.open() as client:
        with pytest.raises(LookupError) as caught:
            await client.load_asi(7, Body(3, failure=reason).stream)
        assert caught.value is reason
        assert not client.traffic.failed
        cloud.handler = empty_rows
        await client.latest_data(7, lambda: 1)


async def test_live_polls_stay_quick_while_a_long_upload_runs(cloud: ScriptedCloud) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return await says(200, {"job_id": "job-1", "state": "SUCCESS"})(request)
        return await empty_rows(request)

    async def poll(device: int) -> None:
        while not upload.done():
            start_s = now()
            await client.latest_data(device, lambda: 10)
            waits_s.append(now() - start_s)
            await asyncio.sleep(1)

    waits_s: list[float] = []
    cloud.handler = handler
    async with cloud.open() as client, asyncio.TaskGroup() as tasks:
        upload = tasks.create_task(client.load_asi(7, Body(60, pause_s=2).stream))
        await asyncio.sleep(1)
        for device in range(20):
            tasks.create_task(poll(device))
    assert len(waits_s) >= 20 * 110
    assert max(waits_s) < 1


async def test_an_upload_begins_behind_all_that_waits(cloud: ScriptedCloud) -> None:
    order: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        order.append(request.path.split("/")[4])
        if request.method == "POST":
            return await says(200, {"job_id": "job-1", "state": "SUCCESS"})(request)
        return await (listed() if request.path.endswith("/preprocessed/") else empty_rows)(request)

    async def history() -> None:
        async for _ in client.preprocessed(9, 0, 1000):
            pass

    cloud.handler = says(429, **{"Retry-After": "5"})
    async with cloud.open() as client:
        with pytest.raises(Throttled):
            await client.latest_data(7, lambda: 1)
        cloud.handler = handler
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(client.load_asi(7, body_of(ASI)))
            await asyncio.sleep(1)
            tasks.create_task(history())
            tasks.create_task(client.latest_data(8, lambda: 1))
    assert order == ["latest-preprocessed-data", "preprocessed", "asi"]


@pytest.mark.parametrize("sha256", [SHA256, SHA256.upper()])
async def test_only_the_same_hash_is_the_same_recording(cloud: ScriptedCloud, sha256: str) -> None:
    cloud.handler = listed(known("0" * 64, "job-0"), known(sha256), known("", "job-2"))
    async with cloud.open() as client:
        found = await client.find_asi(7, SHA256)
        assert found is not None
        assert (found.job_id, found.meaning) == ("job-1", JobState.DONE)
        assert await client.find_asi(7, "1" * 64) is None
    assert [asked.query["sha256"] for asked in cloud.asked] == [SHA256, "1" * 64]
    assert {(asked.method, asked.path) for asked in cloud.asked} == {("GET", "/v1/devices/7/asi/")}


async def test_a_recording_that_is_there_twice_has_the_work_that_went_best(cloud: ScriptedCloud) -> None:
    cloud.handler = listed(
        known(job_id="failed", state="FAILURE"), known(job_id="new", state="NEW"), known(job_id="done")
    )
    async with cloud.open() as client:
        found = await client.find_asi(7, SHA256)
        assert found is not None
        assert found.job_id == "done"
        cloud.handler = listed(known(job_id="failed", state="FAILURE"), known(job_id="new", state="NEW"))
        found = await client.find_asi(7, SHA256)
        assert found is not None
        assert found.job_id == "new"


async def test_a_recording_on_a_later_page_is_found(cloud: ScriptedCloud) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        page = int(request.query["page"])
        items = [known()] if page == 3 else [known("0" * 64)]
        return await listed(*items, count=3, following=page + 1 if page < 3 else None)(request)

    cloud.handler = handler
    async with cloud.open() as client:
        assert await client.find_asi(7, SHA256) is not None


@pytest.mark.parametrize("item", [{"sha256": SHA256}, {"job_id": "job-1", "state": "SUCCESS"}, 7, None])
async def test_nothing_is_called_absent_because_of_what_could_not_be_read(cloud: ScriptedCloud, item: object) -> None:
    cloud.handler = listed(item)
    async with cloud.open() as client:
        with pytest.raises(BadAnswer):
            await client.find_asi(7, SHA256)


@pytest.mark.parametrize(
    ("handler", "kind"), [(html, NetworkLoginNeeded), (says(200, [known()]), BadAnswer), (says(404), NotFound)]
)
async def test_a_lookup_that_fails_says_so(cloud: ScriptedCloud, handler: Handler, kind: type[CloudError]) -> None:
    cloud.handler = handler
    async with cloud.open() as client:
        with pytest.raises(kind):
            await client.find_asi(7, SHA256)


async def test_a_cloud_that_takes_uploads_slowly_gets_them_whole() -> None:
    """Against the simulated one, which decodes them and has its own idea of what is well-formed."""
    async with simulated(faults=Faults(lookup_enabled=True)) as cloud:
        job = await cloud.client.load_asi(4101, body_of(ASI, block_bytes=1000))
        found = await cloud.client.find_asi(4101, SHA256)
        assert found is not None
        assert found.job_id == job.job_id


async def test_a_body_without_its_end_is_no_upload_for_the_simulated_cloud() -> None:
    async def blocks() -> AsyncGenerator[bytes, None]:
        body = AsiBody()
        yield body.head() + body.feed(ASI)
        await asyncio.sleep(1)
        raise LookupError

    async with simulated(faults=Faults(lookup_enabled=True)) as cloud:
        with pytest.raises(LookupError):
            await cloud.client.load_asi(4101, Stream(body_size(len(ASI)), blocks))
        await asyncio.sleep(10)
        assert await cloud.client.find_asi(4101, SHA256) is None


@pytest.mark.parametrize("job_id", ["", " ", "j" * 201, "job\u0000", "job\n"])
async def test_work_that_cannot_be_asked_about_is_no_answer(cloud: ScriptedCloud, job_id: str) -> None:
    async with cloud.open() as client:
        cloud.handler = says(201, {"job_id": job_id, "state": "NEW"})
        with pytest.raises(BadAnswer):
            await client.load_asi(7, body_of(ASI))
        cloud.handler = listed(known(job_id=job_id))
        with pytest.raises(BadAnswer):
            await client.find_asi(7, SHA256)


async def test_the_document_of_another_job_is_no_answer(cloud: ScriptedCloud) -> None:
    cloud.handler = says(200, {"job_id": "job-2", "state": "SUCCESS"})
    async with cloud.open() as client:
        with pytest.raises(BadAnswer, match="another job"):
            await client.job("job-1")
        assert (await client.job("job-2")).meaning is JobState.DONE


@pytest.mark.parametrize("kind", [OSError, FileNotFoundError, TimeoutError, ConnectionResetError])
async def test_what_fails_here_is_no_failure_of_the_cloud(cloud: ScriptedCloud, kind: type[OSError]) -> None:
    """A card that cannot be read must not close the gate for live data."""
    reason = kind(5, "Input/output error")

    async def blocks() -> AsyncGenerator[bytes, None]:
        yield AsiBody().head()
        raise reason

    cloud.handler = says(201, {"job_id": "job-1", "state": "NEW"})
    async with cloud.open() as client:
        for _ in range(FAILURES_TO_CLOSE + 1):
            with pytest.raises(kind) as caught:
                await client.load_asi(7, Stream(body_size(len(ASI)), blocks))
            assert caught.value is reason
        before_s = now()
        await client.job("job-1")
        assert now() - before_s < 0.5
        assert not client.traffic.failed

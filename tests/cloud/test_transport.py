"""Operations: authorised, replayed once, readings repeated, writes only where they were surely not done."""

import asyncio

import pytest
from aiohttp import web

from gateway.cloud.errors import (
    BadAnswer,
    Forbidden,
    NetworkLoginNeeded,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    Unauthorized,
    Unreachable,
)
from gateway.cloud.models import PairingSet
from tests.cloud.scripted import Handler, ScriptedCloud, empty_rows

pytestmark = pytest.mark.looptime


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)


def sequence(*handlers: Handler) -> Handler:
    """Each handler once, the last for ever."""
    left = list(handlers)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer


def status(code: int, **headers: str) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"detail": "no"}, status=code, headers=headers)

    return answer


async def one_device(_request: web.Request) -> web.Response:
    return web.json_response({"id": 7, "serial_number": "012345"})


async def cut(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


def only_newest_token(cloud: ScriptedCloud, refusal: int) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        is_valid = request.headers["Authorization"] == f"Bearer {cloud.newest_token}"
        return await (empty_rows if is_valid else status(refusal))(request)

    return answer


@pytest.mark.parametrize("refusal", [401, 403])
async def test_a_token_revoked_in_mid_session_costs_one_login_and_one_replay_for_all(
    cloud: ScriptedCloud, refusal: int
) -> None:
    cloud.handler = only_newest_token(cloud, refusal)
    async with cloud.open() as client:
        await asyncio.gather(*(client.latest_data(device, lambda: 1) for device in range(30)))
        cloud.tokens.append({"revoked": "by the server"})
        await asyncio.gather(*(client.latest_data(device, lambda: 1) for device in range(30)))
    assert [form.get("grant_type") for form in cloud.tokens] == ["password", None, "refresh_token"]
    assert len(cloud.asked) <= 30 + 60


async def test_an_api_that_accepts_no_token_gets_one_replay_and_no_storm_of_logins(cloud: ScriptedCloud) -> None:
    cloud.handler = status(401)
    async with cloud.open() as client:
        for _ in range(20):
            with pytest.raises(Unauthorized):
                await client.latest_data(7, lambda: 1)
    assert len(cloud.tokens) == 2
    assert len(cloud.asked) == 21


async def test_a_403_on_what_never_worked_is_believed_at_once(cloud: ScriptedCloud) -> None:
    cloud.handler = status(403)
    async with cloud.open() as client:
        for _ in range(5):
            with pytest.raises(Forbidden):
                await client.latest_data(7, lambda: 1)
    assert (len(cloud.tokens), len(cloud.asked)) == (1, 5)


async def test_a_tracker_taken_away_costs_one_new_token_and_no_more(cloud: ScriptedCloud) -> None:
    cloud.handler = sequence(empty_rows, status(403))
    async with cloud.open() as client:
        await client.latest_data(7, lambda: 1)
        for _ in range(5):
            with pytest.raises(Forbidden):
                await client.latest_data(7, lambda: 1)
    assert (len(cloud.tokens), len(cloud.asked)) == (2, 1 + 2 + 4)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_its_target_sees_no_token(cloud: ScriptedCloud, code: int) -> None:
    seen: list[str] = []

    async def away(request: web.Request) -> web.Response:
        if request.path == "/portal/":
            seen.append(request.headers.get("Authorization", ""))
            return web.json_response([])
        return web.Response(status=code, headers={"Location": f"{cloud.url}portal/"})

    cloud.handler = away
    async with cloud.open() as client:
        with pytest.raises(NetworkLoginNeeded):
            await client.latest_data(7, lambda: 1)
        with pytest.raises(NetworkLoginNeeded):
            await client.take_ownership("012345", "a1")
    assert not seen
    assert len(cloud.asked) == 2


@pytest.mark.parametrize("trouble", [status(503), cut], ids=["503", "cut"])
async def test_a_reading_is_repeated_through_passing_trouble(cloud: ScriptedCloud, trouble: Handler) -> None:
    cloud.handler = sequence(trouble, trouble, trouble, one_device)
    async with cloud.open() as client:
        assert (await client.device(7)).serial_number == "012345"


async def test_a_reading_ends_after_its_last_attempt(cloud: ScriptedCloud) -> None:
    cloud.handler = status(500)
    async with cloud.open() as client:
        with pytest.raises(ServerFailed):
            await client.device(7)
    assert len(cloud.asked) == 4


@pytest.mark.parametrize(("code", "kind"), [(400, Rejected), (403, Forbidden), (404, NotFound)])
async def test_a_verdict_is_not_asked_for_twice(cloud: ScriptedCloud, code: int, kind: type[Exception]) -> None:
    cloud.handler = status(code)
    async with cloud.open() as client:
        with pytest.raises(kind):
            await client.device(7)
    assert len(cloud.asked) == 1


@pytest.mark.parametrize("trouble", [status(503), cut], ids=["503", "cut"])
async def test_a_live_poll_is_tried_once(cloud: ScriptedCloud, trouble: Handler) -> None:
    cloud.handler = sequence(empty_rows, trouble)
    async with cloud.open() as client:
        await client.latest_data(7, lambda: 1)
        with pytest.raises((ServerFailed, Unreachable)):
            await client.latest_data(7, lambda: 1)
    assert len(cloud.asked) == 2


@pytest.mark.parametrize("trouble", [status(503), cut], ids=["503", "cut"])
async def test_a_write_is_never_repeated_blindly(cloud: ScriptedCloud, trouble: Handler) -> None:
    cloud.handler = trouble
    async with cloud.open() as client:
        for write in (
            client.take_ownership("012345", "a1"),
            client.release_ownership(7),
            client.set_bluetooth_config(7, PairingSet(pairing_1=None)),
            client.set_custom_name(7, "Left back"),
        ):
            with pytest.raises((ServerFailed, Unreachable)):
                await write
    assert len(cloud.asked) == 4


async def test_retries_are_a_small_part_of_all_requests(cloud: ScriptedCloud) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await (status(500) if request.path.startswith("/v1/devices/7/") else empty_rows)(request)

    cloud.handler = answer
    async with cloud.open() as client:
        for _ in range(60):
            with pytest.raises(ServerFailed):
                await client.device(7)
            await client.latest_data(8, lambda: 1)  # or the failures in a row would close the gate
    retries = len(cloud.asked) - 120
    assert 10 < retries <= 10 + 12


async def test_a_throttled_reading_waits_for_the_pause_and_a_throttled_poll_says_so(cloud: ScriptedCloud) -> None:
    cloud.handler = sequence(status(429, **{"Retry-After": "1"}), one_device)
    async with cloud.open() as client:
        before = asyncio.get_running_loop().time()
        await client.device(7)
        assert asyncio.get_running_loop().time() - before >= 1
        cloud.handler = status(429, **{"Retry-After": "600"})
        with pytest.raises(Throttled) as caught:
            await client.latest_data(7, lambda: 1)
        assert caught.value.retry_after_s == 600
        cloud.handler = empty_rows
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.latest_data(8, lambda: 1)
    assert len(cloud.asked) == 3


async def test_a_write_is_repeated_after_a_429_because_it_was_not_done(cloud: ScriptedCloud) -> None:
    cloud.handler = sequence(status(429, **{"Retry-After": "1"}), one_device)
    async with cloud.open() as client:
        assert (await client.take_ownership("012345", "a1")).id == 7
    assert [asked.method for asked in cloud.asked] == ["POST", "POST"]


async def test_a_change_of_sensors_is_not_repeated_even_then(cloud: ScriptedCloud) -> None:
    cloud.handler = status(429, **{"Retry-After": "1"})
    async with cloud.open() as client:
        with pytest.raises(Throttled):
            await client.set_bluetooth_config(7, PairingSet(pairing_1=None))
    assert len(cloud.asked) == 1


async def test_a_change_of_sensors_can_be_called_off_when_its_turn_has_come(cloud: ScriptedCloud) -> None:
    def call_off() -> None:
        raise LookupError("not any more")

    cloud.handler = one_device
    async with cloud.open() as client:
        with pytest.raises(LookupError, match="not any more"):
            await client.set_bluetooth_config(7, PairingSet(pairing_1=None), before_sending=call_off)
        await client.device(7)
    assert [asked.method for asked in cloud.asked] == ["GET"]


async def test_a_reading_does_not_wait_long_for_a_pause_to_end(cloud: ScriptedCloud) -> None:
    cloud.handler = status(429, **{"Retry-After": "31"})
    async with cloud.open() as client:
        with pytest.raises(Throttled):
            await client.device(7)
    assert len(cloud.asked) == 1


async def test_an_id_cannot_leave_its_place_in_the_path(cloud: ScriptedCloud) -> None:
    cloud.handler = status(404)
    raw: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        raw.append(request.raw_path)
        return web.json_response({"detail": "Not found"}, status=404)

    cloud.handler = answer
    async with cloud.open() as client:
        for job in ("../account/", "..", "a?b#c", "job-1"):
            with pytest.raises(NotFound):
                await client.job(job)
    assert raw == [
        "/v1/jobs/%2E%2E%2Faccount%2F/",
        "/v1/jobs/%2E%2E/",
        "/v1/jobs/a%3Fb%23c/",
        "/v1/jobs/job-1/",
    ]


async def test_a_truncated_compressed_answer_is_a_bad_answer(cloud: ScriptedCloud) -> None:
    async def answer(_request: web.Request) -> web.Response:
        response = web.json_response([{"gnss.timestamp": 1_700_000_000_000 + number} for number in range(300)])
        response.enable_compression(force=web.ContentCoding.gzip)
        return response

    async def truncated(request: web.Request) -> web.Response:
        response = await answer(request)
        await response.prepare(request)
        whole = response._compressed_body
        assert whole
        return web.Response(
            body=whole[: len(whole) // 2],
            headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
        )

    cloud.handler = answer
    async with cloud.open() as client:
        assert len((await client.latest_data(7, lambda: 300)).block) == 300
        cloud.handler = truncated
        with pytest.raises((BadAnswer, Unreachable)):
            await client.latest_data(7, lambda: 300)

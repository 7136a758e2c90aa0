"""A live websocket from its first message to its end, against scripted servers and the simulated cloud."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from itertools import cycle

import numpy as np
import pytest
from aiohttp import web

from gateway.cloud.client import CloudClient
from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    Forbidden,
    ServerFailed,
    Throttled,
    Unauthorized,
    Unreachable,
)
from gateway.cloud.stream import MAX_MALFORMED, MAX_MESSAGE, PING_S, RENEWAL_SPREAD_S
from gateway.simulator.faults import Faults
from insiders_codecs.cloud import DecodedRows
from tests.cloud.scripted import Handler, ScriptedCloud
from tests.cloud.simulated import Simulated, simulated
from tests.cloud.websockets import (
    PATIENCE_S,
    REFUSALS,
    T0,
    Script,
    closing,
    failure,
    hanging,
    listening,
    now,
    received,
    resetting,
    second,
    websockets,
    welcoming,
)

pytestmark = pytest.mark.looptime

OURS = 4101

# --- endings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [closing(1000), closing(1001), closing(4003), resetting], ids=str)
async def test_the_end_of_a_connection_is_a_loss_of_contact_whatever_its_code(
    cloud: ScriptedCloud, end: Script
) -> None:
    """What it means is told by the next one, at its authorisation."""
    cloud.handler = websockets(welcoming(second(0), then=end))
    async with cloud.open() as client:
        error = await failure(client)
        assert client.traffic.messages == 1
    assert isinstance(error, Unreachable)
    assert error.reason is Broken.CUT


@pytest.mark.parametrize("after_s", [0.0, 7.3])
async def test_a_half_open_connection_is_noticed_within_15_s(cloud: ScriptedCloud, after_s: float) -> None:
    async def falling_silent(websocket: web.WebSocketResponse) -> None:
        await asyncio.sleep(after_s)
        await websocket.send_str(second(0))
        await hanging(websocket)

    cloud.handler = websockets(welcoming(then=falling_silent))
    async with cloud.open() as client:
        since_s = now()
        error = await failure(client)
        assert now() - since_s - after_s == pytest.approx(1.5 * PING_S, abs=0.1)
    assert isinstance(error, Unreachable)
    assert error.reason is Broken.TIMEOUT


async def test_a_tracker_that_is_off_is_silence_and_no_error(cloud: ScriptedCloud) -> None:
    async def off_and_on(websocket: web.WebSocketResponse) -> None:
        async with asyncio.TaskGroup() as tasks:
            pongs = tasks.create_task(listening(websocket))
            await asyncio.sleep(3600)
            await websocket.send_str(second(3600))
            await pongs

    cloud.handler = websockets(welcoming(second(0), then=off_and_on))
    async with cloud.open() as client, client.live(7) as updates:
        assert await received(updates, 2) == [0, 3600]


async def test_leaving_a_connection_whose_other_end_is_dead_takes_no_time(cloud: ScriptedCloud) -> None:
    cloud.handler = websockets(welcoming(second(0), then=hanging))
    async with cloud.open() as client:
        async with client.live(7) as updates:
            await received(updates, 1)
            since_s = now()
        assert now() - since_s < 1.5


async def test_cancelling_ends_the_connection_wherever_it_stands(cloud: ScriptedCloud) -> None:
    """In the handshake, in the authorisation, and in the stream; the guard over all tests looks for what is left."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await hanging(request)
        return web.Response()

    for handler in (answer, websockets(hanging), websockets(welcoming(second(0)))):
        cloud.handler = handler
        async with cloud.open() as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await failure(client)


# --- messages --------------------------------------------------------------------------------------------------------

MALFORMED = [b"", b"[]", b"{", b'{"gnss": NaN}', b"\xff\xfe", b"[" * 100_000]


async def test_messages_that_cannot_be_read_are_counted_and_skipped(cloud: ScriptedCloud) -> None:
    cloud.handler = websockets(welcoming(*MALFORMED[:4], second(1), *MALFORMED[-4:], second(2)))
    async with cloud.open() as client, client.live(7) as updates:
        assert await received(updates, 2) == [1, 2]
        assert (client.traffic.messages, dict(client.traffic.failed)) == (10, {"cloud_bad_answer": 8})


async def test_nothing_but_messages_that_cannot_be_read_is_a_bad_answer(cloud: ScriptedCloud) -> None:
    cloud.handler = websockets(welcoming(second(0), *[b"<html>"] * 20))
    async with cloud.open() as client:
        error = await failure(client)
        assert client.traffic.failed == {"cloud_bad_answer": MAX_MALFORMED}
    assert isinstance(error, BadAnswer)
    assert "html" not in str(error)


async def test_a_message_without_end_is_not_read_to_its_end(cloud: ScriptedCloud) -> None:
    cloud.handler = websockets(welcoming("x" * (MAX_MESSAGE + 1)))
    async with cloud.open() as client:
        error = await failure(client)
    assert isinstance(error, BadAnswer)
    assert error.fault is Fault.TOO_LARGE


async def test_a_large_message_may_hold_a_backlog(cloud: ScriptedCloud) -> None:
    rows = 5000
    gnss = {"timestamp": [T0 + 100 * i for i in range(rows)], "latitude": [46.5196535] * rows}
    message = json.dumps({"gnss": gnss})
    assert len(message) < MAX_MESSAGE
    cloud.handler = websockets(welcoming(message))
    async with cloud.open() as client, client.live(7) as updates:
        assert len((await anext(updates)).block) == rows


@pytest.mark.parametrize(
    "frame", [b"\xc1\x01x", b"\x83\x01x", b"\x89\x7e\x01\x00"], ids=["RSV1", "opcode", "long ping"]
)
async def test_a_frame_that_is_none_is_a_bad_answer(cloud: ScriptedCloud, frame: bytes) -> None:
    async def break_rules(websocket: web.WebSocketResponse) -> None:
        assert websocket._req is not None
        assert websocket._req.transport is not None
        websocket._req.transport.write(frame)
        await listening(websocket)

    cloud.handler = websockets(welcoming(second(0), then=break_rules))
    async with cloud.open() as client:
        error = await failure(client)
    assert isinstance(error, BadAnswer)


# --- a new token -----------------------------------------------------------------------------------------------------


def each_second(websocket: web.WebSocketResponse) -> Awaitable[object]:
    async def send() -> None:
        for number in range(10_000):
            await websocket.send_str(second(number))
            await asyncio.sleep(1)

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(send())
            await listening(websocket)
            sending.cancel()

    return both()


@pytest.mark.parametrize(("talking", "late_s"), [(listening, PING_S), (each_second, 1)], ids=["silent", "busy"])
async def test_connections_follow_a_renewed_token_one_after_the_other(
    cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch, talking: Script, late_s: float
) -> None:
    async def requests(request: web.Request) -> web.Response:
        is_valid = request.headers["Authorization"] == f"Bearer {cloud.newest_token}"
        return web.json_response([], status=200 if is_valid else 401)

    async def stream(client: CloudClient) -> None:
        async with asyncio.timeout(PATIENCE_S), client.live(7) as updates:
            async for _ in updates:
                pass
        ended_s.append(now())

    streams = 12
    spread = cycle(place / streams for place in range(streams))
    monkeypatch.setattr("random.random", lambda: next(spread))
    cloud.handler = websockets(welcoming(then=talking), requests=requests)
    ended_s: list[float] = []
    async with cloud.open() as client, asyncio.TaskGroup() as tasks:
        for _ in range(streams):
            tasks.create_task(stream(client))
        await asyncio.sleep(100)
        assert not ended_s
        cloud.tokens.append({"revoked": "by the server"})
        await client.latest_data(7, lambda: 1)
        renewed_s = now()
    assert renewed_s <= min(ended_s)
    assert max(ended_s) <= renewed_s + RENEWAL_SPREAD_S + late_s + 0.1
    assert max(Counter(int((end_s - renewed_s) / 10) for end_s in ended_s).values()) <= streams / 3


# --- secrets ---------------------------------------------------------------------------------------------------------


async def test_no_token_and_no_row_is_told_to_anybody(cloud: ScriptedCloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def parroting(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str(json.dumps({"message": (await websocket.receive_json())["token"]}))
        await listening(websocket)

    def repeating(status: int) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            return web.json_response({"detail": request.headers["Authorization"]}, status=status)

        return answer

    told: list[str] = []
    for handler in (
        websockets(parroting),
        *(websockets(refusal) for refusal in REFUSALS.values()),
        *(repeating(status) for status in (400, 401, 403, 404, 429, 503)),
        websockets(resetting),
        websockets(welcoming(second(0), *[b'{"gnss": {"latitude": [46.5196535], access-1'] * MAX_MALFORMED)),
    ):
        cloud.handler = handler
        async with cloud.open() as client:
            error = await failure(client)
        told += [str(error), repr(error), repr(vars(error))]
    for text in (*told, caplog.text):
        assert "access-" not in text
        assert "46.5" not in text


# --- the simulated cloud ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def living(**faults: object) -> AsyncIterator[Simulated]:
    """A simulated cloud whose clock runs with the loop's."""
    async with simulated(faults=Faults.model_validate(faults)) as cloud, asyncio.TaskGroup() as tasks:
        start_ms = cloud.clock.now_ms - int(now() * 1000)

        async def tick() -> None:
            while True:
                await asyncio.sleep(0.1)
                cloud.clock.now_ms = start_ms + int(now() * 1000)

        ticking = tasks.create_task(tick())
        yield cloud
        ticking.cancel()


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"websocket_form": "lists", "missing": "null"},
        {"duplicate_fraction": 0.3, "unknown_field_fraction": 0.5, "websocket_shuffle": 0.3},
        {"late_fraction": 0.3, "late_s": 5},
        {"no_fix_fraction": 0.3},
    ],
    ids=str,
)
async def test_what_comes_by_itself_is_what_requests_bring(faults: dict[str, object]) -> None:
    came: dict[int, list[str]] = {}
    async with living(**faults) as cloud, cloud.client.live(OURS) as updates:
        start_ms = cloud.clock.now_ms
        async for rows in updates:
            assert rows.rows_rejected == rows.fields_rejected == 0
            came |= measured(rows)
            if cloud.clock.now_ms > start_ms + 30_000:
                break
        asked = measured(await cloud.client.latest_data(OURS, lambda: 300))
    # What was measured earlier may have come before the connection, and what was measured later may come after it.
    came, asked = (
        {t_ms: row for t_ms, row in some.items() if start_ms < t_ms < start_ms + 20_000} for some in (came, asked)
    )
    assert came == asked
    assert len(came) > 100


async def test_garbage_between_the_messages_costs_nothing_else() -> None:
    async with living(websocket_garbage_fraction=0.3) as cloud, cloud.client.live(OURS) as updates:
        rows = [await anext(updates) for _ in range(50)]
        assert cloud.client.traffic.failed["cloud_bad_answer"] + sum(r.rows_rejected > 0 for r in rows) > 5
        assert sum(len(r.block) for r in rows) > 250


async def test_revoked_tokens_end_the_connection_by_itself_when_another_is_there() -> None:
    async with living() as cloud:
        async with asyncio.timeout(PATIENCE_S), cloud.client.live(OURS) as updates:
            cloud.cloud.accounts.revoke(refresh_tokens=False)
            await cloud.client.latest_data(OURS, lambda: 1)
            since_s = now()
            async for _ in updates:
                pass
            assert now() - since_s <= RENEWAL_SPREAD_S + 2
        async with cloud.client.live(OURS) as updates:
            assert len((await anext(updates)).block) == 10


async def test_revoked_tokens_do_not_keep_a_connection_from_coming_back() -> None:
    async with living(websocket_lifetime_s=5) as cloud:
        assert isinstance(await failure(cloud.client, OURS), Unreachable)
        cloud.cloud.accounts.revoke(refresh_tokens=True)
        async with cloud.client.live(OURS) as updates:
            assert len((await anext(updates)).block) == 10


async def test_a_connection_that_is_dropped_without_a_word_is_noticed_at_once() -> None:
    async with living(websocket_lifetime_s=30) as cloud:
        since_s = now()
        error = await failure(cloud.client, OURS)
        assert now() - since_s == pytest.approx(30, abs=1)
    assert isinstance(error, Unreachable)
    assert error.reason is Broken.CUT


async def test_a_token_that_ends_is_replaced_when_the_connection_ends_with_it() -> None:
    async with living(token_lifetime_s=100, websocket_closes_on_expiry=True) as cloud:
        since_s = now()
        assert isinstance(await failure(cloud.client, OURS), Unreachable)
        assert now() - since_s == pytest.approx(100, abs=1)
        async with cloud.client.live(OURS) as updates:
            assert len((await anext(updates)).block) == 10


async def test_a_tracker_that_is_moved_away_is_refused_after_one_new_token() -> None:
    async with living() as cloud:
        client = cloud.client
        async with client.live(OURS) as updates:
            await anext(updates)
            await client.release_ownership(OURS)
            with pytest.raises(Unreachable):
                await anext(updates)
        await client.devices().__anext__()
        before = client.traffic.requests
        for _ in range(5):
            assert isinstance(await failure(client, OURS), Unauthorized | Forbidden)
            await client.devices().__anext__()
        assert isinstance(await failure(client, OURS), Forbidden)
        handshakes = 6
        assert client.traffic.requests == before + handshakes + 5 + 2


@pytest.mark.parametrize(("status", "error"), [(503, ServerFailed), (429, Throttled)])
async def test_one_connection_more_than_the_cloud_allows(status: int, error: type[CloudError]) -> None:
    async with (
        living(websocket_max_connections=1, websocket_full_status=status) as cloud,
        cloud.client.live(OURS) as updates,
    ):
        assert isinstance(await failure(cloud.client, OURS + 1), error)
        await cloud.client.latest_data(OURS, lambda: 1)
        await anext(updates)


async def test_an_outage_that_answers_nothing_is_noticed_within_15_s() -> None:
    async with living(websocket_silent_after_s=30) as cloud:
        since_s = now()
        error = await failure(cloud.client, OURS)
        assert now() - since_s <= 30 + 15.5
    assert isinstance(error, Unreachable)
    assert error.reason is Broken.TIMEOUT


async def test_a_program_that_is_stuck_but_answers_pings_is_left_to_whoever_sees_the_rows() -> None:
    async with living(websocket_silent_after_s=30, websocket_silent_pongs=True) as cloud:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(120):
                await failure(cloud.client, OURS)


def measured(rows: DecodedRows) -> dict[int, list[str]]:
    """Time -> the values of every row that has one. (Without a fix the cloud sends one row a second, and has ten.)"""
    values = rows.block.values.T
    some = ~np.isnan(values).all(axis=1)
    return dict(zip(rows.block.t_ms[some].tolist(), ([*map(repr, row)] for row in values[some].tolist()), strict=True))

"""Opening a live websocket: handshake, authorisation, refusals, and what all that costs the requests beside it."""

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import WSCloseCode, WSMsgType, web

from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Forbidden,
    NetworkLoginNeeded,
    NotFound,
    ServerFailed,
    Throttled,
    TlsFailed,
    Unauthorized,
    Unreachable,
)
from gateway.cloud.stream import AUTHORISED_WITHIN_S, HANDSHAKE_S, open_stream_session
from tests.cloud.scripted import Handler, ScriptedCloud, empty_rows
from tests.cloud.websockets import (
    PROMPT,
    REFUSALS,
    RIGHT,
    WELCOME,
    Script,
    answering,
    closing,
    failure,
    hanging,
    listening,
    logged_in,
    now,
    received,
    refusing,
    resetting,
    second,
    websockets,
    welcoming,
)

pytestmark = pytest.mark.looptime

# --- the right way ---------------------------------------------------------------------------------------------------


async def test_a_connection_says_who_we_are_at_once_and_brings_what_the_cloud_sends(cloud: ScriptedCloud) -> None:
    heard: list[object] = []

    async def talk(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str(PROMPT)
        heard.append(await websocket.receive_json())
        for message in (WELCOME, second(0), second(2), second(1)):
            await websocket.send_str(message)
        heard.append((await websocket.receive()).data)

    cloud.handler = websockets(talk)
    async with cloud.open() as client:
        async with client.live(7) as updates:
            assert await received(updates, 3) == [0, 2, 1]
        traffic = client.traffic
    assert heard == [{"action": "authorize", "token": "access-1"}, WSCloseCode.OK]
    assert [(asked.path, asked.headers["Authorization"]) for asked in cloud.asked] == [(RIGHT, "Bearer access-1")]
    assert (traffic.messages, traffic.requests, traffic.succeeded, dict(traffic.failed)) == (3, 2, 2, {})
    assert traffic.received_bytes > 3 * len(second(0))


async def test_the_token_is_sent_without_waiting_to_be_asked(cloud: ScriptedCloud) -> None:
    async def talk(websocket: web.WebSocketResponse) -> None:
        await websocket.receive()
        await websocket.send_bytes(WELCOME.encode())
        await websocket.send_bytes(second(3).encode())
        await listening(websocket)

    cloud.handler = websockets(talk)
    async with cloud.open() as client, client.live(7) as updates:
        assert await received(updates, 1) == [3]


async def test_pings_of_the_cloud_are_answered_before_and_after_the_authorisation(cloud: ScriptedCloud) -> None:
    heard: list[object] = []

    async def talk(websocket: web.WebSocketResponse) -> None:
        await websocket.ping(b"one")
        heard.extend([(await websocket.receive()).type for _ in range(2)])
        await websocket.send_str(WELCOME)
        await websocket.ping(b"two")
        heard.append((await websocket.receive()).data)
        await websocket.send_str(second(0))
        await listening(websocket)

    cloud.handler = websockets(talk, autoping=False)
    async with cloud.open() as client, client.live(7) as updates:
        assert await received(updates, 1) == [0]
    assert sorted(heard, key=str) == sorted([WSMsgType.TEXT, WSMsgType.PONG, b"two"], key=str)


async def test_no_compression_is_offered(cloud: ScriptedCloud) -> None:
    cloud.handler = websockets(welcoming(second(0)))
    async with cloud.open() as client, client.live(7) as updates:
        await received(updates, 1)
    assert "Sec-WebSocket-Extensions" not in cloud.asked[0].headers


async def test_many_connections_leave_requests_their_places(cloud: ScriptedCloud) -> None:
    cloud.handler = websockets(welcoming(second(0)))
    async with cloud.open() as client, asyncio.TaskGroup() as tasks:
        stop = asyncio.Event()

        async def stream() -> None:
            async with client.live(7) as updates:
                await received(updates, 1)
                await stop.wait()

        for _ in range(40):
            tasks.create_task(stream())
        while client.traffic.messages < 40:
            await asyncio.sleep(1)
        await client.latest_data(7, lambda: 1)
        stop.set()


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_with_a_token_that_is_good_for_requests_is_about_the_right(
    cloud: ScriptedCloud, refusal: Script
) -> None:
    cloud.handler = websockets(refusal)
    async with logged_in(cloud) as client:
        for _ in range(3):
            assert isinstance(await failure(client), Forbidden)
        assert client.traffic.failed == {"cloud_forbidden": 3}
    assert len(cloud.tokens) == 1


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_token_that_never_worked_is_replaced_once(cloud: ScriptedCloud, refusal: Script) -> None:
    cloud.handler = websockets(refusal)
    async with cloud.open() as client:
        for _ in range(3):
            assert isinstance(await failure(client), Unauthorized)
    assert len(cloud.tokens) == 2


async def test_a_token_revoked_in_mid_session_costs_one_login_for_all(cloud: ScriptedCloud) -> None:
    good = 1

    async def talk(websocket: web.WebSocketResponse) -> None:
        if (await websocket.receive_json())["token"] != f"access-{good}":
            await websocket.close(code=4003)
            return
        await websocket.send_str(WELCOME)
        await websocket.send_str(second(good))
        await websocket.close(code=1000)

    cloud.handler = websockets(talk)
    async with logged_in(cloud) as client:
        for good in (1, 2):  # noqa: B007 - read by the script
            await asyncio.gather(*(failure(client, 7) for _ in range(20)))
        assert client.traffic.messages == 40
    assert [form["grant_type"] for form in cloud.tokens] == ["password", "refresh_token"]


async def test_what_the_cloud_says_to_a_refusal_is_kept_without_our_token(cloud: ScriptedCloud) -> None:
    cloud.handler = websockets(refusing('{"message": "access-1 is no token of yours"}'))
    async with logged_in(cloud) as client:
        error = await failure(client)
    assert error.server_text == "*** is no token of yours"


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 1014])
async def test_a_server_in_trouble_refuses_nobody(cloud: ScriptedCloud, code: int) -> None:
    cloud.handler = websockets(closing(code))
    async with cloud.open() as client:
        error = await failure(client)
    assert isinstance(error, Unreachable)
    assert error.reason is Broken.CUT
    assert len(cloud.tokens) == 1


@pytest.mark.parametrize("opening", [(), (PROMPT,)])
async def test_an_authorisation_that_is_not_answered_is_given_up(
    cloud: ScriptedCloud, opening: tuple[str, ...]
) -> None:
    async def talk(websocket: web.WebSocketResponse) -> None:
        for text in opening:
            await websocket.send_str(text)
        await listening(websocket)

    cloud.handler = websockets(talk)
    async with cloud.open() as client:
        since_s = now()
        error = await failure(client)
        assert now() - since_s == pytest.approx(AUTHORISED_WITHIN_S, abs=0.1)
        assert client.traffic.failed == {"cloud_unreachable": 1}
    assert isinstance(error, Unreachable)
    assert error.reason is Broken.TIMEOUT


@pytest.mark.parametrize("is_answered", [True, False])
async def test_a_connection_that_was_not_authorised_is_closed_and_not_left_to_the_end(
    cloud: ScriptedCloud, *, is_answered: bool
) -> None:
    closed = asyncio.Event()

    async def talk(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str(PROMPT)
        await websocket.receive()
        if is_answered:
            await websocket.send_str('{"message": "Authorization failed"}')
        await listening(websocket)
        closed.set()

    cloud.handler = websockets(talk)
    async with cloud.open() as client:
        await failure(client)
        async with asyncio.timeout(1):
            await closed.wait()


async def test_a_connection_reset_during_the_authorisation_is_no_refusal(cloud: ScriptedCloud) -> None:
    cloud.handler = websockets(resetting)
    async with cloud.open() as client:
        assert isinstance(await failure(client), Unreachable)
    assert len(cloud.tokens) == 1


# --- handshakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (answering(401), Unauthorized),
        (answering(403), Forbidden),
        (answering(404), NotFound),
        (answering(404, "<h1>Not Found</h1>"), NotFound),
        (answering(429), Throttled),
        (answering(500), ServerFailed),
        (answering(503, "<h1>Busy</h1>"), ServerFailed),
        (answering(302, "", Location="/login/"), NetworkLoginNeeded),
        (answering(307, "", Location="http://127.0.0.1:9/"), NetworkLoginNeeded),
        (answering(200, "<h1>Welcome to this network</h1>"), NetworkLoginNeeded),
        (answering(200), BadAnswer),
        (answering(204), BadAnswer),
    ],
)
async def test_an_answer_that_is_no_websocket_is_told_for_what_it_is(
    cloud: ScriptedCloud, handler: Handler, error: type[CloudError]
) -> None:
    cloud.handler = handler
    async with logged_in(cloud) as client:
        assert type(await failure(client)) is error
        assert client.traffic.failed[error.code] == 1 + (error is Unauthorized)
    assert {asked.path for asked in cloud.asked[1:]} == {RIGHT}


async def test_a_handshake_refused_for_its_token_is_repeated_once_with_another(cloud: ScriptedCloud) -> None:
    welcome = websockets(welcoming(second(0)))

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == RIGHT and request.headers["Authorization"] == "Bearer access-1":
            return web.json_response({"detail": "expired"}, status=401)
        return await welcome(request)

    cloud.handler = answer
    async with logged_in(cloud) as client, client.live(7) as updates:
        assert await received(updates, 1) == [0]
    assert len(cloud.tokens) == 2


async def test_a_path_that_is_unknown_is_named(cloud: ScriptedCloud) -> None:
    cloud.handler = answering(404, "<h1>Not Found</h1>")
    async with logged_in(cloud) as client:
        error = await failure(client)
    assert "preprocessed-data/7/" in str(error)
    assert "websocket_url" in str(error)


async def test_throttled_handshakes_pause_all_handshakes_and_no_request(cloud: ScriptedCloud) -> None:
    cloud.handler = answering(429, **{"Retry-After": "30"})
    async with logged_in(cloud) as client:
        since_s = now()
        for _ in range(5):
            error = await failure(client)
            assert isinstance(error, Throttled)
            assert error.retry_after_s == pytest.approx(30, abs=1)
        await client.latest_data(7, lambda: 1)
        assert now() - since_s < 3
        assert [asked.path for asked in cloud.asked].count(RIGHT) == 1
        await asyncio.sleep(30)
        cloud.handler = websockets(welcoming(second(0)))
        async with client.live(7) as updates:
            assert await received(updates, 1) == [0]


async def test_websockets_out_of_order_hold_up_no_request(cloud: ScriptedCloud) -> None:
    cloud.handler = answering(503)
    async with logged_in(cloud) as client:
        errors = await asyncio.gather(*(failure(client) for _ in range(20)))
        assert {type(error) for error in errors} == {ServerFailed}
        since_s = now()
        await client.latest_data(7, lambda: 1)
        assert now() - since_s < 1


async def test_handshakes_that_hang_end_in_time_and_leave_requests_their_places(cloud: ScriptedCloud) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == RIGHT:
            await hanging(request)
        return await empty_rows(request)

    cloud.handler = answer
    async with logged_in(cloud) as client, asyncio.TaskGroup() as tasks:
        since_s = now()
        failures = [tasks.create_task(failure(client)) for _ in range(12)]
        await asyncio.sleep(1)
        for _ in range(3):
            await client.latest_data(7, lambda: 1)
        assert now() - since_s < 3
        error = await failures[0]
        assert now() - since_s == pytest.approx(HANDSHAKE_S, abs=0.5)
    assert isinstance(error, Unreachable)
    assert error.reason is Broken.TIMEOUT


async def test_a_port_where_nobody_listens(cloud: ScriptedCloud) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        authority = f"127.0.0.1:{nobody.getsockname()[1]}"
        async with cloud.open(websocket_url=f"ws://{authority}/") as client:
            error = await failure(client)
    assert isinstance(error, Unreachable)
    assert (error.reason, error.authority) == (Broken.CONNECT, authority)


async def test_a_server_without_tls_behind_wss_is_a_tls_failure(cloud: ScriptedCloud) -> None:
    async with cloud.open(websocket_url=cloud.url.replace("http:", "wss:")) as client:
        assert isinstance(await failure(client), TlsFailed)
    assert not cloud.asked


async def test_a_switch_of_protocols_that_is_not_ours_is_a_bad_answer(cloud: ScriptedCloud) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        head = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": "not what was asked"}
        response = web.Response(status=101, headers=head)
        response.force_close()
        return response

    cloud.handler = answer
    async with cloud.open() as client:
        assert isinstance(await failure(client), BadAnswer)


async def test_a_tls_connection_reads_into_a_buffer_of_one_record(tmp_path: Path) -> None:
    """The standard library's is sixteen times as large, and a thousand trackers are a thousand connections."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    session = open_stream_session()
    await session.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        trusted = ssl.create_default_context(cafile=certificate)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=trusted)
        assert len(cast("Any", writer.transport)._ssl_protocol._ssl_buffer) == 16 * 1024
        writer.close()
        await writer.wait_closed()

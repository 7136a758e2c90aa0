"""Every address of the whole daemon is asked, well and badly, and what comes back is what docs/openapi.json says."""

import asyncio
from pathlib import Path

import aiohttp
import msgspec
import pytest

from description.openapi import OPERATIONS
from gateway.bluetooth.inspection import Inspection, PowerStream
from gateway.bluetooth.report import SensorsReport
from gateway.bluetooth.sensors import Refusal
from gateway.live.board import Board
from gateway.live.door.gate import STATUSES
from gateway.live.door.guard import Route
from gateway.live.hub import Hub
from gateway.live.requests import MAX_BODY_BYTES, ErrorCode, RequestError
from gateway.live.routes.page import PAGE
from gateway.live.server import LiveServer
from tests.description.conformance import faults_of_answer
from tests.description.daemon import Asking, AskingDaemon, asking
from tests.test_closer import FOUND
from tests.test_scan import ADA, MISSING, report, sensor
from tests.uploads.sending.bringing import asi

API = "/api/v1"
STRAP = {"address": "a0:9e:1a:0f:0f:01", "name": "Polar H10 8D3E0F01"}
BY = {"author": "kim"}

_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}

ELSEWHERE = {Route("GET", f"{API}/stream"), Route("POST", f"{API}/sensors/{{id}}/inspect")}
"""What has tests of its own, because it needs a websocket, or a radio."""


async def look(it: AskingDaemon, serial: str, now_ms: int) -> None:
    for address in PAGE:
        await it.ask("GET", address)
    for method in ("GET", "HEAD"):
        for path in ("hello", "gaps", f"gaps?device={serial}", "counters", "sensors", "pairings", "pairings/plan"):
            await it.ask(method, f"{API}/{path}")
    rows = f"{API}/history?device={serial}&from={now_ms - 20_000}&to={now_ms}"
    assert (await it.ask("GET", rows))["blocks"]
    await it.ask("GET", f"{rows}&columns=speed", headers={"Accept": "application/msgpack"})
    await it.ask("GET", f"{API}/pairings/team")
    await it.ask("GET", f"{API}/pairings/trackers/{serial}")


async def let_people_in(it: AskingDaemon) -> str:
    """The token of a viewer."""
    access = f"{API}/access"
    viewer = await it.ask("POST", access, status=201, body={"person": "Lee", "device": "phone", "gnss_only": True})
    code = await it.ask("POST", f"{access}/codes", status=201, body={"person": "Kim", "squads": ["U19"]})
    paired = await it.ask("POST", f"{API}/pair", body={"code": code["code"], "device": "laptop"})
    bearer = {"Authorization": f"Bearer {paired['token']}"}
    await it.ask("GET", f"{API}/me")
    await it.ask("GET", f"{access}/squads")
    await it.ask("GET", f"{API}/me", headers=bearer)
    await it.ask("DELETE", f"{API}/me", headers=bearer)
    code = await it.ask("POST", f"{access}/codes", status=201, body={"person": "Kim"})
    page = {"code": code["code"], "device": "page", "as": "cookie"}
    assert "token" not in await it.ask("POST", f"{API}/pair", body=page, headers={"Origin": it.base})
    (_, grant) = (await it.ask("GET", access))["grants"]
    await it.ask("DELETE", f"{access}/{grant['id']}")
    assert (await it.ask("GET", f"{API}/audit?limit=5"))["lines"]
    return str(viewer["token"])


async def certify(it: AskingDaemon) -> None:
    await it.refuse("no_authority", 404, "GET", f"{API}/tls/authority")
    await it.ask("POST", f"{API}/tls", body={"is_new": True})
    await it.ask("GET", f"{API}/tls")
    await it.ask("GET", f"{API}/tls/authority")


async def pair(it: AskingDaemon, serial: str) -> None:
    root, tracker = f"{API}/pairings", f"{API}/pairings/trackers/{serial}"
    wanted = BY | {"heart_rate": STRAP, "during_session": True}
    await it.ask("PATCH", tracker, body=wanted)
    await it.refuse("nothing_to_do", 409, "PATCH", tracker, body=wanted)
    await it.refuse("generation_changed", 409, "PATCH", tracker, body=wanted | {"generation": 7})
    await it.refuse("session_running", 409, "PATCH", tracker, body=BY | {"heart_rate": "none"})
    await it.refuse("invalid_sensor", 400, "PATCH", tracker, body=wanted | {"heart_rate": {"address": "x"}})
    team = {"trackers": (await it.ask("GET", f"{root}/team"))["trackers"], "during_session": True}
    await it.ask("PUT", f"{root}/team", body=team)
    taken = [{"serial_number": serial, "heart_rate": "none", "power": "unmanaged"}]
    plan = await it.ask("PUT", f"{root}/team", body={"trackers": taken, "during_session": True})
    assert plan["change_sets"]
    await it.ask("POST", f"{root}/apply", body=BY | {"approve": plan["hash"], "during_session": True})
    await it.refuse("plan_changed", 409, "POST", f"{root}/apply", body=BY | {"approve": "x", "during_session": True})
    await it.ask("POST", f"{root}/adopt", body=BY)
    await it.ask("POST", f"{tracker}/adopt", body=BY)
    for place in (root, tracker):
        await it.ask("POST", f"{place}/retry")
        await it.ask("POST", f"{place}/suspend", body=BY)
        await it.refuse("suspended", 409, "PATCH", tracker, body=wanted)
        await it.ask("POST", f"{place}/resume", body=BY)
    await it.refuse("unknown_tracker", 404, "GET", f"{root}/trackers/x")


async def record(it: AskingDaemon, serial: str) -> None:
    root = f"{API}/recordings"
    taken = await it.ask("POST", f"{root}?name=a.asi&author=kim", status=201, body=asi(20_000))
    place = f"{root}/{taken['id']}"
    await it.ask("GET", place)
    await it.refuse("not_now", 409, "POST", f"{place}/retry", body=BY)
    await it.ask("POST", f"{place}/assign", body={"tracker": serial})
    it.cloud.faults = it.cloud.faults.merged({"upload_refuses": 415})
    failing = await it.ask("POST", f"{root}?name=b.asi&tracker={serial}", status=201, body=asi(20_000, seed=1))
    await asyncio.sleep(60)
    await it.ask("POST", f"{root}/{failing['id']}/retry", body=BY)
    await asyncio.sleep(60)
    await it.ask("POST", f"{root}/{failing['id']}/discard", body=BY)
    await it.ask("POST", f"{root}/rebuild")
    await it.ask("GET", root)
    async with it.http.get(f"{it.base}{root}?all=true") as answer:
        tag = answer.headers["ETag"]
    await it.ask("GET", f"{root}?all=true", status=304, headers={"If-None-Match": tag})
    for code, status, body in (("not_asi", 415, b"ABC" * 99), ("empty", 400, b"")):
        await it.refuse(code, status, "POST", f"{root}?name=c.asi", body=body)
    await it.refuse("unknown_recording", 404, "GET", f"{root}/ffff")
    await it.refuse("bad_message", 400, "GET", f"{root}?some=true")


async def release(it: AskingDaemon) -> None:
    root = f"{API}/releases"
    await it.ask("POST", f"{root}/withdraw", body={"athletes": ["Bea Okafor"]})
    await it.ask("GET", root)
    await it.refuse("unknown_athlete", 404, "POST", f"{root}/withdraw", body={"athletes": ["Nobody"]})


async def ask_badly(it: AskingDaemon, viewer: str) -> None:
    await it.refuse("unauthorized", 401, "GET", f"{API}/gaps", headers={"Authorization": "Bearer x"})
    await it.refuse("forbidden", 403, "GET", f"{API}/sensors", headers={"Authorization": f"Bearer {viewer}"})
    await it.refuse("token_in_url", 400, "GET", f"{API}/gaps?token=x")
    await it.refuse("bad_host", 421, "GET", f"{API}/gaps", headers={"Host": "example.com"})
    await it.refuse("bad_origin", 403, "GET", f"{API}/gaps", headers={"Origin": "https://example.com"})
    await it.refuse("bad_request", 417, "GET", f"{API}/gaps", headers={"Expect": "miracles"})
    await it.refuse("bad_request", 400, "GET", f"{API}/stream")
    await it.refuse("unknown_device", 400, "GET", f"{API}/gaps?device=x")
    await it.refuse("unknown_code", 401, "POST", f"{API}/pair", body={"code": "x", "device": "y"})
    await it.refuse("unknown_grant", 404, "DELETE", f"{API}/access/x")
    await it.refuse("nothing_to_do", 409, "DELETE", f"{API}/me")
    await it.refuse("bad_authority", 400, "POST", f"{API}/tls", body={"authority": "x"})
    await it.refuse("bad_message", 400, "POST", f"{API}/access", body="{")
    await it.refuse("unsupported_option", 400, "POST", f"{API}/access", body={"!": 1})
    await it.refuse("message_too_big", 413, "POST", f"{API}/access", body=b" " * (MAX_BODY_BYTES + 1))
    await it.refuse("unknown_path", 404, "GET", f"{API}/nowhere")
    await it.refuse("method_not_allowed", 405, "PUT", f"{API}/gaps")
    await it.refuse("unknown_sensor", 404, "POST", f"{API}/sensors/x/inspect")


@pytest.mark.looptime
async def test_every_address_answers_as_it_is_described(tmp_path: Path) -> None:
    async with asking(tmp_path) as it:
        serial = it.cloud.devices[0].serial_number
        await it.ask("PUT", f"{API}/releases", body={"athletes": "*", "basis": "consent signed"})
        await asyncio.sleep(60)
        viewer = await let_people_in(it)
        await look(it, serial, it.cloud.now_ms())
        await pair(it, serial)
        await record(it, serial)
        await release(it)
        await certify(it)
        await ask_badly(it, viewer)
        await it.ask("GET", f"{API}/stream", status=400, headers=_UPGRADE | {"Sec-WebSocket-Protocol": "x"})
        assert "bad_subprotocol" in it.refused
        assert it.answered == OPERATIONS.keys() - ELSEWHERE


class Air:
    """One sensor, of which everything was found, or that is refused."""

    def report(self) -> SensorsReport:
        return report(sensor(inspection=FOUND, inspected_ms=1), sensor("TICKR 8D3E", tracker=ADA, **MISSING))

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        if sensor_id != "polar":
            raise RequestError(ErrorCode(sensor_id), "No.")
        streams = {"power": PowerStream("complete", 10, 0, 200, 90)} if take_link else {}
        return msgspec.structs.replace(FOUND, **streams)


async def test_a_closer_look_is_answered_as_it_is_described() -> None:
    hub = Hub({}, Board(), "e", "Test", "0", 60.0, lambda: 0, lambda: None)
    server = LiveServer(hub, dict, Air(), is_open_on_loopback=True)
    async with server.listening("127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
        it = Asking(http, f"http://127.0.0.1:{port}")
        await it.ask("GET", f"{API}/sensors")
        for take_link in (False, True):
            await it.ask("POST", f"{API}/sensors/polar/inspect", body={"take_link": take_link})
        for code in Refusal:
            await it.ask("POST", f"{API}/sensors/{code}/inspect", status=STATUSES[ErrorCode(code)])
        assert it.refused == set(Refusal)


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "fault"),
    [
        ("GET", "/api/v1/tls", 200, b'{"certificate":null,"authority":null,"more":1}', ".more is in no document"),
        ("GET", "/api/v1/tls", 200, b'{"certificate":null}', "missing required field `authority`"),
        ("GET", "/api/v1/tls", 201, b"{}", "no document knows the status, with None"),
        ("GET", "/api/v1/tls", 409, b'{"op":"error","code":"not_now","text":"."}', "the status, with not_now"),
        ("GET", "/api/v1/tls", 400, b'{"op":"error","code":"empty","text":"."}', "knows the code empty"),
        ("GET", "/api/v1/new", 200, b"{}", "no document knows the status"),
        ("PUT", "/api/v1/tls", 401, b'{"op":"error","code":"unauthorized","text":"."}', "no document knows the status"),
        ("GET", "/api/v1/gaps", 400, b'{"op":"error","code":"bad_host","text":".","who":"Kim"}', "the code bad_host"),
        ("GET", "/api/v1/gaps", 421, b'{"op":"error","code":"bad_host","text":".","who":"Kim"}', ".who is in no"),
    ],
)
def test_what_is_not_described_is_found(method: str, path: str, status: int, body: bytes, fault: str) -> None:
    (found,) = faults_of_answer(method, path, status, "application/json", body)
    assert found.startswith(f"{method} {path} -> {status}: ")
    assert fault in found

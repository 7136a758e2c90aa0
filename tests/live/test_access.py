"""Who gets where: the whole table of roles and addresses, credentials of every form, and what is noted of it."""

import asyncio
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.access.caller import Scope
from gateway.access.codes import LASTS_S
from gateway.access.errors import AccessCode
from gateway.access.guessing import FREE_TRIES
from gateway.access.roles import MAY, Action, Role
from gateway.live.door.admission import Admission
from gateway.live.door.gate import STATUSES
from gateway.live.requests import ErrorCode, RequestError
from gateway.live.routes.page import PAGE
from tests.live.house import House, local, opened, raw

EVERYBODY = None
NEEDED: dict[tuple[str, str], Role | None] = {
    ("GET", "/api/v1/hello"): EVERYBODY,
    ("POST", "/api/v1/pair"): EVERYBODY,
    **{("GET", address): EVERYBODY for address in PAGE},
    ("GET", "/api/v1/stream"): Role.VIEWER,
    ("GET", "/api/v1/history"): Role.VIEWER,
    ("GET", "/api/v1/gaps"): Role.VIEWER,
    ("GET", "/api/v1/me"): Role.VIEWER,
    ("DELETE", "/api/v1/me"): Role.VIEWER,
    ("GET", "/api/v1/counters"): Role.TECHNICIAN,
    ("GET", "/api/v1/sensors"): Role.TECHNICIAN,
    ("POST", "/api/v1/sensors/{id}/inspect"): Role.TECHNICIAN,
    ("GET", "/api/v1/pairings"): Role.TECHNICIAN,
    ("GET", "/api/v1/pairings/plan"): Role.TECHNICIAN,
    ("GET", "/api/v1/pairings/team"): Role.TECHNICIAN,
    ("PUT", "/api/v1/pairings/team"): Role.TECHNICIAN,
    ("POST", "/api/v1/pairings/apply"): Role.TECHNICIAN,
    ("GET", "/api/v1/pairings/trackers/{serial_number}"): Role.TECHNICIAN,
    ("PATCH", "/api/v1/pairings/trackers/{serial_number}"): Role.TECHNICIAN,
    ("POST", "/api/v1/pairings/adopt"): Role.TECHNICIAN,
    ("POST", "/api/v1/pairings/suspend"): Role.TECHNICIAN,
    ("POST", "/api/v1/pairings/resume"): Role.TECHNICIAN,
    ("POST", "/api/v1/pairings/retry"): Role.TECHNICIAN,
    ("POST", "/api/v1/pairings/trackers/{serial_number}/adopt"): Role.TECHNICIAN,
    ("POST", "/api/v1/pairings/trackers/{serial_number}/suspend"): Role.TECHNICIAN,
    ("POST", "/api/v1/pairings/trackers/{serial_number}/resume"): Role.TECHNICIAN,
    ("POST", "/api/v1/pairings/trackers/{serial_number}/retry"): Role.TECHNICIAN,
    ("GET", "/api/v1/recordings"): Role.TECHNICIAN,
    ("POST", "/api/v1/recordings"): Role.TECHNICIAN,
    ("POST", "/api/v1/recordings/rebuild"): Role.TECHNICIAN,
    ("GET", "/api/v1/recordings/{id}"): Role.TECHNICIAN,
    ("POST", "/api/v1/recordings/{id}/assign"): Role.TECHNICIAN,
    ("POST", "/api/v1/recordings/{id}/retry"): Role.TECHNICIAN,
    ("POST", "/api/v1/recordings/{id}/discard"): Role.TECHNICIAN,
    ("GET", "/api/v1/releases"): Role.TECHNICIAN,
    ("POST", "/api/v1/releases/withdraw"): Role.TECHNICIAN,
    ("GET", "/api/v1/access/squads"): Role.TECHNICIAN,
    ("POST", "/api/v1/access/codes"): Role.TECHNICIAN,
    ("PUT", "/api/v1/releases"): Role.ADMIN,
    ("GET", "/api/v1/access"): Role.ADMIN,
    ("POST", "/api/v1/access"): Role.ADMIN,
    ("DELETE", "/api/v1/access/{id}"): Role.ADMIN,
    ("GET", "/api/v1/audit"): Role.ADMIN,
    ("GET", "/api/v1/tls"): Role.ADMIN,
    ("POST", "/api/v1/tls"): Role.ADMIN,
    ("GET", "/api/v1/tls/authority"): Role.ADMIN,
}
"""Method and address -> the least role that gets there."""

RANKS = (Role.VIEWER, Role.TECHNICIAN, Role.ADMIN)
SHUT = {401, 403}


@pytest.fixture(name="house")
async def _house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as house:
        yield house


@pytest.fixture(name="http")
async def _http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield http


async def status(http: aiohttp.ClientSession, method: str, url: str, headers: dict[str, str] | None = None) -> int:
    async with http.request(method, url, headers=headers) as answer:
        return answer.status


async def test_no_address_is_served_but_those_of_the_table(house: House) -> None:
    router = web.UrlDispatcher()
    guard = house.server.add_routes(router)
    assert {(route.method, route.path): action for route, action in guard.table.items()}.keys() == NEEDED.keys()
    served = {(route.method, route.resource.canonical) for route in router.routes() if route.resource is not None}
    assert {(method, path) for method, path in served if method != "HEAD"} == NEEDED.keys()
    for route, action in guard.table.items():
        least = NEEDED[route]
        allowed = RANKS[RANKS.index(least) :] if least is not None else RANKS
        assert [role for role in RANKS if action is None or action in MAY[role]] == list(allowed), route


@pytest.mark.parametrize("role", [None, *RANKS])
async def test_every_role_gets_to_what_the_table_says_and_no_further(
    house: House, http: aiohttp.ClientSession, role: Role | None
) -> None:
    for (method, path), least in NEEDED.items():
        headers = {} if role is None else await house.bearer(role)
        url = house.base + path.format(id="x", serial_number="x")
        for verb in (method, "HEAD") if method == "GET" else (method,):
            house.reached.deeds.clear()
            house.shelved.deeds.clear()
            got = await status(http, verb, url, headers)
            if path == "/api/v1/stream":  # what is missing there is an upgrade, whoever asks
                assert got in {400, 401}
            elif least is None or (role is not None and RANKS.index(role) >= RANKS.index(least)):
                assert got not in SHUT or path == "/api/v1/pair", (role, verb, path)
            else:
                assert got == (401 if role is None else 403), (role, verb, path)
                assert house.reached.deeds == house.shelved.deeds == []


async def test_what_nobody_may_ask_for_is_told_as_a_sentence(house: House, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{house.base}/api/v1/gaps") as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        told = await answer.json()
    assert told["code"] == "unauthorized"
    assert told["text"].startswith("Show a token")
    async with http.get(f"{house.base}/api/v1/audit", headers=await house.bearer(Role.TECHNICIAN)) as answer:
        told = await answer.json()
    assert (answer.status, told["code"]) == (403, "forbidden")
    assert told["text"] == "A technician may not do this (read_audit): ask an admin for another role."


async def test_who_may_not_is_noted_and_so_is_what_somebody_changes(house: House, http: aiohttp.ClientSession) -> None:
    viewer, technician = await house.bearer(Role.VIEWER), await house.bearer(Role.TECHNICIAN)
    await status(http, "POST", f"{house.base}/api/v1/pairings/trackers/SN-1/adopt", viewer)
    await status(http, "POST", f"{house.base}/api/v1/pairings/trackers/SN-1/adopt", technician)
    await status(http, "GET", f"{house.base}/api/v1/pairings", technician)
    await status(http, "GET", f"{house.base}/api/v1/history?device=SN-1&from=0&to=1", viewer)
    await status(http, "GET", f"{house.base}/api/v1/counters", {"Authorization": "Bearer igw_guess"})
    assert await house.noted() == [
        ("Kim Berger", "change_pairings", "SN-1", "denied"),
        ("Kim Berger", "change_pairings", "SN-1", "done"),
        ("Kim Berger", "looked", "SN-1", "done"),
        ("", "admission", "", "denied"),
    ]


@pytest.mark.parametrize("header", ["Basic a2ltOmtpbQ==", "Bearer", "Bearer ", "igw_x", ""])
async def test_a_header_that_is_no_token_is_told_what_one_looks_like(
    house: House, http: aiohttp.ClientSession, header: str
) -> None:
    async with http.get(f"{house.base}/api/v1/gaps", headers={"Authorization": header}) as answer:
        assert answer.status == 401
        assert (await answer.json())["text"] == "Send your token as `Authorization: Bearer TOKEN`."


@pytest.mark.parametrize("name", ["token", "access_token", "auth", "key", "code", "TOKEN"])
async def test_a_token_in_an_address_is_not_taken_even_if_it_is_right(
    house: House, http: aiohttp.ClientSession, name: str
) -> None:
    token = await house.token(Role.ADMIN)
    for path in ("gaps", "stream", "hello", "nowhere"):
        async with http.get(f"{house.base}/api/v1/{path}", params={name: token}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, "token_in_url")
    async with http.get(f"{house.base}/api/v1/gaps?{name}", headers=await house.bearer(Role.ADMIN)) as answer:
        assert answer.status == 400


@pytest.mark.parametrize("hidden", ["?device=SN-1;token={}", "?a=1;b;%74oken={}", ";key={}", "?a=1#token={}"])
async def test_nor_is_one_that_a_parser_of_ours_would_not_even_see(house: House, hidden: str) -> None:
    target = f"/api/v1/gaps{hidden.format(await house.token(Role.ADMIN))}"
    shown = f"Authorization: Bearer {await house.token(Role.ADMIN)}\r\nConnection: close"
    answer = await raw(house.port, f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{shown}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"token_in_url" in answer


async def asked(house: House, method: str, path: str, *lines: str, body: bytes = b"") -> list[int]:
    """The statuses of what comes back to somebody who sends the body only after all that has come."""
    head = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Content-Length: 2", *lines)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write("\r\n".join((*head, "", "")).encode())
    found = []
    while (line := await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 "):
        found.append(int(line.split()[1]))
        if found[-1] == 100:
            await reader.readuntil(b"\r\n")
            writer.write(body)
        else:
            break
    writer.close()
    return found


@pytest.mark.parametrize(
    ("role", "expected"), [(None, [401]), (Role.VIEWER, [403]), (Role.TECHNICIAN, [100, 200]), (Role.ADMIN, [100, 200])]
)
async def test_a_body_is_asked_for_only_of_who_may_send_it(
    house: House, role: Role | None, expected: list[int]
) -> None:
    shown = () if role is None else (f"Authorization: Bearer {await house.token(role)}",)
    assert await asked(house, "PUT", "/api/v1/pairings/team", "Expect: 100-continue", *shown, body=b"{}") == expected
    assert house.reached.deeds == (["import 2"] if expected == [100, 200] else [])


async def test_an_expectation_that_is_not_known_is_told_only_to_who_may_ask(house: House) -> None:
    shown = f"Authorization: Bearer {await house.token(Role.ADMIN)}"
    assert await asked(house, "PUT", "/api/v1/pairings/team", "Expect: wonders", shown) == [417]
    assert await asked(house, "PUT", "/api/v1/pairings/team", "Expect: wonders") == [401]


async def test_thirty_guessed_tokens_are_looked_at_five_times(house: House, http: aiohttp.ClientSession) -> None:
    seen = []
    for number in range(30):
        headers = {"Authorization": f"Bearer igw_{number:043}"}
        async with http.get(f"{house.base}/api/v1/gaps", headers=headers) as answer:
            seen.append(answer.status)
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) >= 1
                assert (await answer.json())["code"] == "too_many_attempts"
    assert seen == [401] * FREE_TRIES + [429] * (30 - FREE_TRIES)
    # Nor can it be guessed through codes meanwhile, whose door is the same.
    async with http.post(
        f"{house.base}/api/v1/pair", json={"code": "guessed-by-somebody-xx", "device": "phone"}
    ) as answer:
        assert answer.status == 429


@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_browser_is_let_in_by_a_code_and_out_when_it_signs_out(tmp_path: Path, is_tls: bool) -> None:
    async with opened(tmp_path, is_tls=is_tls) as house:
        ours = house.client_tls() if is_tls else True
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar, connector=aiohttp.TCPConnector(ssl=ours)) as http:
            technician = await house.bearer(Role.TECHNICIAN)
            wanted = {"person": "Kim", "squads": ["U19"], "gnss_only": True}
            async with http.post(f"{house.base}/api/v1/access/codes", json=wanted, headers=technician) as answer:
                assert answer.status == 201
                made = await answer.json()
            assert made["expires_ms"] == house.clock.ms + LASTS_S * 1000
            proof = f"&fp={made['fingerprint']}" if is_tls else ""
            assert made["url"] == f"{house.scheme}://localhost:{house.port}/pair#code={made['code']}{proof}"
            assert made["qr"].startswith("data:image/svg+xml")
            asked = {"code": made["code"], "device": "phone", "as": "cookie"}
            async with http.post(f"{house.base}/api/v1/pair", json=asked, headers=house.origin) as answer:
                told = await answer.json()
                header = answer.headers["Set-Cookie"]
            assert "token" not in told
            assert (told["authority"] is not None) is is_tls
            own = {key: told[key] for key in ("person", "device", "role", "squads", "gnss_only")}
            expected = {"person": "Kim", "device": "phone", "role": "viewer", "squads": ["U19"], "gnss_only": True}
            assert own == expected
            (name, cookie), *others = SimpleCookie(header).items()
            assert others == []
            assert name == ("__Host-insiders_gateway" if is_tls else "insiders_gateway")
            assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
            assert bool(cookie["secure"]) is is_tls
            assert cookie["domain"] == ""
            assert int(cookie["max-age"]) == (told["expires_ms"] - house.clock.ms) // 1000
            with_cookie = {"Cookie": f"{name}={cookie.value}"}

            async with http.get(f"{house.base}/api/v1/me", headers=with_cookie) as answer:
                assert {key: (await answer.json())[key] for key in expected} == expected
            # What changes something, or stays open, has to come from a page of ours, and browsers say from where.
            me = f"{house.base}/api/v1/me"
            assert await status(http, "DELETE", me, with_cookie) == 401
            upgrade = {**with_cookie, "Upgrade": "websocket", "Connection": "Upgrade"}
            assert await status(http, "GET", me, upgrade) == 401
            assert await status(http, "DELETE", me, {**with_cookie, "Origin": "https://evil.example"}) == 403
            async with http.delete(me, headers={**with_cookie, **house.origin}) as answer:
                assert answer.status == 200
                assert SimpleCookie(answer.headers["Set-Cookie"])[name]["max-age"] == "0"
            assert await status(http, "GET", me, with_cookie) == 401
        assert [line[1:] for line in await house.noted() if line[0] == "Kim"] == [
            ("paired", "", "done"),
            ("signed_out", "", "done"),
        ]


async def test_a_tool_is_let_in_by_a_code_once(house: House, http: aiohttp.ClientSession) -> None:
    async with http.post(
        f"{house.base}/api/v1/access/codes", json={"person": "Kim"}, headers=await house.bearer(Role.ADMIN)
    ) as answer:
        code = (await answer.json())["code"]
    asked = {"code": code, "device": "notebook"}
    async with http.post(f"{house.base}/api/v1/pair", json=asked) as answer:
        token = (await answer.json())["token"]
        assert "Set-Cookie" not in answer.headers
    assert await status(http, "GET", f"{house.base}/api/v1/me", {"Authorization": f"Bearer {token}"}) == 200
    async with http.post(f"{house.base}/api/v1/pair", json=asked) as answer:
        assert (answer.status, (await answer.json())["code"]) == (401, "unknown_code")
    assert (await house.noted())[-1] == ("", "admission", "", "denied")


async def test_only_a_page_gets_a_cookie(house: House, http: aiohttp.ClientSession) -> None:
    asked = {"code": "guessed-by-somebody-xx", "device": "phone", "as": "cookie"}
    async with http.post(f"{house.base}/api/v1/pair", json=asked) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "bad_origin")


async def test_an_old_cookie_keeps_nobody_from_being_let_in_anew(house: House, http: aiohttp.ClientSession) -> None:
    old = {"Cookie": "insiders_gateway=igw_of_last_season"}
    for path in ("/pair", "/", "/web/pair.js", "/api/v1/hello"):
        assert await status(http, "GET", house.base + path, old) == 200
    assert await status(http, "GET", f"{house.base}/api/v1/me", old) == 401


@pytest.mark.parametrize(
    "cookie", ["insiders_gateway", "insiders_gateway=", "=", "a=b; insiders_gateway=ÿ", ";;;", "x"]
)
async def test_cookies_that_make_no_sense_let_nobody_in(house: House, http: aiohttp.ClientSession, cookie: str) -> None:
    assert await status(http, "GET", f"{house.base}/api/v1/me", {"Cookie": cookie}) == 401


async def test_what_other_servers_of_this_machine_have_set_does_not_hide_ours(
    house: House, http: aiohttp.ClientSession
) -> None:
    """Browsers keep cookies by host, not by port."""
    token = await house.token(Role.VIEWER)
    for others in ('a={"b": [1, 2]}; {token}; c', "x y=1; {token}", "{token}; é=ü", "a[b]=c; ;; {token}"):
        cookies = others.replace("{token}", f"insiders_gateway={token}")
        assert await status(http, "GET", f"{house.base}/api/v1/me", {"Cookie": cookies}) == 200, others


async def test_a_plain_cookie_is_worth_nothing_over_tls(tmp_path: Path) -> None:
    """Anybody in the network could have set it over plain HTTP."""
    async with opened(tmp_path, is_tls=True) as house:
        token = await house.token(Role.VIEWER)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=house.client_tls())) as http:
            url = f"{house.base}/api/v1/me"
            assert await status(http, "GET", url, {"Cookie": f"insiders_gateway={token}"}) == 401
            assert await status(http, "GET", url, {"Cookie": f"__Host-insiders_gateway={token}"}) == 200


async def test_a_technician_invites_viewers_and_nobody_else(house: House, http: aiohttp.ClientSession) -> None:
    technician = await house.bearer(Role.TECHNICIAN)
    for role, expected in (("viewer", 201), ("technician", 403), ("admin", 403)):
        wanted = {"person": "Kim", "role": role}
        async with http.post(f"{house.base}/api/v1/access/codes", json=wanted, headers=technician) as answer:
            assert answer.status == expected
    assert [line[1:] for line in await house.noted()] == [
        ("invited", "Kim", "done"),
        ("invited", "Kim", "denied"),
    ]


async def test_an_admin_lets_in_sees_and_throws_out(house: House, http: aiohttp.ClientSession) -> None:
    admin = await house.bearer(Role.ADMIN)
    url = f"{house.base}/api/v1/access"
    wanted = {"person": "Robin", "device": "tablet", "role": "viewer", "days": 3}
    async with http.post(url, json=wanted, headers=admin) as answer:
        assert answer.status == 201
        made = await answer.json()
    assert made["grant"]["expires_ms"] == house.clock.ms + 3 * 86_400_000
    theirs = {"Authorization": f"Bearer {made['token']}"}
    assert await status(http, "GET", f"{house.base}/api/v1/me", theirs) == 200
    async with http.get(url, headers=admin) as answer:
        listed = await answer.json()
    assert [grant["person"] for grant in listed["grants"]] == ["Kim Berger", "Robin"]
    assert made["token"] not in str(listed)
    async with http.delete(f"{url}/{made['grant']['id']}", headers=admin) as answer:
        assert (answer.status, (await answer.json())["person"]) == (200, "Robin")
    assert await status(http, "GET", f"{house.base}/api/v1/me", theirs) == 401
    async with http.delete(f"{url}/nobody", headers=admin) as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "unknown_grant")
    assert [line for line in await house.noted() if line[0]] == [
        ("Kim Berger", "let_in", "Robin", "done"),
        ("Kim Berger", "threw_out", "Robin", "done"),
        ("Kim Berger", "threw_out", "nobody", "unknown_grant"),
    ]


async def test_whose_time_is_over_is_out(house: House, http: aiohttp.ClientSession) -> None:
    theirs = await house.bearer(Role.ADMIN)
    house.clock.ms += 400 * 86_400_000
    assert await status(http, "GET", f"{house.base}/api/v1/me", theirs) == 401


async def test_releases_are_given_seen_and_taken_back(house: House, http: aiohttp.ClientSession) -> None:
    admin, technician = await house.bearer(Role.ADMIN), await house.bearer(Role.TECHNICIAN)
    url = f"{house.base}/api/v1/releases"
    async with http.put(url, json={"athletes": "*", "basis": "consent"}, headers=admin) as answer:
        assert answer.status == 200
    async with http.post(f"{url}/withdraw", json={"athletes": ["Ada Lindqvist"]}, headers=technician) as answer:
        assert answer.status == 200
    async with http.get(url, headers=technician) as answer:
        athletes = (await answer.json())["athletes"]
    assert [(it["athlete"], it["is_released"]) for it in athletes] == [("Ada Lindqvist", False), ("Bea Novak", True)]
    async with http.put(url, json={"athletes": ["Nobody"], "basis": "consent"}, headers=admin) as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "unknown_athlete")


async def test_the_audit_log_is_read_from_the_newest_on(house: House, http: aiohttp.ClientSession) -> None:
    admin = await house.bearer(Role.ADMIN)
    for name in ("a", "b", "c"):
        await status(http, "POST", f"{house.base}/api/v1/pairings/trackers/{name}/retry", admin)
    url = f"{house.base}/api/v1/audit"
    async with http.get(url, params={"limit": 2}, headers=admin) as answer:
        lines = (await answer.json())["lines"]
    assert [line["subject"] for line in lines] == ["c", "b"]
    async with http.get(url, params={"limit": 2, "before": lines[-1]["id"]}, headers=admin) as answer:
        assert [line["subject"] for line in (await answer.json())["lines"]] == ["a"]
    for query in ({"limit": "0"}, {"limit": "1001"}, {"before": "x"}, {"since": "1"}):
        async with http.get(url, params=query, headers=admin) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, "bad_message")


async def test_the_key_of_the_authority_stays_on_the_gateway(tmp_path: Path) -> None:
    async with opened(tmp_path, is_tls=True) as house:
        path = "/api/v1/tls/authority"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=house.client_tls())) as http:
            admin = await house.bearer(Role.ADMIN)
            async with http.get(house.base + path, headers=admin) as answer:
                assert "PRIVATE" not in (await answer.json())["pem"]
            async with http.get(f"{house.base}{path}?with_key=true", headers=admin) as answer:
                assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")
        async with local(house.control) as http, http.get(f"http://gateway{path}?with_key=true") as answer:
            assert "PRIVATE KEY" in (await answer.json())["pem"]


async def test_who_sees_only_a_squad_gets_no_history_and_no_gaps_of_others(
    house: House, http: aiohttp.ClientSession
) -> None:
    token = await house.token(Role.VIEWER, Scope(frozenset({"U19"})))
    headers = {"Authorization": f"Bearer {token}"}
    async with http.get(f"{house.base}/api/v1/gaps", headers=headers) as answer:
        assert [channel["serial_number"] for channel in (await answer.json())["channels"]] == ["SN-1"]
    for device, expected in (("SN-1", 200), ("SN-2", 400)):
        url = f"{house.base}/api/v1/history?device={device}&from=0&to=1"
        assert await status(http, "GET", url, headers) == expected
        assert await status(http, "GET", f"{house.base}/api/v1/gaps?device={device}", headers) == expected


async def test_whoever_can_open_the_local_socket_is_an_admin_by_name(house: House) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    async with local(house.control) as http:
        async with http.get("http://anything/api/v1/me") as answer:
            told = await answer.json()
        assert (told["person"], told["device"], told["role"], told["expires_ms"]) == (me, "this machine", "admin", None)
        async with http.post("http://x/api/v1/access", json={"person": "Kim", "device": "laptop"}) as answer:
            assert answer.status == 201
        async with http.get("http://x/api/v1/hello") as answer:
            assert (await answer.json())["auth"] == "open"
        # There is nothing to sign out of.
        async with http.delete("http://x/api/v1/me") as answer:
            assert (answer.status, (await answer.json())["code"]) == (409, "nothing_to_do")
        # No browser has any business there.
        async with http.get("http://x/api/v1/me", headers={"Origin": "http://x"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "bad_origin")
    assert (await house.noted())[0] == (me, "let_in", "Kim", "done")


async def test_the_local_socket_is_ours_alone_and_goes_with_the_gateway(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        found = house.control.stat()
        assert (found.st_mode & 0o777, found.st_uid) == (0o600, os.geteuid())
    assert not house.control.exists()


async def test_the_local_socket_of_a_gateway_that_was_killed_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control.sock"))
    async with opened(tmp_path) as house, local(house.control) as http:
        assert await status(http, "GET", "http://x/api/v1/me") == 200


async def test_without_a_local_socket_the_others_are_served(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / ("x" * 100)
    async with opened(folder) as house, aiohttp.ClientSession() as http:
        assert await status(http, "GET", f"{house.base}/api/v1/hello") == 200
    assert "Commands on this machine need a token" in caplog.text


async def test_on_an_open_loopback_one_needs_nothing_but_what_is_shown_counts(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with opened(tmp_path, is_open=True) as house:
        assert await status(http, "GET", f"{house.base}/api/v1/audit") == 200
        assert await status(http, "GET", f"{house.base}/api/v1/audit", await house.bearer(Role.VIEWER)) == 403
        assert await status(http, "GET", f"{house.base}/api/v1/audit", {"Authorization": "Bearer igw_x"}) == 401
        async with http.get(f"{house.base}/api/v1/hello") as answer:
            assert (await answer.json())["auth"] == "open"


@pytest.mark.parametrize(("peer", "is_open"), [("192.168.1.9", False), ("::ffff:192.168.1.9", False), ("::1", True)])
def test_an_open_loopback_is_not_open_to_the_network(peer: str, *, is_open: bool) -> None:
    info = {
        "sockname": ("192.168.1.7", 8770),
        "peername": (peer, 50_000),
        "socket": mock.Mock(family=socket.AF_INET),
    }
    transport = mock.Mock(get_extra_info=lambda name, default=None: info.get(name, default))
    request = make_mocked_request("GET", "/", transport=transport)
    assert Admission(None, is_open_on_loopback=True).is_open(request) is is_open


@pytest.mark.parametrize(("user", "is_admin"), [(0, True), (990, True), (1000, False), (991, False), (65_534, False)])
def test_only_root_and_the_user_of_the_service_are_anybody_at_the_local_socket(
    user: int, monkeypatch: pytest.MonkeyPatch, *, is_admin: bool
) -> None:
    """Whoever else gets hold of it: by a group that was given the folder, or a descriptor handed on."""
    monkeypatch.setattr(os, "geteuid", lambda: 990)
    peer = struct.pack("3i", 4711, user, 990)
    local = mock.Mock(family=socket.AF_UNIX, getsockopt=lambda *_: peer)
    transport = mock.Mock(get_extra_info=lambda name, default=None: {"socket": local}.get(name, default))
    request = make_mocked_request("GET", "/", transport=transport)
    admission = Admission(None, is_open_on_loopback=True)
    if is_admin:
        caller = admission.caller_of(request)
        assert caller is not None
        assert (caller.role, caller.scope) == (Role.ADMIN, Scope())
    else:
        with pytest.raises(RequestError, match="Only root") as refused:
            admission.caller_of(request)
        assert refused.value.code is ErrorCode.FORBIDDEN


async def test_loopback_is_closed_unless_it_is_opened(house: House, http: aiohttp.ClientSession) -> None:
    assert await status(http, "GET", f"{house.base}/api/v1/gaps") == 401
    async with http.get(f"{house.base}/api/v1/hello") as answer:
        told: dict[str, Any] = await answer.json()
    assert (told["auth"], told["tls"], told["id"]) == ("required", False, "f00d")
    assert set(told) == {
        "op", "server", "version", "site", "epoch", "protocols", "path", "id", "tls", "auth",
    }  # fmt: skip


def test_each_refusal_of_access_is_one_of_the_protocol() -> None:
    for code in AccessCode:
        assert ErrorCode(code)
    assert {STATUSES[ErrorCode(code)] for code in AccessCode if code != AccessCode.BAD_REQUEST} <= {
        401,
        403,
        404,
        409,
        429,
        503,
    }


def test_every_action_has_an_address() -> None:
    """What a role may do and nobody can ask for is a mistake on one side or the other."""
    assert set(Action) == set().union(*MAY.values())

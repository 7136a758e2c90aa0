"""The line itself: slashes, budgets, failures, bodies, and the endpoint table."""

import re
import time
from urllib.parse import quote

import aiohttp
import pytest

from gateway.cloud.endpoints import ENDPOINTS, Base, table
from tests.simulator.bench import Bench, bench


async def test_every_operation_is_served_at_the_path_of_the_table() -> None:
    """Moving all paths moves all of them."""
    moved = table({name: f"moved/{name}/{e.path}" for name, e in ENDPOINTS.items() if e.base is Base.API})
    async with bench(endpoints=moved, lookup_enabled=True) as sim:
        for name, endpoint in moved.items():
            if endpoint.base is not Base.API:
                continue
            path = endpoint.path.format(device=sim.ids[0], manager=21, device_ownership=7001, job="job-0")
            answer = await sim.call(endpoint.method, path)
            assert "json" in answer.headers.get("Content-Type", "") or answer.status == 204, name
            assert sim.cloud.requests[name] == 1
        assert (await sim.get("devices/")).status == 404


async def test_a_get_without_its_slash_is_redirected_and_nothing_else(sim: Bench) -> None:
    answer = await sim.get("devices", current="true")
    assert (answer.status, answer.headers["Location"]) == (301, "/v1/devices/?current=true")
    for method, path in (("POST", "devices/take-ownership"), ("PATCH", "devices/4101/bluetooth-config")):
        answer = await sim.call(method, path, json={})
        assert answer.status == 404
        assert answer.headers["Content-Type"].startswith("text/html")
    assert sim.cloud.ownerships.current(sim.ids[2]) is None


async def test_an_unknown_path_or_method_gets_the_frameworks_answer(sim: Bench) -> None:
    assert (await sim.get("nothing/")).headers["Content-Type"].startswith("text/html")
    answer = await sim.call("DELETE", "devices/")
    assert answer.status == 405
    assert "not allowed" in answer.body["detail"]
    assert sim.cloud.requests["unknown"] == 2


async def test_bodies_must_be_json(sim: Bench) -> None:
    path = "devices/take-ownership/"
    assert (await sim.call("POST", path, data={"serial_number": "SIM-0003"})).status == 415
    for broken in (b"{", b"\xff", b"[" * 100_000):
        answer = await sim.call("POST", path, data=broken, skip_auto_headers=["Content-Type"])
        assert answer.status == 415
    url = sim.served.api_url + path
    headers = {"Authorization": f"Bearer {sim.token}", "Content-Type": "application/json"}
    for broken in (b"{", b"\xff", b"[" * 100_000):
        async with sim.session.post(url, data=broken, headers=headers) as response:
            assert response.status == 400


NASTY = (
    "",
    "0",
    "-1",
    "1e3",
    "999999999999999",
    "9" * 400,
    "\u0663",
    "NaN",
    "null",
    "0001-01-01T00:00:00+23:59",
    "%00",
)


@pytest.mark.parametrize("name", [name for name, e in ENDPOINTS.items() if e.base is Base.API])
async def test_no_value_of_a_client_breaks_the_server(sim: Bench, name: str) -> None:
    """Wherever it stands, the answer is a 4xx or a result, never a crash."""
    sim.set_faults(throttle_burst=10_000)
    endpoint = ENDPOINTS[name]
    parameters = (
        "page",
        "limit",
        "size",
        "start",
        "stop",
        "current",
        "ordering",
        "start_time_from",
        "immediate_sending",
    )
    fields = ("serial_number", "custom_name", "asi_b64", "pairing_1", "email", "new_password", "manager_profile")
    good = endpoint.path.format(device=sim.ids[0], manager=21, device_ownership=7001, job="job-0")
    span = {"start": "1750000000000", "stop": "1750000000000"}
    for value in NASTY:
        bad = re.sub(r"{\w+}", quote(value, safe="") or "x", endpoint.path)
        assert (await sim.call(endpoint.method, bad)).status < 500
        for parameter in parameters:
            assert (await sim.call(endpoint.method, good, params={**span, parameter: value})).status < 500
    if endpoint.method != "GET":
        values: tuple[object, ...] = (None, 1, "", [], {}, "x")
        bodies: list[object] = [*values, [[]], *({field: value} for field in fields for value in values)]
        for body in bodies:
            assert (await sim.call(endpoint.method, good, json=body)).status < 500


async def test_requests_and_answers_are_counted(sim: Bench) -> None:
    await sim.get("devices/")
    await sim.get("devices/")
    await sim.get("devices/99/")
    assert sim.cloud.requests == {"devices": 2, "device": 1}
    assert sim.cloud.statuses == {200: 2, 404: 1}


async def test_too_many_requests_are_throttled_until_the_clock_says() -> None:
    async with bench(throttle_rate_per_s=1, throttle_burst=3) as sim:
        statuses = [(await sim.get("devices/")).status for _ in range(4)]
        assert statuses == [200, 200, 429, 429]  # the login took the first of the three
        answer = await sim.get("devices/")
        assert answer.headers["Retry-After"] == "1"
        assert "throttled" in answer.body["detail"]
        sim.clock.advance(1)
        assert (await sim.get("devices/")).status == 200


async def test_thirty_trackers_fit_into_the_default_budget() -> None:
    async with bench(trackers=30, initially_owned=30) as sim:
        for _ in range(5):
            sim.clock.advance(1)
            for device_id in sim.ids:
                assert (await sim.get(f"devices/{device_id}/latest-preprocessed-data/", size=20)).status == 200


@pytest.mark.parametrize(("body", "kind"), [("json", "application/json"), ("html", "text/html")])
async def test_server_errors_come_by_chance_and_do_nothing(sim: Bench, body: str, kind: str) -> None:
    sim.set_faults(error_fraction=1, error_status=502, error_body=body)
    device = sim.cloud.devices[2]
    answer = await sim.call("POST", "devices/take-ownership/", json={"serial_number": device.serial_number})
    assert answer.status == 502
    assert answer.headers["Content-Type"].startswith(kind)
    assert sim.cloud.ownerships.current(device.device_id) is None
    sim.set_faults(error_fraction=0.5)
    statuses = [(await sim.get("account/")).status for _ in range(40)]
    assert 8 < statuses.count(502) < 32


async def test_faults_of_requests_are_the_same_for_a_seed() -> None:
    async def statuses() -> list[int]:
        async with bench(error_fraction=0.0, seed=9) as sim:
            sim.set_faults(error_fraction=0.5)
            return [(await sim.get("account/")).status for _ in range(20)]

    assert await statuses() == await statuses()


async def test_a_truncated_answer_ends_in_the_middle_after_the_work_was_done(sim: Bench) -> None:
    sim.set_faults(truncated_fraction=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await sim.call("PUT", f"devices/{sim.ids[0]}/set-custom-name/", json={"custom_name": "Done"})
    assert sim.cloud.devices[0].custom_name == "Done"
    sim.set_faults(truncated_fraction=0)
    assert (await sim.get("account/")).status == 200


async def test_a_slow_body_arrives_in_pieces_and_whole(sim: Bench) -> None:
    expected = (await sim.get("account/")).body
    sim.set_faults(slow_fraction=1, slow_bytes_per_s=5000)
    started = time.monotonic()
    assert (await sim.get("account/")).body == expected
    assert time.monotonic() - started > 0.02


async def test_a_client_that_gives_up_on_a_slow_body_harms_nobody(sim: Bench) -> None:
    sim.set_faults(slow_fraction=1, slow_bytes_per_s=1000)
    url = sim.served.api_url + "account/"
    async with sim.session.get(url, headers={"Authorization": f"Bearer {sim.token}"}) as response:
        assert await response.content.read(1)
        response.close()
    sim.set_faults(slow_fraction=0)
    assert (await sim.get("account/")).status == 200


async def test_latency_delays_every_request(sim: Bench) -> None:
    sim.set_faults(latency_ms=30, latency_jitter_ms=5)
    started = time.monotonic()
    await sim.get("account/")
    assert time.monotonic() - started >= 0.025


@pytest.mark.parametrize("knob", [True, False])
async def test_bodies_are_compressed_for_who_accepts_it(sim: Bench, knob: bool) -> None:
    sim.set_faults(gzip=knob)
    path = f"devices/{sim.ids[0]}/latest-preprocessed-data/"
    packed = await sim.call("GET", path, params={"size": "100"})
    assert packed.headers.get("Content-Encoding") == ("gzip" if knob else None)
    url = f"{sim.served.api_url}{path}?size=100"
    headers = {"Authorization": f"Bearer {sim.token}", "Accept-Encoding": "identity"}
    async with sim.session.get(url, headers=headers) as response:
        assert "Content-Encoding" not in response.headers
        assert await response.json() == packed.body

"""The live websocket."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from tests.simulator.bench import START_MS, Bench

NEEDED = {"message": "Authorization needed"}
REFUSED = {"message": "Authorization failed"}


@asynccontextmanager
async def connected(sim: Bench, place: int = 0) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"{sim.served.websocket_url}preprocessed-data/{sim.ids[place]}/"
    async with sim.session.ws_connect(url) as websocket:
        assert await websocket.receive_json() == NEEDED
        yield websocket


@asynccontextmanager
async def authorised(sim: Bench, place: int = 0) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with connected(sim, place) as websocket:
        await websocket.send_json({"action": "authorize", "token": sim.token})
        assert await websocket.receive_json() == {"message": "Authorized"}
        yield websocket


async def closed(websocket: aiohttp.ClientWebSocketResponse) -> int | None:
    message = await websocket.receive()
    assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
    return websocket.close_code


async def updates(sim: Bench, websocket: aiohttp.ClientWebSocketResponse, seconds: int) -> list[dict[str, Any]]:
    received = []
    for _ in range(seconds):
        sim.clock.advance(1)
        received.append(await websocket.receive_json())
    return received


async def test_one_update_per_second_in_groups(sim: Bench) -> None:
    async with authorised(sim, 1) as websocket:
        received = await updates(sim, websocket, 3)
    for update in received:
        assert set(update) == {"gnss", "ecg", "pwr", "device"}
        assert set(update["gnss"]) == {"timestamp", "longitude", "latitude", "speed", "altitude"}
        assert {len(column) for column in update["gnss"].values()} == {10}
        assert set(update["ecg"]) == {"timestamp", "hr"}
        assert set(update["pwr"]) == {"timestamp", "pwr_cadence", "pwr_instantpower"}
        assert set(update["device"]) == {"timestamp", "standstill", "Bat_lvl"}
        assert {update[group]["timestamp"] for group in ("ecg", "pwr", "device")} == {update["gnss"]["timestamp"][0]}
    stamps = [t for update in received for t in update["gnss"]["timestamp"]]
    assert {b - a for a, b in pairwise(stamps)} == {100}


async def test_updates_say_the_same_as_rest(sim: Bench) -> None:
    async with authorised(sim) as websocket:
        received = await updates(sim, websocket, 2)
    flat = []
    for update in received:
        for place, t_ms in enumerate(update["gnss"]["timestamp"]):
            row = {f"gnss.{key}": values[place] for key, values in update["gnss"].items()}
            if place == 0:
                row |= {"ecg.hr": update["ecg"]["hr"], "ecg.timestamp": t_ms, "device.timestamp": t_ms}
                row |= {f"device.{key}": update["device"][key] for key in ("standstill", "Bat_lvl")}
            flat.append(row)
    assert flat == sim.cloud.truth(sim.ids[0], flat[0]["gnss.timestamp"], flat[-1]["gnss.timestamp"])


@pytest.mark.parametrize(
    "first", ['{"action": "authorize", "token": "no"}', "nonsense", "[1]", '{"token": 3}', "[" * 100_000]
)
async def test_a_bad_token_message_is_refused_with_the_code_of_the_knob(sim: Bench, first: str) -> None:
    sim.set_faults(websocket_refusal_code=4321)
    async with connected(sim) as websocket:
        await websocket.send_str(first)
        assert await websocket.receive_json() == REFUSED
        assert await closed(websocket) == 4321


async def test_the_token_must_come_in_time(sim: Bench) -> None:
    sim.set_faults(websocket_deadline_s=0.05, websocket_refusal_message=None)
    async with connected(sim) as websocket:
        assert await closed(websocket) == 4003


@pytest.mark.parametrize("place", [2, 3])
async def test_a_device_of_nobody_or_somebody_else_is_refused(sim: Bench, place: int) -> None:
    await sim.control("POST", f"devices/{sim.ids[3]}/move", {"to": "other"})
    async with connected(sim, place) as websocket:
        await websocket.send_json({"action": "authorize", "token": sim.token})
        assert await websocket.receive_json() == REFUSED
        assert await closed(websocket) == 4003


async def test_moving_the_device_away_ends_the_stream(sim: Bench) -> None:
    async with authorised(sim) as websocket:
        await sim.control("POST", f"devices/{sim.ids[0]}/move", {"to": "nobody"})
        assert await websocket.receive_json() == REFUSED
        assert await closed(websocket) == 4003


async def test_a_token_that_ends_closes_the_stream_by_knob(sim: Bench) -> None:
    sim.set_faults(token_lifetime_s=5)
    await sim.log_in()
    async with authorised(sim) as websocket:
        sim.clock.advance(6)
        assert "gnss" in await websocket.receive_json()
        sim.set_faults(websocket_closes_on_expiry=True)
        while (message := await websocket.receive_json()) != REFUSED:
            assert "gnss" in message
        assert await closed(websocket) == 4003


async def test_a_connection_may_be_dropped_after_a_while(sim: Bench) -> None:
    sim.set_faults(websocket_lifetime_s=30)
    async with authorised(sim) as websocket:
        sim.clock.advance(31)
        message = await websocket.receive()
        assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
        assert websocket.close_code == 1006


async def test_backlog_comes_over_the_stream_too(sim: Bench) -> None:
    async with authorised(sim) as websocket:
        await sim.control("POST", f"devices/{sim.ids[0]}/network", {"connected": False})
        sim.clock.advance(20)
        await sim.control("POST", f"devices/{sim.ids[0]}/network", {"connected": True})
        sim.clock.advance(10)
        stamps: list[int] = []
        while len(stamps) < 25:
            stamps.append((await websocket.receive_json())["gnss"]["timestamp"][0])
    assert {b - a for a, b in pairwise(stamps)} == {1000}
    assert stamps[0] < START_MS + 1000


async def test_knobs_of_rows_apply_to_updates(sim: Bench) -> None:
    sim.set_faults(duplicate_fraction=1, unknown_field_fraction=1, missing="null", no_fix_fraction=1)
    async with authorised(sim) as websocket:
        sim.clock.advance(1)
        one, two = await websocket.receive_json(), await websocket.receive_json()
    assert one == two
    assert set(one) > {"ecg", "pwr", "device"}
    assert "gnss" not in one
    assert one["pwr"]["pwr_instantpower"] is None


async def test_the_handshake_is_throttled_like_a_request(sim: Bench) -> None:
    sim.set_faults(throttle_burst=1, throttle_rate_per_s=0.001)
    await sim.get("account/")
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with connected(sim):
            pass
    assert caught.value.status == 429


async def test_a_plain_request_to_the_stream_is_refused(sim: Bench) -> None:
    url = sim.served.websocket_url.replace("ws://", "http://") + f"preprocessed-data/{sim.ids[0]}/"
    key = base64.b64encode(bytes(16)).decode()
    async with sim.session.get(url, headers={"Sec-WebSocket-Key": key}) as response:
        assert response.status in {400, 426}

"""The live websocket."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from tests.simulator.bench import START_MS, Bench, LoopClock, bench

NEEDED = {"message": "Authorization needed"}
REFUSED = {"message": "Authorization failed"}


@asynccontextmanager
async def connected(
    sim: Bench, place: int = 0, *, autoping: bool = True
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"{sim.served.websocket_url}preprocessed-data/{sim.ids[place]}/"
    async with sim.session.ws_connect(url, autoping=autoping) as websocket:
        assert await websocket.receive_json() == NEEDED
        yield websocket


@asynccontextmanager
async def authorised(
    sim: Bench, place: int = 0, *, autoping: bool = True
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with connected(sim, place, autoping=autoping) as websocket:
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


@pytest.mark.looptime
async def test_a_forgotten_connection_says_nothing_and_answers_nothing() -> None:
    """Half open: no data, no pong, no close, for good."""
    async with in_virtual_time(websocket_silent_after_s=10) as sim, authorised(sim, autoping=False) as websocket:
        assert len(await stamps_of(websocket, 60)) == 10
        await websocket.ping()
        with pytest.raises(TimeoutError):
            await websocket.receive(timeout=60)
        assert not websocket.closed


@pytest.mark.looptime
async def test_a_stuck_connection_answers_pings_and_closes() -> None:
    async with (
        in_virtual_time(websocket_silent_after_s=10, websocket_silent_pongs=True) as sim,
        authorised(sim, autoping=False) as websocket,
    ):
        for _ in range(10):
            assert "gnss" in await websocket.receive_json()
        await asyncio.sleep(60)
        await websocket.ping(b"there?")
        message = await websocket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"there?")
        await websocket.close()
        assert websocket.close_code == 1000


async def test_a_healthy_connection_answers_pings_also_before_the_token(sim: Bench) -> None:
    async with connected(sim, autoping=False) as websocket:
        await websocket.ping()
        assert (await websocket.receive()).type is aiohttp.WSMsgType.PONG
        await websocket.send_json({"token": sim.token})
        assert await websocket.receive_json() == {"message": "Authorized"}
        await websocket.ping()
        assert (await websocket.receive()).type is aiohttp.WSMsgType.PONG


async def test_garbage_takes_the_place_of_updates(sim: Bench) -> None:
    """As text frames; the other updates come as ever."""
    sim.set_faults(websocket_garbage_fraction=0.5)
    async with authorised(sim) as websocket:
        sim.clock.advance(200)
        texts = [await websocket.receive_str() for _ in range(199)]
    good = sum(is_update(text) for text in texts)
    assert 70 < good < 130
    assert len({text[:20] for text in texts}) > 6


def is_update(text: str) -> bool:
    try:
        update = json.loads(text)
        return len(update["gnss"]["latitude"]) == 10
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


async def test_the_readings_may_come_in_lists(sim: Bench) -> None:
    sim.set_faults(websocket_form="lists")
    async with authorised(sim, 1) as websocket:
        [update] = await updates(sim, websocket, 1)
    assert {type(value) for group in update.values() for value in group.values()} == {list}
    assert {len(value) for group in ("ecg", "pwr", "device") for value in update[group].values()} == {1}


async def test_connections_above_the_limit_are_refused_until_one_ends(sim: Bench) -> None:
    sim.set_faults(websocket_max_connections=2)
    async with authorised(sim, 0), authorised(sim, 1):
        for status in (503, 429):
            sim.set_faults(websocket_full_status=status)
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with connected(sim):
                    pass
            assert caught.value.status == status
    async with authorised(sim, 0), authorised(sim, 0):
        pass


@pytest.mark.looptime
async def test_shuffled_updates_swap_places_and_none_is_lost() -> None:
    async with in_virtual_time(websocket_shuffle=0.3) as sim, authorised(sim) as websocket:
        stamps = await stamps_of(websocket, 100)
    steps = [b - a for a, b in pairwise(stamps)]
    assert min(steps) == -1000
    assert set(steps) <= {1000, 2000, -1000, 3000}
    assert 98 <= len(set(stamps)) == len(stamps)


@pytest.mark.looptime
async def test_what_waited_in_the_tracker_may_stay_away_from_the_stream() -> None:
    """Live updates come at once, and the backlog is found over REST only."""
    async with (
        in_virtual_time(websocket_backlog=False, backlog_order="interleaved") as sim,
        authorised(sim) as websocket,
    ):
        await sim.control("POST", f"devices/{sim.ids[0]}/network", {"connected": False})
        await asyncio.sleep(20)
        await sim.control("POST", f"devices/{sim.ids[0]}/network", {"connected": True})
        stamps = await stamps_of(websocket, 20)
        truth = sim.cloud.truth(sim.ids[0], START_MS, sim.clock())
    live = [t for t in stamps if t > START_MS]  # one may have come just before the cut
    assert 18 <= len(live) <= 20
    assert min(live) > START_MS + 18_000
    assert len(truth) > 370


async def stamps_of(websocket: aiohttp.ClientWebSocketResponse, seconds: float) -> list[int]:
    """Time of the first row of each update that comes within some seconds."""
    stamps = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                stamps.append((await websocket.receive_json())["gnss"]["timestamp"][0])
    except TimeoutError:
        return stamps


def in_virtual_time(look_s: float = 0.1, **knobs: Any) -> AbstractAsyncContextManager[Bench]:
    return bench(clock=LoopClock(), look_s=look_s, **knobs)


@pytest.mark.looptime
async def test_updates_carry_the_trackers_wrong_time() -> None:
    """Whatever it is: the stream brings what the latest data bury."""
    async with in_virtual_time() as sim:
        for error_s in (-619_315_200, -1_750_000_000, 7200):
            await sim.control("POST", f"devices/{sim.ids[0]}/clock", {"error_s": error_s})
            await asyncio.sleep(3)
            async with authorised(sim) as websocket:
                stamps = await stamps_of(websocket, 3)
            assert len(stamps) == 3
            assert all(abs(t - sim.clock() - error_s * 1000) < 6000 for t in stamps)


async def test_a_client_that_comes_back_gets_nothing_of_what_it_missed(sim: Bench) -> None:
    async with authorised(sim) as websocket:
        await updates(sim, websocket, 2)
    sim.clock.advance(10)
    async with authorised(sim) as websocket:
        [update] = await updates(sim, websocket, 1)
    assert update["gnss"]["timestamp"][0] > START_MS + 9_000


@pytest.mark.looptime
async def test_a_quarter_of_an_hour_of_an_open_stream_has_every_row_once() -> None:
    """With the network lost now and then."""
    async with in_virtual_time(1, tracker_offline_every_s=300, tracker_offline_s=60) as sim, authorised(sim) as ws:
        stamps = await stamps_of(ws, 900)
        truth = sim.cloud.truth(sim.ids[0], min(stamps), sim.clock())
    arrived = {row["gnss.timestamp"] for row in truth[::10]}
    assert len(stamps) > 800
    assert len(arrived - set(stamps)) <= 2  # came since the last look
    assert len(set(stamps)) == len(stamps)
    assert set(stamps) <= arrived

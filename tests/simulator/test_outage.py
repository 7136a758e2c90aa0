"""Scheduled outages of the whole cloud."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.simulator.bench import START_MS, Bench, LoopClock, bench
from tests.simulator.test_stream import authorised, connected, stamps_of

MINUTE_IN_THREE: dict[str, Any] = {"outage_every_s": 180, "outage_s": 60}


async def test_outages_come_by_the_clock_at_the_end_of_each_period(sim: Bench) -> None:
    sim.set_faults(**MINUTE_IN_THREE, outage_form="status")
    statuses = []
    for _ in range(36):
        statuses.append((await sim.get("devices/")).status)
        sim.clock.advance(10)
    assert statuses == ([200] * 12 + [503] * 6) * 2


async def test_a_reset_cuts_every_request_but_those_of_the_control(sim: Bench) -> None:
    sim.set_faults(**MINUTE_IN_THREE)
    sim.clock.advance(120)
    for path in ("devices/", "nothing/here"):
        with pytest.raises(aiohttp.ClientOSError):
            await sim.get(path)
    with pytest.raises(aiohttp.ClientOSError):
        await sim.log_in()
    with pytest.raises(aiohttp.ClientOSError):
        async with connected(sim):
            pass
    state = await sim.control("GET", "state")
    assert (state.status, state.body["requests"]) == (200, {})
    assert (await sim.control("PATCH", "faults", {"outage_every_s": 0})).status == 200
    assert (await sim.get("devices/")).status == 200


async def test_a_reset_is_a_reset_and_not_an_end_of_stream(sim: Bench) -> None:
    sim.set_faults(outage_every_s=1, outage_s=1)
    reader, writer = await asyncio.open_connection(sim.served.host, sim.served.port)
    writer.write(b"GET /v1/devices/ HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_who_goes_in_the_middle_of_a_question_leaves_no_trace(
    sim: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """As a gateway does that is ended in its first seconds."""
    _, writer = await asyncio.open_connection(sim.served.host, sim.served.port)
    writer.write(b"PATCH /simulator/faults HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    await sim.control("GET", "state")  # by now the question is being read
    writer.transport.abort()
    await sim.control("GET", "state")
    assert [record.message for record in caplog.records if record.name == "aiohttp.server"] == []


@pytest.mark.parametrize(("form", "code"), [("reset", 1006), ("status", 1012)])
async def test_an_outage_ends_open_streams(sim: Bench, form: str, code: int) -> None:
    sim.set_faults(**MINUTE_IN_THREE, outage_form=form)
    async with authorised(sim) as websocket:
        sim.clock.advance(120)
        async for _ in websocket:
            pass
        assert websocket.close_code == code


@pytest.mark.looptime
async def test_an_outage_that_hangs_leaves_streams_open_without_a_word_for_good() -> None:
    async with (
        bench(clock=LoopClock(), **MINUTE_IN_THREE, outage_form="hang") as sim,
        authorised(sim, autoping=False) as websocket,
    ):
        stamps = await stamps_of(websocket, 300)
        assert START_MS + 117_000 < max(stamps) < START_MS + 120_000
        await websocket.ping()
        with pytest.raises(TimeoutError):
            await websocket.receive(timeout=60)
        assert not websocket.closed


async def test_a_request_under_way_is_caught(sim: Bench) -> None:
    """Its answer is lost although the request came before the outage."""
    sim.set_faults(**MINUTE_IN_THREE, latency_ms=50)
    sim.clock.advance(119)
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(refused(sim))
        await asyncio.sleep(0.01)
        sim.clock.advance(1)
    assert asking.result()


async def refused(sim: Bench) -> bool:
    try:
        await sim.get("devices/")
    except aiohttp.ClientOSError:
        return True
    return False


async def test_a_slow_body_ends_in_the_middle(sim: Bench) -> None:
    sim.set_faults(**MINUTE_IN_THREE, slow_fraction=1, slow_bytes_per_s=2000, gzip=False)
    sim.clock.advance(119.9)
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(cut(sim))
        await asyncio.sleep(0.1)
        sim.clock.advance(1)
    assert asking.result()


async def cut(sim: Bench) -> bool:
    try:
        await sim.get(f"devices/{sim.ids[0]}/latest-preprocessed-data/")
    except aiohttp.ClientPayloadError:
        return True
    return False


@pytest.mark.looptime
async def test_a_hanging_request_gets_no_byte_and_at_the_end_a_reset() -> None:
    """In virtual time, with an outage from minute 2 to 3."""
    loop = asyncio.get_running_loop()
    async with bench(clock=LoopClock(), **MINUTE_IN_THREE, outage_form="hang") as sim:
        await asyncio.sleep(121)
        reader, writer = await asyncio.open_connection(sim.served.host, sim.served.port)
        writer.write(b"GET /v1/devices/ HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        assert 180 <= loop.time() < 182
        writer.close()
        assert (await sim.get("devices/")).status == 200


@pytest.mark.looptime
async def test_the_cloud_stops_at_once_although_a_request_hangs() -> None:
    loop = asyncio.get_running_loop()
    async with bench(clock=LoopClock(), outage_form="hang") as sim:
        sim.set_faults(outage_every_s=1, outage_s=1)
        _, writer = await asyncio.open_connection(sim.served.host, sim.served.port)
        writer.write(b"GET /v1/devices/ HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(5)
        stopping_s = loop.time()
    assert loop.time() - stopping_s < 0.5
    writer.close()


@pytest.mark.looptime
async def test_an_idle_cloud_has_no_timer() -> None:
    """Without an open stream nothing wakes it up."""
    loop = asyncio.get_running_loop()
    async with bench(clock=LoopClock()):
        before = len(loop._scheduled)  # type: ignore[attr-defined]
        await asyncio.sleep(100)
        assert len(loop._scheduled) <= before  # type: ignore[attr-defined]


async def test_every_answer_is_dated_by_the_clouds_clock() -> None:
    """The handshake of a websocket and the answer of the control too; the fraction of a second is cut off."""
    async with bench() as sim:
        sim.clock.advance(86_400.999)
        expected = "Mon, 16 Jun 2025 15:06:40 GMT"
        for answer in (await sim.get("devices/"), await sim.get("no/such"), await sim.control("GET", "state")):
            assert answer.headers["Date"] == expected
        await sim.log_in()
        async with connected(sim) as websocket:
            assert websocket._response.headers["Date"] == expected

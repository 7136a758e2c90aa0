"""Bodies that are made while they are sent: real sockets, virtual time, servers that take them badly or not at all."""

import asyncio
import tracemalloc

import pytest

from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    NetworkLoginNeeded,
    Rejected,
    ServerFailed,
    Unreachable,
)
from gateway.cloud.uploading import ANSWER_S, STALL_S, TEXT_S
from tests.cloud.uploads import BLOCK, JOB, Body, Connection, answer, server, upload
from tests.fault_proxy import fault_proxy

pytestmark = pytest.mark.looptime

OK = answer(b"200 OK")
TOO_LARGE = answer(b"413 Content Too Large", b'{"detail": "Too large."}')


def now() -> float:
    return asyncio.get_running_loop().time()


async def take(connection: Connection) -> None:
    await connection.read()
    await connection.answer(OK)


async def never(_connection: Connection) -> None:
    await asyncio.Event().wait()


async def failure(url: str, body: Body) -> CloudError:
    with pytest.raises(CloudError) as caught:
        await upload(url, body.stream)
    assert body.closed == body.begun, "what was begun is closed before anybody is told"
    return caught.value


def broken(error: CloudError) -> Broken:
    assert isinstance(error, Unreachable)
    return error.reason


@pytest.mark.parametrize("blocks", [1, 2, 50])
async def test_a_body_arrives_whole_and_says_how_long_it_is(blocks: int) -> None:
    body = Body(blocks)
    async with server(take) as served:
        assert await upload(served.url, body.stream) == JOB
        [connection] = served.connections
    head = connection.head.lower()
    assert b"\r\ncontent-length: %d\r\n" % (blocks * BLOCK) in head
    assert b"transfer-encoding" not in head
    assert b"\r\ncontent-type: application/json\r\n" in head
    assert connection.is_whole
    assert (body.begun, body.made, body.closed, body.is_over) == (1, blocks, 1, True)


async def test_a_body_is_never_in_memory_as_a_whole() -> None:
    body = Body(500)
    async with server(take) as served:
        await upload(served.url, Body(1).stream)
        tracemalloc.start()
        try:
            await upload(served.url, body.stream)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert body.size is None
    assert 500 * BLOCK > 35_000_000
    assert peak < 2_000_000


async def test_a_block_is_made_when_the_one_before_has_been_taken() -> None:
    """Or neither progress nor the moment before the end would mean anything."""
    body = Body(200)

    async def stop(connection: Connection) -> None:
        await connection.read(20 * BLOCK)
        await asyncio.sleep(1)
        ahead.append(body.made * BLOCK - connection.received)
        await take(connection)

    ahead: list[int] = []
    async with server(stop) as served:
        connection_buffers = 8 * 1024 * 1024  # what the kernel of the server's side takes unasked
        await upload(served.url, body.stream)
    assert 0 < ahead[0] < connection_buffers


@pytest.mark.parametrize("lingers", [True, False], ids=["lingers", "hangs up"])
async def test_an_answer_before_the_body_was_read_is_the_answer(*, lingers: bool) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.answer(TOO_LARGE)
        if lingers:
            await connection.read()

    async with server(refuse) as served:
        for _ in range(30):
            body = Body(500)
            error = await failure(served.url, body)
            assert isinstance(error, Rejected), error
            assert (error.status, error.server_text) == (413, "Too large.")
            assert body.made < 150, "nothing more was sent"
    assert not any(connection.is_whole for connection in served.connections)


async def test_an_answer_in_the_middle_of_the_body_is_the_answer_although_the_server_hangs_up() -> None:
    async def refuse(connection: Connection) -> None:
        await connection.read(3_000_000)
        await connection.answer(answer(b"503 Service Unavailable"))

    async with server(refuse) as served:
        for _ in range(20):
            assert isinstance(await failure(served.url, Body(500)), ServerFailed)


async def test_a_success_before_the_end_of_the_body_is_none() -> None:
    async def agree(connection: Connection) -> None:
        await connection.read(100)
        await connection.answer(OK)
        await connection.read()

    body = Body(500)
    async with server(agree) as served:
        error = await failure(served.url, body)
    assert isinstance(error, BadAnswer)
    assert error.fault is Fault.WRONG_SHAPE
    assert not body.is_over


async def test_an_early_answer_is_not_waited_for_without_end() -> None:
    async def trickle(connection: Connection) -> None:
        await connection.answer(TOO_LARGE[:-5])
        await connection.read()

    body = Body(500)
    async with server(trickle) as served:
        start_s = now()
        assert broken(await failure(served.url, body)) is Broken.TIMEOUT
        assert now() - start_s == pytest.approx(TEXT_S, abs=1)
    assert body.made < 150, "nothing more was sent"


async def test_a_block_that_is_being_made_when_the_answer_comes_is_not_waited_for() -> None:
    async def refuse(connection: Connection) -> None:
        await connection.read(BLOCK)
        await connection.answer(TOO_LARGE)
        await connection.read()

    body = Body(5, pause_s=1000)
    async with server(refuse) as served:
        start_s = now()
        assert isinstance(await failure(served.url, body), Rejected)
        assert now() - start_s < 1001
    assert (body.made, body.closed) == (1, 1)


async def test_a_block_that_is_being_made_when_the_connection_breaks_is_not_waited_for() -> None:
    async def cut(connection: Connection) -> None:
        await connection.read(BLOCK)
        await asyncio.sleep(1)
        connection.writer.transport.abort()

    body = Body(5, pause_s=1000)
    async with server(cut) as served:
        start_s = now()
        assert broken(await failure(served.url, body)) is Broken.CUT
        assert now() - start_s < 1002
    assert (body.made, body.closed) == (1, 1)


async def test_who_is_cancelled_while_a_block_is_being_made_waits_until_the_body_is_closed() -> None:
    body = Body(5, pause_s=1000, close_s=5)
    async with server(take) as served:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1500):
                await upload(served.url, body.stream)
    assert (body.made, body.closed) == (1, 1)


async def test_a_body_that_is_long_in_closing_costs_no_answer() -> None:
    async with server(take) as served:
        assert await upload(served.url, Body(2, close_s=TEXT_S + 10).stream) == JOB


async def test_a_server_that_stops_reading_is_given_up_after_a_minute() -> None:
    cut_s: list[float] = []

    async def stop(connection: Connection) -> None:
        await connection.read(300_000)
        stopped_s.append(now())
        await asyncio.sleep(3 * STALL_S)
        await connection.read()

    stopped_s: list[float] = []
    body = Body(500)
    async with server(stop) as served:
        assert broken(await failure(served.url, body)) is Broken.TIMEOUT
        cut_s.append(now())
        await asyncio.sleep(3 * STALL_S)
        assert served.connections[0].received < body.made * BLOCK, "what had not left is not sent later"
    assert cut_s[0] - stopped_s[0] == pytest.approx(STALL_S, abs=1)
    assert not body.is_over


async def test_something_on_the_way_that_swallows_everything_is_given_up_as_what_does_not_answer() -> None:
    body = Body(100)
    async with server(take) as served, fault_proxy(served.port) as proxy:
        proxy.bytes_per_s = 1_000_000
        asyncio.get_running_loop().call_later(3, proxy.hang)
        start_s = now()
        assert broken(await failure(f"http://127.0.0.1:{proxy.port}/", body)) is Broken.TIMEOUT
        assert now() - start_s == pytest.approx(100 * BLOCK / proxy.bytes_per_s + ANSWER_S, abs=5)
        assert not served.connections[0].is_whole
    assert body.is_over


async def test_a_corrupted_answer_is_told_as_one() -> None:
    async with server(take) as served, fault_proxy(served.port) as proxy:
        proxy.corrupt_every = 1
        error = await failure(f"http://127.0.0.1:{proxy.port}/", Body(5))
    assert isinstance(error, BadAnswer)
    assert error.fault is Fault.NOT_HTTP


async def test_a_slow_server_is_waited_for_as_long_as_it_takes_anything() -> None:
    async def dawdle(connection: Connection) -> None:
        while not connection.is_whole:
            await connection.read(min(BLOCK, connection.size - connection.received))
            await asyncio.sleep(4)
        await connection.answer(OK)

    async with server(dawdle) as served:
        start_s = now()
        assert await upload(served.url, Body(100).stream) == JOB
        assert now() - start_s > 6 * STALL_S


async def test_a_body_that_takes_its_time_is_no_stall() -> None:
    async with server(take) as served:
        start_s = now()
        assert await upload(served.url, Body(4, pause_s=10 * STALL_S).stream) == JOB
        assert now() - start_s >= 40 * STALL_S


@pytest.mark.parametrize("late_s", [ANSWER_S - 5, ANSWER_S + 5])
async def test_an_answer_has_three_minutes_after_the_end(late_s: float) -> None:
    async def think(connection: Connection) -> None:
        await connection.read()
        await asyncio.sleep(late_s)
        await connection.answer(OK)

    body = Body(3)
    async with server(think) as served:
        if late_s < ANSWER_S:
            assert await upload(served.url, body.stream) == JOB
        else:
            start_s = now()
            assert broken(await failure(served.url, body)) is Broken.TIMEOUT
            assert now() - start_s == pytest.approx(ANSWER_S, abs=1)
    assert body.is_over


@pytest.mark.parametrize("after", [0, 1, 1_000_000])
async def test_a_cut_in_the_middle_of_the_body_is_a_cut_and_the_end_never_left(after: int) -> None:
    async def cut(connection: Connection) -> None:
        await connection.read(after)
        connection.writer.transport.abort()

    body = Body(500)
    async with server(cut) as served:
        assert broken(await failure(served.url, body)) is Broken.CUT
    assert not body.is_over


async def test_a_cut_after_the_end_is_a_cut_and_the_end_has_left() -> None:
    async def cut(connection: Connection) -> None:
        await connection.read()
        connection.writer.transport.abort()

    body = Body(5)
    async with server(cut) as served:
        assert broken(await failure(served.url, body)) is Broken.CUT
        assert served.connections[0].is_whole
    assert body.is_over


async def test_half_an_answer_is_a_cut() -> None:
    async def half(connection: Connection) -> None:
        await connection.read()
        await connection.answer(OK[:-10])

    async with server(half) as served:
        assert broken(await failure(served.url, Body(5))) is Broken.CUT


@pytest.mark.parametrize("blocks", [1, 2, 100])
async def test_what_the_body_raises_breaks_the_request_off_and_comes_out_as_itself(blocks: int) -> None:
    reason = LookupError("other bytes than were taken over")
    body = Body(blocks, failure=reason)
    ended: list[bool] = []

    async def watch(connection: Connection) -> None:
        await connection.read()
        ended.append(True)

    async with server(watch) as served:
        with pytest.raises(LookupError) as caught:
            await upload(served.url, body.stream)
        await asyncio.sleep(1)
        assert all(connection.received <= (blocks - 1) * BLOCK for connection in served.connections)
        assert len(ended) == sum(bool(connection.head) for connection in served.connections)
    assert caught.value is reason
    assert (body.closed, body.is_over) == (1, False)


async def test_an_error_of_the_disk_is_not_taken_for_one_of_the_network() -> None:
    reason = OSError(5, "Input/output error")
    async with server(take) as served:
        with pytest.raises(OSError, match="Input/output") as caught:
            await upload(served.url, Body(3, failure=reason).stream)
    assert caught.value is reason


@pytest.mark.parametrize("difference", [-1, 1])
async def test_a_body_of_another_size_than_it_says_is_never_whole_at_the_server(difference: int) -> None:
    body = Body(3, size=3 * BLOCK + difference)
    async with server(take) as served:
        with pytest.raises(ValueError, match="another size"):
            await upload(served.url, body.stream)
        await asyncio.sleep(1)
        assert not served.connections[0].is_whole
    assert body.closed == 1


@pytest.mark.parametrize("read", [0, 1_000_000, None])
async def test_who_is_cancelled_hangs_up(read: int | None) -> None:
    body = Body(500 if read is not None else 2)

    async def wait(connection: Connection) -> None:
        await connection.read(read)
        await asyncio.sleep(1000)
        left = connection.size - connection.received
        await connection.read()
        ended.append(left)

    ended: list[int] = []
    async with server(wait) as served:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20):
                await upload(served.url, body.stream)
        assert body.closed == 1
        await asyncio.sleep(1000)
        assert ended, "the connection is closed"
        assert served.connections[0].is_whole == (read is None)


async def test_nothing_is_begun_without_a_connection() -> None:
    body = Body(5)
    async with server(never) as served:
        pass
    assert broken(await failure(served.url, body)) is Broken.CONNECT
    assert not body.begun


@pytest.mark.parametrize("is_early", [True, False])
async def test_a_redirect_is_not_followed(*, is_early: bool) -> None:
    async def redirect(connection: Connection) -> None:
        if not is_early:
            await connection.read()
        await connection.answer(answer(b"307 Temporary Redirect", b"", b"Location: /portal/\r\n"))

    body = Body(100)
    async with server(redirect) as served:
        assert isinstance(await failure(served.url, body), NetworkLoginNeeded)
        assert len(served.connections) == 1
    assert body.begun == 1


async def test_every_upload_has_a_connection_of_its_own() -> None:
    """An idle one may be dead, and that would be noticed a minute later."""
    async with server(take) as served:
        for _ in range(3):
            await upload(served.url, Body(2).stream)
        assert len(served.connections) == 3
        assert all(b"connection: close" in connection.head.lower() for connection in served.connections)

"""The proxy that misbehaves: each fault as a client sees it, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.fault_proxy import FaultProxy, fault_proxy

pytestmark = pytest.mark.looptime


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """Before a server that repeats what it is told."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with fault_proxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def asked(self, data: bytes, within_s: float = 60.0) -> bytes:
        """What comes back; raises TimeoutError, ConnectionError or IncompleteReadError."""
        self._writer.write(data)
        async with asyncio.timeout(within_s):
            return await self._reader.readexactly(len(data))


@asynccontextmanager
async def client_of(proxy: FaultProxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_without_a_fault_it_only_forwards_and_passes_the_end_on(proxy: FaultProxy) -> None:
    async with client_of(proxy) as client:
        assert await client.asked(b"hello" * 100_000) == b"hello" * 100_000
        client._writer.write_eof()
        assert await client._reader.read() == b""
    assert proxy.connections == 1
    assert now() == 0


async def test_latency_delays_each_way(proxy: FaultProxy) -> None:
    proxy.latency_s = 0.1
    async with client_of(proxy) as client:
        await client.asked(b"x")
        assert now() == pytest.approx(0.2)


async def test_a_slow_line_takes_its_time(proxy: FaultProxy) -> None:
    proxy.bytes_per_s = 1000
    async with client_of(proxy) as client:
        await client.asked(b"x" * 5000)
        assert 5 <= now() <= 11


async def test_a_connection_is_reset_after_so_many_bytes(proxy: FaultProxy) -> None:
    proxy.reset_after = 7
    async with client_of(proxy) as client:
        assert await client.asked(b"12345") == b"12345"
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)) as caught:
            await client.asked(b"67890")
    assert not isinstance(caught.value, asyncio.IncompleteReadError) or caught.value.partial == b"67"


async def test_corrupted_bytes_arrive_at_their_places(proxy: FaultProxy) -> None:
    proxy.corrupt_every = 4
    async with client_of(proxy) as client:
        assert await client.asked(b"aaaaa") == b"aaaAa"
        assert await client.asked(b"aaaaa") == b"aaAaa"


async def test_a_black_hole_swallows_live_and_new_connections_until_the_network_is_back(proxy: FaultProxy) -> None:
    async with client_of(proxy) as old:
        await old.asked(b"x")
        proxy.hang()
        async with client_of(proxy) as new:
            for client in (old, new):
                with pytest.raises(TimeoutError):
                    await client.asked(b"y")
            proxy.restore()
            for client in (old, new):
                with pytest.raises(TimeoutError):
                    await client.asked(b"z")
        async with client_of(proxy) as newest:
            assert await newest.asked(b"x") == b"x"


async def test_refused_connections_are_reset(proxy: FaultProxy) -> None:
    proxy.refuses = True
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        async with client_of(proxy) as client:
            await client.asked(b"x")


async def test_everything_that_is_open_is_reset(proxy: FaultProxy) -> None:
    async with client_of(proxy) as client:
        await client.asked(b"x")
        proxy.reset_all()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await client.asked(b"x")

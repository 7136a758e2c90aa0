"""A TCP proxy that misbehaves on purpose; stands between a client and a server on loopback.

Every delay is a timer of the event loop, so it also works in virtual time. The knobs may be turned at any moment and
count from the next byte or the next connection on.
"""

import asyncio
import contextlib
import math
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_CHUNK = 16 * 1024

_RST_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST instead of FIN."""


@dataclass(eq=False)
class FaultProxy:
    """Forwards bytes both ways, with the faults that its knobs say.

    Attributes:
        upstream_port: The real server, on 127.0.0.1.
        port: Where the proxy listens, on 127.0.0.1.
        latency_s: Delay of every piece, each way.
        bytes_per_s: What one connection carries, each way.
        reset_after: Bytes towards the client after which a connection is reset; None for never.
        corrupt_every: Every n-th byte towards the client has a bit flipped; None for none.
        refuses: New connections are reset at once.
        connections: How many have been accepted.
    """

    upstream_port: int
    port: int = 0
    latency_s: float = 0.0
    bytes_per_s: float = math.inf
    reset_after: int | None = None
    corrupt_every: int | None = None
    refuses: bool = False
    connections: int = 0
    _hangs: bool = False
    _live: set["_Connection"] = field(default_factory=set)

    def hang(self) -> None:
        """A black hole from now on: nothing is forwarded any more, and nobody is told.

        Connections are accepted and stay silent. Those there are never come back, as when a NAT forgot them.
        """
        self._hangs = True
        for connection in self._live:
            connection.is_lost = True

    def restore(self) -> None:
        """End `hang` for new connections."""
        self._hangs = False

    def reset_all(self) -> None:
        """Reset every connection there is."""
        for connection in list(self._live):
            connection.reset()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until an end closes it or the proxy does."""
        self.connections += 1
        connection = _Connection(writer)
        if self.refuses:
            connection.reset()
            return
        connection.is_lost = self._hangs
        self._live.add(connection)
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._pump(connection, reader, server_writer, is_to_client=False))
                    tasks.create_task(self._pump(connection, server_reader, writer, is_to_client=True))
            finally:
                await _closed(server_writer)
        except* (ConnectionError, _Reset):
            pass
        finally:
            self._live.discard(connection)
            await _closed(writer)

    async def _pump(
        self,
        connection: "_Connection",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_to_client: bool,
    ) -> None:
        carried = 0
        while data := await reader.read(_CHUNK):
            size = len(data)
            if self.latency_s or self.bytes_per_s < math.inf:
                await asyncio.sleep(self.latency_s + size / self.bytes_per_s)
            if connection.is_lost:
                continue
            if is_to_client:
                data = self._corrupted(data, carried)
                if self.reset_after is not None and carried + size >= self.reset_after:
                    writer.write(data[: self.reset_after - carried])
                    await writer.drain()
                    connection.reset()
                    raise _Reset
            carried += size
            writer.write(data)
            await writer.drain()
        if connection.is_lost:
            if is_to_client:
                await asyncio.Event().wait()  # the client is not told, and ends it when it has had enough
            raise _Reset
        if writer.can_write_eof():
            with contextlib.suppress(OSError):  # that end may be gone already
                writer.write_eof()

    def _corrupted(self, data: bytes, carried: int) -> bytes:
        if self.corrupt_every is None:
            return data
        wrong = bytearray(data)
        for index in range(-(carried + 1) % self.corrupt_every, len(wrong), self.corrupt_every):
            wrong[index] ^= 0x20
        return bytes(wrong)


class _Reset(Exception):  # noqa: N818 - ends both directions of a connection, and is no error
    pass


class _Connection:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.is_lost = False

    def reset(self) -> None:
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        self._writer.transport.abort()


@asynccontextmanager
async def fault_proxy(upstream_port: int) -> AsyncIterator[FaultProxy]:
    """A running proxy before the server on 127.0.0.1 at this port."""
    proxy = FaultProxy(upstream_port)
    async with asyncio.TaskGroup() as tasks:
        # The server's own tasks would have no owner.
        accepted: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = tasks.create_task(proxy.serve(reader, writer))
            accepted.add(task)
            task.add_done_callback(accepted.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            for task in accepted:
                task.cancel()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()

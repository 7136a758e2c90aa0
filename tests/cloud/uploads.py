"""Both ends of an upload: bodies that tell how far they came, and servers that do with them what a test writes."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from gateway.cloud.exchange import Exchange, Limits
from gateway.cloud.pacing import Pacer, Priority
from gateway.cloud.request import Request
from gateway.cloud.sessions import open_session, open_upload_session
from gateway.cloud.uploading import Stream

BLOCK = 76 * 1024
JOB = b'{"job_id": "job-1", "state": "PENDING"}'


def answer(status: bytes, body: bytes = JOB, headers: bytes = b"Content-Type: application/json\r\n") -> bytes:
    """One HTTP answer."""
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, headers, len(body), body)


@dataclass
class Body:
    """A body of so many blocks.

    Attributes:
        blocks: How many.
        size: What it says of itself; left out, the truth.
        pause_s: Before each block.
        close_s: How long it takes to be closed, as a file that another thread closes.
        failure: Raised where the last block should come.
        begun: How often it was begun.
        made: Blocks that were handed out, of all times together.
        closed: How often it was closed.
    """

    blocks: int
    size: int | None = None
    pause_s: float = 0.0
    close_s: float = 0.01
    failure: Exception | None = None
    begun: int = 0
    made: int = 0
    closed: int = 0

    @property
    def is_over(self) -> bool:
        """Whether its end was handed out."""
        return self.made == self.blocks

    @property
    def stream(self) -> Stream:
        return Stream(self.blocks * BLOCK if self.size is None else self.size, self._blocks)

    async def _blocks(self) -> AsyncGenerator[bytes, None]:
        self.begun += 1
        try:
            for left in reversed(range(self.blocks)):
                if self.pause_s:
                    await asyncio.sleep(self.pause_s)
                if not left and self.failure is not None:
                    raise self.failure
                self.made += 1
                yield bytes(BLOCK)
        finally:
            await asyncio.sleep(self.close_s)
            self.closed += 1


@dataclass
class Connection:
    """What one client sends."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""
    received: int = 0

    @property
    def size(self) -> int:
        """What the head says of the body."""
        line = next(line for line in self.head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(line.partition(b":")[2])

    @property
    def is_whole(self) -> bool:
        return self.received == self.size

    async def read(self, size: int | None = None) -> None:
        """Take so many bytes of the body, or as many as there are until its end."""
        until = self.size if size is None else self.received + size
        while self.received < until:
            data = await self.reader.read(min(64 * 1024, until - self.received))
            if not data:
                return
            self.received += len(data)

    async def answer(self, text: bytes) -> None:
        self.writer.write(text)
        await self.writer.drain()


Handler = Callable[[Connection], Awaitable[None]]


@dataclass
class Server:
    """A listening server and who came."""

    url: str = ""
    port: int = 0
    connections: list[Connection] = field(default_factory=list)


@asynccontextmanager
async def server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Does with every connection what the handler says once the head of a request has arrived, and then closes it."""
    tasks: set[asyncio.Task[None]] = set()
    served = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        connection = Connection(reader, writer)
        served.connections.append(connection)
        try:
            connection.head = await reader.readuntil(b"\r\n\r\n")
            await handler(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, limit=64 * 1024, ssl=tls)
    served.port = listening.sockets[0].getsockname()[1]
    served.url = f"http{'s' if tls else ''}://127.0.0.1:{served.port}/"
    try:
        yield served
    finally:
        listening.close()
        await listening.wait_closed()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def upload(url: str, stream: Stream, tls: ssl.SSLContext | None = None) -> bytes:
    """Send a body to a server; what it answers."""
    trusting = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, force_close=True)) if tls else None
    async with open_session() as session, trusting or open_upload_session() as upload_session:
        exchange = Exchange(session, Pacer(), Limits(), upload_session)
        headers = {"Content-Type": "application/json"}
        request = Request("load_asi", "POST", URL(url), "asi/", headers=headers, body=stream, priority=Priority.UPLOAD)
        return await exchange.send(request)

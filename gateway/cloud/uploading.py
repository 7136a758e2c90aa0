"""A request body that is made while it is sent: never whole in memory, and given up when nobody takes it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractStreamWriter

STALL_S = 60.0
"""How long a block may wait to be taken: even a line of 11 kbit/s takes 76 KiB in that time."""

ANSWER_S = 180.0
"""How long an answer may take after the last block was: two minutes, and one for what the kernel still holds."""

TEXT_S = 30.0
"""How long an answer that has begun may last."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A body of known size that is made block by block.

    Attributes:
        size: Bytes of all blocks together.
        blocks: Begins to make them; asked once for each request that goes out, if there is a connection. A block is
            asked for when the kernel has taken the one before, however long it may take to make. What it raises breaks
            the request off before anything else leaves. It is closed before the request ends, in whatever way, and
            cancelled if it is making a block then.
    """

    size: int
    blocks: Callable[[], AsyncGenerator[bytes, None]]


class Upload(aiohttp.Payload):
    """One sending of a stream, as aiohttp's request body.

    Attributes:
        failure: What `Stream.blocks` has raised.
    """

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream, content_type="application/json")
        self._size = stream.size  # aiohttp makes the Content-Length of it
        self._left = stream.size
        self._blocks = stream.blocks()
        self._is_answered = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._now = asyncio.get_running_loop().time
        self._deadline = asyncio.timeout(None)
        self.failure: Exception | None = None

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Around the request.

        Raises:
            TimeoutError: No block was taken, or no answer came, in time.
        """
        async with self._deadline:
            try:
                yield
            finally:
                if not self._deadline.expired():
                    self._deadline.reschedule(None)
                await self._is_idle.wait()
                await self._blocks.aclose()

    def answered(self) -> bool:
        """The head of an answer has arrived, and nothing more is sent; whether that was before the end."""
        self._allow(TEXT_S)
        self._is_answered = True
        return self._left > 0

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it; called by aiohttp, in a task of its own."""
        transport = writer.transport
        if transport is None:
            raise ConnectionResetError
        self._is_idle.clear()
        try:
            transport.set_write_buffer_limits(1)  # 0 would never resume on TLS
            while self._left:
                await self._hand_over(await self._next(), writer)
            self._allow(ANSWER_S)
        except BaseException:
            # Closed in order, the connection would first carry what has not left yet.
            transport.abort()
            raise
        finally:
            self._is_idle.set()

    def decode(self, *_: object, **__: object) -> str:
        """Never asked for; it is nowhere as a whole."""
        raise TypeError

    async def _next(self) -> bytes:
        try:
            block = await anext(self._blocks, None)
            if block is None or len(block) > self._left:
                raise ValueError("a stream has another size than it said")
        except Exception as error:
            self.failure = error
            raise
        return block

    async def _hand_over(self, block: bytes, writer: AbstractStreamWriter) -> None:
        self._allow(STALL_S)
        # asyncio reads nothing any more once a write has failed: what the server said before it hung up is read first.
        # The first turn looks for it, the second takes it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if self._is_answered:
            await asyncio.Event().wait()  # until aiohttp has read the answer and cancels this
        self._left -= len(block)
        await writer.write(block)
        await writer.drain()
        self._allow(None)

    def _allow(self, seconds: float | None) -> None:
        if not (self._is_answered or self._deadline.expired()):
            self._deadline.reschedule(None if seconds is None else self._now() + seconds)

"""A cloud that does what a test has written down, in the bytes of the real one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from gateway.cloud.errors import CloudError
from gateway.cloud.models import TimestampAnswer
from gateway.cloud.times import TimeMs
from insiders_codecs.cloud import DecodedRows, decode_rows
from insiders_codecs.samples import QUANTITIES, SampleBlock

Decode = Callable[[bytes], DecodedRows]

EVERYBODY = {f"SN-{number}": 0 for number in range(10)}
"""As if all athletes of these tests were released from the beginning of time."""


def block(*times: int) -> SampleBlock:
    """Rows at these times."""
    return SampleBlock(np.array(times, np.int64), np.zeros((len(QUANTITIES), len(times))))


def body(times: Iterable[int], **fields: object) -> bytes:
    """Rows of the latest-data endpoint."""
    return json.dumps([{"gnss.timestamp": t_ms, "gnss.speed": 1.0, **fields} for t_ms in times]).encode()


@dataclass
class ScriptedCloud:
    """Answers each request with the next thing of the script; the last one is repeated.

    Attributes:
        script: Bodies to answer with, or errors to raise.
        newest: What the latest timestamp is, or the error it answers with.
        refusal: The error that every attempt to stream meets; None lets streams in.
        asked: Loop time, device, size and overdue seconds of every request for rows.
        peeked: Loop time of every request for the latest timestamp.
        opened: Loop time and device of every attempt to stream.
        streams: What the open stream of each device is to bring next; None ends it, an error breaks it.
        queue_s: How long a request for rows waits for its turn before it goes out.
        latency_s: How long it takes then.
    """

    script: list[bytes | Exception] = field(default_factory=lambda: [b"[]"])
    newest: int | Exception | None = None
    refusal: Exception | None = None
    asked: list[tuple[float, int, int, float]] = field(default_factory=list)
    peeked: list[float] = field(default_factory=list)
    opened: list[tuple[float, int]] = field(default_factory=list)
    streams: dict[int, asyncio.Queue[SampleBlock | CloudError | None]] = field(default_factory=dict)
    queue_s: Callable[[], float] = lambda: 0.0
    latency_s: Callable[[], float] = lambda: 0.0

    async def latest_data(
        self, device_id: int, size: Callable[[], int], *, overdue_s: float = 0.0, decode: Decode = decode_rows
    ) -> DecodedRows:
        await asyncio.sleep(self.queue_s())
        self.asked.append((asyncio.get_running_loop().time(), device_id, size(), overdue_s))
        await asyncio.sleep(self.latency_s())
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return decode(answer)

    async def latest_timestamp(self, device_id: int, *, overdue_s: float = 0.0) -> TimestampAnswer:
        self.peeked.append(asyncio.get_running_loop().time())
        if isinstance(self.newest, Exception):
            raise self.newest
        return TimestampAnswer(None if self.newest is None else TimeMs(self.newest))

    @asynccontextmanager
    async def live(self, device_id: int) -> AsyncIterator[AsyncIterator[DecodedRows]]:
        self.opened.append((asyncio.get_running_loop().time(), device_id))
        if self.refusal is not None:
            raise self.refusal
        updates = self.streams[device_id] = asyncio.Queue()
        try:
            yield self._updates(updates)
        finally:
            if self.streams.get(device_id) is updates:
                del self.streams[device_id]

    async def _updates(self, updates: asyncio.Queue[SampleBlock | CloudError | None]) -> AsyncIterator[DecodedRows]:
        while (update := await updates.get()) is not None:
            if isinstance(update, CloudError):
                raise update
            yield DecodedRows(update)

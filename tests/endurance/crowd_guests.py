"""Many who connect to a gateway at once, in a process of their own, for `tests.endurance.crowd`."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

PATIENCE_S = 15.0
"""In which everybody has an answer: the kernel's queue is shorter than this crowd, and who finds it full knocks again
after one second, and after three."""

_SUBSCRIPTION = json.dumps({"op": "sub", "sub": 1, "batch_ms": 200}).encode()
_REQUEST = (
    "GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_TEXT, _MASKED = 0x81, 0x80


@dataclass
class Answers:
    """What became of a crowd.

    Attributes:
        served: Who are in, by their address.
        refused: Others, by status.
        retry_after: What the 503 among them said of when to come back; empty where it said nothing.
        unanswered: Who were cut, or got no answer in time.
        following: Of those who are in: how many got rows.
        came_s: When the last answer came.
    """

    served: Counter[str] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    retry_after: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    following: int = 0
    came_s: float = 0.0


def come(port: int, addresses: Sequence[str], count: int, stay_s: float, told: Connection) -> None:
    """Connect all at once, from the addresses in turn; who is let in follows the stream for a while.

    Args:
        port: Of the gateway.
        addresses: Of this machine.
        count: How many.
        stay_s: For how long who is in stays.
        told: Where the answers go when all have left.
    """
    told.send(asyncio.run(_come(port, addresses, count, stay_s)))


async def _come(port: int, addresses: Sequence[str], count: int, stay_s: float) -> Answers:
    answers, loop = Answers(), asyncio.get_running_loop()
    began_s = loop.time()

    async def guest(address: str) -> None:
        writer = None
        try:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
                    writer.write(_REQUEST.format(port=port).encode())
                    head = await reader.readuntil(b"\r\n\r\n")
            finally:
                answers.came_s = loop.time() - began_s
            if _note(answers, address, head):
                writer.write(bytes((_TEXT, _MASKED | len(_SUBSCRIPTION), 0, 0, 0, 0)) + _SUBSCRIPTION)
                has_rows = await _follow(reader, stay_s)
                answers.following += has_rows
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            answers.unanswered += 1
        finally:
            if writer is not None:
                writer.close()

    async with asyncio.TaskGroup() as guests:
        for number in range(count):
            guests.create_task(guest(addresses[number % len(addresses)]))
    return answers


def _note(answers: Answers, address: str, head: bytes) -> bool:
    """Take note of the head of an answer; whether it lets in."""
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split()[1])
    if status == 101:
        answers.served[address] += 1
        return True
    answers.refused[status] += 1
    if status == 503:
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        answers.retry_after[fields.get("retry-after", "")] += 1
    return False


async def _follow(reader: asyncio.StreamReader, stay_s: float) -> bool:
    """Read for a while; whether rows came."""
    has_rows, tail = False, b""
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(stay_s):
            while block := await reader.read(65536):
                has_rows = has_rows or b'"n0":' in tail + block
                tail = block[-4:]
    return has_rows

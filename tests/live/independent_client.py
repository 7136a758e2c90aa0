"""A client of the live protocol, written by a stranger from its document alone: neither aiohttp nor numpy."""

import asyncio
import json
import random
import struct
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

Codec = Literal["json", "msgpack"]
Message = dict[str, Any]
Values = list[float | None]
_FORMATS = {"<i4": ("i", 4), "<i2": ("h", 2), "<u2": ("H", 2), "|u1": ("B", 1)}
_DEAD_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Row:
    ch: int
    n: int  # arrival number
    t: int  # milliseconds since 1970, UTC
    late: bool
    past: bool  # came as `snap`
    values: dict[str, float | None]


def decode_column(data: list[float | None] | bytes | None, spec: Message, rows: int) -> Values:
    if data is None:
        return [None] * rows
    if not isinstance(data, bytes):
        return data
    code, size = _FORMATS[spec["dtype"]]
    missing, scale = spec["missing"], spec["scale"]
    return [None if v == missing else v / scale for v in struct.unpack(f"<{len(data) // size}{code}", data)]


def decode_rows(message: Message, names: list[str], schema: dict[str, Message]) -> Iterator[Row]:
    """The rows of a `snap`, a `d` or a `history`."""
    blocks = message["blocks"]
    total = sum(block["rows"] for block in blocks)
    columns = [decode_column(c, schema[n], total) for n, c in zip(names, message["columns"], strict=True)]
    cells, past = zip(*columns, strict=True), message["op"] != "d"
    for b in blocks:
        times = b.get("t") or [b["t0"] + i * b["dt"] for i in range(b["rows"])]
        for i, t in enumerate(times):
            yield Row(b["ch"], b["n0"] + i, t, b.get("late", False), past, dict(zip(names, next(cells), strict=True)))


@dataclass
class Client:
    """One subscription, kept up for ever. Iterate over `events()`: rows, and all other messages as they came."""

    url: str
    codec: Codec = "msgpack"
    last_s: float | None = 10
    options: Message = field(default_factory=dict)  # of `sub`: devices, columns, mode, batch_ms, max_hz
    epoch: str | None = None
    cursors: dict[int, int] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)  # channels of which the cursor stays
    had: dict[int, set[int]] = field(default_factory=dict)  # what came above it
    channels: dict[int, Message] = field(default_factory=dict)
    schema: dict[str, Message] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    socket: ClientConnection | None = None

    async def events(self) -> AsyncGenerator[Row | Message, None]:
        pause = 0.5
        protocol = Subprotocol(f"insiders.gw.v1+{self.codec}")
        while True:
            try:
                async with connect(self.url, subprotocols=[protocol], compression=None) as self.socket:
                    while True:
                        message = self._unpack(await asyncio.wait_for(self.socket.recv(), _DEAD_AFTER_S))
                        pause = 0.5
                        for event in await self._handle(message):
                            yield event
            except (OSError, TimeoutError, WebSocketException) as error:
                yield {"op": "cut", "text": repr(error)}
            await asyncio.sleep(random.uniform(0, pause))
            pause = min(2 * pause, 10.0)

    async def send(self, message: Message) -> None:
        assert self.socket is not None
        await self.socket.send(msgpack.packb(message) if self.codec == "msgpack" else json.dumps(message))

    def _unpack(self, frame: str | bytes) -> Message:
        message: Message = msgpack.unpackb(frame) if isinstance(frame, bytes) else json.loads(frame)
        return message

    async def _handle(self, message: Message) -> list[Row | Message]:
        match message["op"]:
            case "hello":
                self.held.clear()
                if message["epoch"] != self.epoch:
                    self.epoch, self.cursors, self.channels, self.had = message["epoch"], {}, {}, {}
                start: Message = {"epoch": self.epoch, "cursors": sorted(self.cursors.items())}
                if self.last_s is not None:
                    start["last_s"] = self.last_s
                await self.send({"op": "sub", "sub": 1, "from": start, **self.options})
            case "channels":
                self.schema.update({column["name"]: column for column in message["columns"]})
                for channel in message["channels"]:
                    self.channels[channel["ch"]] = channel
                    if self.cursors.get(channel["ch"], channel["withdrawn"]) < channel["withdrawn"]:
                        self._move(channel["ch"], channel["withdrawn"])
            case "sub_ok":
                self.names = message["columns"]
                for channel in message["channels"]:
                    self._move(channel["ch"], channel["cursor"])
            case "gap" if "after" in message:
                self._move(message["ch"], message["after"])
                if message["state"] == "open":
                    self.held.add(message["ch"])
            case "snap" | "d":
                rows = list(decode_rows(message, self.names, self.schema))
                new = [row for row in rows if row.n not in self.had.setdefault(row.ch, set())]
                for row in rows:
                    if row.ch in self.held:
                        self.had[row.ch].add(row.n)
                    else:
                        self._move(row.ch, row.n)
                return [*new, {k: v for k, v in message.items() if k not in ("blocks", "columns")}]
        return [message]

    def _move(self, ch: int, cursor: int) -> None:
        self.cursors[ch] = cursor
        self.held.discard(ch)
        self.had[ch] = {n for n in self.had.get(ch, ()) if n > cursor}

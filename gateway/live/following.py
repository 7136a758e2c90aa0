"""A gateway's live stream from the other side: connects, subscribes, and resumes after every cut."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from gateway.live.client import NOT_LOOPBACK, StreamError, tunnel, unreachable
from insiders_codecs.errors import DecodeError
from insiders_codecs.live import MAX_FRAME_BYTES, Arrivals, Codec, Message, decode, decode_rows, encode

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 10.0
LONGEST_ASKED_S = 60.0
"""A gateway may ask for a longer pause than our own, but not for ever."""

SILENCE_S = 10.0
"""The server says the time every 2 s; five times that without a word means that the connection is dead."""

_SUB = 1
_RESTART = 1012  # close code of RFC 6455's registry: the server stops or restarts


@dataclass(slots=True)
class Cursors:
    """Where the reader stands: what a resume needs.

    Attributes:
        epoch: Run of the gateway under which the numbers were counted.
        by_channel: Arrival number of the last row received, by channel number.
    """

    epoch: str | None = None
    by_channel: dict[int, int] = field(default_factory=dict)

    def start(self, last_s: float) -> Message:
        """The ``from`` of a subscription: resume where there is something to resume, else the last seconds."""
        if self.epoch is None or not self.by_channel:
            return {"last_s": last_s}
        return {"epoch": self.epoch, "cursors": [list(pair) for pair in self.by_channel.items()], "last_s": last_s}

    def take(self, message: Message) -> None:
        """Move on by what a message of the server says."""
        match message["op"]:
            case "hello" if message.get("epoch") != self.epoch:
                self.epoch = message.get("epoch")
                self.by_channel.clear()
            case "sub_ok":
                for channel in message["channels"]:
                    self.by_channel[channel["ch"]] = channel["cursor"]
            case "snap" | "d":
                for block in message["blocks"]:
                    self.by_channel[block["ch"]] = block["n0"] + block["rows"] - 1


class LiveClient:
    """One subscription to everything a gateway has, kept alive.

    Attributes:
        cursors: Where it stands.
    """

    def __init__(self, url: str, codec: Codec = Codec.MSGPACK, *, last_s: float = 10.0, mode: str = "all") -> None:
        """Make a client; iterate `messages` to run it.

        Args:
            url: ``ws://host:port/api/v1/stream``.
            codec: Form of the messages.
            last_s: Seconds of the past to begin with.
            mode: "all" rows, or the "latest" values twice a second.
        """
        self.cursors = Cursors()
        self._url = url
        self._codec = codec
        self._last_s = last_s
        self._mode = mode
        self._schema: dict[str, Message] = {}
        self._columns: list[str] = []
        self._reason, self._asked_pause_s = "", 0.0

    async def messages(self) -> AsyncGenerator[Message, None]:
        """All messages of the server, decoded, across reconnects.

        Close the iterator (`contextlib.aclosing`) when leaving it early. A cut connection appears
        as ``{"op": "disconnected", "text": reason, "retry_s": seconds}``.

        Raises:
            StreamError: If the address answers but does not speak our protocol.
        """
        delay_s = FIRST_RETRY_S
        async with aiohttp.ClientSession() as http:
            while True:
                self._reason, self._asked_pause_s = "the connection ended", 0.0
                try:
                    async for message in self._connection(http):
                        delay_s = FIRST_RETRY_S
                        yield message
                except StreamError:
                    raise
                except aiohttp.WSServerHandshakeError as error:
                    if error.status == NOT_LOOPBACK:
                        raise tunnel(self._url) from None
                    if error.status != 503:
                        raise StreamError(f"{self._url} is no live stream of a gateway (HTTP {error.status})") from None
                    self._reason = "the gateway has no room for another client"
                    asked = error.headers.get("Retry-After", "") if error.headers else ""
                    self._asked_pause_s = min(float(asked), LONGEST_ASKED_S) if asked.isdecimal() else 0.0
                except aiohttp.InvalidURL:
                    raise StreamError(f"{self._url} is no address; try ws://127.0.0.1:8770/api/v1/stream") from None
                except aiohttp.ClientConnectorError as error:
                    self._reason = unreachable(error, self._url)
                except TimeoutError:
                    where = URL(self._url).authority
                    self._reason = f"no word from {where} for {SILENCE_S:.0f} s: see whether a gateway runs there"
                except (aiohttp.ClientError, OSError):
                    self._reason = f"{URL(self._url).authority} hung up: see whether a gateway runs there"
                retry_s = max(random.uniform(0, delay_s), self._asked_pause_s)
                yield {"op": "disconnected", "text": self._reason, "retry_s": round(retry_s, 1)}
                await asyncio.sleep(retry_s)
                delay_s = min(2 * delay_s, LONGEST_RETRY_S)

    def rows(self, message: Message) -> list[Arrivals]:
        """The samples of a `snap` or `d` message.

        Raises:
            StreamError: If they do not fit what the server has announced.
        """
        try:
            return decode_rows(message, [self._schema[name] for name in self._columns])
        except (DecodeError, KeyError):
            raise self._foreign() from None

    async def _connection(self, http: aiohttp.ClientSession) -> AsyncIterator[Message]:
        """One connection's messages, until it ends."""
        async with asyncio.timeout(SILENCE_S):
            connected = await http.ws_connect(
                self._url,
                protocols=[str(self._codec)],
                max_msg_size=2 * MAX_FRAME_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_receive=SILENCE_S, ws_close=1.0),
            )
        async with connected as ws:
            async for frame in ws:
                if frame.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                    return
                try:
                    message = decode(frame.data, self._codec)
                    self.cursors.take(message)
                    self._learn(message)
                except (DecodeError, KeyError, TypeError, ValueError):
                    raise self._foreign() from None
                if message["op"] == "hello":
                    await self._subscribe(ws)
                yield message

    async def _subscribe(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        request = encode(
            {"op": "sub", "sub": _SUB, "mode": self._mode, "from": self.cursors.start(self._last_s)}, self._codec
        )
        await (ws.send_str(request.decode()) if self._codec is Codec.JSON else ws.send_bytes(request))

    def _learn(self, message: Message) -> None:
        match message["op"]:
            case "channels":
                self._schema = {column["name"]: column for column in message["columns"]}
            case "sub_ok":
                self._columns = message["columns"]
            case "bye":
                is_stop, why = message["code"] == _RESTART, message["text"].rstrip(".")
                self._reason = "the gateway was stopped" if is_stop else f"the gateway hung up ({why})"
                self._asked_pause_s = min(message["retry_after_ms"] / 1000, LONGEST_ASKED_S)

    def _foreign(self) -> StreamError:
        return StreamError(f"{self._url} is no live stream of a gateway: what it sends is not the live protocol")

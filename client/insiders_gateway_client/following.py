"""A gateway's live stream as its messages: connects, subscribes, acknowledges, and resumes after every cut."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from insiders_gateway_client.asking import pause_s
from insiders_gateway_client.cursors import Acks, Cursors
from insiders_gateway_client.errors import GatewayError, NobodyThereError, RefusalError
from insiders_gateway_client.messages import (
    MAX_FRAME_BYTES,
    Codec,
    Message,
    MessageError,
    Run,
    decode,
    decode_rows,
    encode,
)
from insiders_gateway_client.transport import CONNECT_TIMEOUT_S, Transport

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 10.0
LONGEST_ASKED_S = 60.0
"""A gateway may ask for a longer pause than our own, but not for ever."""

_TICK_S = 0.001
"""A timer may fire a little early: what is so near is now, or one would ask again and again until then."""

SILENCE_S = 10.0
"""The server says the time every 2 s; five times that without a word means that the connection is dead."""

_SUB = 1
_RESTART = 1012  # close code of RFC 6455's registry: the server stops or restarts
_NOT_ADMITTED, _FORBIDDEN = 4401, 4403
_TOO_MANY, _NO_ROOM = 429, 503


@dataclass(frozen=True, slots=True)
class Subscription:
    """What to follow.

    Attributes:
        devices: Serial numbers; None for all, later ones too.
        columns: Names, in the order wanted; None for all.
        mode: Every row, or only the rows with the newest value of some column, a few times a second.
        last_s: Seconds of the past to begin with.
        on_slow: What the gateway does while we read too slowly: leave rows out and go on with the present, hold them
            back for as long as it remembers them, or close.
        batch_ms: How long rows are gathered into one message, in mode all; None for what is usual.
        max_hz: How often at most, in mode latest; None for what is usual.
    """

    devices: Sequence[str] | None = None
    columns: Sequence[str] | None = None
    mode: Literal["all", "latest"] = "all"
    last_s: float = 10.0
    on_slow: Literal["conflate", "drop_oldest", "close"] = "conflate"
    batch_ms: int | None = None
    max_hz: float | None = None

    def request(self, start: Message) -> Message:
        """The message that asks for it, beginning as `start` says."""
        wanted: dict[str, Any] = {
            "devices": None if self.devices is None else list(self.devices),
            "columns": None if self.columns is None else list(self.columns),
            "batch_ms": self.batch_ms,
            "max_hz": self.max_hz,
        }
        told = {name: value for name, value in wanted.items() if value is not None}
        return {"op": "sub", "sub": _SUB, "mode": self.mode, "on_slow": self.on_slow, "from": start, **told}


class Following:
    """One subscription, kept alive.

    Attributes:
        cursors: Where it stands.
    """

    def __init__(self, transport: Transport, subscription: Subscription, codec: Codec = Codec.MSGPACK) -> None:
        """Begin nothing yet; iterate `messages` to run it."""
        self.cursors = Cursors()
        self._transport = transport
        self._subscription = subscription
        self._codec = codec
        self._schema: dict[str, Message] = {}
        self._columns: list[str] = []
        self._reason, self._asked_pause_s = "", 0.0

    async def messages(self) -> AsyncGenerator[Message, None]:
        """All messages of the server, decoded, across reconnects.

        What was yielded counts as worked off, and is acknowledged, when the next is asked for. Close the iterator
        (`contextlib.aclosing`) when leaving it early. A cut connection appears as
        ``{"op": "disconnected", "text": reason, "retry_s": seconds}``.

        Raises:
            RefusalError: If the gateway does not give what was subscribed to.
            NotAdmittedError: If it does not know us, or not any more.
            GatewayError: If trying again would change nothing.
        """
        delay_s = FIRST_RETRY_S
        async with self._transport.session() as http:
            while True:
                self._reason, self._asked_pause_s = "the connection ended", 0.0
                try:
                    async for message in self._connection(http):
                        delay_s = FIRST_RETRY_S
                        yield message
                except aiohttp.WSServerHandshakeError as error:
                    self._turned_away(error)
                except aiohttp.ClientConnectorError as error:
                    unreachable = self._transport.unreachable(error)
                    if not isinstance(unreachable, NobodyThereError):
                        raise unreachable from None
                    self._reason = f"{str(unreachable)[0].lower()}{str(unreachable)[1:]}"
                except TimeoutError:
                    where = self._transport.address.where
                    self._reason = f"no word from {where} for {SILENCE_S:.0f} s: see whether a gateway runs there"
                except (aiohttp.ClientError, OSError):
                    if self.cursors.epoch is None and (missing := await self._transport.tls_missing()):
                        raise missing from None
                    self._reason = f"{self._transport.address.where} hung up: see whether a gateway runs there"
                retry_s = max(random.uniform(0, delay_s), self._asked_pause_s)
                yield {"op": "disconnected", "text": self._reason, "retry_s": round(retry_s, 1)}
                await asyncio.sleep(retry_s)
                delay_s = min(2 * delay_s, LONGEST_RETRY_S)

    def rows(self, message: Message) -> list[Run]:
        """The samples of a `snap` or `d` message, but for those that have come in an earlier connection.

        Raises:
            GatewayError: If they do not fit what the server has announced.
        """
        try:
            if not message["blocks"]:
                return []  # as for those who may see no tracker, who then hear of no columns either
            runs = decode_rows(message, [self._schema[name] for name in self._columns])
        except (MessageError, KeyError):
            raise self._foreign() from None
        return [part for run, block in zip(runs, message["blocks"], strict=True) for part in _new(run, block)]

    async def _connection(self, http: aiohttp.ClientSession) -> AsyncIterator[Message]:
        """One connection's messages, until it ends."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connected = await http.ws_connect(
                self._transport.address.stream,
                protocols=[str(self._codec)],
                max_msg_size=2 * MAX_FRAME_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        async with connected as ws:
            acks = Acks()
            while True:
                frame = await self._frame(ws, acks)
                if frame.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                    break
                try:
                    message = decode(frame.data, self._codec)
                    self.cursors.take(message)
                    self._learn(message)
                except (MessageError, KeyError, TypeError, ValueError):
                    raise self._foreign() from None
                if message["op"] == "hello":
                    await self._say(ws, self._subscription.request(self.cursors.start(self._subscription.last_s)))
                yield message
                acks.consumed(message, len(frame.data))
            self._closed(ws.close_code)

    async def _frame(self, ws: aiohttp.ClientWebSocketResponse, acks: Acks) -> aiohttp.WSMessage:
        """The next frame; acknowledges meanwhile. Raises `TimeoutError` if none comes."""
        now_s = asyncio.get_running_loop().time
        silent_s = now_s() + SILENCE_S
        while True:
            ack_s = acks.wait_s(now_s())
            if ack_s is not None and ack_s < _TICK_S:
                with suppress(ConnectionError):  # a connection that ends has words that are not read yet
                    await self._say(ws, acks.take(now_s()))
                continue
            left_s = silent_s - now_s()
            try:
                return await ws.receive(left_s if ack_s is None else min(left_s, ack_s))
            except TimeoutError:
                if now_s() >= silent_s - _TICK_S:
                    raise

    async def _say(self, ws: aiohttp.ClientWebSocketResponse, message: Message) -> None:
        payload = encode(message, self._codec)
        async with asyncio.timeout(SILENCE_S):
            await (ws.send_str(payload) if isinstance(payload, str) else ws.send_bytes(payload))

    def _learn(self, message: Message) -> None:
        match message["op"]:
            case "channels":
                self._schema = {column["name"]: column for column in message["columns"]}
            case "sub_ok":
                self._columns = message["columns"]
            case "error" if message["code"] == "unauthorized":
                raise self._transport.not_admitted()
            case "error" if message.get("sub") == _SUB:
                raise RefusalError(message["code"], message["text"])
            case "bye":
                is_stop, why = message["code"] == _RESTART, message["text"].rstrip(".")
                self._reason = "the gateway was stopped" if is_stop else f"the gateway hung up ({why})"
                self._asked_pause_s = min(message["retry_after_ms"] / 1000, LONGEST_ASKED_S)

    def _closed(self, code: int | None) -> None:
        """The server has closed; raises `GatewayError` if coming again would change nothing."""
        if code == _NOT_ADMITTED:
            raise self._transport.not_admitted()
        if code == _FORBIDDEN:
            raise GatewayError(f"{self._transport.address.where} does not let us follow its stream: ask for the right")

    def _turned_away(self, error: aiohttp.WSServerHandshakeError) -> None:
        """The handshake was refused; raises `GatewayError` if trying again would change nothing."""
        if error.status not in {_TOO_MANY, _NO_ROOM}:
            location = error.headers.get("Location") if error.headers else None
            raise self._transport.refused(error.status, location, "live stream") from None
        is_full = error.status == _NO_ROOM
        self._reason = "the gateway has no room for another client" if is_full else "the gateway asks for patience"
        self._asked_pause_s = min(pause_s(error.headers) or 0.0, LONGEST_ASKED_S)

    def _foreign(self) -> GatewayError:
        where = self._transport.address.where
        return GatewayError(f"{where} has no live stream of a gateway: what it sends is not the live protocol")


def _new(run: Run, block: Message) -> list[Run]:
    """The parts of a run that had not come before, as `Cursors.take` has noted them."""
    return [run.part(first, end) for first, end in block["new"]] if "new" in block else [run]

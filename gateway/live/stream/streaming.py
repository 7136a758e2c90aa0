"""Carries the live protocol over websockets: hands what clients send to their sessions, and turns the pump."""

import asyncio
import logging
from collections.abc import Sequence
from math import inf

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web

from gateway.live.door.admission import address_of
from gateway.live.door.connection import Connection
from gateway.live.door.gate import Gate
from gateway.live.door.guard import CALLER
from gateway.live.hub import Hub
from gateway.live.limits import Limits
from gateway.live.stream.pump import GOODBYE_S, Pump
from gateway.live.stream.shared import AuditView, DoorkeeperView, Shared
from gateway.live.stream.wire import Wire
from gateway.live.turnstile import Turnstile
from insiders_codecs.live import Codec

_LOG = logging.getLogger(__name__)

SHORTEST_PAUSE_S = 0.001
"""A timer may fire a tick of the clock early; without this the loop would spin until the tick has passed."""

AFTER_FAULT_S = 1.0

HEARD_AT_ONCE = 8
"""Frames of all clients that are handled with one turn of the loop: whoever only listens does not wait for a burst."""


class Streaming:
    """Everybody who listens to the live stream."""

    def __init__(
        self,
        hub: Hub,
        gate: Gate,
        limits: Limits,
        served: Sequence[str],
        doorkeeper: DoorkeeperView | None = None,
        audit: AuditView | None = None,
    ) -> None:
        """Make one that nobody listens to.

        Args:
            hub: What the sessions share.
            gate: Refuses.
            limits: What one client may take.
            served: What `hello` says can be asked for over HTTP besides the samples.
            doorkeeper: Knows the tokens; None if there are none.
            audit: Takes note of who looks; None if nobody does.
        """
        self._gate = gate
        self._limits = limits
        self._pump = Pump(Shared(hub, served, limits, doorkeeper, audit))
        self._turnstile = Turnstile(HEARD_AT_ONCE)
        self._next: asyncio.TimerHandle | None = None

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._pump)

    def say_goodbye(self, *, is_resumable: bool) -> None:
        """Tell everybody that the gateway stops."""
        self._pump.say_goodbye(is_resumable=is_resumable)
        self._turn_now()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Speak with one client until either side ends it."""
        spoken = [str(codec) for codec in Codec]
        offered = {name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")} - {""}
        if offered and not offered & set(spoken):
            text = f"This gateway speaks {' and '.join(spoken)}; offer one of them, or none for JSON."
            raise web.HTTPBadRequest(**self._gate.refusal("bad_subprotocol", text))
        # aiohttp refuses what reaches its limit, we what exceeds ours.
        ws = _Websocket(protocols=spoken, max_msg_size=self._limits.max_inbound_bytes + 1)
        await ws.prepare(request)
        connection = request.protocol
        if connection.transport is None or not isinstance(connection, Connection) or connection.below is None:
            return ws  # gone meanwhile
        connection.read_frames()
        codec = Codec(ws.ws_protocol or Codec.JSON)
        ws.wire = wire = Wire(connection.transport, connection.below, connection, codec)
        await self._speak(ws, wire, codec, connection, request)
        return ws

    async def _speak(
        self, ws: "_Websocket", wire: Wire, codec: Codec, connection: Connection, request: web.Request
    ) -> None:
        now = asyncio.get_running_loop().time
        session = self._pump.join(wire, codec, now(), request.get(CALLER), address_of(request))
        self._turn_now()
        try:
            async for message in ws:
                await self._turnstile.passed()
                if message.type is WSMsgType.ERROR:
                    self._count(message.data)
                    break  # nothing more can be read
                if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    is_due = session.receive(message.data, now())
                    if session.caller is not None:
                        connection.recognise()
                else:
                    is_due = not session.heard(now())
                    if message.type is WSMsgType.PING:
                        wire.pong(message.data, now())
                if is_due:
                    self._pump.wake(session)
                    self._turn_now()
                if session.is_deaf:
                    connection.stop_reading()
                    await asyncio.sleep(GOODBYE_S)  # for it to hear why
                    break
        finally:
            self._pump.leave(session)
            if not wire.is_idle:
                wire.abort()  # what waits is of no use any more, and would keep the connection

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        self._next = None
        try:
            due_s = self._pump.turn(loop.time())
        except Exception:  # noqa: BLE001
            # Nobody who follows the stream may stop the daemon: they come again, and go on from their cursors.
            _LOG.exception("The live stream has failed and cuts all its clients")
            self._pump.abort()
            due_s = loop.time() + AFTER_FAULT_S
        if due_s < inf:
            self._turn_at(max(due_s, loop.time() + SHORTEST_PAUSE_S))

    def _turn_at(self, due_s: float) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = asyncio.get_running_loop().call_at(due_s, self._turn)

    def _turn_now(self) -> None:
        self._turn_at(asyncio.get_running_loop().time())

    def _count(self, fault: object) -> None:
        if isinstance(fault, WebSocketError):
            is_large = fault.code == WSCloseCode.MESSAGE_TOO_BIG
            self._gate.count("message_too_big" if is_large else "bad_frame")


class _Websocket(web.WebSocketResponse):
    """A websocket that is only read: all that is written to it goes through the wire."""

    def __init__(self, *, protocols: Sequence[str], max_msg_size: int) -> None:
        super().__init__(
            protocols=protocols, max_msg_size=max_msg_size, autoclose=False, autoping=False, compress=False
        )
        self.wire: Wire | None = None

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:  # noqa: ARG002
        """Say that this is the end, in answer to the client's or because of what it has sent."""
        if self.wire is not None:
            self.wire.close(code, asyncio.get_running_loop().time())
        return True

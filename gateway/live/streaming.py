"""Carries the live protocol over websockets. Moves bytes and time; what is said is decided in the session."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web

from gateway.access.caller import Caller
from gateway.live.gate import Gate
from gateway.live.limits import Limits
from gateway.live.session import THIS_MACHINE, CloseCode, Hub, Session
from insiders_codecs.live import Codec

SEND_BUFFER_BYTES = 64 * 1024
"""Kernel buffer per client. The default hides megabytes, minutes of samples, before anybody notices a slow laptop."""

GOODBYE_S = 2.0
"""How long clients have to take the last message when the gateway stops."""

SHORTEST_PAUSE_S = 0.001
"""A timer may fire a tick of the clock early; without this the loop would spin until the tick has passed."""


class Streaming:
    """Everybody who listens to the live stream."""

    def __init__(self, hub: Hub, gate: Gate, limits: Limits, served: Sequence[str]) -> None:
        """Make one that nobody listens to.

        Args:
            hub: What the sessions share.
            gate: Refuses.
            limits: What one client may take.
            served: What `hello` says can be asked for over HTTP besides the samples.
        """
        self._hub = hub
        self._gate = gate
        self._limits = limits
        self._served = served
        self._clients: dict[Session, asyncio.Event] = {}

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._clients)

    def say_goodbye(self, *, is_resumable: bool) -> None:
        """Tell everybody that the gateway stops."""
        for session, is_due in self._clients.items():
            session.say_goodbye(CloseCode.RESTART, "The gateway stops.", 2000, is_resumable=is_resumable)
            is_due.set()

    async def serve(self, request: web.Request, caller: Caller = THIS_MACHINE) -> web.StreamResponse:
        """Speak with one client until either side ends it."""
        offered = [
            name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()
        ]
        spoken = [str(codec) for codec in Codec]
        if offered and not set(offered) & set(spoken):
            text = f"This gateway speaks {' and '.join(spoken)}; offer one of them, or none for JSON."
            raise web.HTTPBadRequest(**self._gate.refusal("bad_subprotocol", text))
        if len(self._clients) >= self._limits.max_clients:
            text = "This gateway serves as many clients as it can; close one and try again."
            raise web.HTTPServiceUnavailable(
                headers={"Retry-After": "10"}, **self._gate.refusal("too_many_clients", text)
            )
        ws = web.WebSocketResponse(
            protocols=spoken,
            max_msg_size=self._limits.max_inbound_bytes
            + 1,  # aiohttp refuses what reaches its limit, we what exceeds ours
            heartbeat=self._limits.silence_s * 2 / 3,
            timeout=GOODBYE_S,
            compress=False,
        )
        await ws.prepare(request)
        if request.transport is not None:
            request.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES
            )
        now = asyncio.get_running_loop().time
        codec = Codec(ws.ws_protocol or Codec.JSON)
        session = Session(self._hub, codec, now(), self._served, caller, self._limits)
        self._clients[session] = is_due = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                # It ends by itself when the socket is closed, and must not be cancelled while it says why it closes.
                tasks.create_task(self._read(ws, session, is_due), name="live client, reading")
                await self._write(ws, session, is_due)
        except* ConnectionError:
            pass  # the client went away in the middle of a message; it will resume from its cursor
        finally:
            del self._clients[session]
        return ws

    async def _read(self, ws: web.WebSocketResponse, session: Session, is_due: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time
        async for message in ws:
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                session.receive(message.data, now())
                is_due.set()
            elif isinstance(message.data, WebSocketError):  # aiohttp has closed with this code
                is_large = message.data.code == WSCloseCode.MESSAGE_TOO_BIG
                self._hub.refusals["message_too_big" if is_large else "bad_frame"] += 1
        is_due.set()

    async def _write(self, ws: web.WebSocketResponse, session: Session, is_due: asyncio.Event) -> None:
        """Send what is due until either side closes: the only place that writes to this socket."""
        now = asyncio.get_running_loop().time
        kind = WSMsgType.TEXT if session.codec is Codec.JSON else WSMsgType.BINARY
        while not ws.closed:
            is_due.clear()
            # Asked before the round: if the session ends in the middle of it, its goodbye is for the next one.
            closing = session.closing
            for payload in session.messages(now()):
                await ws.send_frame(payload, kind)
            if closing is not None:
                await ws.close(code=closing)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(SHORTEST_PAUSE_S, session.due_s() - now())):
                    await is_due.wait()

"""Carries the live protocol over websockets and HTTP. Moves bytes and time; what is said is decided in the session."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web

from gateway.config import is_loopback
from gateway.live.connection import Connection
from gateway.live.gaps import report_gaps
from gateway.live.gate import Gate, json_answer
from gateway.live.history import answer_history
from gateway.live.pairings import PairingRoutes
from gateway.live.recordings import RecordingRoutes
from gateway.live.requests import MAX_BODY_BYTES, MAX_INBOUND_BYTES
from gateway.live.sensors import SensorRoutes
from gateway.live.session import MAX_CLIENTS, CloseCode, Hub, Session
from gateway.live.source import PairingsView, RecordingsView, SensorsView
from insiders_codecs.live import Codec

_LOG = logging.getLogger(__name__)

SEND_BUFFER_BYTES = 64 * 1024
"""Kernel buffer per client. The default hides megabytes, minutes of samples, before anybody notices a slow laptop."""

SILENCE_S = 45.0
"""A client that gives no sign of life for so long is gone; pings ask for one."""

GOODBYE_S = 2.0
"""How long clients have to take the last message when the gateway stops."""

SHORTEST_PAUSE_S = 0.001
"""A timer may fire a tick of the clock early; without this the loop would spin until the tick has passed."""


class LiveServer:
    """The server on the local network."""

    def __init__(
        self,
        hub: Hub,
        counters: Callable[[], dict[str, object]],
        sensors: SensorsView | None = None,
        pairings: PairingsView | None = None,
        recordings: RecordingsView | None = None,
    ) -> None:
        """Make a server; `listening` opens it.

        Args:
            hub: What the sessions share.
            counters: Numbers for `/api/v1/counters`.
            sensors: The sensors near the gateway; None if it does not serve them.
            pairings: Which sensors the trackers shall listen to; None if it does not serve that.
            recordings: The recordings on their way into the cloud; None if it does not serve them.
        """
        self._hub = hub
        self._counters = counters
        self._gate = Gate(hub.refusals)
        self._sensors = sensors
        self._pairings = pairings
        self._recordings = recordings
        views = {"sensors": sensors, "pairings": pairings, "recordings": recordings}
        self._served = [name for name, view in views.items() if view is not None]
        self._clients: dict[Session, asyncio.Event] = {}

    @asynccontextmanager
    async def listening(
        self, host: str, port: int, is_state_kept: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[int]:
        """Serve for as long as the context is open; clients are told before it closes.

        Args:
            host: A loopback address: there is no access control yet.
            port: TCP port, 0 for any.
            is_state_kept: Asked when it closes: whether the next run goes on under the same epoch.

        Yields:
            The port.

        Raises:
            OSError: If the port is taken.
        """
        if not is_loopback(host):
            raise ValueError("without access control the live server listens on loopback only")
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/api/v1/stream", self._stream)
        app.router.add_get("/api/v1/hello", self._hello)
        app.router.add_get("/api/v1/history", self._history)
        app.router.add_get("/api/v1/gaps", self._gaps)
        app.router.add_get("/api/v1/counters", self._count)
        if self._sensors is not None:
            SensorRoutes(self._sensors).add_to(app.router)
        if self._pairings is not None:
            PairingRoutes(self._pairings).add_to(app.router)
        if self._recordings is not None:
            RecordingRoutes(self._recordings).add_to(app.router)
        # Who hangs up wants no answer any more: a look at a sensor ends with its asker.
        runner = web.AppRunner(app, shutdown_timeout=GOODBYE_S, handler_cancellation=True)
        await runner.setup()
        try:
            http = cast("web.Server", runner.server)
            # Around the application: it refuses some requests before it would ask its middlewares.
            http.request_handler = partial(self._gate.admit, http.request_handler)
            loop = asyncio.get_running_loop()
            listener = await loop.create_server(lambda: Connection(http, self._gate), host, port)
            bound: int = listener.sockets[0].getsockname()[1]
            _LOG.info("Live stream on ws://%s:%d/api/v1/stream", host, bound)
            try:
                yield bound
            finally:
                listener.close()  # nobody comes any more, and everybody who is here is told
                is_resumable = is_state_kept()
                for session, is_due in self._clients.items():
                    session.say_goodbye(CloseCode.RESTART, "The gateway stops.", 2000, is_resumable=is_resumable)
                    is_due.set()
        finally:
            await runner.cleanup()

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._clients)

    async def _hello(self, _request: web.Request) -> web.Response:
        return json_answer({"op": "hello", **self._hub.identity()})

    async def _count(self, _request: web.Request) -> web.Response:
        return json_answer({**self._counters(), "clients": len(self._clients), "refusals": self._hub.refusals})

    async def _history(self, request: web.Request) -> web.Response:
        is_msgpack = "application/msgpack" in request.headers.get("Accept", "")
        codec = Codec.MSGPACK if is_msgpack else Codec.JSON
        body = answer_history(self._hub.channels, self._hub.epoch, request.query, codec)
        return web.Response(body=body, content_type="application/msgpack" if is_msgpack else "application/json")

    async def _gaps(self, request: web.Request) -> web.Response:
        hub = self._hub
        return json_answer(report_gaps(hub.channels, hub.epoch, hub.time()[0], request.query))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        offered = [
            name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()
        ]
        spoken = [str(codec) for codec in Codec]
        if offered and not set(offered) & set(spoken):
            text = f"This gateway speaks {' and '.join(spoken)}; offer one of them, or none for JSON."
            raise web.HTTPBadRequest(**self._gate.refusal("bad_subprotocol", text))
        if len(self._clients) >= MAX_CLIENTS:
            text = "This gateway serves as many clients as it can; close one and try again."
            raise web.HTTPServiceUnavailable(
                headers={"Retry-After": "10"}, **self._gate.refusal("too_many_clients", text)
            )
        ws = web.WebSocketResponse(
            protocols=spoken,
            max_msg_size=MAX_INBOUND_BYTES + 1,  # aiohttp refuses what reaches its limit, we what exceeds ours
            heartbeat=SILENCE_S * 2 / 3,
            timeout=GOODBYE_S,
            compress=False,
        )
        await ws.prepare(request)
        if request.transport is not None:
            request.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES
            )
        now = asyncio.get_running_loop().time
        session = Session(self._hub, Codec(ws.ws_protocol or Codec.JSON), now(), self._served)
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

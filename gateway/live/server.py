"""Carries the live protocol over websockets and HTTP. Moves bytes and time; what is said is decided in the session."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler

from gateway.config import is_loopback
from gateway.live.gaps import report_gaps
from gateway.live.history import answer_history
from gateway.live.requests import MAX_INBOUND_BYTES, ErrorCode, RequestError, parse_inspect
from gateway.live.session import MAX_CLIENTS, CloseCode, Hub, Session
from gateway.live.source import SensorsView
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

_STATUSES = {
    ErrorCode.UNKNOWN_SENSOR: 404,
    ErrorCode.LINK_NEEDED: 409,
    ErrorCode.SENSOR_NOT_IN_THE_AIR: 409,
    ErrorCode.INSPECTION_RUNNING: 409,
    ErrorCode.RADIO_NOT_LISTENING: 503,
    ErrorCode.INSPECTION_FAILED: 502,
}
"""HTTP statuses of refusals; 400 of the others."""


class LiveServer:
    """The server on the local network."""

    def __init__(self, hub: Hub, counters: Callable[[], dict[str, object]], sensors: SensorsView | None = None) -> None:
        """Make a server; `listening` opens it.

        Args:
            hub: What the sessions share.
            counters: Numbers for `/api/v1/counters`.
            sensors: The sensors near the gateway; None if it does not serve them.
        """
        self._hub = hub
        self._counters = counters
        self._sensors = sensors
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
        app = web.Application(client_max_size=MAX_INBOUND_BYTES, middlewares=[self._refuse_in_json])
        app.router.add_get("/api/v1/stream", self._stream)
        app.router.add_get("/api/v1/hello", self._hello)
        app.router.add_get("/api/v1/history", self._history)
        app.router.add_get("/api/v1/gaps", self._gaps)
        app.router.add_get("/api/v1/counters", self._count)
        if self._sensors is not None:
            app.router.add_get("/api/v1/sensors", partial(self._list_sensors, self._sensors))
            app.router.add_post("/api/v1/sensors/{id}/inspect", partial(self._inspect, self._sensors))
        # Who hangs up wants no answer any more: a look at a sensor ends with its asker.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=GOODBYE_S, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound: int = runner.addresses[0][1]
            _LOG.info("Live stream on ws://%s:%d/api/v1/stream", host, bound)
            try:
                yield bound
            finally:
                await site.stop()  # nobody comes any more, and everybody who is here is told
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

    @web.middleware
    async def _refuse_in_json(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """An address that does not exist is answered like everything else that cannot be met."""
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            refusal = self._refusal("method_not_allowed", f"Use {allowed} at this address.")
            return web.Response(status=error.status, headers={"Allow": allowed}, **refusal)
        except web.HTTPNotFound as error:
            if error.content_type == "application/json":
                raise
            text = "There is nothing here; /api/v1/hello says who this is."
            return web.Response(status=error.status, **self._refusal("unknown_path", text))

    async def _hello(self, request: web.Request) -> web.Response:
        self._check_origin(request)
        return _json({"op": "hello", **self._hub.identity()})

    async def _count(self, request: web.Request) -> web.Response:
        self._check_origin(request)
        return _json({**self._counters(), "clients": len(self._clients), "refusals": self._hub.refusals})

    async def _history(self, request: web.Request) -> web.Response:
        self._check_origin(request)
        is_msgpack = "application/msgpack" in request.headers.get("Accept", "")
        codec = Codec.MSGPACK if is_msgpack else Codec.JSON
        try:
            body = answer_history(self._hub.channels, self._hub.epoch, request.query, codec)
        except RequestError as error:
            raise web.HTTPBadRequest(**self._refusal(error.code, str(error))) from None
        return web.Response(body=body, content_type="application/msgpack" if is_msgpack else "application/json")

    async def _gaps(self, request: web.Request) -> web.Response:
        self._check_origin(request)
        hub = self._hub
        try:
            return _json(report_gaps(hub.channels, hub.epoch, hub.time()[0], request.query))
        except RequestError as error:
            raise web.HTTPBadRequest(**self._refusal(error.code, str(error))) from None

    async def _list_sensors(self, sensors: SensorsView, request: web.Request) -> web.Response:
        self._check_origin(request)
        return _json(sensors.report())

    async def _inspect(self, sensors: SensorsView, request: web.Request) -> web.Response:
        self._check_origin(request)
        try:
            wanted = parse_inspect(await request.read())
            return _json(await sensors.inspect(request.match_info["id"], take_link=wanted.take_link))
        except web.HTTPRequestEntityTooLarge:
            text = f"The body may have {MAX_INBOUND_BYTES} bytes."
            return web.Response(status=413, **self._refusal("message_too_big", text))
        except web.RequestPayloadError:  # compressed, and not as it says
            return web.Response(status=400, **self._refusal("bad_message", "The body cannot be read."))
        except RequestError as error:
            return web.Response(status=_STATUSES.get(error.code, 400), **self._refusal(error.code, str(error)))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self._check_origin(request)
        offered = [
            name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()
        ]
        spoken = [str(codec) for codec in Codec]
        if offered and not set(offered) & set(spoken):
            text = f"This gateway speaks {' and '.join(spoken)}; offer one of them, or none for JSON."
            raise web.HTTPBadRequest(**self._refusal("bad_subprotocol", text))
        if len(self._clients) >= MAX_CLIENTS:
            text = "This gateway serves as many clients as it can; close one and try again."
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "10"}, **self._refusal("too_many_clients", text))
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
        session = Session(self._hub, Codec(ws.ws_protocol or Codec.JSON), now())
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

    def _check_origin(self, request: web.Request) -> None:
        """Keep pages of other sites out: a browser would let any of them read heart rates from this address.

        The name in Host must be a loopback one, else a hostile name that resolves to this machine would pass as ours.
        """
        # Not what aiohttp calls the host: without the header it would ask DNS for ours, and all else would wait.
        host = request.headers.get("Host", "")
        if not is_loopback(_split(f"//{host}")[0]):
            text = "Ask for this gateway by its loopback address."
            raise web.HTTPMisdirectedRequest(**self._refusal("bad_host", text))
        origin = request.headers.get("Origin")
        if origin is not None and _split(origin)[1] != host:
            text = "Web pages of other sites may not read this gateway."
            raise web.HTTPForbidden(**self._refusal("bad_origin", text))

    def _refusal(self, code: str, text: str) -> dict[str, Any]:
        """The parts of a refusal over HTTP that tell why, as an `error` message; counted."""
        self._hub.refusals[code] += 1
        message = msgspec.json.encode({"op": "error", "code": code, "text": text})
        return {"text": message.decode(), "content_type": "application/json"}

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


def _json(document: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")


def _split(url: str) -> tuple[str, str]:
    """Host name and authority of a URL that a stranger wrote; empty where it has none."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.netloc
    except ValueError:
        return "", ""

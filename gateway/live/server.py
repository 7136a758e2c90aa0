"""Carries the live protocol over websockets and HTTP. Moves bytes and time; what is said is decided in the session."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from aiohttp import web

from gateway.access.roles import Action
from gateway.config import is_loopback
from gateway.live.admission import Admission, DoorkeeperView
from gateway.live.connection import Connection
from gateway.live.gaps import report_gaps
from gateway.live.gate import Gate, json_answer
from gateway.live.guard import CALLER, Guard
from gateway.live.history import answer_history
from gateway.live.limits import LIMITS, Limits
from gateway.live.names import own_names
from gateway.live.page import add_page
from gateway.live.pairings import PairingRoutes
from gateway.live.recordings import RecordingRoutes
from gateway.live.requests import MAX_BODY_BYTES, ErrorCode, RequestError
from gateway.live.sensors import SensorRoutes
from gateway.live.session import Hub
from gateway.live.source import PairingsView, RecordingsView, SensorsView
from gateway.live.streaming import GOODBYE_S, Streaming
from gateway.live.visibility import Sight
from insiders_codecs.live import Codec

_LOG = logging.getLogger(__name__)


class LiveServer:
    """The server on the local network."""

    def __init__(
        self,
        hub: Hub,
        counters: Callable[[], dict[str, object]],
        sensors: SensorsView | None = None,
        pairings: PairingsView | None = None,
        recordings: RecordingsView | None = None,
        *,
        doorkeeper: DoorkeeperView | None = None,
        limits: Limits = LIMITS,
        is_open_on_loopback: bool = False,
        names: Iterable[str] = (),
    ) -> None:
        """Make a server; `listening` opens it.

        Args:
            hub: What the sessions share.
            counters: Numbers for `/api/v1/counters`.
            sensors: The sensors near the gateway; None if it does not serve them.
            pairings: Which sensors the trackers shall listen to; None if it does not serve that.
            recordings: The recordings on their way into the cloud; None if it does not serve them.
            doorkeeper: Knows whose token lets in; None if there are no tokens.
            limits: What one client may take.
            is_open_on_loopback: Whether who asks from this machine needs no credential.
            names: By which this machine may be asked besides its own.
        """
        self._hub = hub
        self._counters = counters
        self._gate = Gate(hub.refusals, own_names(names))
        self._admission = Admission(doorkeeper, is_open_on_loopback=is_open_on_loopback)
        self._sensors = sensors
        self._pairings = pairings
        self._recordings = recordings
        views = {"sensors": sensors, "pairings": pairings, "recordings": recordings}
        served = [name for name, view in views.items() if view is not None]
        self._streaming = Streaming(hub, self._gate, limits, served)

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
        guard = Guard(app.router, self._admission)
        guard.add_in_band("/api/v1/stream", Action.FOLLOW, self._stream)
        guard.open("GET", "/api/v1/hello", self._hello)
        guard.add("GET", "/api/v1/history", Action.FOLLOW, self._history)
        guard.add("GET", "/api/v1/gaps", Action.FOLLOW, self._gaps)
        guard.add("GET", "/api/v1/counters", Action.SEE_COUNTERS, self._count)
        if self._sensors is not None:
            SensorRoutes(self._sensors).add_to(guard)
        if self._pairings is not None:
            PairingRoutes(self._pairings).add_to(guard)
        if self._recordings is not None:
            RecordingRoutes(self._recordings).add_to(guard)
        add_page(guard)
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
            _LOG.info("Live stream on ws://%(host)s:%(port)s/api/v1/stream", {"host": host, "port": bound})
            try:
                yield bound
            finally:
                listener.close()  # nobody comes any more, and everybody who is here is told
                self._streaming.say_goodbye(is_resumable=is_state_kept())
        finally:
            await runner.cleanup()

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return self._streaming.clients

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        caller = request.get(CALLER)
        if caller is None:
            raise RequestError(ErrorCode.UNAUTHORIZED, "Show a token: `insiders-gateway access create` makes one.")
        return await self._streaming.serve(request, caller)

    async def _hello(self, _request: web.Request) -> web.Response:
        return json_answer({"op": "hello", **self._hub.identity()})

    async def _count(self, _request: web.Request) -> web.Response:
        return json_answer({**self._counters(), "clients": self.clients, "refusals": self._hub.refusals})

    async def _history(self, request: web.Request) -> web.Response:
        is_msgpack = "application/msgpack" in request.headers.get("Accept", "")
        codec = Codec.MSGPACK if is_msgpack else Codec.JSON
        body = answer_history(self._hub.channels, self._hub.epoch, request.query, codec, Sight.of(request[CALLER]))
        return web.Response(body=body, content_type="application/msgpack" if is_msgpack else "application/json")

    async def _gaps(self, request: web.Request) -> web.Response:
        hub = self._hub
        channels = Sight.of(request[CALLER]).channels(hub.channels)
        return json_answer(report_gaps(channels, hub.epoch, hub.time()[0], request.query))

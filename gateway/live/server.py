"""The server on the local network: puts routes, guard and doors together."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

from aiohttp import web

from gateway.access.audit import Audit
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.releases import Releases
from gateway.access.roles import Action
from gateway.live.door.admission import Admission, entrance_of
from gateway.live.door.connection import Connection, answer
from gateway.live.door.doors import GOODBYE_S, local_socket, open_door, tcp_sockets
from gateway.live.door.eviction import evict
from gateway.live.door.gate import Gate
from gateway.live.door.guard import Guard
from gateway.live.door.names import front_url, is_loopback, own_names
from gateway.live.door.places import Places
from gateway.live.door.redirect import redirection
from gateway.live.hub import Hub
from gateway.live.limits import LIMITS, Limits
from gateway.live.requests import MAX_BODY_BYTES
from gateway.live.routes.certificates import CertificateRoutes
from gateway.live.routes.data import DataRoutes
from gateway.live.routes.page import add_page, nowhere
from gateway.live.routes.pairings import PairingRoutes
from gateway.live.routes.people import AccessRoutes
from gateway.live.routes.recordings import RecordingRoutes
from gateway.live.routes.releases import ReleaseRoutes
from gateway.live.routes.sensors import SensorRoutes
from gateway.live.source import CertificatesView, PairingsView, RecordingsView, SensorsView
from gateway.live.stream.streaming import Streaming
from gateway.live.turnstile import Turnstile

_LOG = logging.getLogger(__name__)

REDIRECTS = {443: 80}
"""Port at which TLS is spoken -> the one at which browsers ask first."""


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
        doorkeeper: Doorkeeper | None = None,
        audit: Audit | None = None,
        releases: Releases | None = None,
        certificates: CertificatesView | None = None,
        limits: Limits = LIMITS,
        is_open_on_loopback: bool = False,
        names: Collection[str] = (),
        gateway_id: str = "",
    ) -> None:
        """Make a server; `listening` opens it.

        Args:
            hub: What the sessions share.
            counters: Numbers for `/api/v1/counters`.
            sensors: The sensors near the gateway; None if it does not serve them.
            pairings: Which sensors the trackers shall listen to; None if it does not serve that.
            recordings: The recordings on their way into the cloud; None if it does not serve them.
            doorkeeper: Knows whose token lets in; None if there are no tokens.
            audit: Takes note of who does what; None if nobody does.
            releases: Which athletes may be shown; None if that cannot be changed here.
            certificates: What the gateway proves itself with; None if with nothing.
            limits: What one client may take.
            is_open_on_loopback: Whether who asks from this machine needs no credential.
            names: By which this machine may be asked besides its own.
            gateway_id: What tells this gateway from others.
        """
        self._hub = hub
        self._counters = counters
        self._sensors = sensors
        self._pairings = pairings
        self._recordings = recordings
        self._doorkeeper = doorkeeper
        self._audit = audit
        self._releases = releases
        self._certificates = certificates
        self._limits = limits
        self._admission = Admission(doorkeeper, is_open_on_loopback=is_open_on_loopback)
        self._names = names
        self._gateway_id = gateway_id
        self._gate = Gate(hub.refusals, own_names(names), limits, nowhere)
        self._turnstile = Turnstile()
        self._places = Places(limits.max_clients, limits.max_clients_per_address)
        views = {"sensors": sensors, "pairings": pairings, "recordings": recordings}
        served = [name for name, view in views.items() if view is not None]
        self._streaming = Streaming(hub, self._gate, limits, served, doorkeeper, audit)
        self._front = ""

    @property
    def clients(self) -> int:
        """Clients that follow the stream now."""
        return self._streaming.clients

    @asynccontextmanager
    async def listening(
        self,
        host: str,
        port: int,
        is_state_kept: Callable[[], bool] = lambda: False,
        *,
        tls: ssl.SSLContext | None = None,
        is_insecure: bool = False,
        control: Path | None = None,
    ) -> AsyncIterator[int]:
        """Serve for as long as the context is open; clients are told before it closes.

        Args:
            host: An address of this machine.
            port: TCP port, 0 for any.
            is_state_kept: Asked when it closes: whether the next run goes on under the same epoch.
            tls: With the gateway's certificate; None for plain HTTP.
            is_insecure: Whether plain HTTP may leave this machine.
            control: Where the local socket is, for root and our own user; None if nowhere.

        Yields:
            The port.

        Raises:
            OSError: If the port is taken.
            ValueError: If heart rates would leave this machine unencrypted.
        """
        if tls is None and not is_insecure and not is_loopback(host):
            raise ValueError("off loopback the live server speaks TLS, unless it is told to be insecure")
        with tcp_sockets(host, port) as sockets:
            bound: int = sockets[0].getsockname()[1]
            self._front = front_url(host, bound, self._names, is_tls=tls is not None)
            async with self._answering() as http, AsyncExitStack() as doors:
                # Said when the doors have closed: nobody comes any more, and everybody who is here is told.
                doors.callback(lambda: self._streaming.say_goodbye(is_resumable=is_state_kept()))
                for sock in sockets:
                    await doors.enter_async_context(self._door(sock, http, self._places, tls))
                if control is not None:
                    await doors.enter_async_context(self._local_door(control, http))
                if tls is not None and bound in REDIRECTS:
                    await doors.enter_async_context(self._redirecting(host, REDIRECTS[bound], bound))
                _LOG.info("Live stream on port %(port)s of %(host)s", {"host": host, "port": bound})
                yield bound

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[web.Server]:
        """What reads requests and answers them."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        self.add_routes(app.router)
        # Who hangs up wants no answer any more: a look at a sensor ends with its asker.
        runner = web.AppRunner(app, shutdown_timeout=GOODBYE_S, handler_cancellation=True)
        await runner.setup()
        try:
            http = cast("web.Server", runner.server)
            # Around the application: it refuses some requests before it would ask its middlewares.
            http.request_handler = partial(answer, self._gate, self._turnstile, self._admission, http.request_handler)
            async with self._evicting(http):
                yield http
        finally:
            await runner.cleanup()

    @asynccontextmanager
    async def _evicting(self, http: web.Server) -> AsyncIterator[None]:
        if self._doorkeeper is None:
            yield
            return
        async with asyncio.TaskGroup() as tasks:
            evicting = tasks.create_task(evict(self._doorkeeper, http))
            try:
                yield
            finally:
                evicting.cancel()

    def add_routes(self, router: web.UrlDispatcher) -> Guard:
        """Every address that is served, behind a guard."""
        guard = Guard(router, self._admission, self._audit)
        guard.add_in_band("/api/v1/stream", Action.FOLLOW, self._streaming.serve)
        DataRoutes(self._hub, self._gateway_id, self._counted, self._admission).add_to(guard)
        if self._sensors is not None:
            SensorRoutes(self._sensors).add_to(guard)
        if self._pairings is not None:
            PairingRoutes(self._pairings).add_to(guard)
        if self._recordings is not None:
            RecordingRoutes(self._recordings).add_to(guard)
        if self._doorkeeper is not None and self._audit is not None:
            AccessRoutes(self._doorkeeper, self._audit, self._certificates, self._base_url, self._hub.utc_ms).add_to(
                guard
            )
        if self._releases is not None:
            ReleaseRoutes(self._releases).add_to(guard)
        if self._certificates is not None:
            CertificateRoutes(self._certificates).add_to(guard)
        add_page(guard)
        return guard

    def _counted(self) -> dict[str, object]:
        return {**self._counters(), "clients": self.clients}

    def _base_url(self, request: web.Request) -> str:
        """Where who is invited finds us: where who invites them has."""
        entrance, host = entrance_of(request), request.headers.get("Host", "")
        if entrance.is_local or is_loopback(entrance.address):
            return self._front
        return f"{entrance.scheme}://{host}"

    def _door(
        self, sock: socket.socket, http: web.Server, places: Places | None, tls: ssl.SSLContext | None = None
    ) -> AbstractAsyncContextManager[None]:
        connect = partial(Connection, http, self._gate, places, self._limits)
        return open_door(sock, connect, tls, self._limits.header_s)

    @asynccontextmanager
    async def _local_door(self, path: Path, http: web.Server) -> AsyncIterator[None]:
        """One for root and our own user; none where there can be none, which is no reason not to serve the others."""
        async with AsyncExitStack() as door:
            try:
                sock = door.enter_context(local_socket(path))
            except OSError as error:
                _LOG.warning("Commands on this machine need a token: no local socket, %(error)s", {"error": error})
            else:
                await door.enter_async_context(self._door(sock, http, None))
            yield

    @asynccontextmanager
    async def _redirecting(self, host: str, port: int, to: int) -> AsyncIterator[None]:
        """Doors that send browsers on; none where the port is taken, which is no reason not to serve, either."""
        async with AsyncExitStack() as doors:
            try:
                sockets = doors.enter_context(tcp_sockets(host, port))
            except OSError as error:
                _LOG.warning("Browsers are not sent on from port %(port)s: %(error)s", {"port": port, "error": error})
                sockets = []
            http = web.Server(partial(answer, self._gate, self._turnstile, None, redirection(to)))
            doors.push_async_callback(http.shutdown, GOODBYE_S)
            for sock in sockets:
                await doors.enter_async_context(self._door(sock, http, self._places))
            yield

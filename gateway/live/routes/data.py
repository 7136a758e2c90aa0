"""The routes of the live data that need no websocket: who this is, recent rows, gaps, numbers for engineers."""

from collections.abc import Callable

from aiohttp import web

from gateway.access.audit import LOOKED
from gateway.access.roles import Action
from gateway.live.door.admission import Admission, entrance_of
from gateway.live.door.gate import json_answer
from gateway.live.door.guard import CALLER, SUBJECT, Guard
from gateway.live.gaps import report_gaps
from gateway.live.hub import Hub
from gateway.live.routes.history import answer_history
from gateway.live.turnstile import Turnstile
from gateway.live.visibility import Sight
from insiders_codecs.live import Codec

HISTORIES_AT_ONCE = 1
"""With one turn of the loop: a long one takes as long as the messages of a crowd."""


class DataRoutes:
    """``/api/v1/hello``, ``history``, ``gaps`` and ``counters``."""

    def __init__(
        self, hub: Hub, gateway_id: str, counters: Callable[[], dict[str, object]], admission: Admission
    ) -> None:
        """Make them.

        Args:
            hub: What is shared with the sessions.
            gateway_id: What tells this gateway from others.
            counters: Numbers for engineers.
            admission: Tells whether one who asks needs a credential.
        """
        self._hub = hub
        self._gateway_id = gateway_id
        self._counters = counters
        self._admission = admission
        self._turnstile = Turnstile(HISTORIES_AT_ONCE)

    def add_to(self, guard: Guard) -> None:
        """Serve them."""
        guard.open("GET", "/api/v1/hello", self._hello)
        guard.add("GET", "/api/v1/history", Action.FOLLOW, self._history, deed=LOOKED)
        guard.add("GET", "/api/v1/gaps", Action.FOLLOW, self._gaps)
        guard.add("GET", "/api/v1/counters", Action.SEE_COUNTERS, self._count)

    async def _hello(self, request: web.Request) -> web.Response:
        own = {
            "id": self._gateway_id,
            "tls": entrance_of(request).is_tls,
            "auth": "open" if self._admission.is_open(request) else "required",
        }
        return json_answer({"op": "hello", **self._hub.identity(), **own})

    async def _history(self, request: web.Request) -> web.Response:
        await self._turnstile.passed()
        is_msgpack = "application/msgpack" in request.headers.get("Accept", "")
        codec = Codec.MSGPACK if is_msgpack else Codec.JSON
        body = answer_history(self._hub.channels, self._hub.epoch, request.query, codec, Sight.of(request[CALLER]))
        request[SUBJECT] = request.query["device"]
        return web.Response(body=body, content_type="application/msgpack" if is_msgpack else "application/json")

    async def _gaps(self, request: web.Request) -> web.Response:
        hub = self._hub
        channels = Sight.of(request[CALLER]).channels(hub.channels)
        return json_answer(report_gaps(channels, hub.epoch, hub.time()[0], request.query))

    async def _count(self, _request: web.Request) -> web.Response:
        return json_answer({**self._counters(), "refusals": self._hub.refusals})

"""Outages of the whole cloud, and answers that are lost on their way."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from aiohttp import web

from gateway.simulator.bodies import PROXY_ERROR, send
from gateway.simulator.cloud import SimulatedCloud

_LOOK_S = 1.0
"""How often a request without an answer looks whether the outage is over, real time."""

Form = Literal["reset", "hang", "status"]
"""In place of an answer: a TCP reset; nothing, as long as it lasts; or the page of a proxy."""

_NO_LINGER = struct.pack("ii", 1, 0)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Outage(Exception):  # noqa: N818 - an event, not a failure of the program
    """An outage began while a request was under way."""


class AnswerLost(Exception):  # noqa: N818 - an event, not a failure of the program
    """A request was handled to its end, and its answer will not arrive."""


class Outages:
    """Keeps requests from their handlers, or answers from the client; those of the simulator's own control pass."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud
        self._ends = asyncio.Event()

    async def close(self, _app: web.Application) -> None:
        """Let go of every request that is still without an answer, because the cloud stops."""
        self._ends.set()

    def middleware(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        """What stands before every handler."""

        @web.middleware
        async def interrupt(request: web.Request, handler: _Handler) -> web.StreamResponse:
            try:
                return await answered(request, handler)
            except ConnectionResetError:  # who asked has gone in the middle of the question, and needs no answer
                return web.Response()

        async def answered(request: web.Request, handler: _Handler) -> web.StreamResponse:
            if request.path.startswith("/simulator/"):
                return await handler(request)
            cloud = self._cloud
            if not cloud.is_out:
                try:
                    return await handler(request)
                except Outage:
                    pass
                except AnswerLost:
                    form = cloud.faults.lost_answer_form
                    return await self._meet(request, form, 504, lambda: request.transport is not None)
            return await self._meet(request, cloud.faults.outage_form, 503, lambda: cloud.is_out)

        return interrupt

    async def _meet(
        self, request: web.Request, form: Form, status: int, lasts: Callable[[], bool]
    ) -> web.StreamResponse:
        if form == "status":
            return await send(self._cloud, request, status, PROXY_ERROR, {})
        if form == "hang":
            while lasts() and not self._ends.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._ends.wait()
        reset(request)
        return web.Response()


def reset(request: web.Request) -> None:
    """Cut a connection so that the client sees a TCP reset."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()

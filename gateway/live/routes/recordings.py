"""The routes of the recordings: .asi files on their way into the cloud, and the page on which people see them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import msgspec
from aiohttp import web

from gateway.access.roles import Action
from gateway.live.door.gate import body_of, check_plain, json_answer
from gateway.live.door.guard import Guard
from gateway.live.requests import ErrorCode, RequestError, parse_query
from gateway.live.routes.authors import author_of
from gateway.live.source import RecordingsView

ACTIONS = ("assign", "retry", "discard")

PATIENCE_S = 10.0
"""How long a body may take for the next `PATIENCE_BYTES`, our own disk's time not counted."""

PATIENCE_BYTES = 10_000
"""Less than what the worst mobile link brings in that time."""

_ROOT = "/api/v1/recordings"
_CREATED, _NOT_MODIFIED = 201, 304


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which recordings.

    Attributes:
        is_all: More of those that are done, and those that were deleted.
    """

    is_all: bool = msgspec.field(name="all", default=False)


class RecordingRoutes:
    """``/api/v1/recordings`` and what is below it."""

    def __init__(self, recordings: RecordingsView) -> None:
        self._recordings = recordings

    def add_to(self, guard: Guard) -> None:
        """Serve them."""
        guard.add("GET", _ROOT, Action.SEE_RECORDINGS, self._report)
        guard.add("POST", _ROOT, Action.ADD_RECORDINGS, self._add)
        guard.add("POST", f"{_ROOT}/rebuild", Action.DECIDE_RECORDINGS, self._rebuild)
        guard.add("GET", f"{_ROOT}/{{id}}", Action.SEE_RECORDINGS, self._show)
        for action in ACTIONS:
            guard.add("POST", f"{_ROOT}/{{id}}/{action}", Action.DECIDE_RECORDINGS, partial(self._act, action))

    async def _report(self, request: web.Request) -> web.Response:
        is_all = parse_query(request.query, ListQuery).is_all
        # Before the report: what changes while that is made is told the next time.
        tag = self._recordings.tag(is_all=is_all)
        if tag in {known.value for known in request.if_none_match or ()}:
            answer = web.Response(status=_NOT_MODIFIED)
        else:
            answer = json_answer(await self._recordings.report(is_all=is_all))
        answer.etag = tag
        return answer

    async def _show(self, request: web.Request) -> web.Response:
        return json_answer(self._recordings.show(request.match_info["id"]))

    async def _add(self, request: web.Request) -> web.Response:
        check_plain(request)
        author = author_of(request)
        async with aclosing(_blocks_of(request)) as blocks:
            answer = json_answer(await self._recordings.add(blocks, request.content_length, request.query, author))
        answer.set_status(_CREATED)
        return answer

    async def _act(self, action: str, request: web.Request) -> web.Response:
        recording_id, author = request.match_info["id"], author_of(request)
        return json_answer(await self._recordings.act(action, recording_id, await body_of(request), author))

    async def _rebuild(self, _request: web.Request) -> web.Response:
        return json_answer(await self._recordings.rebuild())


async def _blocks_of(request: web.Request) -> AsyncGenerator[bytes, None]:
    """A body as it comes; raises `RequestError` if it is too slow or makes no sense.

    What is not asked for is not read from the network, so that a body takes the pace of the disk and little memory.
    """
    now = asyncio.get_running_loop().time
    waited_s, came = 0.0, 0
    while True:
        asked_s = now()
        try:
            async with asyncio.timeout(PATIENCE_S - waited_s):
                block = await request.content.readany()
        except TimeoutError:
            text = f"Less than {PATIENCE_BYTES / 1000:.0f} kB came within {PATIENCE_S:.0f} s: send the file again."
            raise RequestError(ErrorCode.BODY_TOO_SLOW, text) from None
        except web.RequestPayloadError:
            raise RequestError(ErrorCode.BAD_MESSAGE, "The body cannot be read: send the file as it is.") from None
        if not block:
            return
        waited_s += now() - asked_s
        came += len(block)
        if came >= PATIENCE_BYTES:
            waited_s, came = 0.0, 0
        yield block

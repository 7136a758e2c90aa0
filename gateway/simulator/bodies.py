"""From an answer to bytes on the wire: JSON, compression, and the faults of a bad line."""

import asyncio
import gzip
from collections.abc import Mapping

import msgspec
from aiohttp import web

from gateway.simulator.cloud import SimulatedCloud

_WORTH_COMPRESSING = 400  # bytes; below, gzip saves nothing
_TRICKLE_S = 0.02


class Page(str):
    """An HTML body."""

    __slots__ = ()


PROXY_ERROR = Page("<html><head><title>Error</title></head><body><h1>The service is unavailable</h1></body></html>")
NO_PAGE = Page("<!doctype html><html><head><title>Not Found</title></head><body><h1>Not Found</h1></body></html>")


async def send(
    cloud: SimulatedCloud, request: web.Request, status: int, body: object, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Answer a request: whole, slowly, or only the first half before the connection is closed.

    A body of bytes is JSON already.
    """
    cloud.statuses[status] += 1
    response = web.Response(status=status, headers=headers)
    if status == 204:
        return response
    if isinstance(body, Page):
        payload, response.content_type = body.encode(), "text/html"
    else:
        payload = body if isinstance(body, bytes) else msgspec.json.encode(body)
        response.content_type = "application/json"
    faults, dice = cloud.faults, cloud.dice
    if faults.gzip and len(payload) >= _WORTH_COMPRESSING and "gzip" in request.headers.get("Accept-Encoding", ""):
        payload = gzip.compress(payload, compresslevel=1, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    truncated = dice.random() < faults.truncated_fraction
    slow = dice.random() < faults.slow_fraction
    if not truncated and not slow:
        response.body = payload
        return response
    return await _badly(cloud, request, response, payload, truncated=truncated, slow=slow)


async def _badly(
    cloud: SimulatedCloud, request: web.Request, answer: web.Response, payload: bytes, *, truncated: bool, slow: bool
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(payload)
    await response.prepare(request)
    try:
        payload = payload[: len(payload) // 2] if truncated else payload
        is_whole = await _write(response, payload, cloud, slow=slow) and not truncated
    except ConnectionError:
        return response  # a client that gives up on a slow body is no fault of the cloud
    if not is_whole:
        response.force_close()
        if request.transport is not None:
            request.transport.close()
    return response


async def _write(response: web.StreamResponse, payload: bytes, cloud: SimulatedCloud, *, slow: bool) -> bool:
    """Returns whether all was written: an outage cuts a slow body."""
    if not slow:
        await response.write(payload)
        return True
    piece = max(1, int(cloud.faults.slow_bytes_per_s * _TRICKLE_S))
    pause_s = piece / cloud.faults.slow_bytes_per_s
    for start in range(0, len(payload), piece):
        if cloud.is_out:
            return False
        await response.write(payload[start : start + piece])
        await asyncio.sleep(pause_s)
    return True

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
    """Answer a request: whole, slowly, or only the first half before the connection is closed."""
    cloud.statuses[status] += 1
    response = web.StreamResponse(status=status, headers=headers)
    if status == 204:
        await response.prepare(request)
        return response
    if isinstance(body, Page):
        payload, response.content_type = body.encode(), "text/html"
    else:
        payload, response.content_type = msgspec.json.encode(body), "application/json"
    accepted = request.headers.get("Accept-Encoding", "")
    if cloud.faults.gzip and "gzip" in accepted and len(payload) >= _WORTH_COMPRESSING:
        payload = gzip.compress(payload, compresslevel=1, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    response.content_length = len(payload)
    truncated = cloud.dice.random() < cloud.faults.truncated_fraction
    slow = cloud.dice.random() < cloud.faults.slow_fraction
    await response.prepare(request)
    try:
        await _write(response, payload[: len(payload) // 2] if truncated else payload, cloud, slow=slow)
    except ConnectionError:
        return response  # a client that gives up on a slow body is no fault of the cloud
    if truncated:
        response.force_close()
        if request.transport is not None:
            request.transport.close()
    return response


async def _write(response: web.StreamResponse, payload: bytes, cloud: SimulatedCloud, *, slow: bool) -> None:
    if not slow:
        await response.write(payload)
        return
    piece = max(1, int(cloud.faults.slow_bytes_per_s * _TRICKLE_S))
    pause_s = piece / cloud.faults.slow_bytes_per_s
    for start in range(0, len(payload), piece):
        await response.write(payload[start : start + piece])
        await asyncio.sleep(pause_s)

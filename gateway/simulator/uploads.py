"""Operations on recordings: uploading one, looking it up, and following its job."""

import asyncio
import re
import socket
from collections.abc import Mapping
from contextlib import suppress

from aiohttp import web

from gateway.simulator.api import Call, Handler, Reply, listed, owned
from gateway.simulator.asi_body import AsiBody, AsiFile
from gateway.simulator.bodies import NO_PAGE, PROXY_ERROR
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import Refusal, invalid, not_found
from gateway.simulator.outage import AnswerLost, Outage, reset

ASI_MAGIC = b"ASI"

_JSON_BYTES = 64  # of a body, beside its base64; generous
_BLOCK = 64 * 1024
_DRAIN_S = 10.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


async def load_asi(cloud: SimulatedCloud, call: Call, request: web.Request) -> Reply:
    """Accept a recording and start its job; the body is decoded as it arrives, and never held as a whole.

    Raises:
        Refusal: Whatever is wrong with it, or the knobs want.
        AnswerLost: It was read, and there will be no answer.
        Outage: One began meanwhile.
        ConnectionResetError: The connection was cut meanwhile, by us or by the client.
    """
    device = owned(cloud, call)
    _check_headers(cloud, request)
    file = await _received(cloud, request)
    faults, jobs, dice = cloud.faults, cloud.jobs, cloud.dice
    if faults.change_latency_ms:
        await asyncio.sleep(faults.change_latency_ms / 1000)
    if dice.random() < faults.upload_swallowed_fraction:
        jobs.fates["swallowed"] += 1
        raise AnswerLost
    if faults.upload_refuses and file.sha256.startswith(faults.upload_refuses_only):
        jobs.fates["refused"] += 1
        raise Refusal(faults.upload_refuses, {"detail": "The file was refused."})
    is_error = dice.random() < faults.upload_error_fraction
    if is_error and dice.random() >= faults.upload_error_accepted_fraction:
        jobs.fates["refused"] += 1
        raise _error(cloud)
    job = jobs.accept(call.manager.manager_id, device.device_id, file, cloud.now_ms(), faults)
    if is_error:
        raise _error(cloud)
    if dice.random() < faults.upload_answer_lost_fraction:
        raise AnswerLost
    if dice.random() < faults.upload_html_fraction:
        return Reply(PROXY_ERROR)
    told = job.as_json(cloud.now_ms(), faults)
    return Reply({**told, "state": "SUCCESS", "details": {}} if faults.job_immediate else told)


async def see_off(cloud: SimulatedCloud, request: web.Request, answer: web.StreamResponse) -> None:
    """What follows an answer that was given before the body was read.

    Raises:
        ConnectionResetError: The client has gone meanwhile.
    """
    if request.content.at_eof():
        return
    await answer.prepare(request)
    await answer.write_eof()
    if cloud.faults.upload_unread == "drained":
        # Left to the server, this would go on for seconds after the client has gone.
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while await request.content.readany():
                    pass
                return
    if request.transport is not None:
        request.transport.close()


def find_asi(cloud: SimulatedCloud, call: Call) -> Reply:
    """The uploads of a file for a tracker, by its SHA-256."""
    faults, now_ms = cloud.faults, cloud.now_ms()
    if not faults.lookup_enabled:
        raise Refusal(404, NO_PAGE)
    device, sha256 = owned(cloud, call), call.query.get("sha256", "")
    if cloud.dice.random() < faults.lookup_error_fraction:
        raise Refusal(faults.error_status, {"detail": "A server error occurred."})
    if not _SHA256.fullmatch(sha256):
        raise invalid("sha256", "Enter 64 hexadecimal digits in lower case.")
    found = [
        {"sha256": job.sha256, **job.as_json(now_ms, faults)}
        for job in cloud.jobs.all
        if job.device_id == device.device_id
        and job.manager_id == call.manager.manager_id
        and (job.sha256 == sha256 or not faults.lookup_filters)
        and job.created_ms + faults.lookup_lag_s * 1000 <= now_ms
    ]
    return listed(cloud, call, found)


def job(cloud: SimulatedCloud, call: Call) -> Reply:
    """State of a job the caller started."""
    found = cloud.jobs.find(call.path["job"])
    if found is None or found.manager_id != call.manager.manager_id or cloud.faults.job_lost:
        raise not_found()
    return Reply(found.as_json(cloud.now_ms(), cloud.faults))


HANDLERS: Mapping[str, Handler] = {"find_asi": find_asi, "job": job}


def _check_headers(cloud: SimulatedCloud, request: web.Request) -> None:
    """What can be refused before the body is read."""
    faults = cloud.faults
    if request.content_length is None and faults.upload_needs_length:
        raise Refusal(411, {"detail": "A Content-Length is required."})
    if request.content_type != "application/json":
        raise Refusal(415, {"detail": f'Unsupported media type "{request.content_type}" in request.'})
    if encoding := request.headers.get("Content-Encoding"):
        raise Refusal(415, {"detail": f'Unsupported content encoding "{encoding}" in request.'})
    limit_bytes = (faults.upload_limit_bytes + 2) // 3 * 4 + _JSON_BYTES
    if faults.upload_early_413 and (request.content_length or 0) > limit_bytes:
        raise _too_large()


async def _received(cloud: SimulatedCloud, request: web.Request) -> AsiFile:
    faults, dice, body, read_bytes = cloud.faults, cloud.dice, AsiBody(), 0
    if faults.upload_seconds_per_mb and request.transport is not None:
        # Otherwise the kernel takes megabytes at once, and no client sees how slowly they are read.
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BLOCK)
    is_cut = dice.random() < faults.upload_cut_fraction
    cut_bytes = dice.random() * (request.content_length or 0)
    while True:
        if is_cut and read_bytes >= cut_bytes:
            cloud.jobs.fates["cut"] += 1
            reset(request)
            raise ConnectionResetError
        block = await request.content.read(_BLOCK)
        if cloud.is_out:
            raise Outage
        if not block:
            break
        read_bytes += len(block)
        body.feed(block)
        if faults.upload_seconds_per_mb:
            await asyncio.sleep(len(block) / 1e6 * faults.upload_seconds_per_mb)
    file = body.end()
    if file.size > faults.upload_limit_bytes:
        raise _too_large()
    if not file.head.startswith(ASI_MAGIC):
        raise Refusal(400, {"message": "Not an ASI file."})
    return file


def _too_large() -> Refusal:
    return Refusal(413, {"detail": "Request body exceeded the allowed size."})


def _error(cloud: SimulatedCloud) -> Refusal:
    body = PROXY_ERROR if cloud.faults.error_body == "html" else {"detail": "A server error occurred."}
    return Refusal(cloud.faults.upload_error_status, body)

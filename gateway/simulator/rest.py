"""The REST API and the token endpoint over HTTP: each operation of the table bound to its handler."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from gateway.cloud.endpoints import Base, Endpoint, EndpointTable
from gateway.simulator import oauth, rest_accounts, rest_data, rest_devices, rest_setup, uploads
from gateway.simulator.accounts import Manager
from gateway.simulator.api import Call, Handler, Reply
from gateway.simulator.bodies import NO_PAGE, send
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import Refusal
from gateway.simulator.gate import admit
from gateway.simulator.outage import AnswerLost

PREFIXES: Mapping[Base, str] = {Base.API: "/v1/", Base.TOKEN: "/", Base.WEBSOCKET: "/v1/ws/"}
"""Where each base of the table lies on the simulator's one port."""

_HANDLERS: Mapping[str, Handler] = {
    **rest_accounts.HANDLERS,
    **rest_devices.HANDLERS,
    **rest_data.HANDLERS,
    **rest_setup.HANDLERS,
    **uploads.HANDLERS,
}
_WITHOUT_ACCOUNT = {"create_manager"}
_STRANGER = Manager(0, "", "", "", "")
_Work = Callable[[web.Request], Awaitable[Reply]]


def add_routes(app: web.Application, cloud: SimulatedCloud, endpoints: EndpointTable) -> None:
    """Serve the token endpoint and every operation of the API at its path."""
    for operation, endpoint in endpoints.items():
        if endpoint.base is not Base.WEBSOCKET:
            is_change = endpoint.base is Base.API and endpoint.method != "GET"
            work = _work(cloud, operation, endpoint, is_change=is_change)
            served = _served(cloud, operation, work, is_change=is_change)
            app.router.add_route(endpoint.method, path(endpoint), served)
    app.middlewares.append(_strict_slash(cloud, endpoints))


def path(endpoint: Endpoint) -> str:
    """An endpoint's path on the simulator's port."""
    return PREFIXES[endpoint.base] + endpoint.path


def _served(
    cloud: SimulatedCloud, operation: str, work: _Work, *, is_change: bool
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            await admit(cloud, operation)
            reply = await work(request)
        except Refusal as refusal:
            answer = await send(cloud, request, refusal.status, refusal.body, refusal.headers)
            if operation == "load_asi":
                await uploads.see_off(cloud, request, answer)
            return answer
        if is_change and cloud.dice.random() < cloud.faults.lost_answer_fraction:
            raise AnswerLost
        return await send(cloud, request, reply.status, reply.body, {})

    return serve


def _work(cloud: SimulatedCloud, operation: str, endpoint: Endpoint, *, is_change: bool) -> _Work:
    if endpoint.base is Base.TOKEN:
        return _token(cloud)
    return _upload(cloud) if operation == "load_asi" else _operation(cloud, operation, is_change=is_change)


def _upload(cloud: SimulatedCloud) -> _Work:
    async def work(request: web.Request) -> Reply:
        call = Call(_manager(cloud, request), request.match_info, request.query, None)
        return await uploads.load_asi(cloud, call, request)

    return work


def _operation(cloud: SimulatedCloud, operation: str, *, is_change: bool) -> _Work:
    handler = _HANDLERS[operation]

    async def work(request: web.Request) -> Reply:
        manager = _STRANGER if operation in _WITHOUT_ACCOUNT else _manager(cloud, request)
        call = Call(manager, request.match_info, request.query, await _json(request))
        if is_change and cloud.faults.change_latency_ms:
            await asyncio.sleep(cloud.faults.change_latency_ms / 1000)
        return handler(cloud, call)

    return work


def _manager(cloud: SimulatedCloud, request: web.Request) -> Manager:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    bearer = token if scheme.lower() == "bearer" else None
    return cloud.accounts.authorise(bearer, cloud.now_ms(), cloud.faults).manager


def _token(cloud: SimulatedCloud) -> _Work:
    async def work(request: web.Request) -> Reply:
        form = await request.post() if request.content_type == "application/x-www-form-urlencoded" else {}
        fields = {key: value for key, value in form.items() if isinstance(value, str)}
        return oauth.token(cloud, fields, request.headers.get("Authorization"))

    return work


async def _json(request: web.Request) -> object:
    if request.method == "GET":
        return None
    try:
        content = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refusal(413, {"detail": "Request body exceeded the allowed size."}) from None
    if not content:
        return None
    if request.content_type != "application/json":
        raise Refusal(415, {"detail": f'Unsupported media type "{request.content_type}" in request.'})
    try:
        body: object = json.loads(content)
    except (ValueError, RecursionError):
        raise Refusal(400, {"detail": "JSON parse error."}) from None
    return body


def _strict_slash(cloud: SimulatedCloud, endpoints: EndpointTable) -> Callable[..., Awaitable[web.StreamResponse]]:
    """A GET that lacks the final slash is redirected; anything else that fits no path gets the framework's own page."""
    known = [re.compile(re.sub(r"{\w+}", "[^/]+", path(endpoint))) for endpoint in endpoints.values()]

    @web.middleware
    async def strict_slash(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        problem = request.match_info.http_exception
        if problem is None:
            return await handler(request)
        cloud.requests["unknown"] += 1
        if problem.status == 405:
            body = {"detail": f'Method "{request.method}" not allowed.'}
            return await send(cloud, request, 405, body, {"Allow": problem.headers.get("Allow", "")})
        slashed = request.path + "/"
        if request.method == "GET" and any(pattern.fullmatch(slashed) for pattern in known):
            location = slashed + (f"?{request.query_string}" if request.query_string else "")
            return await send(cloud, request, 301, NO_PAGE, {"Location": location})
        return await send(cloud, request, 404, NO_PAGE, {})

    return strict_slash

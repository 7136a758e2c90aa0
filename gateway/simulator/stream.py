"""The live websocket of one tracker: authorisation, then one message for each second that arrives."""

import asyncio
import json
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from gateway.simulator.accounts import Grant
from gateway.simulator.bodies import send
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import Refusal
from gateway.simulator.gate import admit
from gateway.simulator.outage import reset
from gateway.simulator.rows import add_unknown

# How often arrivals are looked for, in real time: the cloud's clock may be moved by hand.
_LOOK_S = 0.1


class Streams:
    """The open websockets."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud
        self._open: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle one connection until it ends."""
        cloud = self._cloud
        try:
            await admit(cloud, "live_data")
        except Refusal as refusal:
            return await send(cloud, request, refusal.status, refusal.body, refusal.headers)
        websocket = web.WebSocketResponse(compress=False)
        await websocket.prepare(request)
        cloud.statuses[101] += 1
        self._open.add(websocket)
        try:
            await self._talk(websocket, request)
        except ConnectionError:
            pass  # the client is gone
        finally:
            self._open.discard(websocket)
        return websocket

    async def close(self, _app: web.Application) -> None:
        """End every connection because the cloud stops."""
        for websocket in tuple(self._open):
            await websocket.close(code=1001, message=b"going away")

    async def _talk(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        cloud = self._cloud
        await websocket.send_str('{"message": "Authorization needed"}')
        grant = await self._authorised(websocket)
        device_id = _device(request)
        if grant is None or not cloud.ownerships.owns(grant.manager.manager_id, device_id):
            await self._refuse(websocket)
            return
        await websocket.send_str('{"message": "Authorized"}')
        opened_ms = seen_ms = cloud.now_ms()
        while not websocket.closed:
            await _pause(websocket)
            now_ms, faults = cloud.now_ms(), cloud.faults
            if cloud.is_out:
                reset(request)
                return
            if faults.websocket_lifetime_s and now_ms - opened_ms >= faults.websocket_lifetime_s * 1000:
                if request.transport is not None:
                    request.transport.abort()
                return
            expired = faults.websocket_closes_on_expiry and now_ms >= grant.expires_ms
            if expired or not cloud.ownerships.owns(grant.manager.manager_id, device_id):
                await self._refuse(websocket)
                return
            spans = cloud.ownerships.spans(grant.manager.manager_id, device_id)
            for update in cloud.updates(device_id, seen_ms, now_ms, spans):
                await self._send(websocket, dict(update))
            seen_ms = now_ms

    async def _authorised(self, websocket: web.WebSocketResponse) -> Grant | None:
        cloud = self._cloud
        try:
            message = await websocket.receive(timeout=cloud.faults.websocket_deadline_s)
        except TimeoutError:
            return None
        token = _token(message.data) if message.type is WSMsgType.TEXT else None
        try:
            return cloud.accounts.authorise(token, cloud.now_ms(), cloud.faults)
        except Refusal:
            return None

    async def _refuse(self, websocket: web.WebSocketResponse) -> None:
        faults = self._cloud.faults
        if websocket.closed:
            return
        if faults.websocket_refusal_message is not None:
            await websocket.send_str(json.dumps({"message": faults.websocket_refusal_message}))
        await websocket.close(code=faults.websocket_refusal_code)

    async def _send(self, websocket: web.WebSocketResponse, update: dict[str, object]) -> None:
        faults, dice = self._cloud.faults, self._cloud.dice
        if dice.random() < faults.unknown_field_fraction:
            update = add_unknown(update, dice)
        text = msgspec.json.encode(update).decode()
        for _ in range(1 + (dice.random() < faults.duplicate_fraction)):
            await websocket.send_str(text)


async def _pause(websocket: web.WebSocketResponse) -> None:
    try:
        async with asyncio.timeout(_LOOK_S):
            await websocket.receive()
    except TimeoutError:
        pass


def _device(request: web.Request) -> int:
    text = request.match_info["device"]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else -1


def _token(text: str) -> str | None:
    try:
        message: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    token = message.get("token") if isinstance(message, dict) else None
    return token if isinstance(token, str) else None

"""One live websocket of one tracker: authorisation, then one message for each second that arrives.

`look` decides what the client gets and when the connection ends, and never waits; `talk` moves the bytes.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from gateway.simulator.accounts import Grant
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import Refusal
from gateway.simulator.outage import reset
from gateway.simulator.rows import add_unknown, garbled

_OUTBOX_MAXIMUM = 20_000  # messages; a client that reads none of so many is cut off
_FRAMES_THAT_END = {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}
_End = Callable[[], Awaitable[None]]


class Connection:
    """A connection from its handshake to its end."""

    def __init__(self, cloud: SimulatedCloud, request: web.Request, websocket: web.WebSocketResponse) -> None:
        self._cloud = cloud
        self._request = request
        self._websocket = websocket
        self._device_id = _device(request)
        self._grant: Grant | None = None
        self._opened_ms = self._seen_ms = self._due_ms = cloud.now_ms()
        self._changes = cloud.changes
        self._outbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._held: bytes | None = None
        self._is_silent = False  # sends no data any more
        self._is_mute = False  # answers nothing at all any more
        self._is_ending = False
        self._end: _End | None = None

    # --- moving bytes -------------------------------------------------------------------------------------------------

    async def talk(self) -> None:
        """Authorise, then send what is put into the outbox, until the connection ends."""
        await self._websocket.send_str('{"message": "Authorization needed"}')
        grant = await self._authorised()
        if not self._is_mute:
            if grant is None or not self._cloud.ownerships.owns(grant.manager.manager_id, self._device_id):
                await self._refuse()
                return
            await self._websocket.send_str('{"message": "Authorized"}')
            self._opened_ms = self._seen_ms = self._due_ms = self._cloud.now_ms()
            self._grant = grant
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read())
            while (message := await self._outbox.get()) is not None:
                await self._websocket.send_frame(message, WSMsgType.TEXT)
            if self._end is not None:
                await self._end()
            reading.cancel()

    async def _authorised(self) -> Grant | None:
        cloud = self._cloud
        try:
            async with asyncio.timeout(cloud.faults.websocket_deadline_s):
                while (message := await self._websocket.receive()).type is WSMsgType.PING:
                    await self._websocket.pong(message.data)
        except TimeoutError:
            return None
        token = _token(message.data) if message.type is WSMsgType.TEXT else None
        try:
            return cloud.accounts.authorise(token, cloud.now_ms(), cloud.faults)
        except Refusal:
            return None

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message.type in _FRAMES_THAT_END:
                if not self._is_mute:
                    self._finish(self._close)
                return
            if message.type is WSMsgType.PING and not self._is_mute:
                await self._websocket.pong(message.data)

    async def _refuse(self) -> None:
        faults = self._cloud.faults
        if self._websocket.closed:
            return
        if faults.websocket_refusal_message is not None:
            await self._websocket.send_str(json.dumps({"message": faults.websocket_refusal_message}))
        await self._websocket.close(code=faults.websocket_refusal_code)

    async def _close(self) -> None:
        await self._websocket.close()

    async def _go_away(self) -> None:
        await self._websocket.close(code=1001, message=b"going away")

    async def _restart(self) -> None:
        await self._websocket.close(code=1012, message=b"service restart")

    # --- deciding -----------------------------------------------------------------------------------------------------

    def look(self, now_ms: int) -> None:
        """Put into the outbox what has arrived since the last look, and see whether the connection has to end."""
        if self._request.transport is None:
            self._finish()
        if self._grant is None or self._is_silent or self._is_ending:
            return
        cloud, faults = self._cloud, self._cloud.faults
        manager_id, age_ms = self._grant.manager.manager_id, now_ms - self._opened_ms
        expired = faults.websocket_closes_on_expiry and now_ms >= self._grant.expires_ms
        if faults.websocket_lifetime_s and age_ms >= faults.websocket_lifetime_s * 1000:
            self._drop()
        elif expired or not cloud.ownerships.owns(manager_id, self._device_id):
            self._finish(self._refuse)
        elif faults.websocket_silent_after_s and age_ms >= faults.websocket_silent_after_s * 1000:
            self._is_silent, self._is_mute = True, not faults.websocket_silent_pongs
        elif now_ms >= self._due_ms or self._changes != cloud.changes:
            spans = cloud.ownerships.spans(manager_id, self._device_id)
            for update in cloud.updates(self._device_id, self._seen_ms, now_ms, spans):
                self._put(update)
            self._seen_ms, self._due_ms, self._changes = now_ms, cloud.next_arrival_ms(self._device_id), cloud.changes
            if self._outbox.qsize() > _OUTBOX_MAXIMUM:
                self._drop()

    def interrupt(self) -> None:
        """There is an outage."""
        match self._cloud.faults.outage_form:
            case "hang":
                self._is_silent = self._is_mute = True
            case "status" if self._grant is not None and not self._is_mute:
                self._finish(self._restart)
            case _:
                reset(self._request)
                self._finish()

    def go_away(self) -> None:
        """The cloud stops."""
        if self._grant is None or self._is_mute:
            self._drop()
        else:
            self._finish(self._go_away)

    def _put(self, update: bytes) -> None:
        faults, dice = self._cloud.faults, self._cloud.dice
        if faults.unknown_field_fraction and dice.random() < faults.unknown_field_fraction:
            update = msgspec.json.encode(add_unknown(msgspec.json.decode(update), dice))
        if faults.websocket_garbage_fraction and dice.random() < faults.websocket_garbage_fraction:
            update = garbled(update, dice)
        if self._held is None and faults.websocket_shuffle and dice.random() < faults.websocket_shuffle:
            self._held = update
            return
        twice = faults.duplicate_fraction and dice.random() < faults.duplicate_fraction
        for message in (update, update if twice else None, self._held):
            if message is not None:
                self._outbox.put_nowait(message)
        self._held = None

    def _drop(self) -> None:
        """End without a close frame."""
        if self._request.transport is not None:
            self._request.transport.abort()
        self._finish()

    def _finish(self, end: _End | None = None) -> None:
        """Let `talk` come to its end when all that was put before is sent; `end` tells the client."""
        if not self._is_ending:
            self._is_ending, self._end = True, end
            self._outbox.put_nowait(None)


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

"""The cloud's live websockets: one connection per tracker, authorised within seconds, watched by pings of our own.

A tracker that is switched off is silent for hours and its connection is right: silence is no error here, a ping
without an answer is.

Source: Insiders API 1.22, "Websocket Protocol". Neither the words nor the close code of a refusal are documented. So
whatever comes in place of "Authorized" is one, but for the close codes by which a server says that it is in trouble.
"""

import asyncio
import math
import random
from asyncio import sslproto
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Literal

import aiohttp
import msgspec
from aiohttp import WSCloseCode, WSMsgType
from yarl import URL

from gateway.cloud.answers import Answer, body_of, decode, server_text
from gateway.cloud.auth import AccessToken, Authoriser
from gateway.cloud.errors import BadAnswer, Broken, CloudError, Fault, Forbidden, Throttled, Unauthorized, Unreachable
from gateway.cloud.exchange import Exchange, translated
from gateway.cloud.pacing import Priority
from gateway.cloud.replay import Replay
from gateway.cloud.sessions import USER_AGENT
from insiders_codecs.cloud import DecodedRows
from insiders_codecs.cloud_updates import decode_update

PING_S = 10.0
"""Silence before a ping. Its answer may take half as long, so a dead connection is known after 15 s."""

CONNECT_S = 5.0
HANDSHAKE_S = 8.0
AUTHORISED_WITHIN_S = 3.0
"""The cloud gives us as long to say who we are."""

MAX_MESSAGE = 256 * 1024
"""Bytes; a second has 1 kB, and a backlog sent at once may have minutes of them."""

MAX_MALFORMED = 5
"""Messages in a row that cannot be read before the connection is given up."""

RENEWAL_SPREAD_S = 60.0
"""Time over which the connections follow a renewed token, so that a thousand do not come back at once."""

_MAX_OPENING = 6
"""Half of the slots: polls go on while websockets hang."""

_GOODBYE_S = 1.0
_MAX_REFUSAL = 16 * 1024
_TLS_RECORD = 16 * 1024
_OPERATION = "live_data"
_PROMPT, _WELCOME = "Authorization needed", "Authorized"

# RFC 6455, section 7.4.1, and the registry of IANA.
_SERVER_IN_TROUBLE = {
    WSCloseCode.GOING_AWAY,
    WSCloseCode.ABNORMAL_CLOSURE,
    WSCloseCode.INTERNAL_ERROR,
    WSCloseCode.SERVICE_RESTART,
    WSCloseCode.TRY_AGAIN_LATER,
    WSCloseCode.BAD_GATEWAY,
}

_Websocket = aiohttp.ClientWebSocketResponse[Literal[False]]


class Streams:
    """Opens live websockets.

    Args:
        session: A session of `open_stream_session`.
        exchange: Where handshakes are paced and messages counted.
        authoriser: Where tokens come from.
        base_url: Base URL of the websockets, with its final slash.
        path: The path below it, with ``{device}``.
    """

    def __init__(
        self, session: aiohttp.ClientSession, exchange: Exchange, authoriser: Authoriser, base_url: str, path: str
    ) -> None:
        self._session = session
        self._exchange = exchange
        self._authoriser = authoriser
        self._base_url = base_url
        self._authority = URL(base_url).authority
        self._path = path
        self._now = asyncio.get_running_loop().time
        self._opening = asyncio.Semaphore(_MAX_OPENING)
        self._closed_until_s = 0.0
        self._replay = Replay(authoriser)

    @asynccontextmanager
    async def open(self, device_id: int) -> AsyncIterator[AsyncIterator[DecodedRows]]:
        """Connect and authorise; what `gateway.cloud.client.CloudClient.live` promises."""
        async with self._opening:
            websocket, token = await self._replay.perform(device_id, partial(self._connected, device_id))
        try:
            async with aclosing(self._updates(websocket, token)) as updates:
                yield updates
        finally:
            await websocket.close()

    async def _connected(self, device_id: int, token: AccessToken) -> tuple[_Websocket, AccessToken]:
        if (pause_s := self._closed_until_s - self._now()) > 0:
            raise Throttled(_OPERATION, pause_s)
        try:
            async with self._exchange.attempt(Priority.LIVE, is_websocket=True):
                websocket = await self._handshake(self._path.format(device=device_id), token)
        except Throttled as throttled:
            self._closed_until_s = self._now() + throttled.retry_after_s
            raise
        try:
            await self._authorise(websocket, token)
        except BaseException as error:
            if isinstance(error, CloudError):
                self._exchange.count(error)
            await websocket.close()
            raise
        self._authoriser.accepted(token)
        return websocket, token

    async def _handshake(self, path: str, token: AccessToken) -> _Websocket:
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                return await self._session.ws_connect(
                    self._base_url + path,
                    headers=token.header,
                    heartbeat=PING_S,
                    autoping=False,
                    max_msg_size=MAX_MESSAGE,
                    decode_text=False,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_GOODBYE_S),
                )
        except _NoWebsocketError as refusal:
            body_of(refusal.answer, _OPERATION, path, (token.value,))
            raise BadAnswer(_OPERATION, Fault.WRONG_SHAPE, "no websocket") from None
        except (aiohttp.ClientError, OSError) as error:
            # aiohttp's errors carry our headers.
            raise translated(_OPERATION, error, self._authority) from None

    async def _authorise(self, websocket: _Websocket, token: AccessToken) -> None:
        request = {"action": "authorize", "token": token.value.reveal()}
        try:
            async with asyncio.timeout(AUTHORISED_WITHIN_S):
                await websocket.send_frame(msgspec.json.encode(request), WSMsgType.TEXT)
                while not await self._is_authorised(websocket, token):
                    pass
        except TimeoutError:
            raise self._unreachable(Broken.TIMEOUT) from None
        except aiohttp.ClientError:
            raise self._unreachable(Broken.CUT) from None

    async def _is_authorised(self, websocket: _Websocket, token: AccessToken) -> bool:
        """Whether the next message says so."""
        message = await websocket.receive()
        match message.type:
            case WSMsgType.TEXT | WSMsgType.BINARY:
                said = _said(message.data)
                if said in {_PROMPT, _WELCOME}:
                    return said == _WELCOME
                raise self._refusal(message.data, token)
            case WSMsgType.CLOSE if message.data not in _SERVER_IN_TROUBLE:
                raise self._refusal((message.extra or "").encode(), token)
            case WSMsgType.PING:
                await websocket.pong(message.data)
            case WSMsgType.PONG:
                pass
            case _:
                raise self._end(websocket, message.data)
        return False

    def _refusal(self, text: bytes, token: AccessToken) -> CloudError:
        # It may mean the token as well as the right, and a token that is in use elsewhere is not at fault.
        leaf = Forbidden if self._authoriser.has_worked(token) else Unauthorized
        return leaf(_OPERATION, server_text(Answer(0, {}, text), (token.value,)))

    async def _updates(self, websocket: _Websocket, token: AccessToken) -> AsyncGenerator[DecodedRows]:
        look_at_s = self._now() + RENEWAL_SPREAD_S * random.random()
        malformed = 0
        while True:
            message = await websocket.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    self._exchange.count_message(len(message.data))
                    try:
                        rows = decode(message.data, decode_update, _OPERATION)
                    except BadAnswer as error:
                        self._exchange.count_malformed(error)
                        malformed += 1
                        if malformed == MAX_MALFORMED:
                            raise
                    else:
                        malformed = 0
                        if len(rows.block) or rows.rows_rejected:  # it may be about something else
                            yield rows
                case WSMsgType.PING:
                    await self._pong(websocket, message.data)
                case WSMsgType.PONG:
                    pass
                case _:
                    raise self._end(websocket, message.data)
            # A silent connection is woken by the answers to its pings, so this needs no timer.
            if (now_s := self._now()) >= look_at_s:
                if self._authoriser.is_superseded(token):
                    return
                look_at_s = now_s + RENEWAL_SPREAD_S

    async def _pong(self, websocket: _Websocket, payload: bytes) -> None:
        try:
            await websocket.pong(payload)
        except aiohttp.ClientError:
            raise self._unreachable(Broken.CUT) from None

    def _end(self, websocket: _Websocket, cause: object) -> CloudError:
        """What the end of a connection means."""
        if isinstance(cause, aiohttp.WebSocketError):
            if cause.code == WSCloseCode.MESSAGE_TOO_BIG:
                return BadAnswer(_OPERATION, Fault.TOO_LARGE)
            return BadAnswer(_OPERATION, Fault.WRONG_SHAPE, "broken websocket frame")
        is_silent = isinstance(websocket.exception(), TimeoutError)
        return self._unreachable(Broken.TIMEOUT if is_silent else Broken.CUT)

    def _unreachable(self, reason: Broken) -> CloudError:
        return Unreachable(_OPERATION, reason, self._authority)


def open_stream_session() -> aiohttp.ClientSession:
    """A session for websockets, as strict as the one for requests: no cookies, no redirects, TLS is verified."""
    # asyncio reads into a buffer of 256 kB for each TLS connection, 250 MB for a thousand trackers. There is no public
    # switch; a test notices if this one goes.
    sslproto.SSLProtocol.max_size = _TLS_RECORD
    return aiohttp.ClientSession(
        # aiohttp would round the wait for a pong up to whole seconds.
        connector=aiohttp.TCPConnector(limit=0, force_close=True, timeout_ceil_threshold=math.inf),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        middlewares=(_only_websockets,),
    )


class _NoWebsocketError(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


async def _only_websockets(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Stops at any answer but a switch of protocols: aiohttp would follow a redirect, and not read what went wrong."""
    response = await send(request)
    if response.status != 101:
        try:
            raise _NoWebsocketError(
                Answer(response.status, response.headers, await response.content.read(_MAX_REFUSAL))
            )
        finally:
            response.close()
    return response


class _Words(msgspec.Struct):
    message: str


_WORDS = msgspec.json.Decoder(_Words)


def _said(text: bytes) -> str:
    """What a message of the authorisation says, "" if it is none."""
    try:
        return _WORDS.decode(text).message
    except (msgspec.DecodeError, RecursionError):
        return ""

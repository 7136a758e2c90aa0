"""A gateway's live stream from the other side: connects, subscribes, resumes after every cut, and asks over HTTP."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from gateway.live.requests import ErrorCode, RequestError
from insiders_codecs.errors import DecodeError
from insiders_codecs.live import MAX_FRAME_BYTES, Arrivals, Codec, Message, decode, decode_rows, encode

DEFAULT_PORT, DEFAULT_PATH = 8770, "/api/v1/stream"
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_HTTP_SCHEMES = {"ws": "http", "wss": "https"}
_OK, _NOT_LOOPBACK = 200, 421
_RESTART = 1012  # close code of RFC 6455's registry: the server stops or restarts

FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 10.0
LONGEST_ASKED_S = 60.0
"""A gateway may ask for a longer pause than our own, but not for ever."""

SILENCE_S = 10.0
"""The server says the time every 2 s; five times that without a word means that the connection is dead."""

ANSWER_TIMEOUT_S = 10.0
"""How long a gateway may take to answer a question over HTTP: it has the answer in memory."""

INSPECTION_TIMEOUT_S = 90.0
"""How long it may take to look closer at a sensor: connecting, reading and listening have limits of their own."""

_SUB = 1


def stream_url(text: str) -> str:
    """The address of a gateway's live stream from what a person types: a URL, host and port, or a port of this machine.

    Raises:
        StreamError: If it can be neither.
    """
    typed = f"127.0.0.1:{text}" if text.isascii() and text.isdigit() else text
    try:
        url = URL(typed if "://" in typed else f"ws://{typed}")
        port = url.explicit_port or DEFAULT_PORT
        path = DEFAULT_PATH if url.path == "/" else url.path
        return str(URL.build(scheme=_SCHEMES[url.scheme], host=url.host or "", port=port, path=path or DEFAULT_PATH))
    except (ValueError, KeyError):
        raise StreamError(f"{text} is no address of a gateway; try 127.0.0.1:{DEFAULT_PORT}") from None


class StreamError(ConnectionError):
    """The address answers, but is no live stream we can follow; trying again would change nothing."""


class NobodyThereError(StreamError):
    """Nothing listens at the address."""


async def fetch_gaps(url: str) -> bytes:
    """The gaps that a gateway remembers: the JSON of `gateway.live.gaps.GapReport`.

    Args:
        url: Of its live stream, as `stream_url` gives it.

    Raises:
        StreamError: If it cannot be had.
    """
    return await _fetch(url, "gaps")


async def fetch_sensors(url: str) -> bytes:
    """The Bluetooth sensors near a gateway: the JSON of `gateway.bluetooth.report.SensorsReport`.

    Args:
        url: Of its live stream, as `stream_url` gives it.

    Raises:
        StreamError: If it cannot be had.
    """
    return await _fetch(url, "sensors")


async def inspect_sensor(url: str, sensor_id: str, *, take_link: bool) -> bytes:
    """Let a gateway look closer at a sensor: the JSON of `gateway.bluetooth.inspection.Inspection`.

    Args:
        url: Of its live stream, as `stream_url` gives it.
        sensor_id: As it stands among its sensors.
        take_link: Though it takes the only link of a sensor that a tracker may need.

    Raises:
        RequestError: If the gateway refuses, with its words.
        StreamError: If there is no answer.
    """
    path = f"sensors/{quote(sensor_id, safe='')}/inspect"
    return await _request(url, "POST", path, {"take_link": take_link}, INSPECTION_TIMEOUT_S)


async def fetch_pairings(url: str, path: str = "") -> bytes:
    """What a gateway tells of the pairings: the JSON of one of the reports of `gateway.pairing.report`.

    Args:
        url: Of its live stream, as `stream_url` gives it.
        path: What of it: "" all trackers, "plan", "team", or a `tracker_path`.

    Raises:
        RequestError: If the gateway refuses, with its words.
        StreamError: If there is no answer.
    """
    return await _request(url, "GET", f"pairings/{path}".rstrip("/"))


async def change_pairings(url: str, method: str, path: str, document: Message) -> bytes:
    """Ask a gateway to change pairings: the JSON of one of the reports of `gateway.pairing.report`.

    Args:
        url: Of its live stream, as `stream_url` gives it.
        method: "PUT", "POST" or "PATCH".
        path: What to change, "team" or "apply" for example; of one tracker a `tracker_path`.
        document: One of the requests of `gateway.pairing.requests`.

    Raises:
        RequestError: If the gateway refuses, with its words.
        StreamError: If there is no answer; whether anything was changed is not known then.
    """
    return await _request(url, method, f"pairings/{path}", document)


def tracker_path(serial_number: str, action: str = "") -> str:
    """The path of one tracker's pairings, or of something to do with them: "adopt", "retry" and so on."""
    return f"trackers/{quote(serial_number, safe='')}/{action}".rstrip("/")


class _Refusal(msgspec.Struct):
    code: ErrorCode
    text: str


async def _request(
    url: str, method: str, path: str, document: Message | None = None, timeout_s: float = ANSWER_TIMEOUT_S
) -> bytes:
    """What is answered to a request that may be refused; raises `RequestError` if it is."""
    status, body = await _ask(url, method, path, document, timeout_s)
    if status == _OK:
        return body
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.DecodeError:
        raise _other_version(url, path.partition("/")[0], status) from None
    raise RequestError(refusal.code, refusal.text)


async def _fetch(url: str, what: str) -> bytes:
    status, body = await _ask(url, "GET", what)
    if status != _OK:
        raise _other_version(url, what, status)
    return body


async def _ask(
    url: str, method: str, path: str, document: Message | None = None, timeout_s: float = ANSWER_TIMEOUT_S
) -> tuple[int, bytes]:
    """Status and JSON of what a gateway answers; raises `StreamError` if it does not, or with something else."""
    stream = URL(url)
    asked = stream.with_scheme(_HTTP_SCHEMES[stream.scheme]).join(URL(path, encoded=True))
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.request(method, asked, json=document) as answer,
        ):
            status, form, body = answer.status, answer.content_type, await answer.read()
    except aiohttp.ClientConnectorError as error:
        reason = _unreachable(error, url)
        raise NobodyThereError(f"{reason[0].upper()}{reason[1:]}") from None
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise StreamError(f"{asked.authority} did not answer in time or in full: try again") from None
    if status == _NOT_LOOPBACK:
        raise _tunnel(url)
    if form != "application/json":
        raise _other_version(url, path.partition("/")[0], status)
    return status, body


def _other_version(url: str, what: str, status: int) -> StreamError:
    where = URL(url).authority
    return StreamError(f"{where} tells no {what} (HTTP {status}): give the address of a gateway of this version")


@dataclass(slots=True)
class Cursors:
    """Where the reader stands: what a resume needs.

    Attributes:
        epoch: Run of the gateway under which the numbers were counted.
        by_channel: Arrival number of the last row received, by channel number.
    """

    epoch: str | None = None
    by_channel: dict[int, int] = field(default_factory=dict)

    def start(self, last_s: float) -> Message:
        """The ``from`` of a subscription: resume where there is something to resume, else the last seconds."""
        if self.epoch is None or not self.by_channel:
            return {"last_s": last_s}
        return {"epoch": self.epoch, "cursors": [list(pair) for pair in self.by_channel.items()], "last_s": last_s}

    def take(self, message: Message) -> None:
        """Move on by what a message of the server says."""
        match message["op"]:
            case "hello" if message.get("epoch") != self.epoch:
                self.epoch = message.get("epoch")
                self.by_channel.clear()
            case "sub_ok":
                for channel in message["channels"]:
                    self.by_channel[channel["ch"]] = channel["cursor"]
            case "snap" | "d":
                for block in message["blocks"]:
                    self.by_channel[block["ch"]] = block["n0"] + block["rows"] - 1


class LiveClient:
    """One subscription to everything a gateway has, kept alive.

    Attributes:
        cursors: Where it stands.
    """

    def __init__(self, url: str, codec: Codec = Codec.MSGPACK, *, last_s: float = 10.0, mode: str = "all") -> None:
        """Make a client; iterate `messages` to run it.

        Args:
            url: ``ws://host:port/api/v1/stream``.
            codec: Form of the messages.
            last_s: Seconds of the past to begin with.
            mode: "all" rows, or the "latest" values twice a second.
        """
        self.cursors = Cursors()
        self._url = url
        self._codec = codec
        self._last_s = last_s
        self._mode = mode
        self._schema: dict[str, Message] = {}
        self._columns: list[str] = []
        self._reason, self._asked_pause_s = "", 0.0

    async def messages(self) -> AsyncGenerator[Message, None]:
        """All messages of the server, decoded, across reconnects.

        Close the iterator (`contextlib.aclosing`) when leaving it early. A cut connection appears
        as ``{"op": "disconnected", "text": reason, "retry_s": seconds}``.

        Raises:
            StreamError: If the address answers but does not speak our protocol.
        """
        delay_s = FIRST_RETRY_S
        async with aiohttp.ClientSession() as http:
            while True:
                self._reason, self._asked_pause_s = "the connection ended", 0.0
                try:
                    async for message in self._connection(http):
                        delay_s = FIRST_RETRY_S
                        yield message
                except StreamError:
                    raise
                except aiohttp.WSServerHandshakeError as error:
                    if error.status == _NOT_LOOPBACK:
                        raise _tunnel(self._url) from None
                    if error.status != 503:
                        raise StreamError(f"{self._url} is no live stream of a gateway (HTTP {error.status})") from None
                    self._reason = "the gateway has no room for another client"
                    asked = error.headers.get("Retry-After", "") if error.headers else ""
                    self._asked_pause_s = min(float(asked), LONGEST_ASKED_S) if asked.isdecimal() else 0.0
                except aiohttp.InvalidURL:
                    raise StreamError(f"{self._url} is no address; try ws://127.0.0.1:8770/api/v1/stream") from None
                except aiohttp.ClientConnectorError as error:
                    self._reason = _unreachable(error, self._url)
                except TimeoutError:
                    where = URL(self._url).authority
                    self._reason = f"no word from {where} for {SILENCE_S:.0f} s: see whether a gateway runs there"
                except (aiohttp.ClientError, OSError):
                    self._reason = f"{URL(self._url).authority} hung up: see whether a gateway runs there"
                retry_s = max(random.uniform(0, delay_s), self._asked_pause_s)
                yield {"op": "disconnected", "text": self._reason, "retry_s": round(retry_s, 1)}
                await asyncio.sleep(retry_s)
                delay_s = min(2 * delay_s, LONGEST_RETRY_S)

    def rows(self, message: Message) -> list[Arrivals]:
        """The samples of a `snap` or `d` message.

        Raises:
            StreamError: If they do not fit what the server has announced.
        """
        try:
            return decode_rows(message, [self._schema[name] for name in self._columns])
        except (DecodeError, KeyError):
            raise self._foreign() from None

    async def _connection(self, http: aiohttp.ClientSession) -> AsyncIterator[Message]:
        """One connection's messages, until it ends."""
        async with asyncio.timeout(SILENCE_S):
            connected = await http.ws_connect(
                self._url,
                protocols=[str(self._codec)],
                max_msg_size=2 * MAX_FRAME_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_receive=SILENCE_S, ws_close=1.0),
            )
        async with connected as ws:
            async for frame in ws:
                if frame.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                    return
                try:
                    message = decode(frame.data, self._codec)
                    self.cursors.take(message)
                    self._learn(message)
                except (DecodeError, KeyError, TypeError, ValueError):
                    raise self._foreign() from None
                if message["op"] == "hello":
                    await self._subscribe(ws)
                yield message

    async def _subscribe(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        request = encode(
            {"op": "sub", "sub": _SUB, "mode": self._mode, "from": self.cursors.start(self._last_s)}, self._codec
        )
        await (ws.send_str(request.decode()) if self._codec is Codec.JSON else ws.send_bytes(request))

    def _learn(self, message: Message) -> None:
        match message["op"]:
            case "channels":
                self._schema = {column["name"]: column for column in message["columns"]}
            case "sub_ok":
                self._columns = message["columns"]
            case "bye":
                is_stop, why = message["code"] == _RESTART, message["text"].rstrip(".")
                self._reason = "the gateway was stopped" if is_stop else f"the gateway hung up ({why})"
                self._asked_pause_s = min(message["retry_after_ms"] / 1000, LONGEST_ASKED_S)

    def _foreign(self) -> StreamError:
        return StreamError(f"{self._url} is no live stream of a gateway: what it sends is not the live protocol")


def _unreachable(error: aiohttp.ClientConnectorError, url: str) -> str:
    """Why there is no connection and what to do, in two clauses."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {URL(url).host} is not known here: correct it, or give the gateway's IP address"
    return f"nothing answers at {URL(url).authority}: start the gateway there or name another"


def _tunnel(url: str) -> StreamError:
    return StreamError(f"{url} answers on its own machine only; tunnel: ssh -L 8770:127.0.0.1:8770 HOST")

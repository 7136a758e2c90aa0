"""A gateway from the other side: its address, and what can be asked of it over HTTP."""

from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from gateway.live.requests import ErrorCode, RequestError
from insiders_codecs.live import Message

DEFAULT_PORT, DEFAULT_PATH = 8770, "/api/v1/stream"
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_HTTP_SCHEMES = {"ws": "http", "wss": "https"}
_OK = 200
NOT_LOOPBACK = 421
"""HTTP status: the gateway was asked by a name that is not its own machine's."""

ANSWER_TIMEOUT_S = 10.0
"""How long a gateway may take to answer over HTTP: it has the answer in memory, and writes down little."""

INSPECTION_TIMEOUT_S = 90.0
"""How long it may take to look closer at a sensor: connecting, reading and listening have limits of their own."""


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


_UNTOLD = {"op", *_Refusal.__struct_fields__}


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
    facts = {name: fact for name, fact in msgspec.json.decode(body).items() if name not in _UNTOLD}
    raise RequestError(refusal.code, refusal.text, facts)


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
        reason = unreachable(error, url)
        raise NobodyThereError(f"{reason[0].upper()}{reason[1:]}") from None
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise StreamError(f"{asked.authority} did not answer in time or in full: try again") from None
    if status == NOT_LOOPBACK:
        raise tunnel(url)
    if form != "application/json":
        raise _other_version(url, path.partition("/")[0], status)
    return status, body


def _other_version(url: str, what: str, status: int) -> StreamError:
    where = URL(url).authority
    return StreamError(f"{where} tells no {what} (HTTP {status}): give the address of a gateway of this version")


def unreachable(error: aiohttp.ClientConnectorError, url: str) -> str:
    """Why there is no connection and what to do, in two clauses."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {URL(url).host} is not known here: correct it, or give the gateway's IP address"
    return f"nothing answers at {URL(url).authority}: start the gateway there or name another"


def tunnel(url: str) -> StreamError:
    """The gateway answers, but only to programs on its own machine."""
    return StreamError(f"{url} answers on its own machine only; tunnel: ssh -L 8770:127.0.0.1:8770 HOST")

"""A gateway from the other side: its address, and what can be asked of it over HTTP."""

from collections.abc import AsyncIterable, Mapping
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from gateway.live.requests import ErrorCode, RequestError
from insiders_codecs.live import Message

DEFAULT_PORT, DEFAULT_PATH = 8770, "/api/v1/stream"
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_HTTP_SCHEMES = {"ws": "http", "wss": "https"}
_WELL = {200, 201}
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
    return await ask(url, "GET", "gaps")


async def fetch_sensors(url: str) -> bytes:
    """The Bluetooth sensors near a gateway: the JSON of `gateway.bluetooth.report.SensorsReport`.

    Args:
        url: Of its live stream, as `stream_url` gives it.

    Raises:
        StreamError: If it cannot be had.
    """
    return await ask(url, "GET", "sensors")


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
    return await ask(url, "POST", path, json={"take_link": take_link}, timeout_s=INSPECTION_TIMEOUT_S)


async def fetch_pairings(url: str, path: str = "") -> bytes:
    """What a gateway tells of the pairings: the JSON of one of the reports of `gateway.pairing.report`.

    Args:
        url: Of its live stream, as `stream_url` gives it.
        path: What of it: "" all trackers, "plan", "team", or a `tracker_path`.

    Raises:
        RequestError: If the gateway refuses, with its words.
        StreamError: If there is no answer.
    """
    return await ask(url, "GET", f"pairings/{path}".rstrip("/"))


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
    return await ask(url, method, f"pairings/{path}", json=document)


def tracker_path(serial_number: str, action: str = "") -> str:
    """The path of one tracker's pairings, or of something to do with them: "adopt", "retry" and so on."""
    return f"trackers/{quote(serial_number, safe='')}/{action}".rstrip("/")


async def fetch_recordings(url: str, path: str = "") -> bytes:
    """What a gateway tells of the recordings: the JSON of one of the reports of `gateway.uploads.report`.

    Args:
        url: Of its live stream, as `stream_url` gives it.
        path: What of it: "" what is kept, "?all=true" what was deleted too, or the SHA-256 of a recording.

    Raises:
        RequestError: If the gateway refuses, with its words.
        StreamError: If there is no answer.
    """
    return await ask(url, "GET", f"recordings/{path}".replace("/?", "?").rstrip("/"))


async def change_recordings(url: str, path: str, document: Message, timeout_s: float = ANSWER_TIMEOUT_S) -> bytes:
    """Ask a gateway to do something with recordings: the JSON of one of the reports of `gateway.uploads.report`.

    Args:
        url: Of the gateway's live stream.
        path: "rebuild", or the SHA-256 of a recording, "/", and "assign", "retry" or "discard".
        document: One of the requests of `gateway.uploads.requests`.
        timeout_s: How long it may take.

    Raises:
        RequestError: If the gateway refuses, with its words.
        StreamError: If there is no answer; whether anything was done is not known then.
    """
    return await ask(url, "POST", f"recordings/{path}", json=document, timeout_s=timeout_s)


class _Refusal(msgspec.Struct):
    code: ErrorCode
    text: str


_UNTOLD = {"op", *_Refusal.__struct_fields__}


async def ask(
    url: str,
    method: str,
    path: str,
    *,
    json: Message | None = None,
    data: AsyncIterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float | None = ANSWER_TIMEOUT_S,
) -> bytes:
    """What a gateway answers to a request that may be refused: JSON.

    Args:
        url: Of its live stream.
        method: Of HTTP.
        path: Below the folder of the live stream, encoded, with what stands behind a "?".
        json: The body, as a document.
        data: The body, as it is.
        headers: Besides those that go without saying.
        timeout_s: For all of it; None where the caller watches over it.

    Raises:
        RequestError: If the gateway refuses, with its words.
        StreamError: If there is no answer, or another one than a gateway of this version gives.
    """
    status, body = await _ask(url, method, path, json=json, data=data, headers=headers, timeout_s=timeout_s)
    if status in _WELL:
        return body
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.DecodeError:
        raise _other_version(url, path, status) from None
    facts = {name: fact for name, fact in msgspec.json.decode(body).items() if name not in _UNTOLD}
    raise RequestError(refusal.code, refusal.text, facts)


async def _ask(
    url: str,
    method: str,
    path: str,
    *,
    json: Message | None = None,
    data: AsyncIterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float | None,
) -> tuple[int, bytes]:
    """Status and JSON of what a gateway answers; raises `StreamError` if it does not, or with something else."""
    stream = URL(url)
    asked = stream.with_scheme(_HTTP_SCHEMES[stream.scheme]).join(URL(path, encoded=True))
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=ANSWER_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.request(method, asked, json=json, data=data, headers=headers) as answer,
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
        raise _other_version(url, path, status)
    return status, body


def _other_version(url: str, path: str, status: int) -> StreamError:
    where, what = URL(url).authority, URL(path, encoded=True).parts[0]
    return StreamError(f"{where} tells no {what} (HTTP {status}): give the address of a gateway of this version")


def unreachable(error: aiohttp.ClientConnectorError, url: str) -> str:
    """Why there is no connection and what to do, in two clauses."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {URL(url).host} is not known here: correct it, or give the gateway's IP address"
    return f"nothing answers at {URL(url).authority}: start the gateway there or name another"


def tunnel(url: str) -> StreamError:
    """The gateway answers, but only to programs on its own machine."""
    return StreamError(f"{url} answers on its own machine only; tunnel: ssh -L 8770:127.0.0.1:8770 HOST")

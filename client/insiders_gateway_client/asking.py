"""What can be asked of a gateway over HTTP: one question, one answer."""

import json as json_codec
from collections.abc import AsyncIterable, Mapping
from typing import Any

import aiohttp

from insiders_gateway_client.errors import GatewayError, RefusalError
from insiders_gateway_client.transport import CONNECT_TIMEOUT_S, UNAUTHORIZED, Transport

ANSWER_TIMEOUT_S = 10.0
"""How long a gateway may take to answer: it has the answer in memory, and writes down little."""

_WELL = range(200, 300)
_OTHER_VERSION = {"unknown_path", "method_not_allowed", "bad_host"}
_UNTOLD = {"op", "code", "text"}


async def ask(
    transport: Transport,
    method: str,
    path: str,
    *,
    json: Mapping[str, Any] | None = None,
    data: AsyncIterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float | None = ANSWER_TIMEOUT_S,
    form: str = "application/json",
) -> bytes:
    """The body of what a gateway answers to a request that may be refused.

    Args:
        transport: The way to it.
        method: Of HTTP.
        path: Below its API, encoded, with what stands behind a "?".
        json: The body, as a document.
        data: The body, as it is.
        headers: Besides those that go without saying.
        timeout_s: For all of it; None where the caller watches over it.
        form: Content type that the answer shall have.

    Raises:
        RefusalError: If the gateway refuses, with its words.
        NotAdmittedError: If it does not know us.
        GatewayError: If there is no answer, or another one than a gateway of this version gives.
    """
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
    asked = transport.address.of(path)
    try:
        async with (
            transport.session(timeout) as http,
            http.request(
                method, asked, json=json, data=data, headers={"Accept": form, **(headers or {})}, allow_redirects=False
            ) as answer,
        ):
            body = await answer.read()
    except aiohttp.ClientConnectorError as error:
        raise transport.unreachable(error) from None
    except aiohttp.ServerFingerprintMismatch:
        raise _impostor(transport) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        missing = None if isinstance(error, TimeoutError) else await transport.tls_missing()
        raise missing or GatewayError(
            f"{transport.address.where} did not answer in time or in full: try again"
        ) from None
    if answer.status in _WELL and answer.content_type == form:
        return body
    refusal = _refusal(answer, body)
    if refusal is None or refusal.code in _OTHER_VERSION:
        raise transport.refused(answer.status, answer.headers.get("Location"), path.partition("?")[0].split("/")[0])
    if answer.status == UNAUTHORIZED and refusal.code == "unauthorized":
        raise transport.not_admitted()
    raise refusal


def pause_s(headers: Mapping[str, str] | None) -> float | None:
    """The pause that an answer asks for in `Retry-After`, if it does."""
    told = (headers or {}).get("Retry-After", "")
    return float(told) if told.isascii() and told.isdecimal() else None


def _refusal(answer: aiohttp.ClientResponse, body: bytes) -> RefusalError | None:
    """What a gateway says when it refuses; None if that is not what it is."""
    if answer.status in _WELL or answer.content_type != "application/json":
        return None
    try:
        told = json_codec.loads(body)
        facts = {name: fact for name, fact in told.items() if name not in _UNTOLD}
        return RefusalError(str(told["code"]), str(told["text"]), facts, pause_s(answer.headers))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def _impostor(transport: Transport) -> GatewayError:
    return GatewayError(
        f"{transport.address.where} is not the gateway that the code is of: do not go on, and ask for a new code there"
    )

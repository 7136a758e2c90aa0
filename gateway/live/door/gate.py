"""Who may ask this gateway something, and how whoever may not, or asks for what cannot be, is told."""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import unquote_plus

import msgspec
from aiohttp import web

from gateway.access.errors import AccessCode, AccessError, NotAdmittedError
from gateway.live.door.admission import entrance_of
from gateway.live.door.names import host_of, is_asked_for, is_own_page
from gateway.live.limits import Limits
from gateway.live.requests import MAX_BODY_BYTES, ErrorCode, RequestError

BODY_S = web.RequestKey("body_s", int)
"""How long the body of a request may take to come: the largest one takes a second over a slow network."""

STATUSES = {
    ErrorCode.MESSAGE_TOO_BIG: 413,
    ErrorCode.BODY_TOO_SLOW: 408,
    ErrorCode.UNKNOWN_SENSOR: 404,
    ErrorCode.LINK_NEEDED: 409,
    ErrorCode.SENSOR_NOT_IN_THE_AIR: 409,
    ErrorCode.INSPECTION_RUNNING: 409,
    ErrorCode.RADIO_NOT_LISTENING: 503,
    ErrorCode.INSPECTION_FAILED: 502,
    ErrorCode.UNKNOWN_TRACKER: 404,
    ErrorCode.FILE_MANAGED: 409,
    ErrorCode.SUSPENDED: 409,
    ErrorCode.SESSION_RUNNING: 409,
    ErrorCode.SENSOR_TAKEN: 409,
    ErrorCode.NOTHING_TO_DO: 409,
    ErrorCode.GENERATION_CHANGED: 409,
    ErrorCode.PLAN_CHANGED: 409,
    ErrorCode.NOT_READ_YET: 503,
    ErrorCode.STORE_FAILED: 503,
    ErrorCode.UNKNOWN_RECORDING: 404,
    ErrorCode.NOT_NOW: 409,
    ErrorCode.NOT_ASI: 415,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.NO_ROOM: 507,
    ErrorCode.DISK_FAILED: 503,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.TOO_MANY_ATTEMPTS: 429,
    ErrorCode.BAD_HOST: 421,
    ErrorCode.BAD_ORIGIN: 403,
    ErrorCode.TOO_MANY_CLIENTS: 503,
    ErrorCode.UNKNOWN_GRANT: 404,
    ErrorCode.UNKNOWN_CODE: 401,
    ErrorCode.UNKNOWN_ATHLETE: 404,
    ErrorCode.RELEASES_OFF: 409,
    ErrorCode.NO_AUTHORITY: 404,
}
"""HTTP statuses of refusals; 400 of the others."""

RETRY_AFTER = "retry_after_s"
"""The fact of a refusal that says in how many seconds to come back."""

_JSON = "application/json"

_SECRETS = frozenset({"token", "access_token", "auth", "key", "code"})
"""Names in an address behind which programs hide a secret."""

_SEAL = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "insiders-gateway",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer, unless it says something else itself, as pages do."""

_parameters_of = re.compile("[?&;#]").split
"""Of an address, with its path before them: servers have disagreed on what parts them, and logs keep it all."""

_WORTHLESS = 'Bearer error="invalid_token"'
"""A credential was shown, and does not count any more: by that, pages tell who was thrown out from a stranger."""

_TEXTS = {417: "Of Expect, this gateway knows 100-continue only."}
"""What aiohttp refuses by itself, by status; the others are not what HTTP, or a websocket, begins with."""

_Answer = TypeVar("_Answer", bound=web.StreamResponse)
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Gate:
    """Every request passes it."""

    def __init__(
        self,
        refusals: Counter[str],
        names: frozenset[str],
        limits: Limits,
        nowhere: Callable[[web.BaseRequest], web.Response | None],
    ) -> None:
        """Make a gate.

        Args:
            refusals: Counts what was refused, by code.
            names: By which this machine may be asked besides its addresses.
            limits: What one client may take.
            nowhere: Makes the page of an address that there is not, for those who want a page.
        """
        self._refusals = refusals
        self._names = names
        self._limits = limits
        self._nowhere = nowhere

    async def admit(self, handler: _Handler, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, or refuse it: with a status, and with a code and a sentence in JSON."""
        request[BODY_S] = self._limits.body_s
        try:
            self._check_names(request)
            _check_url(request)
            return _sealed(await handler(request))
        except RequestError as error:
            return self._refused(error)
        except AccessError as error:
            wait_s = math.ceil(error.wait_s) if isinstance(error, NotAdmittedError) else 0
            facts = {RETRY_AFTER: wait_s} if wait_s else {}
            answer = self._refused(RequestError(ErrorCode(error.code), str(error), facts))
            if error.code is AccessCode.UNAUTHORIZED:
                answer.headers["WWW-Authenticate"] = _WORTHLESS
            return answer
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            refusal = self.refusal("method_not_allowed", f"Use {allowed} at this address.")
            return _sealed(web.Response(status=error.status, headers={"Allow": allowed}, **refusal))
        except web.HTTPNotFound as error:
            page = self._nowhere(request)
            if page is not None:
                self.count("unknown_path")
                return _sealed(page)
            text = "There is nothing here; /api/v1/hello says who this is."
            return _sealed(web.Response(status=error.status, **self.refusal("unknown_path", text)))
        except web.HTTPException as error:
            if error.content_type != _JSON:
                return self.unreadable(error.status)
            _sealed(error)  # ours
            raise

    def count(self, code: str) -> None:
        """Count what was refused without a word for programs."""
        self._refusals[code] += 1

    def failed(self, status: int) -> web.Response:
        """The answer to what has failed here."""
        text = "The gateway has failed at this, which its log describes: ask once more, or report it."
        return _sealed(web.Response(status=status, **self.refusal(ErrorCode.INTERNAL_ERROR, text)))

    def unreadable(self, status: int) -> web.Response:
        """The answer to what is no request that anybody here could read."""
        text = _TEXTS.get(status, "That is no request that this gateway can read; see docs/live-protocol.md.")
        return _sealed(web.Response(status=status, **self.refusal(ErrorCode.BAD_REQUEST, text)))

    def refusal(self, code: str, text: str, facts: Mapping[str, str | int] = MappingProxyType({})) -> dict[str, Any]:
        """The parts of a refusal over HTTP that tell why, as an `error` message; counted."""
        self._refusals[code] += 1
        message = msgspec.json.encode({"op": "error", "code": code, "text": text, **facts})
        return {"text": message.decode(), "content_type": _JSON}

    def _refused(self, error: RequestError) -> web.Response:
        refusal = self.refusal(error.code, str(error), error.facts)
        return _sealed(web.Response(status=STATUSES.get(error.code, 400), headers=_headers(error), **refusal))

    def _check_names(self, request: web.BaseRequest) -> None:
        """Keep pages of other sites out, and names that somebody else has pointed at this machine."""
        entrance, origin = entrance_of(request), request.headers.get("Origin")
        # Not what aiohttp calls the host: without the header it would ask DNS for ours, and all else would wait.
        host = request.headers.get("Host", "")
        named = host_of(request.raw_path)  # by HTTP's rule it outweighs the header, for others on the way too
        asked = (host,) if named is None else (host, named)
        if not entrance.is_local and not all(is_asked_for(name, entrance, self._names) for name in asked):
            text = "Ask for this gateway by its address, or by a name that stands in [live] names of its configuration."
            raise RequestError(ErrorCode.BAD_HOST, text)
        if origin is not None and (entrance.is_local or not is_own_page(origin, host, entrance)):
            text = "Only the gateway's own pages may ask it: open it by its own address."
            raise RequestError(ErrorCode.BAD_ORIGIN, text)


def json_answer(document: object) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=msgspec.json.encode(document), content_type=_JSON)


def check_plain(request: web.BaseRequest) -> None:
    """Raise `RequestError` if the body is compressed."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestError(ErrorCode.BAD_MESSAGE, "Send the body as it is, without Content-Encoding.")


async def body_of(request: web.BaseRequest, most: int = MAX_BODY_BYTES) -> bytes:
    """The body of a request.

    Args:
        request: It.
        most: Bytes that it may have.

    Raises:
        RequestError: If it is too large, compressed, cut or too slow.
    """
    check_plain(request)
    too_big = RequestError(ErrorCode.MESSAGE_TOO_BIG, f"The body may have {most} bytes: send less at once.")
    if (request.content_length or 0) > most:
        raise too_big
    body, within_s = bytearray(), request[BODY_S]
    try:
        async with asyncio.timeout(within_s):
            async for block in request.content.iter_any():
                body += block
                if len(body) > most:
                    raise too_big
    except TimeoutError:
        text = f"The body did not come within {within_s} s: send it at once."
        raise RequestError(ErrorCode.BODY_TOO_SLOW, text) from None
    except web.RequestPayloadError:
        raise RequestError(ErrorCode.BAD_MESSAGE, "The body cannot be read.") from None
    return bytes(body)


def _check_url(request: web.BaseRequest) -> None:
    """Addresses end in logs and screenshots: a secret in one is not taken, so that nobody gets used to it."""
    names = (unquote_plus(part.partition("=")[0]) for part in _parameters_of(request.raw_path))
    if not _SECRETS.isdisjoint(name.lower() for name in names):
        text = "Never send a token in an address: use the header `Authorization: Bearer TOKEN`, and renew this one."
        raise RequestError(ErrorCode.TOKEN_IN_URL, text)


def _headers(error: RequestError) -> dict[str, str]:
    """What belongs to a refusal besides its body."""
    headers = {}
    if error.code in {ErrorCode.UNAUTHORIZED, ErrorCode.UNKNOWN_CODE}:
        headers["WWW-Authenticate"] = "Bearer"
    if RETRY_AFTER in error.facts:
        headers["Retry-After"] = str(error.facts[RETRY_AFTER])
    return headers


def _sealed(answer: _Answer) -> _Answer:
    """An answer with what keeps browsers from doing anything with it but showing it to its own page."""
    if not answer.prepared:
        for name, value in _SEAL.items():
            answer.headers.setdefault(name, value)
    return answer

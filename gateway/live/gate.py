"""Who may ask this gateway something, and how whoever may not, or asks for what cannot be, is told."""

from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.config import is_loopback
from gateway.live.requests import MAX_BODY_BYTES, ErrorCode, RequestError

_STATUSES = {
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
    ErrorCode.PLAN_CHANGED: 409,
    ErrorCode.NOT_READ_YET: 503,
    ErrorCode.STORE_FAILED: 503,
}
"""HTTP statuses of refusals; 400 of the others."""


class Gate:
    """Every request passes it."""

    def __init__(self, refusals: Counter[str]) -> None:
        """Make a gate.

        Args:
            refusals: Counts what was refused, by code.
        """
        self._refusals = refusals

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or refuse it: with a status, and with a code and a sentence in JSON."""
        try:
            self._check_origin(request)
            return await handler(request)
        except RequestError as error:
            return web.Response(status=_STATUSES.get(error.code, 400), **self.refusal(error.code, str(error)))
        except web.HTTPRequestEntityTooLarge:
            text = f"The body may have {MAX_BODY_BYTES} bytes: send less at once."
            return web.Response(status=413, **self.refusal(ErrorCode.MESSAGE_TOO_BIG, text))
        except web.RequestPayloadError:  # compressed, and not as it says
            return web.Response(status=400, **self.refusal(ErrorCode.BAD_MESSAGE, "The body cannot be read."))
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            refusal = self.refusal("method_not_allowed", f"Use {allowed} at this address.")
            return web.Response(status=error.status, headers={"Allow": allowed}, **refusal)
        except web.HTTPNotFound as error:
            text = "There is nothing here; /api/v1/hello says who this is."
            return web.Response(status=error.status, **self.refusal("unknown_path", text))

    def refusal(self, code: str, text: str) -> dict[str, Any]:
        """The parts of a refusal over HTTP that tell why, as an `error` message; counted."""
        self._refusals[code] += 1
        message = msgspec.json.encode({"op": "error", "code": code, "text": text})
        return {"text": message.decode(), "content_type": "application/json"}

    def _check_origin(self, request: web.Request) -> None:
        """Keep pages of other sites out: a browser would let any of them read heart rates from this address.

        The name in Host must be a loopback one, else a hostile name that resolves to this machine would pass as ours.
        """
        # Not what aiohttp calls the host: without the header it would ask DNS for ours, and all else would wait.
        host = request.headers.get("Host", "")
        if not is_loopback(_split(f"//{host}")[0]):
            text = "Ask for this gateway by its loopback address."
            raise web.HTTPMisdirectedRequest(**self.refusal("bad_host", text))
        origin = request.headers.get("Origin")
        if origin is not None and _split(origin)[1] != host:
            text = "Web pages of other sites may not read this gateway."
            raise web.HTTPForbidden(**self.refusal("bad_origin", text))


def json_answer(document: object) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")


def _split(url: str) -> tuple[str, str]:
    """Host name and authority of a URL that a stranger wrote; empty where it has none."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.netloc
    except ValueError:
        return "", ""

"""Port 80 of a gateway that speaks TLS at 443: it knows the way there, and nothing else."""

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from gateway.live.door.admission import SAFE_METHODS
from gateway.live.door.names import host_name
from gateway.live.requests import ErrorCode, RequestError

_MOVED = 308


def redirection(port: int) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """A handler that sends browsers to the encrypted port.

    Whoever has shown a token in clear, or something to be changed, is not sent on: it would never be noticed.
    """

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        name = host_name(request.headers.get(hdrs.HOST, ""))
        where = f"https://{name}" if port == 443 else f"https://{name}:{port}"
        if request.method not in SAFE_METHODS or hdrs.AUTHORIZATION in request.headers:
            raise RequestError(
                ErrorCode.BAD_REQUEST, f"Nothing is encrypted here: ask {where}, and renew a token shown here."
            )
        return web.Response(status=_MOVED, headers={hdrs.LOCATION: f"{where}{request.rel_url.raw_path}"})

    return redirect

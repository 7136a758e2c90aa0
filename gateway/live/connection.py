"""One connection as HTTP knows it: what cannot be read is refused like all else, and never fills the log."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from gateway.live.gate import Gate
from gateway.live.requests import ErrorCode

_FAILED = 500

# Requests that go as they should are not logged. What a stranger has compressed is not unpacked: a few of its bytes
# could become gigabytes.
_OPTIONS: Mapping[str, Any] = {"access_log": None, "auto_decompress": False}


class Connection(web.RequestHandler):
    """Reads the requests of one client and hands them on."""

    def __init__(self, server: web.Server, gate: Gate) -> None:
        """Make one that has no transport yet.

        Args:
            server: Answers what could be read.
            gate: Refuses what could not.
        """
        super().__init__(server, loop=asyncio.get_running_loop(), **_OPTIONS)
        self._gate = gate

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = _FAILED,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, which is anybody's to send, or to what has failed here, which is logged."""
        if status < _FAILED:
            answer = self._gate.unreadable(status)
        else:
            super().handle_error(request, status, exc, message)
            text = "The gateway has failed at this, which its log describes: ask once more, or report it."
            answer = web.Response(status=status, **self._gate.refusal(ErrorCode.INTERNAL_ERROR, text))
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Log what has failed here; a body that breaks off or makes no sense was refused, and that was counted."""
        if not isinstance(kwargs.get("exc_info"), web.RequestPayloadError | HttpProcessingError):
            super().log_exception(*args, **kwargs)

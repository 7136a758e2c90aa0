"""One connection as HTTP knows it: bounded in time and number, and what cannot be read is refused like all else.

The deadlines of heads and answers lean on attributes of aiohttp that are its own; tests hold what they do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.http import HttpProcessingError

from gateway.access.caller import Caller
from gateway.live.door.admission import Admission
from gateway.live.door.gate import Gate
from gateway.live.door.names import parsed
from gateway.live.door.places import Place, Places
from gateway.live.limits import Limits
from gateway.live.requests import ErrorCode, RequestError
from gateway.live.turnstile import Turnstile

IDLE_S = 30
"""How long a connection may wait for its next request."""

ANSWER_S = 10.0
"""An answer of which nothing was taken for so long is taken back."""

MAX_HEAD_BYTES = 32 * 1024
"""Of a head that is not complete: a browser's has two or three kB, and cookies of other servers of this machine."""

MAX_PIPELINED = 8
"""Requests that may wait while one is answered."""

FRAMES_BYTES = 4 * 1024
"""What is read at once of a websocket: frames may have six bytes, and all that was read is taken apart at once."""

RETRY_S = 10
"""When to come back who found no seat."""

_FAILED = 500

# Requests that go as they should are not logged. What a stranger has compressed is not unpacked: a few of its bytes
# could become gigabytes.
_OPTIONS: Mapping[str, Any] = {"access_log": None, "auto_decompress": False, "keepalive_timeout": IDLE_S}

_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """Reads the requests of one client and hands them on.

    Attributes:
        heard_s: When its last byte came, by the clock of the loop.
        caller: Who has shown a credential on it, last; None as long as nobody has.
        below: What carries TLS, or else the connection's own transport: what has not gone waits there.
    """

    def __init__(self, server: web.Server, gate: Gate, places: Places | None, limits: Limits) -> None:
        """Make one that has no transport yet.

        Args:
            server: Answers what could be read.
            gate: Refuses what could not.
            places: Where it takes one; None where nobody is counted.
            limits: What one client may take.
        """
        super().__init__(server, loop=asyncio.get_running_loop(), **_OPTIONS)
        self.heard_s = 0.0
        self.caller: Caller | None = None
        self.below: asyncio.Transport | None = None
        self._gate = gate
        self._places = places
        self._limits = limits
        self._address = ""
        self._place = Place.SEAT if places is None else Place.NONE
        self._wire: asyncio.Transport | None = None  # aiohttp forgets its own when it begins to close it
        self._head_due: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._body: StreamReader | None = None  # of the last request that came
        self._answer_due: asyncio.TimerHandle | None = None

    @property
    def is_seated(self) -> bool:
        """Whether there is room for it; if not, it is here to be told so."""
        return self._place in {Place.SEAT, Place.GUEST}

    def arrive(self, transport: asyncio.BaseTransport) -> bool:
        """Take a place, once; False if there is none of any kind."""
        if self.below is None and isinstance(transport, asyncio.Transport):
            self.below = transport
        if self._places is not None and self._place is Place.NONE:
            peer = transport.get_extra_info("peername")
            self._address = str(parsed(peer[0])) if peer else ""  # gone before it was here
            self._place = self._places.enter(self._address)
        return self._place is not Place.NONE

    def depart(self) -> None:
        """Leave the place, once."""
        if self._places is not None:
            self._places.leave(self._address, self._place)
            self._place = Place.NONE

    def recognise(self) -> None:
        """Have the place of somebody who is let in, from now on."""
        if self._places is not None:
            self._place = self._places.recognise(self._address, self._place)

    def evict_unless(self, holds: Callable[[Caller], bool]) -> None:
        """End what its caller has begun who is not let in any more; a stream says goodbye by itself."""
        if self.caller is not None and not self._upgraded and not holds(self.caller):
            self._cut("evicted")

    def read_frames(self) -> None:
        """Read little at once from now on: a websocket's frames come."""
        reading: Any = self.below
        reading.max_size = FRAMES_BYTES

    def stop_reading(self) -> None:
        """Hear nothing more of what comes."""
        if self.below is not None:
            self.below.pause_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the first request has its time from here on."""
        super().connection_made(transport)
        self.heard_s = self._loop.time()
        self._wire = cast("asyncio.Transport", transport)
        # So that we hear of whatever does not go; 0 would have TLS wait for ever.
        self._wire.set_write_buffer_limits(high=1)
        if self.arrive(transport):
            self._wait_for_head()
        else:
            self._cut("too_many_connections")

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._have_head()
        self._stop_watching()
        self._wire = None
        self.depart()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self.heard_s = self._loop.time()
        is_body = self._is_reading_body()
        super().data_received(data)
        if len(self._messages) > MAX_PIPELINED:
            self._cut("too_many_requests")
        elif not is_body and self._is_reading_head():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._cut("head_too_large")
            elif self._head_due is None:
                self._wait_for_head()
        else:
            self._have_head()

    def pause_writing(self) -> None:
        """Something of an answer has to wait: from now on some of it has to go."""
        super().pause_writing()
        if not self._upgraded:  # the stream looks after its own
            self._watch_answer()

    def resume_writing(self) -> None:
        """It went."""
        self._stop_watching()
        super().resume_writing()

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
            answer = self._gate.failed(status)
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Log what has failed here; a body that breaks off or makes no sense was refused, and that was counted."""
        if not isinstance(kwargs.get("exc_info"), web.RequestPayloadError | HttpProcessingError):
            super().log_exception(*args, **kwargs)

    def _is_reading_head(self) -> bool:
        """Whether what comes belongs to a request of which nobody knows yet what it is."""
        if self._messages:
            self._body = self._messages[-1][1]
        return not (self._messages or self._current_request or self._is_reading_body())

    def _is_reading_body(self) -> bool:
        return self._body is not None and not self._body.is_eof()

    def _wait_for_head(self) -> None:
        self._head_due = self._loop.call_later(self._limits.header_s, self._head_is_due)

    def _head_is_due(self) -> None:
        if self._is_reading_head():
            self._cut("head_too_slow")
        else:
            self._have_head()

    def _have_head(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None
        self._head_bytes = 0

    def _watch_answer(self, left: int | None = None) -> None:
        """Look every `ANSWER_S` whether something of the answer has gone.

        Args:
            left: How many bytes of it were left at the last look.
        """
        if self._wire is None:
            return
        waiting = self._wire.get_write_buffer_size()
        if left is not None and waiting >= left:
            self._cut("answer_not_taken")
        else:
            self._answer_due = self._loop.call_later(ANSWER_S, self._watch_answer, waiting)

    def _stop_watching(self) -> None:
        if self._answer_due is not None:
            self._answer_due.cancel()
            self._answer_due = None

    def _cut(self, why: str) -> None:
        if self._wire is not None:
            self._gate.count(why)
            self._wire.abort()
            self._wire = None


async def answer(
    gate: Gate,
    turnstile: Turnstile,
    admission: Admission | None,
    handler: _Handler,
    request: web.BaseRequest,
) -> web.StreamResponse:
    """Answer a request when it is its turn, or refuse it; who has no seat learns when to come back, and goes.

    Args:
        gate: Refuses.
        turnstile: Says whose turn it is.
        admission: Knows who has a right to a seat; None where nobody shows who they are.
        handler: Answers.
        request: It.
    """
    await turnstile.passed()
    connection = request.protocol
    if not isinstance(connection, Connection):
        return await gate.admit(handler, request)
    caller = None if admission is None else admission.recognised(request)
    if caller is not None:
        connection.caller = caller
        connection.recognise()
    if connection.is_seated:
        return await gate.admit(handler, request)
    is_stranger = admission is not None and caller is None
    refused = await gate.admit(_no_seat_for_strangers if is_stranger else _no_seat, request)
    refused.force_close()
    return refused


def spare(request: web.BaseRequest) -> None:
    """Let a connection live on whose caller ends their own access: the answer says that it is so."""
    if isinstance(request.protocol, Connection):
        request.protocol.caller = None


async def _no_seat(_request: web.BaseRequest) -> web.StreamResponse:
    text = f"This gateway serves as many clients as it can: close some, or try again in {RETRY_S} s."
    raise RequestError(ErrorCode.TOO_MANY_CLIENTS, text, {"retry_after_s": RETRY_S})


async def _no_seat_for_strangers(_request: web.BaseRequest) -> web.StreamResponse:
    text = f"No room is left for who shows no valid token: send one with the request, or try again in {RETRY_S} s."
    raise RequestError(ErrorCode.TOO_MANY_CLIENTS, text, {"retry_after_s": RETRY_S})

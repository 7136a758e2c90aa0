"""One paced, bounded HTTP exchange: a request goes out, a whole body or a typed error comes back.

Redirects are never followed, because what is sent (a token, a password) is for the configured host alone.
"""

import asyncio
import math
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

import aiohttp

from gateway.cloud.answers import Answer, body_of
from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    NetworkLoginNeeded,
    ServerFailed,
    Throttled,
    TlsFailed,
    Unreachable,
)
from gateway.cloud.pacing import Pacer, Priority, Slot
from gateway.cloud.reference import ReferenceClock
from gateway.cloud.request import Request
from gateway.cloud.sessions import Connections
from gateway.cloud.uploading import Stream, Upload

MAX_BODY = 8 * 1024 * 1024
"""Bytes after decompression; the largest right answer, 25,000 rows, has 6 MB."""

_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one exchange may last, seconds, and how much it may bring, bytes.

    Attributes:
        connect_s: Until there is a connection.
        live_s: Until the end, of what the age of the picture depends on: a dead network must be noticed in time.
        total_s: Until the end, of everything else but uploads.
        max_body: The largest body.
    """

    connect_s: float = 5.0
    live_s: float = 8.0
    total_s: float = 30.0
    max_body: int = MAX_BODY


@dataclass(frozen=True, slots=True)
class Traffic:
    """What has gone over the line since the start.

    Attributes:
        requests: HTTP requests sent, token requests and retries included.
        received_bytes: Body bytes after decompression.
        succeeded: Requests that gave a body.
        failed: Error code (`CloudError.code`) to number of requests.
        items_rejected: Items of lists that could not be read and were left out.
        messages: Messages received over live websockets.
        waiting: Requests that wait for their turn now.
        rate_per_s: Requests per second that the cloud has been found to take.
    """

    requests: int
    received_bytes: int
    succeeded: int
    failed: Mapping[str, int]
    items_rejected: int
    messages: int
    waiting: int
    rate_per_s: float


class Exchange:
    """Sends requests through one pacer.

    Args:
        session: For all but uploads.
        pacer: The budget.
        limits: How long an exchange may last.
        upload_session: For bodies that are streams; left out, `session` is.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        pacer: Pacer,
        limits: Limits,
        upload_session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._session = session
        self._upload_session = upload_session or session
        self._pacer = pacer
        self._limits = limits
        self._now = asyncio.get_running_loop().time
        self._reference = ReferenceClock()
        self._requests = 0
        self._received_bytes = 0
        self._succeeded = 0
        self._failed: Counter[str] = Counter()
        self._items_rejected = 0
        self._messages = 0

    @property
    def traffic(self) -> Traffic:
        """A snapshot of the counters."""
        failed = MappingProxyType(dict(self._failed))
        return Traffic(
            requests=self._requests,
            received_bytes=self._received_bytes,
            succeeded=self._succeeded,
            failed=failed,
            items_rejected=self._items_rejected,
            messages=self._messages,
            waiting=self._pacer.waiting,
            rate_per_s=self._pacer.rate_per_s,
        )

    def utc_ms(self) -> int | None:
        """The cloud's time, epoch milliseconds; None before its first answer."""
        return self._reference.utc_ms(self._now())

    def count(self, error: CloudError) -> None:
        """Count an answer that arrived whole and turned out to be wrong when it was decoded."""
        self._succeeded -= 1
        self._failed[error.code] += 1

    def count_rejected(self, items: int) -> None:
        """Count items of a list that were left out."""
        self._items_rejected += items

    def count_message(self, size: int) -> None:
        """Count a message of a live websocket, its size in bytes."""
        self._messages += 1
        self._received_bytes += size

    def count_malformed(self, error: CloudError) -> None:
        """Count a message that could not be read."""
        self._failed[error.code] += 1

    async def send(self, request: Request) -> bytes:
        """Wait for a slot, send the request and read the answer.

        Returns:
            The decompressed body of a success, JSON by its content type (empty after 204).

        Raises:
            CloudError: The leaf that names the cause.
        """
        async with self.attempt(request.priority, request.overdue_s) as slot:
            answer, received_s = await self._receive(request, slot)
            self._received_bytes += len(answer.body)
            body = body_of(answer, request.operation, request.path, request.secrets)
            self._reference.answered(answer.headers.get("Date"), slot.since_s, received_s)
            return body

    @asynccontextmanager
    async def attempt(
        self, priority: Priority, overdue_s: float = 0.0, *, is_websocket: bool = False
    ) -> AsyncIterator[Slot]:
        """Wait for a slot; what happens inside is one request: counted, and its end told to the pacer.

        Websockets may be out of order, or too many, while requests are answered: a handshake that fails says nothing
        about those, unless it was to find out whether the cloud is back.
        """
        async with self._pacer.slot(priority, overdue_s) as slot:
            self._requests += 1
            try:
                yield slot
            except CloudError as error:
                self._failed[error.code] += 1
                if not is_websocket or slot.is_probe:
                    self._tell_pacer(slot, error)
                raise
            self._succeeded += 1
            self._pacer.succeeded(slot)

    def _tell_pacer(self, slot: Slot, error: CloudError) -> None:
        match error:
            case Throttled():
                self._pacer.throttled(slot, error.retry_after_s)
            case Unreachable() | ServerFailed() | TlsFailed() | NetworkLoginNeeded():
                self._pacer.failed(slot)
            case _:
                self._pacer.succeeded(slot)  # the cloud is there, whatever it thinks of the request

    async def _receive(self, request: Request, slot: Slot) -> tuple[Answer, float]:
        """The answer, and when its head had arrived."""
        if isinstance(request.body, Stream):
            return await self._upload(request, Upload(request.body))
        is_short = request.is_live or (slot.is_probe and not request.priority.is_background)
        total_s = self._limits.live_s if is_short else self._limits.total_s
        try:
            async with self._responding(self._session, request, request.body, total_s) as response:
                received_s = self._now()
                return Answer(response.status, response.headers, await self._read(request, response)), received_s
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(self._session.connector, Connections):
                self._session.connector.start_afresh()
            # aiohttp's errors carry our headers.
            raise translated(request.operation, error, request.url.authority) from None

    async def _upload(self, request: Request, upload: Upload) -> tuple[Answer, float]:
        try:
            async with (
                upload.supervised(),
                self._responding(self._upload_session, request, upload, None) as response,
            ):
                received_s = self._now()
                is_early = upload.answered()
                answer = Answer(response.status, response.headers, await self._read(request, response))
        except (aiohttp.ClientError, OSError) as error:
            raise upload.failure or translated(request.operation, error, request.url.authority) from None
        if is_early:
            body_of(answer, request.operation, request.path, request.secrets)
            raise BadAnswer(request.operation, Fault.WRONG_SHAPE, "it came before the end of the request")
        return answer, received_s

    def _responding(
        self, session: aiohttp.ClientSession, request: Request, body: bytes | Upload | None, total_s: float | None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return session.request(
            request.method,
            request.complete_url(),
            headers=request.headers,
            data=body,
            allow_redirects=False,
            # aiohttp would round long timeouts up to whole seconds.
            timeout=aiohttp.ClientTimeout(total_s, self._limits.connect_s, ceil_threshold=math.inf),
        )

    async def _read(self, request: Request, response: aiohttp.ClientResponse) -> bytes:
        # The stream is decompressed chunk by chunk, so that a bomb is noticed long before it is whole.
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            if len(body) + len(chunk) > self._limits.max_body:
                response.close()
                raise BadAnswer(request.operation, Fault.TOO_LARGE)
            body += chunk
        return bytes(body)


def translated(operation: str, error: Exception, authority: str = "") -> CloudError:
    """The leaf that stands for an error of the HTTP library or the operating system."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", "") or "its certificate is not valid"
            return TlsFailed(operation, reason)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return TlsFailed(operation, "it does not speak TLS as it should")
        case aiohttp.ClientConnectorDNSError():
            return Unreachable(operation, Broken.NAME, authority)
        case TimeoutError():
            return Unreachable(operation, Broken.TIMEOUT, authority)
        case aiohttp.ClientConnectorError():
            return Unreachable(operation, Broken.CONNECT, authority)
        case aiohttp.ClientResponseError():
            return BadAnswer(operation, Fault.NOT_HTTP)
        case _:
            return Unreachable(operation, Broken.CUT, authority)

"""The Insiders API as typed operations.

Every operation raises a leaf of `CloudError`. Readings are retried with growing pauses while the cause is transient,
live polls are not, because a late one is worthless, and a write is after a 429 only: it may have been done otherwise.
A change of sensors is not even then: others may have changed them during the pause; nor is an upload, which is long.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import msgspec
from yarl import URL

from gateway.cloud.auth import Authoriser, Login
from gateway.cloud.endpoints import ENDPOINTS, EndpointTable
from gateway.cloud.exchange import Exchange, Limits, Traffic
from gateway.cloud.managers import Managers
from gateway.cloud.models import (
    BluetoothConfig,
    Device,
    Ownership,
    Page,
    PairingSet,
    Range,
    TimestampAnswer,
    decode_bluetooth,
    decoder,
    page_decoder,
)
from gateway.cloud.pacing import Pacer, Priority
from gateway.cloud.paging import LIST_LIMIT, pages, windows
from gateway.cloud.recordings import RecordingOperations
from gateway.cloud.sessions import open_session, open_upload_session
from gateway.cloud.stream import Streams, open_stream_session
from gateway.cloud.transport import Transport
from gateway.secret import Secret
from insiders_codecs.cloud import DecodedRows, RowsPage, decode_rows, decode_rows_page

T = TypeVar("T")

MAX_LATEST_ROWS = 300
"""The latest-data endpoint looks back 30 s at 10 Hz."""

DAY_MS = 86_400_000
LONGEST_RANGES_MS = 14 * DAY_MS
LONGEST_DATA_MS = 2 * DAY_MS

ROWS_LIMIT = 10_000
"""Rows per page, the API's default: 2.5 MB, where its maximum of 25,000 would be held in memory at once."""


@asynccontextmanager
async def open_cloud(
    *,
    api_url: str,
    token_url: str,
    websocket_url: str,
    username: str,
    password: Secret,
    client_id: str,
    client_secret: Secret,
    endpoints: EndpointTable = ENDPOINTS,
    limits: Limits | None = None,
) -> AsyncIterator["CloudClient"]:
    """A client with its own session, token and request budget; nothing is sent before the first operation.

    Args:
        api_url: Base of the API's paths.
        token_url: Base of the token endpoint.
        websocket_url: Base of the live websockets.
        username: Name of the manager account.
        password: Its password.
        client_id: OAuth2 client given by the vendor.
        client_secret: Its secret.
        endpoints: Paths and methods.
        limits: Timeouts and the largest body; the defaults fit a bad mobile link.
    """
    async with (
        open_session() as session,
        open_upload_session() as upload_session,
        open_stream_session() as stream_session,
    ):
        exchange = Exchange(session, Pacer(), limits or Limits(), upload_session)
        path = endpoints["token"].path
        login = Login(username, password, client_id, client_secret)
        authoriser = Authoriser(exchange, URL(_with_slash(token_url) + path), path, login)
        transport = Transport(exchange, authoriser, _with_slash(api_url), endpoints)
        live_path = endpoints["live_data"].path
        streams = Streams(stream_session, exchange, authoriser, _with_slash(websocket_url), live_path)
        yield CloudClient(transport, exchange, streams)


class CloudClient(RecordingOperations):
    """The operations of the Insiders API; made by `open_cloud`.

    Attributes:
        managers: The operations on accounts.
    """

    def __init__(self, transport: Transport, exchange: Exchange, streams: Streams) -> None:
        super().__init__(transport)
        self.managers = Managers(transport)
        self._transport = transport
        self._exchange = exchange
        self._streams = streams

    @property
    def traffic(self) -> Traffic:
        """What has been sent and received so far."""
        return self._exchange.traffic

    def utc_ms(self) -> int | None:
        """What time it is in the cloud, epoch milliseconds, to within a second; None before its first answer."""
        return self._exchange.utc_ms()

    # Devices and who owns them

    async def devices(self, *, current: bool | None = None, serial_number: str | None = None) -> AsyncIterator[Device]:
        """Devices, page by page.

        Args:
            current: True gives those this account owns now; left out, every one it ever owned.
            serial_number: Keeps those whose serial number *contains* this, whatever the case.
        """
        query = {"current": None if current is None else _flag(current), "serial_number": serial_number}
        async for device in self._listed("devices", _device_page, query):
            yield device

    async def device(self, device_id: int) -> Device:
        """One device."""
        return await self._control("device", _device, device_id)

    async def take_ownership(self, serial_number: str, device_name: str) -> Device:
        """Claim a device; its first claim also activates it.

        Raises:
            Forbidden: Somebody else owns it.
            NotFound: No device has this serial number and name.
            Rejected: The pair was not acceptable.
        """
        return await self._transport.send(
            "take_ownership",
            _device,
            priority=Priority.CONTROL,
            body=msgspec.json.encode({"serial_number": serial_number, "device_name": device_name}),
        )

    async def release_ownership(self, device_id: int) -> None:
        """Give a device up.

        Raises:
            Rejected: It was never activated, or is not ours.
            Forbidden: It is not ours.
        """
        await self._control("release_ownership", _nothing, device_id)

    async def set_custom_name(self, device_id: int, custom_name: str) -> None:
        """Name a device, 60 characters at most (deprecated by the vendor)."""
        await self._control("set_custom_name", _nothing, device_id, msgspec.json.encode({"custom_name": custom_name}))

    async def ownerships(
        self, *, device_id: int | None = None, device_name: str | None = None
    ) -> AsyncIterator[Ownership]:
        """Ownerships past and present, page by page; of one device by its id or its exact name.

        Nothing live waits for them: they come behind what does.
        """
        query = {"device": device_id, "device_name": device_name}
        async for ownership in self._listed("device_ownerships", _ownership_page, query, priority=Priority.HISTORY):
            yield ownership

    async def ownership(self, ownership_id: int) -> Ownership:
        """One ownership."""
        ids = {"device_ownership": ownership_id}
        return await self._transport.send("device_ownership", _ownership, priority=Priority.CONTROL, ids=ids)

    # Samples

    async def latest_data(
        self,
        device_id: int,
        size: Callable[[], int],
        *,
        overdue_s: float = 0.0,
        decode: Callable[[bytes], DecodedRows] = decode_rows,
    ) -> DecodedRows:
        """The newest rows of a device we own now; one attempt.

        Args:
            device_id: The device.
            size: Gives the number of rows, 1 to 300; called when the request goes out, after it has waited its turn.
            overdue_s: Seconds since this device was due to be read: who is overdue longest is served first.
            decode: Body to rows.

        Raises:
            Forbidden: We do not own it any more.
        """

        def checked() -> int:
            if not 1 <= (rows := size()) <= MAX_LATEST_ROWS:
                raise ValueError(f"size must be from 1 to {MAX_LATEST_ROWS}")
            return rows

        return await self._transport.send(
            "latest_data",
            decode,
            priority=Priority.LIVE,
            ids={"device": device_id},
            query={"size": checked},
            overdue_s=overdue_s,
            attempts=1,
        )

    async def latest_timestamp(self, device_id: int, *, overdue_s: float = 0.0) -> TimestampAnswer:
        """When a device we own now measured last; one attempt, and ``overdue_s`` as in `latest_data`."""
        return await self._transport.send(
            "latest_timestamp",
            _timestamp,
            priority=Priority.LIVE,
            ids={"device": device_id},
            overdue_s=overdue_s,
            attempts=1,
        )

    def live(self, device_id: int) -> AbstractAsyncContextManager[AsyncIterator[DecodedRows]]:
        """The rows of a device we own now as the cloud gets them, over a websocket of its own.

        Entering connects and authorises. Rows come in no certain order, and nothing of what came before; a message
        that cannot be read is counted and left out. The iteration ends when the access token has been renewed: connect
        again at once. No rows are no error as long as the connection answers pings.

        Raises:
            Unauthorized: On entering: the token was refused, and so was a new one.
            Forbidden: On entering: refused, although the token is good for requests. Whether we still own the device
                is not said; ask for it before acting on it.
            Throttled: On entering: no handshake is sent before the pause is over.
            CloudError: On entering or later: the leaf that names the cause.
        """
        return self._streams.open(device_id)

    async def ranges(self, device_id: int, start_ms: int, stop_ms: int) -> AsyncIterator[Range]:
        """Stretches with samples between two instants (epoch ms) at which we owned the device.

        Longer spans than 14 days are asked for in pieces; a stretch across the border of two comes in two parts.
        """
        for window_start_ms, window_stop_ms in windows(start_ms, stop_ms, LONGEST_RANGES_MS):
            query = {"start": window_start_ms, "stop": window_stop_ms}
            async for found in self._listed(
                "preprocessed_ranges", _range_page, query, {"device": device_id}, Priority.HISTORY
            ):
                yield found

    async def preprocessed(
        self, device_id: int, start_ms: int, stop_ms: int, limit: int = ROWS_LIMIT
    ) -> AsyncGenerator[RowsPage, None]:
        """All rows between two instants (epoch ms) at which we owned the device, page by page.

        Longer spans than 2 days are asked for in pieces that share their border. A row may come twice, there or on
        neighbouring pages, and is recognised by its time, as the rings do. The cloud caches results for 120 s.
        """
        for window_start_ms, window_stop_ms in windows(start_ms, stop_ms, LONGEST_DATA_MS):
            query = {"start": window_start_ms, "stop": window_stop_ms, "limit": limit}

            async def fetch(number: int, query: dict[str, int] = query) -> RowsPage:
                return await self._transport.send(
                    "preprocessed_data",
                    decode_rows_page,
                    priority=Priority.HISTORY,
                    ids={"device": device_id},
                    query={**query, "page": number},
                )

            async for page in pages("preprocessed_data", fetch):
                yield page

    # Bluetooth sensors

    async def bluetooth_config(self, device_id: int) -> BluetoothConfig:
        """Which sensors a device we own now is paired with, and which it shall be."""
        return await self._transport.send(
            "bluetooth_config", decode_bluetooth, priority=Priority.PAIRING, ids={"device": device_id}
        )

    async def set_bluetooth_config(
        self,
        device_id: int,
        change: PairingSet,
        *,
        immediate_sending: bool = False,
        before_sending: Callable[[], None] = lambda: None,
    ) -> BluetoothConfig:
        """Change which sensors a device shall be paired with; one attempt, for the next has to be preceded by a look.

        Args:
            device_id: A device we own now.
            change: UNSET leaves a sensor as it is, None asks for none.
            immediate_sending: Tell the tracker now, not when it is switched on next.
            before_sending: Called when the request goes out, after it has waited its turn; what it raises keeps it here
                and passes through.
        """

        def flag() -> str:
            before_sending()
            return _flag(immediate_sending)

        return await self._transport.send(
            "set_bluetooth_config",
            decode_bluetooth,
            priority=Priority.PAIRING,
            ids={"device": device_id},
            query={"immediate_sending": flag},
            body=msgspec.json.encode(change),
            attempts=1,
        )

    async def _control(
        self, operation: str, decode: Callable[[bytes], T], device_id: int, body: bytes | None = None
    ) -> T:
        ids = {"device": device_id}
        return await self._transport.send(operation, decode, priority=Priority.CONTROL, ids=ids, body=body)

    async def _listed(
        self,
        operation: str,
        decode: Callable[[bytes], Page[T]],
        query: Mapping[str, int | str | None],
        ids: Mapping[str, int] | None = None,
        priority: Priority = Priority.CONTROL,
    ) -> AsyncIterator[T]:
        async def fetch(number: int) -> Page[T]:
            return await self._transport.send(
                operation,
                decode,
                priority=priority,
                ids=ids,
                query={**query, "page": number, "limit": LIST_LIMIT},
            )

        async for page in pages(operation, fetch):
            self._exchange.count_rejected(page.rejected)
            for item in page.items:
                yield item


def _with_slash(url: str) -> str:
    return url.rstrip("/") + "/"


def _flag(value: bool) -> str:  # noqa: FBT001 - it is the value
    return "true" if value else "false"


def _nothing(_body: bytes) -> None:
    """Operations without a documented answer may answer anything."""


_device = decoder(Device)
_device_page = page_decoder(Device)
_ownership = decoder(Ownership)
_ownership_page = page_decoder(Ownership)
_range_page = page_decoder(Range)
_timestamp = decoder(TimestampAnswer)

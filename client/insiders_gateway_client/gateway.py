"""A gateway, as programs use it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal
from urllib.parse import urlencode

from insiders_gateway_client import asking, uploading
from insiders_gateway_client.address import Address, parse
from insiders_gateway_client.errors import GatewayError
from insiders_gateway_client.events import Disconnected, Event, Reader
from insiders_gateway_client.following import Following, Subscription
from insiders_gateway_client.keys import Keys
from insiders_gateway_client.latest import Latest, Newest
from insiders_gateway_client.local import usual
from insiders_gateway_client.messages import Codec, Message, MessageError, Run, decode, decode_rows
from insiders_gateway_client.samples import Collection, Samples, joined
from insiders_gateway_client.transport import Transport

_HISTORY_TIMEOUT_S = 30.0
_MSGPACK = "application/msgpack"
_LATEST_S = 5.0
"""Of the past in which the newest values are looked for: longer, and a heart rate is nobody's any more."""


class Gateway:
    """One gateway. Nothing is connected between two questions, so there is nothing to close.

    Attributes:
        address: Where it is.
    """

    def __init__(
        self,
        address: str | Address | None = None,
        token: str | None = None,
        authority: str | None = None,
        *,
        keys: Keys | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            address: See `insiders_gateway_client.address.parse`; None for that of this machine.
            token: What lets us in; None for what is kept for it.
            authority: PEM of the authority that has signed its certificate; None for what is kept for it.
            keys: Where what lets us in is kept; None for the usual place.

        Raises:
            AddressError: If the address is none.
            GatewayError: If what is kept cannot be read.
        """
        self.address = usual() if address is None else parse(address) if isinstance(address, str) else address
        kept = Keys() if keys is None else keys
        key = kept.of(self.address)
        self._transport = Transport(
            self.address, token or key.token, authority or key.authority, others=kept.others(self.address)
        )

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        timeout_s: float | None = asking.ANSWER_TIMEOUT_S,
    ) -> bytes:
        """The JSON that the gateway answers to a request.

        Args:
            method: Of HTTP.
            path: Below `/api/v1/`, encoded, with what stands behind a "?".
            json: The body.
            timeout_s: How long the answer may take; None for as long as it takes.

        Raises:
            RefusalError: If the gateway refuses, with its words.
            NotAdmittedError: If it does not know us.
            GatewayError: If there is no answer, or another one than a gateway of this version gives.
        """
        return await asking.ask(self._transport, method, path, json=json, timeout_s=timeout_s)

    async def upload(self, blocks: AsyncIterable[bytes], size: int, query: Mapping[str, str]) -> bytes:
        """Send a recording: see `insiders_gateway_client.uploading.upload_recording`."""
        return await uploading.upload_recording(self._transport, blocks, size, query)

    def follow(self, subscription: Subscription | None = None, codec: Codec = Codec.MSGPACK) -> Following:
        """The live stream as the messages of the protocol; of everything, if nothing else is subscribed to."""
        return Following(self._transport, subscription or Subscription(), codec)

    async def stream(
        self,
        *,
        devices: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        mode: Literal["all", "latest"] = "all",
        last_s: float = 0.0,
        on_slow: Literal["conflate", "drop_oldest", "close"] = "conflate",
    ) -> AsyncGenerator[Event, None]:
        """What happens, for as long as it is iterated, across cuts and restarts: each row once.

        An event counts as worked off when the next is asked for. Close the iterator (`contextlib.aclosing`) when
        leaving it early. For the arguments see `insiders_gateway_client.following.Subscription`.

        Raises:
            RefusalError: If the gateway does not give what was asked for.
            NotAdmittedError: If it does not know us, or not any more.
            GatewayError: If trying again would change nothing. A gateway that is not there, or not any more, is tried
                again for ever, with a `Disconnected` each time.
        """
        following = self.follow(Subscription(devices, columns, mode, last_s, on_slow))
        reader = Reader()
        async with aclosing(following.messages()) as messages:
            async for message in messages:
                for event in self._events(reader, following, message):
                    yield event

    async def collect(
        self, seconds: float, *, devices: Sequence[str] | None = None, columns: Sequence[str] | None = None
    ) -> dict[str, Samples]:
        """The rows that come in so many seconds from now, by serial number; raises what `stream` raises.

        Rows that are late by minutes are among them, as they are in the stream. Raises `GatewayError` also if there was
        no connection in all that time.
        """
        collection, trouble, is_heard = Collection(), "", False
        try:
            async with asyncio.timeout(seconds) as limit:
                events = self.stream(devices=devices, columns=columns, on_slow="drop_oldest")
                async with aclosing(events):
                    async for event in events:
                        collection.take(event)
                        if isinstance(event, Disconnected):
                            trouble = event.text
                        else:
                            is_heard = True
        except TimeoutError:
            if not limit.expired():
                raise
        if not is_heard and trouble:
            raise GatewayError(f"{trouble[0].upper()}{trouble[1:]}")
        return collection.samples()

    async def latest(self, devices: Sequence[str] | None = None) -> dict[str, Latest]:
        """The newest values of every tracker, by serial number, as they are now.

        Raises:
            RefusalError: If the gateway does not give what was asked for.
            GatewayError: If there is no answer.
        """
        following = self.follow(Subscription(devices, mode="latest", last_s=_LATEST_S))
        newest = Newest()
        async with aclosing(following.messages()) as messages:
            async for message in messages:
                if message["op"] == "disconnected":
                    raise GatewayError(f"{message['text'][0].upper()}{message['text'][1:]}")
                newest.take(message, following.rows(message) if message["op"] == "snap" else [])
                if newest.is_complete:
                    break
        return newest.by_serial_number()

    async def history(self, device: str, from_ms: int, to_ms: int, columns: Sequence[str] | None = None) -> Samples:
        """The rows of one tracker that were measured at or after `from_ms` and before `to_ms`, as far as remembered.

        Raises:
            RefusalError: If the gateway does not know the tracker or a column, with its words.
            GatewayError: If there is no answer.
        """
        runs: list[Run] = []
        next_ms: int | None = from_ms
        while next_ms is not None:
            query = {"device": device, "from": str(next_ms), "to": str(to_ms)}
            if columns is not None:
                query["columns"] = ",".join(columns)
            body = await asking.ask(
                self._transport, "GET", f"history?{urlencode(query)}", timeout_s=_HISTORY_TIMEOUT_S, form=_MSGPACK
            )
            try:
                message = decode(body, Codec.MSGPACK)
                runs += decode_rows(message, message["schema"])
                next_ms = message["next_from_ms"]
            except (MessageError, KeyError):
                raise self._foreign() from None
        return joined(device, None, runs)

    def _events(self, reader: Reader, following: Following, message: Message) -> list[Event]:
        runs = following.rows(message) if message["op"] in {"snap", "d"} else []
        try:
            return list(reader.read(message, runs))
        except (KeyError, TypeError):
            raise self._foreign() from None

    def _foreign(self) -> GatewayError:
        return GatewayError(f"{self.address.where} speaks another protocol: use the version of the gateway here")

"""A gateway, as programs use it."""

from collections.abc import AsyncIterable, Mapping
from typing import Any

from insiders_gateway_client import asking, uploading
from insiders_gateway_client.address import Address, parse
from insiders_gateway_client.following import Following, Subscription
from insiders_gateway_client.messages import Codec
from insiders_gateway_client.transport import Transport


class Gateway:
    """One gateway.

    Attributes:
        address: Where it is.
    """

    def __init__(self, address: str | Address, token: str | None = None, authority: str | None = None) -> None:
        """Connect to nothing yet.

        Args:
            address: See `insiders_gateway_client.address.parse`.
            token: What lets us in.
            authority: PEM of the authority that has signed its certificate.

        Raises:
            AddressError: If the address is none.
        """
        self.address = parse(address) if isinstance(address, str) else address
        self._transport = Transport(self.address, token, authority)

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

"""How a gateway is connected to: over the network or a local socket, with TLS and a token, and why it fails."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from insiders_gateway_client.address import Address, such_as
from insiders_gateway_client.errors import (
    GatewayError,
    NobodyThereError,
    NotAdmittedError,
    UnknownNameError,
    UntrustedError,
)

CONNECT_TIMEOUT_S = 10.0

UNAUTHORIZED, FORBIDDEN, MISDIRECTED = 401, 403, 421
_JOIN = "ask for a code and join with `insiders-gateway access join 'LINK'`"
_TLS_TIMEOUT_S = 3.0
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Transport:
    """The way to a gateway.

    Attributes:
        address: Where it is.
        token: What lets us in; None where the place does, as on the local socket.
        authority: PEM of the authority that its certificate must be of; None for those that this machine trusts.
        fingerprint: SHA-256 of its certificate, which then is trusted whoever signed it; None if it is not known.
        others: Gateways that could be meant where nothing answers.
    """

    address: Address
    token: str | None = field(default=None, repr=False)
    authority: str | None = field(default=None, repr=False)
    fingerprint: bytes | None = None
    others: Sequence[Address] = ()

    def session(self, timeout: aiohttp.ClientTimeout | None = None) -> aiohttp.ClientSession:
        """Something to ask with, to be closed.

        Raises:
            GatewayError: If the authority is none.
        """
        connector: aiohttp.BaseConnector
        if self.address.socket is not None:
            connector = aiohttp.UnixConnector(self.address.socket)
        else:
            connector = aiohttp.TCPConnector(ssl=self._trust())
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout or aiohttp.ClientTimeout())

    def unreachable(self, error: aiohttp.ClientConnectorError) -> GatewayError:
        """Why there is no connection and what to do, in two clauses."""
        where = self.address.where
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            name = self.address.root.host
            return UnknownNameError(f"The name {name} is not known here: correct it, or give the gateway's IP address")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return UntrustedError(
                f"{where} shows a certificate that is not trusted here: {_JOIN}, or look whether it is the gateway"
            )
        if isinstance(error, aiohttp.ClientConnectorSSLError):
            return GatewayError(f"{where} does not speak TLS: write http:// before it if that is meant to be so")
        if isinstance(error.os_error, PermissionError):
            return GatewayError(f"{where} is not for this user: use sudo, or the gateway's address and a token")
        return NobodyThereError(
            f"Nothing answers at {where}: start the gateway there or name another{such_as(self.others)}"
        )

    async def tls_missing(self) -> GatewayError | None:
        """The sentence where we have asked in plain and TLS is spoken: whoever does that hangs up without a word."""
        if self.address.is_secure or self.address.socket is not None:
            return None
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nothing is told: to shake hands is all that is wanted
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        root = self.address.root
        try:
            async with asyncio.timeout(_TLS_TIMEOUT_S):
                _, writer = await asyncio.open_connection(root.host, root.port, ssl=anybody)
        except (OSError, TimeoutError):
            return None
        writer.transport.abort()
        return GatewayError(f"{self.address.where} speaks TLS: write {self.address.over_tls}")

    def not_admitted(self) -> NotAdmittedError:
        """The gateway wants to know who we are."""
        where = self.address.where
        if self.token is None:
            return NotAdmittedError(f"{where} lets in only those whom it knows: {_JOIN}")
        return NotAdmittedError(f"{where} does not take this token, or not any more: {_JOIN}")

    def refused(self, status: int, location: str | None, what: str) -> GatewayError:
        """The sentence for an answer of HTTP that no gateway of this version gives to what it was asked for.

        Args:
            status: Of HTTP.
            location: Where it points to, if it does.
            what: It was asked for.
        """
        where = self.address.where
        if status in _REDIRECTS and location is not None:
            return GatewayError(f"{where} points to {location}: give that address")
        if status == UNAUTHORIZED:
            return self.not_admitted()
        if status == MISDIRECTED:
            return GatewayError(f"{where} does not go by this name: give its host name, NAME.local or IP address")
        return GatewayError(f"{where} tells no {what} (HTTP {status}): give the address of a gateway of this version")

    def _trust(self) -> ssl.SSLContext | aiohttp.Fingerprint | bool:
        if self.fingerprint is not None:
            return aiohttp.Fingerprint(self.fingerprint)
        if self.authority is None:
            return True
        try:
            return ssl.create_default_context(cadata=self.authority)
        except (ssl.SSLError, ValueError):
            raise GatewayError(f"What is kept as the authority of {self.address.where} is none: {_JOIN}") from None

"""Where a gateway is: what people type, as the address that programs connect to."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from yarl import URL

from insiders_gateway_client.errors import AddressError

DEFAULT_PORT = 8770
API = "/api/v1"
_LOCAL_SOCKET = "unix:"
_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
_STREAM_SCHEMES = {"http": "ws", "https": "wss"}


@dataclass(frozen=True, slots=True)
class Address:
    """A gateway.

    Attributes:
        root: What its API and its pages are below: a URL of HTTP.
        socket: Path of the local socket that is connected to instead of the host; None over the network.
    """

    root: URL
    socket: str | None = None

    def __str__(self) -> str:
        """The one text of this address."""
        return f"{_LOCAL_SOCKET}{self.socket}" if self.socket is not None else str(self.root).rstrip("/")

    @property
    def where(self) -> str:
        """What it is called towards people."""
        return str(self) if self.socket is not None else (self.root.host_port_subcomponent or "")

    @property
    def typed(self) -> str:
        """The shortest text that means it."""
        return self.where if parse(self.where) == self else str(self)

    @property
    def is_secure(self) -> bool:
        """Whether nobody on the way can read along, as far as the scheme says."""
        return self.root.scheme == "https"

    @property
    def over_tls(self) -> "Address":
        """The same place, asked over TLS."""
        return Address(URL.build(scheme="https", host=self.root.host or "", port=self.root.port, path=self.root.path))

    @property
    def stream(self) -> URL:
        """Of the live stream."""
        return self.of("stream").with_scheme(_STREAM_SCHEMES[self.root.scheme])

    def of(self, path: str) -> URL:
        """Of something below the API; `path` is encoded, with what stands behind a "?"."""
        folder = f"{self.root.raw_path.rstrip('/')}{API}/"
        return self.root.with_path(folder, encoded=True).join(URL(path, encoded=True))


def parse(text: str) -> Address:
    """The address that a person means.

    Args:
        text: A URL, `unix:` and the path of a local socket, host and port, a host, or a port of this machine. A host
            without a scheme is asked over TLS, unless it is this machine: what is asked there passes no network.

    Raises:
        AddressError: If it is none of these.
    """
    if text.startswith(_LOCAL_SOCKET):
        path = text.removeprefix(_LOCAL_SOCKET).removeprefix("//")
        if not path.startswith("/"):
            raise _no_address(text)
        return Address(URL("http://localhost/"), path)
    try:
        if "://" in text:
            url = URL(text)
            scheme, port = _SCHEMES[url.scheme], url.port
        else:
            url = URL(f"any://{f'127.0.0.1:{text}' if text.isascii() and text.isdigit() else text}")
            scheme = "http" if is_this_machine(url.host or "") else "https"
            port = url.explicit_port or DEFAULT_PORT
        prefix = url.path.rstrip("/").removesuffix("/stream").removesuffix(API)
        return Address(URL.build(scheme=scheme, host=url.host or "", port=port, path=f"{prefix}/"))
    except (ValueError, KeyError):
        raise _no_address(text) from None


def such_as(addresses: Sequence[Address]) -> str:
    """The end of a sentence that asks for an address: those that could be meant; nothing if there are none."""
    return f", such as {' or '.join(address.typed for address in addresses)}" if addresses else ""


def is_this_machine(host: str) -> bool:
    """Whether a host is a loopback address, or the name of one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _no_address(text: str) -> AddressError:
    shown = text.partition("#")[0]  # behind it stands a code
    return AddressError(f"{shown} is no address of a gateway; try 127.0.0.1:{DEFAULT_PORT}")

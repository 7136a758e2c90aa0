"""By which names a gateway may be asked, and whose pages may ask it: what keeps rebound names and foreign pages out."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

_parts_of = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?").fullmatch

_HTTP, _HTTPS = 80, 443


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where a connection has come in.

    Attributes:
        address: The gateway's own address on it; empty on the local socket.
        port: The gateway's port.
        is_tls: Whether it is encrypted.
    """

    address: str
    port: int
    is_tls: bool

    @property
    def is_local(self) -> bool:
        """Whether it is the local socket, at which no browser arrives."""
        return not self.address

    @property
    def scheme(self) -> str:
        """Of the URLs that lead here."""
        return "https" if self.is_tls else "http"


def own_names(configured: Iterable[str]) -> frozenset[str]:
    """Those of this machine, as they are and as multicast DNS knows them, and those that the configuration adds."""
    whole = socket.gethostname().lower()
    short = whole.partition(".")[0]
    return frozenset({whole, short, f"{short}.local", *(name.lower() for name in configured)})


def front_url(host: str, port: int, configured: Iterable[str], *, is_tls: bool) -> str:
    """Where others find this gateway, if nobody who asks knows better.

    Args:
        host: On which it listens.
        port: Likewise.
        configured: Names that the configuration adds; the first is the best one.
        is_tls: Whether it is encrypted.
    """
    to_others = next(iter(configured), f"{socket.gethostname().partition('.')[0].lower()}.local")
    name = "localhost" if is_loopback(host) else to_others
    scheme, usual = ("https", _HTTPS) if is_tls else ("http", _HTTP)
    return f"{scheme}://{name}" if port == usual else f"{scheme}://{name}:{port}"


def is_asked_for(host: str, entrance: Entrance, names: frozenset[str]) -> bool:
    """Whether a `Host` header means this gateway.

    A name that anybody could have pointed at our address does not: the browser would take a hostile page for ours. An
    address does if the connection has come in at it. What comes in over loopback may have come through a tunnel that
    begins at another port.
    """
    found = _parts_of(host)
    if found is None:
        return False
    name, port = found[1].lower(), found[2]
    is_from_here = is_loopback(entrance.address)
    if not is_from_here and (int(port) if port else _HTTPS if entrance.is_tls else _HTTP) != entrance.port:
        return False
    address = parsed(name.strip("[]"))
    if address is not None:
        return address == parsed(entrance.address) or (is_from_here and address.is_loopback)
    return name in names or (is_from_here and name == "localhost")


def host_of(target: str) -> str | None:
    """The host in the address of a request; None where there is only a path, as is usual."""
    if target.startswith("/") or target == "*":
        return None
    return target.partition("://")[2].partition("/")[0]


def host_name(host: str) -> str:
    """The name or address in a `Host` header, without the port; empty if there is none."""
    found = _parts_of(host)
    return "" if found is None else found[1]


def is_own_page(origin: str, host: str, entrance: Entrance) -> bool:
    """Whether an `Origin` header is that of a page which came from here, under the name by which it asks."""
    return origin.lower() == f"{entrance.scheme}://{host}".lower()


def parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address in one form, whatever family its socket has; None if it is none."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_loopback(host: str) -> bool:
    """Whether an address, of whatever family its socket is, or a name is one that only this machine reaches."""
    found = parsed(host)
    return host == "localhost" if found is None else found.is_loopback

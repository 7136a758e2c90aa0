"""Under which names and addresses this machine is reached, as the kernel tells them (netlink(7), rtnetlink(7))."""

import platform
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""What a program on this machine calls it."""

PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7")))
"""Networks that have no owner in the internet, so that no certificate for an address in one harms anybody elsewhere."""

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence number, port
_ADDRESS = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, interface
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_LAST = (2, 3)  # NLMSG_ERROR, NLMSG_DONE
_NLM_F_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_PASSING = 0x01 | 0x20 | 0x40  # temporary, deprecated, tentative: another one tomorrow

_is_name = re.compile(r"(?=.{1,63}$)[a-z0-9-]+(\.[a-z0-9-]+)*").fullmatch


def own_places() -> frozenset[str]:
    """The names of this machine, and its private addresses that stay, in their usual form."""
    places = {*LOOPBACK}
    with suppress(OSError):  # a kernel that does not tell them: then it is reached by its names
        places |= {str(address) for address in _addresses() if any(address in network for network in PRIVATE)}
    node = platform.node().lower().rstrip(".")
    host = node.partition(".")[0]
    return frozenset({*places, *filter(_is_name, (node, host, f"{host}.local" if host else ""))})


def is_address(place: str) -> bool:
    """Whether it is an IP address; else it is a name."""
    try:
        ip_address(place)
    except ValueError:
        return False
    return True


def _addresses() -> Iterator[Address]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        size = _HEADER.size + _ADDRESS.size
        kernel.send(
            _HEADER.pack(size, _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        )
        while True:
            told = kernel.recv(65536)
            while told:
                length, kind, *_ = _HEADER.unpack_from(told)
                if kind in _LAST:
                    return
                if kind == _RTM_NEWADDR:
                    yield from _address(told[_HEADER.size : length])
                told = told[_aligned(length) :]


def _address(message: bytes) -> Iterator[Address]:
    _, _, flags, *_ = _ADDRESS.unpack_from(message)
    if flags & _IFA_F_PASSING:
        return
    rest, found = message[_ADDRESS.size :], {}
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        found[kind] = rest[_ATTRIBUTE.size : length]
        rest = rest[_aligned(length) :]
    # On a line between two, the other end's is IFA_ADDRESS.
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if packed:
        yield ip_address(packed)


def _aligned(length: int) -> int:
    return (length + 3) & ~3

"""Who is asking: the one place that reads a credential from a request."""

import asyncio
import os
import pwd
import socket
import struct

from aiohttp import web

from gateway.access.caller import Caller
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.roles import Role
from gateway.live.door.names import Entrance, is_loopback, parsed
from gateway.live.requests import ErrorCode, RequestError
from gateway.secret import Secret

SAFE_METHODS = frozenset({"GET", "HEAD"})
"""What they ask for changes nothing."""

_OPEN = "this machine"
_ANYBODY = Caller(_OPEN, _OPEN, Role.ADMIN)
_NOWHERE = ("unknown", 0)
"""No address by which anybody can ask."""

_ROOT = 0
_PEER = struct.Struct("3i")  # struct ucred: process, user, group


class Admission:
    """Reads credentials."""

    def __init__(self, doorkeeper: Doorkeeper | None, *, is_open_on_loopback: bool) -> None:
        """Make one.

        Args:
            doorkeeper: Knows the tokens; None if there are none.
            is_open_on_loopback: Whether who asks from this machine needs no credential.
        """
        self._doorkeeper = doorkeeper
        self._is_open_on_loopback = is_open_on_loopback

    def caller_of(self, request: web.BaseRequest) -> Caller | None:
        """Who asks; None if they show no credential and need one.

        Raises:
            NotAdmittedError: If they show one that is none.
            RequestError: If nobody can read it.
        """
        entrance = entrance_of(request)
        if entrance.is_local:
            return _peer_of(request)
        token = _token_of(request, entrance)
        if token is not None and self._doorkeeper is not None:
            return self._doorkeeper.admit(token, address_of(request), asyncio.get_running_loop().time())
        if token is not None:
            raise RequestError(ErrorCode.UNAUTHORIZED, "This gateway gives out no tokens: ask without one.")
        return _ANYBODY if self.is_open(request) else None

    def recognised(self, request: web.BaseRequest) -> Caller | None:
        """Who asks over the network, if they may come in: for their place only, so nothing is refused or counted."""
        entrance = entrance_of(request)
        try:
            token = None if entrance.is_local else _token_of(request, entrance)
        except RequestError:
            return None
        if token is not None:
            return None if self._doorkeeper is None else self._doorkeeper.recognised(token)
        return _ANYBODY if self.is_open(request) else None

    def is_open(self, request: web.BaseRequest) -> bool:
        """Whether one needs no credential where a request comes from."""
        return entrance_of(request).is_local or (self._is_open_on_loopback and is_loopback(address_of(request)))


def entrance_of(request: web.BaseRequest) -> Entrance:
    """Where a request has come in."""
    transport = request.transport
    if transport is None:  # gone already: nothing but a refusal comes of it
        return Entrance(*_NOWHERE, is_tls=False)
    if transport.get_extra_info("socket").family is socket.AF_UNIX:
        return Entrance("", 0, is_tls=False)
    address, port, *_ = transport.get_extra_info("sockname") or _NOWHERE
    return Entrance(address, port, is_tls=transport.get_extra_info("sslcontext") is not None)


def address_of(request: web.BaseRequest) -> str:
    """The address of who asks; empty on the local socket."""
    found = parsed(request.remote or "")
    return "" if found is None else str(found)


def cookie_name(entrance: Entrance) -> str:
    """Of the cookie that holds a browser's token: over TLS the one that browsers let nobody else set."""
    return "__Host-insiders_gateway" if entrance.is_tls else "insiders_gateway"


def _token_of(request: web.BaseRequest, entrance: Entrance) -> Secret | None:
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RequestError(ErrorCode.UNAUTHORIZED, "Send your token as `Authorization: Bearer TOKEN`.")
        return Secret(token.strip())
    cookie = request.cookies.get(cookie_name(entrance))
    if cookie is None:
        return None
    # A browser adds its cookies whoever has made it ask, and says who with what changes something or stays open.
    is_plain = request.method in SAFE_METHODS and "Upgrade" not in request.headers
    return Secret(cookie) if is_plain or "Origin" in request.headers else None


def _peer_of(request: web.BaseRequest) -> Caller:
    """Who has opened the local socket, as the kernel tells it."""
    if request.transport is None:
        raise RequestError(ErrorCode.UNAUTHORIZED, "The connection is gone: ask again.")
    credentials = request.transport.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size
    )
    _, user, _ = _PEER.unpack(credentials)
    if user not in {_ROOT, os.geteuid()}:
        raise RequestError(ErrorCode.FORBIDDEN, "Only root and the service's own user may ask here: use sudo.")
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = f"user {user}"
    return Caller(name, _OPEN, Role.ADMIN)

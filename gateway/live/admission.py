"""Who is asking: the one place that reads a credential from a request."""

import asyncio
import os
import pwd
import socket
import struct
from http.cookies import CookieError, SimpleCookie
from typing import Protocol

from aiohttp import web

from gateway.access.caller import Caller
from gateway.access.roles import Role
from gateway.live.names import Place, parsed
from gateway.live.requests import ErrorCode, RequestError
from gateway.secret import Secret

_OPEN = "this machine"
_ROOT = 0
_PEER = struct.Struct("3i")  # struct ucred: process, user, group
_SAFE_METHODS = frozenset({"GET", "HEAD"})


class DoorkeeperView(Protocol):
    """Who knows which tokens let in."""

    def admit(self, token: Secret, address: str, now_s: float) -> Caller:
        """Whose token this is; raises `NotAdmittedError`."""


class Admission:
    """Reads credentials."""

    def __init__(self, doorkeeper: DoorkeeperView | None, *, is_open_on_loopback: bool) -> None:
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
            RequestError: If they show one that is none.
        """
        place = place_of(request)
        if place.is_local:
            return _peer_of(request)
        token = _token_of(request, place)
        if token is not None and self._doorkeeper is not None:
            return self._doorkeeper.admit(token, address_of(request), asyncio.get_running_loop().time())
        if token is not None:
            raise RequestError(ErrorCode.UNAUTHORIZED, "This gateway knows no token.")
        if self._is_open_on_loopback and _is_loopback(address_of(request)):
            return Caller(_OPEN, _OPEN, Role.ADMIN)
        return None


def place_of(request: web.BaseRequest) -> Place:
    """Where a request has come in."""
    transport = request.transport
    if transport is None:  # gone already: no place of ours, so that nothing but a refusal comes of it
        return Place("0.0.0.0", 0, is_tls=False)  # noqa: S104  # no address that anybody can be asked by
    own = transport.get_extra_info("sockname")
    is_tls = transport.get_extra_info("sslcontext") is not None
    return Place(own[0], own[1], is_tls) if isinstance(own, tuple) else Place("", 0, is_tls)


def address_of(request: web.BaseRequest) -> str:
    """The address of who asks; empty on the local socket."""
    found = parsed(request.remote or "")
    return "" if found is None else str(found)


def cookie_name(place: Place) -> str:
    """Of the cookie that holds a browser's token: over TLS the one that browsers let nobody else set."""
    return "__Host-insiders_gateway" if place.is_tls else "insiders_gateway"


def _token_of(request: web.BaseRequest, place: Place) -> Secret | None:
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RequestError(ErrorCode.UNAUTHORIZED, "Send your token as `Authorization: Bearer TOKEN`.")
        return Secret(token.strip())
    try:
        cookies = SimpleCookie(request.headers.get("Cookie", ""))
    except CookieError:
        return None
    cookie = cookies.get(cookie_name(place))
    if cookie is None:
        return None
    # A browser adds its cookies whoever has made it ask, and says who with what changes something or stays open.
    is_plain = request.method in _SAFE_METHODS and "Upgrade" not in request.headers
    return Secret(cookie.value) if is_plain or "Origin" in request.headers else None


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


def _is_loopback(address: str) -> bool:
    found = parsed(address)
    return found is not None and found.is_loopback

"""Where clients come in: sockets that listen, and TLS before the first word."""

import asyncio
import contextlib
import os
import socket
import ssl
import weakref
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

from gateway.live.door.connection import Connection

SEND_BUFFER_BYTES = 64 * 1024
"""Kernel buffer per client. The default hides megabytes, minutes of samples, before anybody notices a slow laptop."""

UNSENT_BYTES = 16 * 1024
"""What the kernel may hold of it that is not on its way."""

QUEUE = 256
"""Connections that the kernel keeps until they are let in."""

AT_ONCE = 16
"""Of them that are let in with one turn of the loop: agreeing on TLS takes a Pi milliseconds each."""

GOODBYE_S = 2.0
"""How long a client may take to end its side of TLS."""

_ONLY_OWN = 0o600


class Handshake(SSLProtocol):
    """TLS of one connection, which has its place before it is agreed on: whoever agrees on nothing is counted, too."""

    max_size = 32 * 1024
    """Of the buffer that each connection has for what comes; the default is eight times that."""

    def __init__(self, connection: Connection, context: ssl.SSLContext, within_s: float) -> None:
        """Make one that has no transport yet.

        Args:
            connection: What speaks HTTP behind it.
            context: With the gateway's certificate.
            within_s: How long it may take.
        """
        deadlines: dict[str, Any] = {"ssl_handshake_timeout": within_s, "ssl_shutdown_timeout": GOODBYE_S}
        nobody_waits: Any = None
        loop = asyncio.get_running_loop()
        super().__init__(loop, connection, context, nobody_waits, server_side=True, **deadlines)
        self._connection = connection
        self._wire: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is a place."""
        self._wire = cast("asyncio.Transport", transport)
        self._wire.set_write_buffer_limits(high=1)  # what does not go waits where it is seen
        is_here = self._connection.arrive(transport)
        super().connection_made(transport)
        if not is_here:
            self._wire.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._wire = None
        self._connection.depart()

    def end_if_pending(self) -> None:
        """Give up what is not agreed on."""
        if self._wire is not None and self._connection.transport is None:
            self._wire.abort()


@contextmanager
def tcp_sockets(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Sockets bound to an address of this machine, all at one port.

    Args:
        host: An IP address, or localhost for both of that; "::" takes IPv4, too.
        port: 0 for any.

    Raises:
        OSError: If the port is taken.
    """
    with contextlib.ExitStack() as bound:
        first = bound.enter_context(_bound("127.0.0.1" if host == "localhost" else host, port))
        sockets = [first]
        if host == "localhost":
            with contextlib.suppress(OSError):  # no IPv6 here
                sockets.append(bound.enter_context(_bound("::1", first.getsockname()[1])))
        yield sockets


@contextmanager
def local_socket(path: Path) -> Iterator[socket.socket]:
    """A Unix socket that only root and our own user can open; it goes with the context.

    Raises:
        OSError: If there can be none at this path.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as local:
        os.fchmod(local.fileno(), _ONLY_OWN)  # before there is a name by which anybody could open it
        if path.is_socket():
            path.unlink()  # of a run that has ended: there is one gateway to a folder
        local.bind(str(path))
        try:
            yield local
        finally:
            path.unlink(missing_ok=True)


@asynccontextmanager
async def open_door(
    sock: socket.socket, factory: Callable[[], Connection], tls: ssl.SSLContext | None, within_s: int
) -> AsyncIterator[None]:
    """Let clients in at a socket for as long as the context is open; those who are in then stay.

    Args:
        sock: A bound one.
        factory: Makes what speaks with one client.
        tls: With the gateway's certificate; None for plain HTTP.
        within_s: How long TLS may take.
    """
    handshakes = weakref.WeakSet[Handshake]()

    def greet() -> asyncio.BaseProtocol:
        if tls is None:
            return factory()
        handshake = Handshake(factory(), tls, within_s)
        handshakes.add(handshake)
        return handshake

    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {"sock": sock, "backlog": AT_ONCE}
    create = loop.create_unix_server if sock.family is socket.AF_UNIX else loop.create_server
    server = await create(greet, **options)
    sock.listen(QUEUE)  # the loop takes one number for both
    try:
        yield
    finally:
        server.close()
        for handshake in handshakes:
            handshake.end_if_pending()


def _bound(host: str, port: int) -> socket.socket:
    is_any = host == "::"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.create_server((host, port), family=family, dualstack_ipv6=is_any and socket.has_dualstack_ipv6())
    # Clients inherit both.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    return bound

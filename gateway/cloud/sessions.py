"""HTTP sessions without cookies, proxies, .netrc and redirects; TLS is verified, and nothing can change that."""

import socket

import aiohttp

USER_AGENT = "insiders-gateway"

UPLOAD_BUFFER = 64 * 1024
"""Bytes that the kernel is asked to keep for an upload. Few, so that what was taken has nearly left, and nothing waits
long behind an upload on a thin line; enough for 10 Mbit/s over 50 ms."""


class Connections(aiohttp.TCPConnector):
    """Keeps connections for the next request until one of them breaks."""

    def __init__(self) -> None:
        # The pacer bounds requests, and a second bound could keep a probe from going out.
        super().__init__(limit=0)

    def start_afresh(self) -> None:
        """Trust no idle connection and no address any more.

        Connections that a dead network has swallowed look well, and each would cost the next request its whole time.
        """
        for idle in self._conns.values():
            for protocol, _since in idle:
                protocol.abort()
        self._conns.clear()
        self.clear_dns_cache()


def open_session() -> aiohttp.ClientSession:
    """A session for requests."""
    return _session(Connections())


def open_upload_session() -> aiohttp.ClientSession:
    """A session for uploads: each has a connection of its own, of which the kernel keeps little back."""
    return _session(aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=_thin_socket))


def _session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": USER_AGENT},
    )
    # aiohttp would send GET and PUT again by itself when a connection breaks: past the pacer, without a pause, and with
    # a write among them. There is no public switch; a test notices if this one goes.
    session._retry_connection = False  # noqa: SLF001
    return session


def _thin_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UPLOAD_BUFFER)
    return made

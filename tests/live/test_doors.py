"""The sockets of clients: how little the kernel hides of a client that does not take what it is sent."""

import socket

import pytest

from gateway.live.door.doors import tcp_sockets
from gateway.live.stream.wire import PORTION_BYTES

KB = 1024


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_of_what_a_client_does_not_take_the_kernel_keeps_little(host: str) -> None:
    with tcp_sockets(host, 0) as sockets:
        for listening in sockets:
            listening.listen()
            address = "::1" if listening.family is socket.AF_INET6 else "127.0.0.1"
            with socket.create_connection((address, listening.getsockname()[1])), listening.accept()[0] as accepted:
                # Linux tells twice what was asked for, because half of it is for its own books.
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 64 * KB
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 16 * KB


def test_what_is_written_at_once_is_no_more_than_the_kernel_keeps_that_is_not_on_its_way() -> None:
    with tcp_sockets("127.0.0.1", 0) as (listening,):
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) >= PORTION_BYTES

"""The gateway of this machine, found without being named."""

import socket
from collections.abc import Iterable
from pathlib import Path

from insiders_gateway_client.address import DEFAULT_PORT, Address, parse

SOCKETS = (
    Path("/run/insiders-gateway/control.sock"),
    Path.home() / ".local/state/insiders-gateway/control.sock",
)
"""Local sockets of the service, and of a gateway that one runs oneself; who may open them needs no token."""

_CONNECT_TIMEOUT_S = 0.5


def usual(sockets: Iterable[Path] | None = None) -> Address:
    """The gateway that is meant where none is named: a local socket that answers, else the usual port.

    Args:
        sockets: Where to look, in this order; None for `SOCKETS`.
    """
    for path in SOCKETS if sockets is None else sockets:
        if _answers(path):
            return parse(f"unix:{path}")
    return parse(str(DEFAULT_PORT))


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        tried.settimeout(_CONNECT_TIMEOUT_S)
        try:
            tried.connect(str(path))
        except OSError:  # not there, left behind by one that runs no more, or not for us
            return False
        return True

"""The gateway of this machine, found without being named."""

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from insiders_gateway_client.address import DEFAULT_PORT, Address, parse

SYSTEM_SOCKET = Path("/run/insiders-gateway/control.sock")
"""Of the service that systemd has started; who may open it needs no token."""

_CONNECT_TIMEOUT_S = 0.5


def usual(sockets: Iterable[Path] | None = None) -> Address:
    """The gateway that is meant where none is named: a local socket that answers, else the usual port.

    Args:
        sockets: Where to look, in this order; None for that of the service, then that of a gateway of one's own.
    """
    for path in (SYSTEM_SOCKET, _own_socket()) if sockets is None else sockets:
        if _answers(path):
            return parse(f"unix:{path}")
    return parse(str(DEFAULT_PORT))


def _own_socket() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(state) / "insiders-gateway" / SYSTEM_SOCKET.name


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as tried:
        tried.settimeout(_CONNECT_TIMEOUT_S)
        try:
            tried.connect(str(path))
        except OSError:  # not there, left behind by one that runs no more, or not for us
            return False
        return True

"""The gateway that is meant where none is named."""

import socket
from pathlib import Path

from insiders_gateway_client.local import usual


def test_a_local_socket_that_answers_goes_first(tmp_path: Path) -> None:
    left_behind, alive, absent = (tmp_path / name for name in ("left.sock", "alive.sock", "absent.sock"))
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(left_behind))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(alive))
        listening.listen()
        assert str(usual([absent, left_behind, alive])) == f"unix:{alive}"
    for sockets in ([], [absent], [left_behind], [alive], [tmp_path / ("x" * 200)]):
        assert str(usual(sockets)) == "http://127.0.0.1:8770"

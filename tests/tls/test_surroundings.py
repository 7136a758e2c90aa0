"""Names and addresses of a machine, as its kernel tells them."""

import os
import platform
import shutil
import subprocess
import sys

import pytest

from gateway.tls.surroundings import LOOPBACK, is_address, own_places

_NETWORK = """
set -e
hostname Pitch.Lan
ip link add eth9 type veth peer name far9
ip link set eth9 up
ip link set far9 up
ip addr add 192.168.7.5/24 dev eth9
ip addr add 10.9.9.1/24 peer 10.9.9.2/32 dev eth9
ip addr add 203.0.113.9/24 dev eth9
ip -6 addr add fd00:1::5/64 dev eth9 nodad
ip -6 addr add fd00:1::6/64 dev eth9 nodad preferred_lft 0
ip -6 addr add 2001:db8::5/64 dev eth9 nodad
exec "$@"
"""


def test_they_are_those_that_stay_and_that_nobody_else_has() -> None:
    if os.geteuid() != 0 or any(shutil.which(tool) is None for tool in ("unshare", "ip", "hostname")):
        pytest.skip("needs root, unshare, ip and hostname")
    code = "from gateway.tls.surroundings import own_places; print(*own_places(), sep=chr(10))"
    alone = ["unshare", "--net", "--uts", "sh", "-c", _NETWORK, "sh", sys.executable, "-c", code]
    result = subprocess.run(alone, capture_output=True, text=True, check=True)
    here = {"pitch.lan", "pitch", "pitch.local", "192.168.7.5", "10.9.9.1", "fd00:1::5"}
    assert set(result.stdout.split()) == here | {*LOOPBACK}


@pytest.mark.parametrize(
    ("node", "names"),
    [
        ("raspberrypi", {"raspberrypi", "raspberrypi.local"}),
        ("", set()),
        ("what ever", set()),
        ("a..b", {"a", "a.local"}),
    ],
)
def test_a_host_name_that_is_none_is_left_out(monkeypatch: pytest.MonkeyPatch, node: str, names: set[str]) -> None:
    monkeypatch.setattr(platform, "node", lambda: node)
    assert {place for place in own_places() if not is_address(place)} == names | {"localhost"}

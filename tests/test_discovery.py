"""Programs find the gateway: its service file for avahi is right, and the daemon that reads it answers who asks."""

import os
import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from gateway.config import LiveSettings
from insiders_gateway_client.address import DEFAULT_PORT

FILE = Path(__file__).parent.parent / "systemd/insiders-gateway.avahi.service"
DTD = Path("/usr/share/avahi/avahi-service.dtd")

# In namespaces of its own: two machines and a cable, no D-Bus, a /run and an /etc/avahi/services that nobody else sees.
_GROUND = """
set -e
mount --bind "$1" /etc/avahi/services
mount -t tmpfs none /run
ip netns add pitch
ip link add laptop type veth peer name touchline netns pitch
ip addr add 192.168.77.2/24 dev laptop
ip link set laptop up
ip -n pitch addr add 192.168.77.1/24 dev touchline
ip -n pitch link set touchline up
printf '[server]\\nhost-name=pitch\\nenable-dbus=no\\nuse-ipv6=no\\n' > /run/avahi.conf
exec "$2" -I -c "$3"
"""

_ASK = r"""
import socket, subprocess, sys
with subprocess.Popen(
    "ip netns exec pitch avahi-daemon -f /run/avahi.conf --no-drop-root --no-chroot --no-rlimits --debug".split(),
    stderr=subprocess.PIPE, text=True,
) as avahi:
    try:
        for line in avahi.stderr:
            if "successfully established" in line:
                break
            if "Failed to load" in line:
                sys.exit(line)
        name = b"".join(bytes([len(part)]) + part for part in b"_insiders-gw _tcp local".split()) + b"\0"
        question = bytes([7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + name + bytes([0, 12, 0, 1])  # PTR, IN
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as laptop:
            laptop.bind(("192.168.77.2", 0))
            laptop.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("192.168.77.2"))
            laptop.settimeout(0.5)
            while True:
                laptop.sendto(question, ("224.0.0.251", 5353))
                try:
                    answer = laptop.recv(9000)
                except TimeoutError:
                    continue
                sys.stdout.buffer.write(answer)
                break
    finally:
        avahi.terminate()
"""


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """The folder as a technician leaves it."""
    shutil.copy(FILE, tmp_path / "insiders-gateway.service")
    return tmp_path


def asked(services: Path) -> subprocess.CompletedProcess[bytes]:
    missing = [tool for tool in ("avahi-daemon", "unshare", "ip", "mount") if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing or not Path("/etc/avahi/services").is_dir():
        pytest.skip("needs root, unshare, ip, mount and avahi-daemon: apt install avahi-daemon")
    alone = [
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
        _GROUND,
        "sh",
    ]
    return subprocess.run([*alone, services, sys.executable, _ASK], capture_output=True, timeout=60, check=False)


def test_the_service_file_says_what_a_client_needs_and_nothing_about_anybody() -> None:
    group = ET.parse(FILE).getroot()
    service = group.find("service")
    assert service is not None
    assert service.findtext("type") == "_insiders-gw._tcp"
    assert service.findtext("port") == str(LiveSettings().port) == str(DEFAULT_PORT)
    records = dict(text.split("=", 1) for record in service.findall("txt-record") if (text := record.text))
    assert records == {"proto": "1", "path": "/api/v1/stream", "tls": "1"}
    assert group.find("name[@replace-wildcards='yes']") is not None


def test_the_service_file_is_what_avahi_documents() -> None:
    if shutil.which("xmllint") is None or not DTD.exists():
        pytest.skip("needs xmllint, and the DTD of avahi: apt install libxml2-utils avahi-daemon")
    subprocess.run(["xmllint", "--noout", "--dtdvalid", DTD, FILE], check=True, capture_output=True)


def test_a_laptop_that_asks_its_network_is_told_where_the_gateway_is(services: Path) -> None:
    result = asked(services)
    assert result.returncode == 0, result.stderr.decode()
    for said in (b"Insiders Gateway on pitch", b"\x07proto=1", b"path=/api/v1/stream", b"tls=1"):
        assert said in result.stdout
    # SRV (RFC 2782): priority, weight, port, and then the host.
    assert struct.pack("!HHH", 0, 0, DEFAULT_PORT) + b"\x05pitch" in result.stdout


def test_a_service_file_that_avahi_does_not_understand_is_found(services: Path) -> None:
    file = services / "insiders-gateway.service"
    file.write_text(file.read_text().replace("<port>", "<prot>"))
    assert b"Failed to load service group file" in asked(services).stderr

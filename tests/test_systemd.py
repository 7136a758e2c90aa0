"""What belongs to the system: systemd understands every line of it, and its sandbox does not get weaker unnoticed."""

import configparser
import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.service import ALLOWANCE_S

FOLDER = Path(__file__).parent.parent / "systemd"
UNIT = FOLDER / "insiders-gateway.service"
USB_UNIT = FOLDER / "insiders-gateway-usb@.service"
RULES = FOLDER / "90-insiders-gateway.rules"
MOUNT = FOLDER / "insiders-gateway-mount"
INBOX = "/srv/insiders-gateway/inbox"
NOBODY = 65534

MOST_EXPOSURE = 15
"""Tenths, as ``systemd-analyze security`` of systemd 252 measures it; what remains is the network we are there for, and
what tells us who writes a file."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt install systemd"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def runnable_unit(tmp_path: Path) -> Path:
    """The unit with a program that exists: the gateway is not installed where the tests run."""
    program = tmp_path / "insiders-gateway"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text, replaced = re.subn(r"(?m)^ExecStart=\S+", f"ExecStart={program}", UNIT.read_text(encoding="utf-8"))
    assert replaced == 1
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    return copy


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def unit_settings(unit: Path = UNIT) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit, encoding="utf-8")
    return {section: dict(parser[section]) for section in parser.sections()}


@needs_systemd
def test_systemd_understands_every_line(runnable_unit: Path) -> None:
    result = analyze("verify", "--man=no", runnable_unit)
    # Other units of the machine may have their own faults; ours is named in every complaint about it.
    complaints = [line for line in (result.stdout + result.stderr).splitlines() if runnable_unit.name in line]
    assert complaints == []
    assert result.returncode == 0


@needs_systemd
def test_a_line_that_systemd_does_not_understand_is_found(runnable_unit: Path) -> None:
    runnable_unit.write_text(runnable_unit.read_text().replace("TasksMax=", "TasksMost="))
    result = analyze("verify", "--man=no", runnable_unit)
    assert "TasksMost" in result.stdout + result.stderr


@needs_systemd
def test_the_sandbox_is_as_tight_as_stated(runnable_unit: Path) -> None:
    result = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", "--no-pager", runnable_unit)
    assert result.returncode == 0, result.stdout + result.stderr


@needs_systemd
def test_a_hole_in_the_sandbox_is_found(runnable_unit: Path) -> None:
    runnable_unit.write_text(runnable_unit.read_text().replace("RestrictNamespaces=yes", "RestrictNamespaces=no"))
    result = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", "--no-pager", runnable_unit)
    assert result.returncode != 0


def test_every_credential_has_the_name_that_the_program_looks_for() -> None:
    assert re.findall(r"(?m)^LoadCredential=(\w+):/etc/insiders-gateway/(\w+)$", UNIT.read_text(encoding="utf-8")) == [
        ("INSIDERS_PASSWORD", "INSIDERS_PASSWORD"),
        ("INSIDERS_CLIENT_SECRET", "INSIDERS_CLIENT_SECRET"),
    ]


def test_the_unit_starts_the_command_that_the_project_installs() -> None:
    command = unit_settings()["Service"]["ExecStart"].split()
    assert command[0].endswith("/bin/insiders-gateway")
    assert command[1:] == ["run", "--config", "/etc/insiders-gateway/config.toml"]


def test_a_part_has_more_than_one_beat_before_the_watchdog_bites() -> None:
    assert float(unit_settings()["Service"]["WatchdogSec"]) >= 2 * ALLOWANCE_S


def test_the_service_may_write_the_inbox_that_is_made_for_it_and_belongs_to_its_group() -> None:
    service = unit_settings()["Service"]
    assert service["ReadWritePaths"] == f"-{INBOX}"
    assert f"d {INBOX} 2770 root {service['SupplementaryGroups']} " in tmpfiles()
    assert f"g {service['SupplementaryGroups']} " in (FOLDER / "insiders-gateway.sysusers").read_text()
    assert f"${{INSIDERS_GATEWAY_INBOX:-{INBOX}}}" in MOUNT.read_text()


def tmpfiles() -> str:
    return re.sub(" +", " ", (FOLDER / "insiders-gateway.tmpfiles").read_text())


CAPABILITIES = unit_settings()["Service"]["AmbientCapabilities"].split()

_LEASE = """
import fcntl, sys
with open(sys.argv[1], "rb") as file:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
"""


def as_service(code: str, *arguments: str, capabilities: Sequence[str], pass_fds: Sequence[int] = ()) -> bool:
    """Whether a program ends well that has the rights of the service, in a network of its own."""
    names = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in capabilities) or "-all"
    user = [f"--reuid={NOBODY}", "--clear-groups", "--no-new-privs", f"--inh-caps={names}", f"--ambient-caps={names}"]
    script = [sys.executable, "-I", "-c", code, *arguments]
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    command = [*alone, "setpriv", *user, *script]
    return subprocess.run(command, pass_fds=pass_fds, capture_output=True, check=False).returncode == 0


needs_setpriv = pytest.mark.skipif(
    os.geteuid() != 0 or any(shutil.which(tool) is None for tool in ("setpriv", "unshare", "ip")),
    reason="needs root, and setpriv, unshare and ip: apt install util-linux iproute2",
)


def test_the_service_has_the_capabilities_that_it_needs_and_no_way_to_others() -> None:
    service = unit_settings()["Service"]
    assert CAPABILITIES == ["CAP_LEASE", "CAP_NET_BIND_SERVICE"]
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"]


@needs_setpriv
def test_with_its_capabilities_the_service_learns_who_writes_a_file_of_somebody_else(tmp_path: Path) -> None:
    file = tmp_path / "rec.asi"
    file.write_bytes(b"ASI")
    opened = os.open(file, os.O_RDONLY)

    def may_lease(capabilities: Sequence[str]) -> bool:
        return as_service(_LEASE, f"/proc/self/fd/{opened}", capabilities=capabilities, pass_fds=[opened])

    try:
        assert fcntl.fcntl(opened, fcntl.F_GETLEASE) == fcntl.F_UNLCK
        assert not may_lease(["CAP_NET_BIND_SERVICE"])
        assert may_lease(CAPABILITIES)
        with file.open("ab"):
            assert not may_lease(CAPABILITIES)
    finally:
        os.close(opened)


@needs_setpriv
@pytest.mark.parametrize("port", [80, 443])
def test_with_its_capabilities_the_service_has_an_address_without_a_number(port: int) -> None:
    listen = "import socket, sys; socket.create_server(('127.0.0.1', int(sys.argv[1])))"
    assert not as_service(listen, str(port), capabilities=["CAP_LEASE"])
    assert as_service(listen, str(port), capabilities=CAPABILITIES)


@needs_setpriv
def test_with_its_rights_the_service_serves_a_certificate_that_is_in_memory_alone() -> None:
    ours = f"import sys; sys.path[:0] = {[str(FOLDER.parent), *sys.path[1:]]!r}\n"
    code = """
from gateway.tls.issuing import make_authority, make_leaf
from gateway.tls.moment import believed
moment = believed(0, is_sure=False)
make_leaf(make_authority("here", (), moment), {"localhost"}, moment)
"""
    assert as_service(ours + code, capabilities=CAPABILITIES)


def test_the_local_socket_lies_where_only_root_and_the_service_come() -> None:
    service = unit_settings()["Service"]
    assert (service["RuntimeDirectory"], service["RuntimeDirectoryMode"]) == ("insiders-gateway", "0700")
    assert service["UMask"] == "0077"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine as the files for sysusers.d and tmpfiles.d make it."""
    if shutil.which("systemd-sysusers") is None or os.geteuid() != 0:
        pytest.skip("needs root, and systemd-sysusers and systemd-tmpfiles of systemd")
    for name in ("sysusers", "tmpfiles"):
        (tmp_path / f"usr/lib/{name}.d").mkdir(parents=True)
        shutil.copy(FOLDER / f"insiders-gateway.{name}", tmp_path / f"usr/lib/{name}.d/insiders-gateway.conf")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True)
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={tmp_path}"], check=True, capture_output=True)
    return tmp_path


def test_whatever_is_dropped_into_the_inbox_its_group_may_remove(root: Path) -> None:
    group = re.search(r"(?m)^insiders-recordings:[^:]*:(\d+):", (root / "etc/group").read_text())
    assert group is not None
    inbox = root / INBOX[1:]
    status = inbox.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o2770, 0, int(group[1]))
    before = os.umask(0o077)
    try:
        (inbox / "012345/monday").mkdir(parents=True)
        (inbox / "012345/monday/rec.asi").write_bytes(b"ASI")
    finally:
        os.umask(before)
    for path in inbox.rglob("*"):
        status = path.stat()
        assert status.st_gid == int(group[1])
        assert status.st_mode & 0o070 == (0o070 if path.is_dir() else 0o060)
        assert status.st_mode & 0o007 == 0


@needs_systemd
def test_systemd_understands_every_line_of_the_unit_for_usb(tmp_path: Path) -> None:
    text = USB_UNIT.read_text()
    assert set(re.findall(r"(?m)^Exec\w+=(\S+) \w+ /dev/%I$", text)) == {"/usr/local/sbin/insiders-gateway-mount"}
    copy = tmp_path / "insiders-gateway-usb@sda1.service"
    copy.write_text(text.replace("/usr/local/sbin/insiders-gateway-mount", str(MOUNT)))
    result = analyze("verify", "--man=no", copy)
    assert [line for line in (result.stdout + result.stderr).splitlines() if copy.name in line] == []
    assert result.returncode == 0


def test_what_is_pulled_out_is_unmounted_and_what_is_mounted_is_seen_by_all() -> None:
    unit = unit_settings(USB_UNIT)
    assert unit["Unit"]["BindsTo"] == "dev-%i.device"
    assert unit["Service"]["RemainAfterExit"] == "yes"
    # Each of these would give it a view of the files of its own.
    own_view = {"ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "ReadWritePaths"}
    assert own_view.isdisjoint(unit["Service"])


def test_every_line_of_the_rules_is_a_comment_or_matches_or_assigns() -> None:
    lines = [line for line in RULES.read_text().splitlines() if line and not line.startswith("#")]
    part = r'[A-Z]+(\{\w+\})?(==|!=|\+=|=)"[^"]+"'
    assert all(re.fullmatch(rf"{part}(, {part})*", line) for line in lines)
    assert f'ENV{{SYSTEMD_WANTS}}+="{USB_UNIT.name.replace("@", "@%k")}"' in RULES.read_text()
    assert RULES.read_text().count("insiders_gateway_end") == len(lines) - 1


def test_udev_understands_every_line() -> None:
    udevadm = shutil.which("udevadm")
    if udevadm is None or subprocess.run([udevadm, "verify", "--help"], capture_output=True, check=False).returncode:
        pytest.skip("needs udevadm verify of systemd 254")
    result = subprocess.run([udevadm, "verify", RULES], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr

"""What is plugged in is shown to the gateway, read-only, and goes again: the script as root runs it, on real disks."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endurance.disks import why_no_ext4

SCRIPT = Path(__file__).parent.parent / "systemd/insiders-gateway-mount"

pytestmark = pytest.mark.skipif(bool(why_no_ext4()), reason=why_no_ext4())

ONLY_WHAT_THE_UNIT_HAS = ["setpriv", "--bounding-set=-all,+sys_admin", "--inh-caps=-all", "--no-new-privs"]


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Stick:
    """A disk in a file, as a device, and the inbox below which it is shown."""

    def __init__(self, top: Path, label: str) -> None:
        self.image, self.inbox, self.bin = top / f"{label.encode().hex()}.img", top / "inbox", top / "bin"
        self.image.touch()
        os.truncate(self.image, 4 << 20)
        contents = top / f"{label.encode().hex()}.contents"
        contents.mkdir()
        (contents / "rec.asi").write_bytes(b"ASI")
        run("mkfs.ext4", "-q", "-L", label, "-d", contents, self.image)
        self.inbox.mkdir(exist_ok=True)
        self.bin.mkdir(exist_ok=True)
        self.device = run("losetup", "--find", "--show", self.image)

    def script(self, deed: str, device: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ONLY_WHAT_THE_UNIT_HAS, SCRIPT, deed, device or self.device],
            env={"PATH": f"{self.bin}:{os.environ['PATH']}:/usr/sbin:/sbin", "INSIDERS_GATEWAY_INBOX": str(self.inbox)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def stub(self, program: str, text: str) -> None:
        path = self.bin / program
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def seen(self) -> list[str]:
        return sorted(str(path.relative_to(self.inbox)) for path in self.inbox.rglob("*.asi"))

    def clean(self) -> None:
        for place in self.mounts():
            run("umount", "--lazy", place)
        run("losetup", "--detach", self.device)

    def mounts(self) -> list[str]:
        lines = [line.split(" ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return [line[4] for line in lines if line[line.index("-") + 2] == self.device]

    def options(self) -> set[str]:
        return set(run("findmnt", "--noheadings", "--output", "OPTIONS", "--source", self.device).split(","))


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Stick]:
    stick = Stick(tmp_path, "012345")
    try:
        yield stick
    finally:
        stick.clean()


def test_a_stick_is_shown_below_its_label_and_nothing_can_be_written_to_it(stick: Stick) -> None:
    before = stick.image.read_bytes()
    done = stick.script("mount")
    assert done.returncode == 0, done.stderr
    assert stick.seen() == ["usb/012345/rec.asi"]
    assert {"ro", "nosuid", "nodev", "noexec"} <= stick.options()
    with pytest.raises(OSError, match="Read-only"):
        (stick.inbox / "usb/012345/rec.asi").unlink()
    assert stick.script("unmount").returncode == 0
    assert stick.mounts() == []
    assert list(stick.inbox.iterdir()) == []
    assert stick.image.read_bytes() == before


def test_a_stick_that_was_pulled_out_too_early_elsewhere_is_not_written_to_either(stick: Stick, tmp_path: Path) -> None:
    # An ext4 whose log has to be gone through: cut off while it was mounted for writing.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run("mount", stick.device, elsewhere)
    try:
        (elsewhere / "more.asi").write_bytes(b"ASI")
        os.sync()
        cut = stick.image.read_bytes()
    finally:
        run("umount", elsewhere)
    stick.image.write_bytes(cut)
    run("blockdev", "--flushbufs", stick.device)
    assert stick.script("mount").returncode == 0
    assert "norecovery" in stick.options()
    assert stick.script("unmount").returncode == 0
    assert stick.image.read_bytes() == cut


def test_its_serial_is_a_folder_of_its_own_so_that_either_may_name_the_tracker(stick: Stick) -> None:
    stick.stub("udevadm", "echo 864475041000000")
    stick.script("mount")
    assert stick.seen() == ["usb/864475041000000/012345/rec.asi"]
    stick.script("unmount")
    assert list(stick.inbox.iterdir()) == []


@pytest.mark.parametrize(
    ("label", "place"),
    [
        ("../../etc", "etc"),
        (".hidden", "hidden"),
        ("a b\n\x1b[2Jc", "a_b___2Jc"),
        ("Läufer", "L__ufer"),
        ("$(reboot)", "__reboot_"),
        ("-rf", "-rf"),
    ],
)
def test_any_label_makes_a_safe_name(tmp_path: Path, label: str, place: str) -> None:
    stick = Stick(tmp_path, label)
    try:
        done = stick.script("mount")
        assert done.returncode == 0, done.stderr
        [path] = stick.mounts()
        assert path == str(stick.inbox / "usb" / place.lstrip("_."))
    finally:
        stick.clean()


def test_without_label_and_serial_it_is_called_as_the_device_is(tmp_path: Path) -> None:
    stick = Stick(tmp_path, "")
    try:
        stick.script("mount")
        assert stick.seen() == [f"usb/{Path(stick.device).name}/rec.asi"]
    finally:
        stick.clean()


def test_two_sticks_of_one_name_are_both_shown(stick: Stick, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    other = Stick(tmp_path / "two", "012345")
    other.inbox = stick.inbox
    try:
        stick.script("mount")
        other.script("mount")
        assert len(stick.seen()) == 2
        stick.script("unmount")
        assert stick.seen() == [f"usb/012345-{Path(other.device).name}/rec.asi"]
    finally:
        other.clean()


def test_to_mount_twice_does_no_harm_and_to_unmount_twice_neither(stick: Stick) -> None:
    stick.script("mount")
    done = stick.script("mount")
    assert (done.returncode, len(stick.mounts())) == (0, 1)
    assert "mounted already" in done.stdout
    assert [stick.script("unmount").returncode for _ in range(2)] == [0, 0]
    assert stick.mounts() == []


def test_a_device_that_is_gone_is_unmounted_though_somebody_reads(stick: Stick, tmp_path: Path) -> None:
    node = tmp_path / "sdz1"
    status = Path(stick.device).stat()
    os.mknod(node, status.st_mode, status.st_rdev)
    assert stick.script("mount", str(node)).returncode == 0
    with (stick.inbox / "usb/012345/rec.asi").open("rb") as reader:
        node.unlink()
        assert stick.script("unmount", str(node)).returncode == 0
        assert list(stick.inbox.iterdir()) == []
        assert reader.read() == b"ASI"


def test_what_this_machine_uses_is_left_alone(stick: Stick, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run("mount", "-o", "ro", stick.device, elsewhere)
    try:
        done = stick.script("mount")
        assert done.returncode == 0
        assert "uses that disk" in done.stdout
        assert stick.seen() == []
    finally:
        run("umount", elsewhere)


@pytest.mark.parametrize("is_deep", [False, True])
def test_a_link_in_the_inbox_does_not_lead_root_elsewhere(stick: Stick, tmp_path: Path, *, is_deep: bool) -> None:
    victim = tmp_path / "etc"
    victim.mkdir()
    if is_deep:
        (stick.inbox / "usb").mkdir()
        (stick.inbox / "usb/012345").symlink_to(victim)
    else:
        (stick.inbox / "usb").symlink_to(victim)
    done = stick.script("mount")
    assert done.returncode == 0
    assert "is left alone" in done.stdout
    assert stick.mounts() == []
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("planted", ["usb", "usb/864475041000000"])
def test_nothing_is_made_where_a_link_on_the_way_leads(stick: Stick, tmp_path: Path, planted: str) -> None:
    stick.stub("udevadm", "echo 864475041000000")
    victim = tmp_path / "run"
    victim.mkdir()
    (stick.inbox / planted).parent.mkdir(exist_ok=True)
    (stick.inbox / planted).symlink_to(victim)
    done = stick.script("mount")
    assert done.returncode == 0
    assert "is left alone" in done.stdout
    assert stick.mounts() == []
    assert list(victim.iterdir()) == []


def test_no_folder_is_removed_where_a_link_on_the_way_leads(stick: Stick, tmp_path: Path) -> None:
    stick.stub("udevadm", "echo 864475041000000")
    victim = tmp_path / "run"
    (victim / "012345").mkdir(parents=True)
    # Somebody swaps the folder right before it is to be removed.
    swap = f"mv {stick.inbox}/usb/864475041000000 {tmp_path}/old; ln -s {victim} {stick.inbox}/usb/864475041000000"
    stick.stub("mount", f"{swap}; exit 32")
    assert stick.script("mount").returncode == 1
    assert (victim / "012345").is_dir()


def test_an_inbox_that_is_a_link_is_the_folder_that_it_leads_to(stick: Stick, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(stick.inbox)
    really, stick.inbox = stick.inbox, link
    assert stick.script("mount").returncode == 0
    assert stick.mounts() == [str(really / "usb/012345")]
    assert stick.script("unmount").returncode == 0
    assert list(really.iterdir()) == []


def test_what_is_no_file_system_or_no_usual_one_is_left_alone(stick: Stick) -> None:
    stick.stub("blkid", "echo zfs_member")
    assert "zfs_member, is none" in stick.script("mount").stdout
    (stick.bin / "blkid").unlink()
    stick.image.write_bytes(bytes(4 << 20))
    assert "no file system" in stick.script("mount").stdout
    assert stick.mounts() == []


def test_without_an_inbox_nothing_happens(stick: Stick) -> None:
    stick.inbox.rmdir()
    assert "no inbox" in stick.script("mount").stdout
    assert stick.script("unmount").returncode == 0
    assert not stick.inbox.exists()


def test_what_cannot_be_mounted_leaves_no_folder_and_a_failure(stick: Stick) -> None:
    stick.stub("mount", "exit 32")
    assert stick.script("mount").returncode == 1
    assert list(stick.inbox.iterdir()) == []


@pytest.mark.parametrize("kind", ["vfat", "exfat", "ntfs"])
def test_where_a_file_system_knows_no_owners_the_group_may_read_and_others_not(stick: Stick, kind: str) -> None:
    stick.stub("blkid", f"echo {kind}")
    stick.stub("getent", "echo insiders-recordings:x:977:")
    stick.stub("mount", 'echo "$@" >&2; exit 1')
    said = stick.script("mount").stderr
    assert f"-t {'ntfs3' if kind == 'ntfs' else kind} " in said
    assert "umask=0027,gid=977 " in said
    assert "ro,nosuid,nodev,noexec," in said


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing() -> None:
    run("shellcheck", SCRIPT)

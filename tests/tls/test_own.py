"""Two files that survive everything: restarts, half of a file, a full card, a kill at any moment, a wrong hand."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.tls.errors import AuthorityRefusedError
from gateway.tls.issuing import make_authority
from gateway.tls.own import OwnCertificate
from gateway.tls.pem import read_authority, read_leaf
from tests.tls.ground import HERE, moment


def started(folder: Path, places: frozenset[str] = HERE) -> OwnCertificate:
    own = OwnCertificate(folder, "FC Test", lambda: places)
    own.read()
    return own


def codes(own: OwnCertificate) -> list[str]:
    return [trouble.code for trouble in own.look(moment()).troubles]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As a first start leaves it."""
    started(tmp_path / "tls").look(moment())
    return tmp_path / "tls"


def test_a_restart_changes_nothing(folder: Path) -> None:
    first, second = (started(folder).look(moment()) for _ in range(2))
    assert first == second
    assert first.troubles == ()
    assert {path.name for path in folder.iterdir()} == {"authority.pem", "leaf.pem"}


def test_nobody_else_on_the_machine_can_read_a_key(folder: Path) -> None:
    def modes() -> set[int]:
        return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes() == {0o600}
    folder.chmod(0o755)
    for path in folder.iterdir():  # a backup put back by hand
        path.chmod(0o644)
    started(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes() == {0o600}


def test_keys_are_not_in_what_is_printed_of_them(folder: Path) -> None:
    look = started(folder).look(moment())
    assert "PRIVATE" not in repr(look)


@pytest.mark.parametrize("part", range(0, 101, 10))
def test_half_of_a_certificate_is_made_anew_by_the_same_authority(folder: Path, part: int) -> None:
    file = folder / "leaf.pem"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * part // 100])
    before = started(folder).authority
    look = started(folder).look(moment())
    assert look.authority == before
    assert look.troubles == ()
    assert read_leaf(file.read_bytes(), before) == look.leaf
    assert (look.leaf.pem == content) == (part == 100)


@pytest.mark.parametrize("part", range(0, 100, 10))
def test_with_half_of_an_authority_the_gateway_goes_on_with_what_laptops_trust(folder: Path, part: int) -> None:
    file = folder / "authority.pem"
    content = file.read_bytes()
    leaf = started(folder).look(moment()).leaf
    file.write_bytes(content[: len(content) * part // 100])
    for places in (HERE, HERE | {"192.168.8.9"}):
        look = started(folder, places).look(moment(days=340))
        assert look.leaf == leaf
        assert look.authority is None
        assert "authority_damaged" in [trouble.code for trouble in look.troubles]


def test_when_that_has_expired_there_is_a_new_authority_and_the_damaged_one_is_kept(folder: Path) -> None:
    (folder / "authority.pem").write_bytes(b"half")
    own = started(folder)
    look = own.look(moment(days=366))
    assert look.authority is not None
    assert own.look(moment(days=366 + 340)).leaf != look.leaf
    assert (folder / "authority.damaged.pem").read_bytes() == b"half"
    # Until somebody has decided: laptops know nothing of the new one.
    assert codes(started(folder)) == ["authority_damaged"]
    assert not started(folder).replace_authority(None, moment()).troubles
    assert codes(started(folder)) == []
    assert not (folder / "authority.damaged.pem").exists()


def test_a_certificate_that_another_authority_has_signed_is_not_served(folder: Path) -> None:
    """What a kill between the two files of a change leaves."""
    other = make_authority("FC Test", HERE, moment())
    (folder / "authority.pem").write_bytes(other.pem)
    look = started(folder).look(moment())
    assert look.authority == read_authority(other.pem)
    read_leaf(look.leaf.pem, other)


def test_an_authority_whose_key_is_anothers_is_damaged(folder: Path) -> None:
    pem = (folder / "authority.pem").read_bytes()
    other = make_authority("FC Test", HERE, moment()).pem
    end = b"-----END CERTIFICATE-----\n"
    (folder / "authority.pem").write_bytes(pem.partition(end)[0] + end + other.partition(end)[2])
    trouble = started(folder).look(moment()).troubles[0]
    assert "the private key belongs to another certificate" in trouble.text


def test_things_in_the_way_of_the_files_do_not_keep_the_gateway_from_starting(tmp_path: Path) -> None:
    (tmp_path / "tls/authority.pem").mkdir(parents=True)
    os.mkfifo(tmp_path / "tls/leaf.pem")
    look = started(tmp_path / "tls").look(moment())
    assert look.leaf.places == HERE
    assert "authority_damaged" in [trouble.code for trouble in look.troubles]


def test_without_a_place_to_write_it_serves_from_memory_says_so_and_writes_later(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.write_text("a file where the folder should be")
    own = started(folder)
    look = own.look(moment())
    assert [trouble.code for trouble in look.troubles] == ["certificate_not_kept"]
    assert "(file exists)" in look.troubles[0].text
    folder.unlink()
    assert own.look(moment()).troubles == ()
    assert started(folder).look(moment()).leaf == look.leaf


def test_what_could_not_be_written_is_not_written_over_what_came_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.write_text("a file where the folder should be")
    own = started(folder)
    own.look(moment())
    folder.unlink()
    look = own.replace_authority(None, moment())
    assert own.look(moment()) == look
    assert started(folder).look(moment()) == look


def test_an_authority_that_cannot_be_kept_is_not_begun_with(folder: Path) -> None:
    own = started(folder)
    before = own.look(moment())
    (folder / "authority.pem.tmp").mkdir()  # in the way of writing
    for pem in (None, make_authority("FC Test", HERE, moment()).pem):
        with pytest.raises(AuthorityRefusedError, match="cannot be kept") as refused:
            own.replace_authority(pem, moment())
        assert refused.value.code == "disk_failed"
    assert own.look(moment()) == before
    (folder / "authority.pem.tmp").rmdir()
    assert started(folder).look(moment()) == before


def test_the_authority_of_another_gateway_is_taken(folder: Path, tmp_path: Path) -> None:
    other = started(tmp_path / "other", frozenset({"hall.local", "localhost"}))
    other.look(moment())
    assert other.authority is not None
    look = started(folder).replace_authority(other.authority.pem, moment())
    assert look.authority == other.authority
    assert look.leaf.places == HERE - {"pitch"}
    assert look.troubles == ()
    assert started(folder).look(moment()).authority == other.authority


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (b"", "there is no certificate in it"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "there is no private key in it"),
        ("certificate", "there is no private key in it"),
        ("leaf", "that of a server and not of an authority"),
        ("bounds", "it may not sign for"),
    ],
)
def test_what_is_no_authority_for_this_gateway_is_refused_with_the_reason(
    folder: Path, pem: bytes | str, why: str
) -> None:
    own = started(folder)
    before = own.look(moment())
    assert own.authority is not None
    match pem:
        case "certificate":
            pem = own.authority.certificate.encode()
        case "leaf":
            pem = before.leaf.pem
        case "bounds":
            own = started(folder, frozenset({"gateway.example.org"}))
            pem = make_authority("FC Test", (), moment()).pem
        case _:
            pass
    assert isinstance(pem, bytes)
    with pytest.raises(AuthorityRefusedError, match=why) as refused:
        own.replace_authority(pem, moment())
    assert refused.value.code == "bad_authority"
    assert started(folder).look(moment()) == before


def test_a_name_that_the_authority_does_not_cover_is_told_once_and_makes_no_certificate_every_turn(
    folder: Path,
) -> None:
    own = started(folder, HERE | {"gateway.example.org"})
    first = own.look(moment())
    assert [(trouble.code, trouble.subject) for trouble in first.troubles] == [
        ("name_not_covered", "gateway.example.org")
    ]
    assert own.look(moment(hours=1)).leaf is first.leaf
    assert own.replace_authority(None, moment()).troubles == ()


def test_an_authority_that_ends_is_told_of_in_time(folder: Path) -> None:
    assert started(folder).look(moment(days=3653 - 91)).troubles == ()
    troubles = started(folder).look(moment(days=3653 - 89)).troubles
    assert [trouble.code for trouble in troubles] == ["authority_expiring"]


# Everything that the file system is asked for raises an audit event (fsync aside, which changes no name): the program
# ends, without a chance to tidy up, before the first, the second and so on.
_KILLED = """
import os, signal, sys
from pathlib import Path
from gateway.tls import issuing
from gateway.tls.own import OwnCertificate
from tests.tls.ground import HERE, moment
import cryptography.x509, cryptography.hazmat.primitives.serialization
issuing.make_authority("warm", HERE, moment())

folder, task = Path(sys.argv[1]), sys.argv[2]
steps = 0
while True:
    steps += 1
    if not (child := os.fork()):
        left = steps
        def kill(event, arguments):
            global left
            if event in {"open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.rmdir"}:
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
        own = OwnCertificate(folder / str(steps), "FC Test", lambda: HERE)
        if task != "first":
            own.read()
            own.look(moment())
        sys.addaudithook(kill)
        if task == "first":
            own.read()
            own.look(moment())
        elif task == "renewal":
            own.look(moment(days=340))
        else:
            own.replace_authority(None, moment())
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        print(steps)
        break
"""


@pytest.mark.parametrize(("task", "fewest"), [("first", 15), ("renewal", 4), ("authority", 8)])
def test_killed_at_any_step_it_starts_again_with_whole_files(tmp_path: Path, task: str, fewest: int) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _KILLED, tmp_path, task], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    steps = int(result.stdout)
    assert steps > fewest
    for step in range(1, steps + 1):
        folder = tmp_path / str(step)
        own = started(folder)
        before = own.authority
        look = own.look(moment())
        assert look.troubles == ()
        assert task == "first" or look.authority == before is not None
        assert read_leaf((folder / "leaf.pem").read_bytes(), look.authority) == look.leaf
        assert {path.name for path in folder.iterdir()} <= {
            "authority.pem",
            "leaf.pem",
            "leaf.pem.tmp",
            "authority.pem.tmp",
        }

"""The two commands ./demo and ./test: what they say when they cannot go on, and what they do again and what not.

Python is a fake here that only notes how it was called: a real installation takes minutes and the network.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("demo", "test", "scripts", "requirements", "pyproject.toml")
TOOLS = ("cat", "chmod", "cksum", "cp", "dirname", "flock", "grep", "head", "id", "mkdir", "mv", "rm", "sh", "tail")

PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) exit {old} ;;
    *ensurepip*) exit {no_venv} ;;
    -V) echo "Python {version}"; exit ;;
esac
printf '%s' "${{0##*/}}" >>"$CALLS"
printf '|%s' "$@" >>"$CALLS"
printf '\\n' >>"$CALLS"
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip "*) cat "$PIP_SAYS"; exit "$PIP_EXIT" ;;
esac
"""


class Checkout:
    """A copy of the checkout's commands in a folder with a space, with a PATH made to order."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.root.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self.calls = folder / "calls"
        self.pip_says = folder / "pip_says"
        self.pip_says.touch()
        self.pip_exit = 0
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, self.root / part)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")

    def add_python(
        self, name: str = "python3", *, old: bool = False, venv: bool = True, version: str = "3.11.7"
    ) -> None:
        python = self.bin / name
        python.write_text(PYTHON.format(old=int(old), no_venv=int(not venv), version=version))
        python.chmod(0o755)

    def run(self, command: str, *arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
        self.calls.write_text("")
        return subprocess.run(
            [self.root / command, *arguments],
            capture_output=True,
            text=True,
            cwd=self.elsewhere,
            env={
                "PATH": str(self.bin),
                "CALLS": str(self.calls),
                "PIP_SAYS": str(self.pip_says),
                "PIP_EXIT": str(self.pip_exit),
            },
            user=user,
            timeout=60,
            check=False,
        )

    def called(self, command: str = "demo") -> list[str]:
        """Run, and the modules that Python was called with."""
        assert self.run(command).returncode == 0
        return [line.partition("-m|")[2].split("|")[0] for line in self.calls.read_text().splitlines()]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def last_words(result: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a command that could not go on; before it only the note that it set up."""
    assert result.returncode == 1
    assert result.stdout == ""
    *notes, sentence = result.stderr.splitlines()
    assert all(note.startswith("Setting up .venv") for note in notes)
    return sentence


@pytest.mark.parametrize("command", ["demo", "test"])
def test_no_python_says_what_to_install(checkout: Checkout, command: str) -> None:
    sentence = last_words(checkout.run(command))
    assert sentence.startswith("There is no Python 3.11 or newer")
    assert "sudo apt install python3 python3-venv" in sentence


def test_a_python_that_is_too_old_is_no_python(checkout: Checkout) -> None:
    checkout.add_python(old=True)
    assert last_words(checkout.run("demo")).startswith("There is no Python 3.11 or newer")


def test_a_newer_python_beside_an_old_one_is_found(checkout: Checkout) -> None:
    checkout.add_python(old=True)
    checkout.add_python("python3.12")
    assert checkout.run("demo").returncode == 0
    assert checkout.calls.read_text().startswith("python3.12|-m|venv")


@pytest.mark.parametrize("name", ["python3", "python3.13"])
def test_debian_without_venv_says_which_package(checkout: Checkout, name: str) -> None:
    checkout.add_python(name, venv=False)
    sentence = last_words(checkout.run("demo"))
    assert sentence == f"{name} cannot make a virtual environment: run `sudo apt install {name}-venv` and start again."


def test_a_python_that_has_venv_is_preferred(checkout: Checkout) -> None:
    checkout.add_python(venv=False)
    checkout.add_python("python3.11")
    assert checkout.called() == ["venv", "pip", "pip", "gateway"]


@pytest.mark.parametrize(
    "said",
    [
        "NewConnectionError('<HTTPSConnection: [Errno 111] Connection refused')",
        "Failed to resolve: [Errno -3] Temporary failure in name resolution",
        "[Errno 101] Network is unreachable",
        "ReadTimeoutError: Read timed out.",
    ],
)
def test_no_network_says_so(checkout: Checkout, said: str) -> None:
    checkout.add_python()
    checkout.pip_says.write_text(f"WARNING: {said}\nERROR: No matching distribution found for aiohttp\n")
    checkout.pip_exit = 1
    assert "check the internet connection" in last_words(checkout.run("test"))


def test_any_other_failure_of_pip_gives_its_reason_and_where_more_stands(checkout: Checkout) -> None:
    checkout.add_python()
    complaint = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"
    checkout.pip_says.write_text(f"Collecting aiohttp\n{complaint}\n")
    checkout.pip_exit = 1
    sentence = last_words(checkout.run("test"))
    log = checkout.root / ".venv/pip.log"
    assert sentence == f"The Python packages could not be installed ({complaint}): {log} says more."


@pytest.fixture
def open_checkout() -> Iterator[Checkout]:
    """A checkout that another user can reach: pytest's own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="insiders-gateway-"))
    folder.chmod(0o755)
    yield Checkout(folder)
    shutil.rmtree(folder)


def test_a_folder_of_somebody_else_says_what_to_do(open_checkout: Checkout) -> None:
    open_checkout.add_python()
    open_checkout.root.chmod(0o555)
    nobody = 65534 if os.geteuid() == 0 else None
    sentence = last_words(open_checkout.run("demo", user=nobody))
    assert sentence.startswith(f"Cannot write to {open_checkout.root}")
    assert "copy the checkout" in sentence


def test_an_environment_that_cannot_be_made_says_so(checkout: Checkout) -> None:
    checkout.add_python()
    (checkout.bin / "mkdir").unlink()
    assert last_words(checkout.run("demo")).startswith("python3 could not make")


def test_everything_is_installed_by_hash_and_from_wheels(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.run("test")
    locked, project = [line for line in checkout.calls.read_text().splitlines() if "|pip|" in line]
    assert "|--require-hashes|--only-binary|:all:|-r|" in locked
    assert locked.endswith(f"{checkout.root}/requirements/dev.txt")
    assert project.endswith(f"|--no-deps|--no-build-isolation|-e|{checkout.root}")


@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_second_time_nothing_is_installed(checkout: Checkout, command: str) -> None:
    checkout.add_python()
    first, second = checkout.called(command), checkout.called(command)
    assert first[:-1] == ["venv", "pip", "pip"]
    assert second == first[-1:]


def test_what_the_tests_need_is_enough_for_the_demo(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.called("test")
    assert checkout.called("demo") == ["gateway"]


def test_what_the_demo_needs_is_completed_for_the_tests(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.called("demo")
    assert checkout.called("test") == ["pip", "pip", "pytest"]
    assert checkout.called("demo") == ["gateway"]


@pytest.mark.parametrize("part", ["requirements/runtime.txt", "pyproject.toml"])
def test_changed_requirements_are_installed_into_what_is_there(checkout: Checkout, part: str) -> None:
    checkout.add_python()
    checkout.called()
    with (checkout.root / part).open("a") as file:
        file.write("# changed\n")
    assert checkout.called() == ["pip", "pip", "gateway"]


def test_a_half_made_environment_is_begun_anew(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.pip_exit = 1
    last_words(checkout.run("demo"))
    (checkout.root / ".venv/left").touch()
    checkout.pip_exit = 0
    assert checkout.called() == ["venv", "pip", "pip", "gateway"]
    assert not (checkout.root / ".venv/left").exists()


def test_an_update_that_fails_leaves_nothing_that_looks_whole(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.called()
    (checkout.root / "requirements/runtime.txt").write_text("changed")
    checkout.pip_exit = 1
    last_words(checkout.run("demo"))
    checkout.pip_exit = 0
    assert checkout.called() == ["venv", "pip", "pip", "gateway"]


def test_a_checkout_that_moved_is_begun_anew(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.called()
    checkout.root = checkout.root.rename(checkout.root.with_name("another place"))
    assert checkout.called() == ["venv", "pip", "pip", "gateway"]


def test_another_python_under_the_environment_is_noticed(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.called()
    checkout.add_python(version="3.13.1")
    shutil.copy(checkout.bin / "python3", checkout.root / ".venv/bin/python")
    assert checkout.called() == ["venv", "pip", "pip", "gateway"]


def test_arguments_arrive_as_they_were_typed(checkout: Checkout) -> None:
    checkout.add_python()
    checkout.run("demo", "--site", "two words", "")
    assert checkout.calls.read_text().splitlines()[-1] == "python|-P|-m|gateway|demo|--site|two words|"
    checkout.run("test", "-k", "a or b")
    assert checkout.calls.read_text().splitlines()[-1] == "python|-m|pytest|-k|a or b"


def test_continuous_integration_runs_the_command_that_people_run() -> None:
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1] == "./test"

"""The systemd unit: systemd understands every line of it, and its sandbox does not get weaker unnoticed."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.service import ALLOWANCE_S

UNIT = Path(__file__).parent.parent / "systemd/insiders-gateway.service"

MOST_EXPOSURE = 15
"""Tenths, as ``systemd-analyze security`` of systemd 252 measures it; what remains is the network we are there for."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt install systemd"
)


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


def unit_settings() -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT, encoding="utf-8")
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

"""Logging: what a terminal and the journal receive, tried in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SAY = """
import logging, os, sys
if "--journal" in sys.argv:
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
from gateway import log
log.configure(verbose="--verbose" in sys.argv, is_daemon="--person" not in sys.argv)
log.configure(verbose="--verbose" in sys.argv, is_daemon="--person" not in sys.argv)
ours, theirs = logging.getLogger("gateway.x"), logging.getLogger("aiohttp")
for logger in (ours, theirs):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(level, "%s", logging.getLevelName(level).lower())
try:
    raise ValueError("cause")
except ValueError:
    ours.exception("two\\nlines")
ours.critical("end")
"""


def said(*arguments: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", SAY, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert result.stdout == ""
    return result.stderr.splitlines()


def test_the_journal_gets_a_priority_before_every_line() -> None:
    lines = said("--journal", "--verbose")
    assert lines[:6] == [
        "<7>gateway.x: debug",
        "<6>gateway.x: info",
        "<4>gateway.x: warning",
        "<3>gateway.x: error",
        "<4>aiohttp: warning",
        "<3>aiohttp: error",
    ]
    assert lines[6:8] == ["<3>gateway.x: two", "<3>lines"]
    assert all(line.startswith("<3>") for line in lines[6:-1])
    assert lines[-1] == "<2>gateway.x: end"


def test_a_terminal_gets_times_and_levels() -> None:
    assert said()[0].endswith("INFO    gateway.x: info")
    assert not any(line.startswith("<") for line in said())


def test_quiet_leaves_out_debug() -> None:
    assert not any("debug" in line for line in said())


def test_libraries_never_say_more_than_warnings() -> None:
    assert [line.rpartition(" ")[2] for line in said("--verbose") if "aiohttp" in line] == ["warning", "error"]


def test_a_terminal_that_inherited_the_journal_is_still_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert not any(line.startswith("<") for line in said())


def test_a_person_at_a_terminal_is_told_of_trouble_only() -> None:
    assert [line.split()[-1] for line in said("--person")][:2] == ["warning", "error"]


ADDRESSES = """
import logging
from gateway import log
log.configure(verbose=True)
logger = logging.getLogger("bleak")
logger.warning("not told")
logger.error("Failed to cancel connection (%s): %s", "/org/bluez/hci0/dev_A0_9E_1A_00_11_22/service0010", "why")
logger.error("a0:9e:1a:00:11:22, A0-9E-1A-00-11-22; at 12:34:56 of 2026-11-22 ::1 stays")
try:
    raise ValueError("device 'dev_E8_FE_6E_00_11_22' not found")
except ValueError:
    logger.exception("failed")
try:
    raise KeyError("sensor-a09e1a001122")
except KeyError:
    logger.exception("no such sensor; tracker 012345678901")
for name in ("gateway.bluetooth.sightings", "gateway.uploads.taking.inbox"):
    try:
        raise ValueError("Bob Miller's iPhone, or his Monday.asi")
    except ValueError:
        logging.getLogger(name).exception("a surprise")
"""


def test_a_bluetooth_address_of_a_library_does_not_reach_the_log() -> None:
    result = subprocess.run(
        [sys.executable, "-c", ADDRESSES], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert "not told" not in result.stderr, "our own states say it better"
    assert "/org/bluez/hci0/dev_(address)/service0010): why" in result.stderr
    assert "(address), (address); at 12:34:56 of 2026-11-22 ::1 stays" in result.stderr
    assert "device 'dev_(address)' not found" in result.stderr
    assert "KeyError: 'sensor-(address)'" in result.stderr
    assert "tracker 012345678901" in result.stderr
    assert "Bob" not in result.stderr
    assert "a surprise" in result.stderr
    assert result.stderr.endswith("in <module>\nValueError\n")

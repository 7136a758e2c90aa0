"""The canary of the whole run sings: each kind of value, each place where somebody could read it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

OPENING = """
import logging, subprocess, sys
from unittest import mock
import aiohttp
import pytest
from aiohttp import web
from gateway.live.stream.wire import Wire
from gateway.secret import Secret
from insiders_codecs.live import Codec, encode

LOG = logging.getLogger("gateway.x")

def say(text, name="gateway.x"):
    logging.getLogger(name).warning("%(text)s", {"text": text})

def refuse(text, codec):
    message = {"op": "error", "code": "bad_message", "text": text}
    Wire(mock.Mock(), mock.Mock(), mock.Mock(), codec).send(0.0, encode(message, codec))

def end(text, codec):
    message = {"op": "bye", "code": 4401, "text": text, "retry_after_ms": 0, "resumable": True}
    Wire(mock.Mock(), mock.Mock(), mock.Mock(), codec).send(0.0, encode(message, codec))

def err(text, *command):
    program = f"import sys; print({text!r}, file=sys.stderr)"
    subprocess.run([sys.executable, "-c", program, *command], check=True, stderr=subprocess.DEVNULL)
"""

SHOWN = [
    ("a name", "the log of gateway.x", 'say("Mina Sorensen runs")'),
    ("a heart rate", "the log of insiders_codecs.y", 'say("heart_rate: 187", "insiders_codecs.y")'),
    ("a secret", "the log of gateway.x", 'Secret("wonderful-words"); say("with wonderful-words in it")'),
    ("a secret", "stderr of ", 'Secret("wonderful-words"); err("Traceback: wonderful-words")'),
    ("a token", "stderr of ", 'err("igw_" + 43 * "x")'),
    ("a token", "stderr of ", 'err("Authorization: Bearer abcdefgh123")'),
    ("a coordinate", "stderr of ", 'err("latitude 45.0001234")'),
    ("a coordinate", "stderr of ", 'err("rows: [-300001234]")'),
    ("a name", "stderr of ", 'err("O\'Brien")'),
    ("a heart rate", "stderr of ", 'err("for her: 187 bpm", "-m gateway pair")'),
    ("a name", "the error on a websocket", 'refuse("Mina Sorensen is not there", Codec.JSON)'),
    ("a token", "the error on a websocket", 'refuse("no igw_" + 43 * "x", Codec.MSGPACK)'),
    ("a secret", "the bye on a websocket", 'Secret("wonderful-words"); end("with wonderful-words", Codec.JSON)'),
    ("a heart rate", "the bye on a websocket", 'end("at 187 bpm", Codec.MSGPACK)'),
]

HIDDEN = [
    'say("The token igw_" + 43 * "x")',
    'say("at 45.0001234 and 30.0001234")',
    'LOG.warning("%s runs", "Mina Sorensen")',
    'LOG.error("failed", exc_info=ValueError("Mina Sorensen, 187 bpm"))',
    'logging.getLogger("aiohttp").error("Cannot send %s", "Mina Sorensen")',
    'logging.getLogger("aiohttp").error("Cannot send Mina Sorensen")',
    'say(str(Secret("wonderful-words")))',
    'say("Minas Danas, heart_rate and power")',
    'err("for her: Mina Sorensen", "-m gateway pair")',
    'print("Mina Sorensen, 187 bpm, 45.0001234")',
    'refuse("Give device=SERIAL_NUMBER of a tracker of this gateway.", Codec.JSON)',
]


def run(folder: Path, *bodies: str) -> subprocess.CompletedProcess[str]:
    """A run of its own, with a test of each of these bodies."""
    (folder / "conftest.py").write_bytes((ROOT / "tests/conftest.py").read_bytes())
    tests = "".join(f"\ndef test_{number}():\n    {body}\n" for number, body in enumerate(bodies))
    (folder / "test_it.py").write_text(OPENING + tests)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", f"--rootdir={folder}", "-q", folder],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "COLUMNS": "400"},
        timeout=60,
        check=False,
    )


def test_each_kind_of_value_fails_the_run_wherever_it_is_shown(tmp_path: Path) -> None:
    result = run(tmp_path, *(body for *_, body in SHOWN))
    assert f"{len(SHOWN)} passed" in result.stdout
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    place = r"the log of \S+|stderr of |the \w+ on a websocket"
    found = re.findall(rf"(?m)^CANARY (.*) in ({place}).*?, first in \S*::test_(\d+) ", result.stdout)
    assert sorted(found, key=lambda it: int(it[2])) == [
        (kind, place, str(number)) for number, (kind, place, _) in enumerate(SHOWN)
    ]
    told = result.stdout.partition("what may not be shown was shown")[2]
    assert not re.search(r"Sorensen|187|wonderful|igw_xxx|abcdefgh123|45\.0|300001|Brien", told)


def test_what_does_not_get_out_does_not_fail_it(tmp_path: Path) -> None:
    result = run(tmp_path, *HIDDEN)
    assert (result.returncode, "CANARY" in result.stdout) == (0, False), result.stdout

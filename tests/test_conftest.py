"""The guards of conftest.py: each fails the test it is meant to fail."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

FORBIDDEN = """
import asyncio, logging, os, socket

async def test_leaving_a_task():
    test_leaving_a_task.task = asyncio.get_running_loop().create_task(asyncio.sleep(60))

def test_logging_what_does_not_fit():
    logging.getLogger("gateway.x").debug("%d", "text")

def test_leaving_this_machine():
    socket.create_connection(("192.0.2.1", 80), timeout=5)

def test_inheriting_a_secret():
    assert "INSIDERS_PASSWORD" in os.environ

async def test_that_does_none_of_it():
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.sleep(0))
"""


def test_what_a_test_may_not_do(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests/conftest.py").read_bytes())
    (tmp_path / "test_it.py").write_text(FORBIDDEN)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", f"--rootdir={tmp_path}", "-q", tmp_path],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "INSIDERS_PASSWORD": "x"},
        timeout=60,
        check=False,
    )
    assert set(re.findall(r"(?m)^(?:FAILED|ERROR) \S+::(\w+)", result.stdout)) == {
        "test_leaving_a_task",
        "test_logging_what_does_not_fit",
        "test_leaving_this_machine",
        "test_inheriting_a_secret",
    }
    for complaint in ("tasks left behind: <coroutine object sleep", "TypeError", "only connect to this machine"):
        assert complaint in result.stdout

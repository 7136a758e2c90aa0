"""The guards of conftest.py: each fails the test it is meant to fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (
            "async def test(): test.task = asyncio.get_running_loop().create_task(asyncio.sleep(60))",
            "tasks left behind: <coroutine object sleep",
        ),
        ("def test(): logging.getLogger('gateway.x').debug('%d', 'text')", "TypeError"),
        ("def test(): socket.create_connection(('192.0.2.1', 80), timeout=5)", "only connect to this machine"),
        ("def test(): assert 'INSIDERS_PASSWORD' in os.environ", "AssertionError"),
    ],
)
def test_what_a_test_may_not_do(tmp_path: Path, body: str, complaint: str) -> None:
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests/conftest.py").read_bytes())
    (tmp_path / "test_it.py").write_text(f"import asyncio, logging, os, socket\n{body}\n")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", f"--rootdir={tmp_path}", "-q", tmp_path],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "INSIDERS_PASSWORD": "x"},
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert complaint in result.stdout

"""The command as its own process, at a terminal of its own: Ctrl-C, and what it leaves behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.live.requests import ErrorCode, RequestError
from gateway.pairing.documents import Wish
from tests.pair.desk import H10, SPARE, Desk, slot, tracker
from tests.pair.person import Person, person
from tests.test_scan import sensor

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'codecs'}", "COLUMNS": "80", "TERM": "xterm"}


def desk() -> Desk:
    trackers = [tracker(1, "Ada", slot("heart_rate", H10, H10)), tracker(2, "Bea", slot("heart_rate", Wish.NONE))]
    return Desk(trackers, sensors=lambda: [sensor(SPARE.name, address=SPARE.address, rssi_dbm=-40)])


def started(one: Person, url: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gateway", "pair", *arguments, "--url", url]
    side = one.screen
    return subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=ENVIRONMENT)


async def status_of(process: subprocess.Popen[bytes]) -> int:
    async with asyncio.timeout(20):
        while (status := process.poll()) is None:
            await asyncio.sleep(0.02)
    return status


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "Ada", "--hold"), "Hold the sensor for 7 Ada"),
        (("set", "Ada", "8D3E"), "[y/N]"),
    ],
)
async def test_ctrl_c_ends_it_at_once_without_a_trace_and_the_terminal_is_as_it_was(
    arguments: tuple[str, ...], words: str
) -> None:
    gateway = desk()
    gateway.refusals = [RequestError(ErrorCode.SESSION_RUNNING, "Athletes train: wait.")]
    async with gateway.open() as url, person() as one:
        process = started(one, url, *arguments)
        try:
            await one.saw(words)
            process.send_signal(signal.SIGINT)
            assert await status_of(process) == 130
        finally:
            process.kill()
            process.wait()
        assert one.is_echoing
    assert "Traceback" not in one.seen
    assert [what for what, _, _ in gateway.asked] == (["set"] if words == "[y/N]" else [])


async def test_without_any_input_it_answers_and_asks_nothing() -> None:
    gateway = desk()
    gateway.refusals = [RequestError(ErrorCode.SESSION_RUNNING, "Athletes train: wait.")]
    async with gateway.open() as url:
        command = f'exec "{sys.executable}" -m gateway pair set Ada 8D3E --url {url} <&-'
        process = await asyncio.create_subprocess_shell(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
        )
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (1, b"", b"Athletes train: wait.\n")

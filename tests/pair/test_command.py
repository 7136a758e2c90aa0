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
from tests.pair.desk import H10, METER, SPARE, Desk, slot, tracker
from tests.terminal.person import Person, person
from tests.test_scan import sensor

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'codecs'}", "COLUMNS": "80", "TERM": "xterm"}


def desk() -> Desk:
    ada = tracker(1, "Ada", slot("heart_rate", H10, H10), slot("power", METER, METER))
    trackers = [ada, tracker(2, "Bea", slot("heart_rate", Wish.NONE))]
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
    ("arguments", "words", "end"),
    [
        (("set", "Ada", "--hold"), "Hold the sensor for 7 Ada", ""),
        (("set", "Ada", "8D3E"), "[y/N]", "Left as it was."),
        (("clear", "Ada"), "[1/2/b]", "Left as it was."),
        (("retry", "Bea"), "8 Bea: It is written.", "It goes on by itself: `insiders-gateway pair list --url"),
    ],
)
async def test_ctrl_c_ends_it_at_once_says_how_it_stands_and_the_terminal_is_as_it_was(
    arguments: tuple[str, ...], words: str, end: str
) -> None:
    gateway = desk()
    gateway.put(1, state="writing", text="It is written")
    if words == "[y/N]":
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
    if end:
        last = one.text.rpartition(words)[2].strip().removeprefix("^C").strip()
        assert last.startswith(end)
        assert any(line.startswith(end[:15]) for line in one.lines), "on a line of its own"
    assert [what for what, _, _ in gateway.asked] == {"[y/N]": ["set"], "8 Bea: It is written.": ["retry"]}.get(
        words, []
    )


@pytest.mark.parametrize("arguments", ["explain Ada", "list", "plan --json", "export"])
async def test_a_reader_that_is_gone_ends_it_without_a_word(arguments: str) -> None:
    async with desk().open() as url:
        command = f'set -o pipefail; "{sys.executable}" -m gateway pair {arguments} --url {url} | true'
        process = await asyncio.create_subprocess_exec("bash", "-c", command, stderr=subprocess.PIPE, env=ENVIRONMENT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (1, b"")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "Ada", "8D3E", "--slot", "foo"), b"invalid choice: 'foo' (choose from 'heart_rate', 'power')"),
        (("frob",), b"'export', 'adopt', 'suspend', 'resume', 'retry')"),
        (("clear", "Ada", "--reason", "x" * 201), b"found 201 characters, expected at most 200 on one line"),
    ],
)
async def test_what_is_mistyped_is_said_with_what_may_be_typed(arguments: tuple[str, ...], words: bytes) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "pair", *arguments), stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert words in err
    assert b"<" not in err


async def test_a_list_takes_the_gateway_as_watch_does_and_a_sentence_names_it_in_its_commands() -> None:
    async with desk().open() as url:
        port = url.rpartition(":")[2].partition("/")[0]
        for arguments, found in ((("list", port), b"2 trackers"), (("explain", "Zed", "--url", port), b"")):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "pair", *arguments),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
            )
            out, err = await process.communicate()
            assert out.startswith(found)
        assert f"`insiders-gateway pair list --url 127.0.0.1:{port}`".encode() in err


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

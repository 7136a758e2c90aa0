"""The command as its own process, at a terminal of its own: Ctrl-C, and what it leaves behind."""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.recordings.arguments import add_verbs
from gateway.uploads.recording import State
from tests.recordings.desk import Desk, progress, recording, report
from tests.terminal.person import Person, person

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'codecs'}", "COLUMNS": "80", "TERM": "xterm"}
COMMAND = (sys.executable, "-m", "gateway", "recordings")

LOST = report(recording(1111, State.UNASSIGNED, None))
LEAVES = report(recording(2222, State.SENDING), progress=progress(1_000_000))


def desk() -> Desk:
    return Desk([LOST, LEAVES], course=(State.SENDING,) * 1000)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "rec.asi"
    path.write_bytes(b"ASI" * 1_000_000)
    return path


def started(one: Person, url: str, *arguments: str) -> subprocess.Popen[bytes]:
    side = one.screen
    return subprocess.Popen([*COMMAND, *arguments, "--url", url], stdin=side, stdout=side, stderr=side, env=ENVIRONMENT)


async def status_of(process: subprocess.Popen[bytes]) -> int:
    async with asyncio.timeout(20):
        while (status := process.poll()) is None:
            await asyncio.sleep(0.02)
    return status


async def printed(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("arguments", "pause_s", "words", "end"),
    [
        (
            ("add", "FILE", "--tracker", "Ada"),
            0.0,
            "312.0 kB/s",
            "The gateway goes on by itself: `insiders-gateway",
        ),
        (("add", "FILE", "--tracker", "Ada"), 0.5, "B of 3.0 MB", "Stopped: 1 file not in the gateway."),
        (("discard", "1111"), 0.0, "[y/N]", "Left as it was."),
        (("list", "--follow"), 0.0, "1.0 MB of 12.3 MB", ""),
    ],
)
async def test_ctrl_c_ends_it_at_once_says_how_it_stands_and_the_terminal_is_as_it_was(
    file: Path, arguments: tuple[str, ...], pause_s: float, words: str, end: str
) -> None:
    gateway = desk()
    gateway.pause_s = pause_s
    async with gateway.open() as url, person() as one:
        process = started(one, url, *(str(file) if it == "FILE" else it for it in arguments))
        try:
            while words not in one.text:
                assert process.poll() is None, one.seen
                await asyncio.sleep(0.02)
            process.send_signal(signal.SIGINT)
            assert await status_of(process) in {0, 130}
        finally:
            process.kill()
            process.wait()
        assert one.is_echoing
    assert one.seen.rfind("\x1b[?25h") >= one.seen.rfind("\x1b[?25l"), "the cursor is there"
    assert "Traceback" not in one.seen
    assert end in one.text
    assert [what for what, _, _ in gateway.asked] == []


async def test_a_reader_that_is_gone_ends_it_without_a_word() -> None:
    async with desk().open() as url:
        command = f'set -o pipefail; "{sys.executable}" -m gateway recordings list --url {url} | true'
        process = await asyncio.create_subprocess_exec("bash", "-c", command, stderr=subprocess.PIPE, env=ENVIRONMENT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (1, b"")


async def test_the_exit_status_says_whether_all_went_well(file: Path) -> None:
    async with desk().open() as url:
        status, out, err = await printed("add", str(file), "gone.asi", "--tracker", "ada", "--no-follow", "--url", url)
        assert (status, err) == (1, "")
        assert "gone.asi is not there: look at its name.\n1 file of 2 in the gateway.\n" in out
        status, _, _ = await printed("add", str(file), "--tracker", "ada", "--no-follow", "--url", url)
        assert status == 0


async def test_a_list_takes_the_gateway_as_watch_does_and_errors_are_a_sentence_that_names_it() -> None:
    async with desk().open() as url:
        port = url.rpartition(":")[2].partition("/")[0]
        status, out, _ = await printed("list", port)
        assert (status, out.partition("\n")[0]) == (0, "2 recordings, 1 needs you.")
        status, out, err = await printed("show", "abcd", "--url", port)
        assert (status, out) == (1, "")
        assert f"`insiders-gateway recordings list --all --url 127.0.0.1:{port}` shows all of them.\n" in err


async def test_nobody_there_is_a_sentence() -> None:
    said = "Nothing answers at 127.0.0.1:9: start the gateway there or name another.\n"
    assert await printed("rebuild", "--url", "9") == (1, "", said)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("frob",), "'list', 'add', 'show', 'assign', 'retry', 'discard', 'rebuild')"),
        (("add",), "the following arguments are required: FILE"),
        (("assign", "3f9c"), "the following arguments are required: TRACKER"),
        (("list", "--follow", "--json"), "not allowed with argument"),
        (("show", "3f9c", "8831"), "show: error: 8831 is one too many"),
        (("show", "3f9c", "8831"), "show [-h] [--url URL] [--json] ID"),
        (("add", "a.asi", "-dash.asi"), "there is no option -dash.asi (if it is a file, write ./-dash.asi)"),
        (("list", "--folow"), "there is no option --folow\n"),
    ],
)
def test_what_is_mistyped_is_said_with_what_may_be_typed(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_verbs(parser)
    with pytest.raises(SystemExit) as end:
        parser.parse_args(arguments)
    assert end.value.code == 2
    assert words in capsys.readouterr().err

"""The command line: exit statuses, and where its sentences go."""

import asyncio
import logging
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway import cli
from gateway.arguments import parser
from gateway.config import EXIT_CONFIG

pytestmark = pytest.mark.usefixtures("own_logging")

ROOT = Path(__file__).parent.parent
CONFIG = """
[cloud]
username = "u"
client_id = "c"
api_url = "http://127.0.0.1:1/"
token_url = "http://127.0.0.1:1/"
[live]
port = {port}
[[trackers]]
serial_number = "SN-1"
"""


@pytest.fixture(name="own_logging")
def _own_logging() -> Iterator[None]:
    """The command sets up the log of the whole process; here it is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command as its own process, that is gone afterwards."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'codecs'}"}
    environment.pop("PYTHONUNBUFFERED", None)  # a developer's setting must not hide that we do not flush
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(name="taken_port")
def _taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def config(folder: Path, port: int = 0) -> Path:
    path = folder / "config.toml"
    path.write_text(CONFIG.format(port=port), encoding="utf-8")
    return path


def test_a_good_configuration_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, 8123)
    assert cli.main(["config", "check", "--config", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path} is in order: 1 tracker, port 8123.",
        "Not seen from here, which is well if the service has it: INSIDERS_PASSWORD and INSIDERS_CLIENT_SECRET.",
    ]


def test_the_configuration_of_this_folder_goes_before_that_of_the_system(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "SYSTEM_CONFIG", tmp_path / "system.toml")
    assert cli.main(["config", "check"]) == EXIT_CONFIG
    assert "system.toml" in capsys.readouterr().out
    config(tmp_path)
    assert cli.main(["config", "check"]) == 0
    assert capsys.readouterr().out.startswith("config.toml is in order")


@pytest.mark.parametrize("command", [["run"], ["trackers", "list"]])
def test_missing_secrets_are_a_wrong_configuration_named_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert cli.main([*command, "--config", str(config(tmp_path))]) == EXIT_CONFIG
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split(":")[0] for line in told.err.splitlines()] == ["INSIDERS_PASSWORD", "INSIDERS_CLIENT_SECRET"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["config"],
        ["trackers", "steal"],
        ["demo", "--trackers", "0"],
        ["demo", "--trackers", "201"],
        ["demo", "--trackers", "many"],
        ["demo", "--port", "65536"],
        ["demo", "--minutes", "0"],
        ["demo", "--source", "radio"],
        ["simulate", "--port", "-1"],
        ["simulate", "--trackers", "1001"],
    ],
)
def test_wrong_usage_is_status_2_and_starts_nothing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: insiders-gateway")


def test_the_largest_numbers_are_allowed() -> None:
    options = parser().parse_args(["demo", "--trackers", "200", "--port", "65535"])
    assert (options.trackers, options.port) == (200, 65535)
    options = parser().parse_args(["simulate", "--trackers", "1000", "--port", "0"])
    assert (options.trackers, options.port) == (1000, 0)


def test_a_port_that_is_taken_is_one_sentence_that_names_it(
    tmp_path: Path, taken_port: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSIDERS_PASSWORD", "p")
    monkeypatch.setenv("INSIDERS_CLIENT_SECRET", "s")
    assert cli.main(["run", "--config", str(config(tmp_path, taken_port))]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"Port {taken_port} cannot be opened")
    assert told.endswith("set another in [live].")
    assert cli.main(["demo", "--trackers", "1", "--port", str(taken_port)]) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("give another with --port.")


@pytest.mark.parametrize("command", ["demo", "simulate"])
def test_a_fault_profile_that_is_none_is_one_sentence_that_names_those_there_are(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--port", "0", "--faults", "mild"]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert "harsh" in told


def test_gaps_of_nobody_are_one_sentence_that_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        for options in ([], ["--json"]):
            assert cli.main(["gaps", f"127.0.0.1:{port}", *options]) == 1
            told = capsys.readouterr()
            assert told.err == f"Nothing answers at 127.0.0.1:{port}: start the gateway there or name another.\n"
            assert told.out == ""
        assert cli.main(["gaps", str(port)]) == 1, "a bare number is a port of this machine"
        assert capsys.readouterr().err.startswith(f"Nothing answers at 127.0.0.1:{port}: ")
    assert cli.main(["gaps", "ftp://x"]) == 1
    assert "is no address of a gateway" in capsys.readouterr().err


async def test_work_ends_at_its_end_or_when_a_signal_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def work(duration_s: float) -> None:
        try:
            await asyncio.sleep(duration_s)
            done.append("worked")
        finally:
            done.append("ended")

    assert await cli._until_stopped(work(0)) == 0
    assert done == ["worked", "ended"]
    done.clear()
    asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await cli._until_stopped(work(60)) == 0
    assert done == ["ended"]
    asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGTERM)
    async with asyncio.timeout(5):
        assert await cli._until_stopped(work(60), if_stopped=130) == 130, "what was asked for was not done"
    assert await cli._until_stopped(work(0), if_stopped=130) == 0


def test_a_line_of_json_is_there_as_soon_as_it_is_written() -> None:
    with started("watch", "--json", "ws://127.0.0.1:1/") as watching:
        assert watching.stdout is not None
        readable, _, _ = select.select([watching.stdout], [], [], 15)
        assert readable, "it waits in a buffer until a program that reads the pipe has long given up"
        assert '"op":"disconnected"' in watching.stdout.readline()


def test_the_demo_can_be_watched_from_another_terminal_and_ends_in_order_on_ctrl_c() -> None:
    with started("demo", "--trackers", "2", "--port", "0") as demo:
        assert demo.stdout is not None
        said = ""
        while " watch " not in said:
            line = demo.stdout.readline()
            assert line, "the demo ended"
            said += line
        url = said.split()[-1]
        with started("watch", "--json", url) as watch:
            assert watch.stdout is not None
            lines = [watch.stdout.readline() for _ in range(4)]
            assert '"op":"hello"' in lines[0]
            assert any("Ada Lindqvist" in line for line in lines)
            watch.send_signal(signal.SIGINT)
            watch.communicate(timeout=20)
            assert watch.returncode == 0
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=20)
        assert demo.returncode == 0
        assert "Traceback" not in errors


@pytest.mark.parametrize("verb", ["list", "claim", "release"])
@pytest.mark.parametrize("is_option_first", [True, False])
def test_serial_numbers_may_stand_before_and_after_the_options(verb: str, is_option_first: bool) -> None:
    option, serials = ["--config", "x.toml"], ["SIM-0001", "SIM-0002"]
    options = parser().parse_args(["trackers", verb, *(option + serials if is_option_first else serials + option)])
    assert (options.serials, options.config) == (serials, Path("x.toml"))


def test_a_check_prints_every_mistake_where_its_output_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[cloud]\nusername = 1\n[live]\nport = "a"\nhots = "x"\n')
    assert cli.main(["config", "check", "--config", str(path)]) == EXIT_CONFIG
    told = capsys.readouterr()
    assert {line.split(":")[0] for line in told.out.splitlines()} == {
        "cloud.username",
        "cloud.client_id",
        "live.port",
        "live.hots",
    }
    assert told.err == ""


def test_mistakes_are_broken_between_words_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[cloud]\nusername = 1\n[live]\nport = "a"\nhots = "x"\n')
    cli.main(["config", "check", "--config", str(path)])
    whole = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cli.main(["config", "check", "--config", str(path)])
    broken = capsys.readouterr().out
    assert broken.split() == whole.split()
    assert max(map(len, broken.splitlines())) <= 30 < max(map(len, whole.splitlines()))


def test_a_scan_without_a_gateway_listens_with_the_adapter_that_is_configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "SYSTEM_CONFIG", tmp_path / "missing.toml")
    assert cli._configured_adapter() is None
    (tmp_path / "config.toml").write_text("[bluetooth]\nadapter = 3")
    assert cli._configured_adapter() is None, "a scan is not the place to complain of it"
    (tmp_path / "config.toml").write_text('[cloud]\nusername = "a"\nclient_id = "b"\n[bluetooth]\nadapter = "hci1"')
    assert cli._configured_adapter() == "hci1"

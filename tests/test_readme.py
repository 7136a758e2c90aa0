"""What the README promises a newcomer holds: its commands are CI's, its files exist, its client works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.simulator.team_sensors import SPARES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def code(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_test_command_is_the_last_thing_ci_runs() -> None:
    assert "./test " in code("sh")[0]
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == "./test"


def test_both_commands_can_be_started() -> None:
    for name in ("demo", "test"):
        assert f"./{name}" in README
        assert os.access(ROOT / name, os.X_OK)


def test_every_file_it_points_to_exists() -> None:
    targets = re.findall(r"]\(([^)#]+)\)", README)
    assert len(targets) >= 3
    for target in targets:
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize(
    "command", ["run", "demo", "simulate", "watch", "gaps", "scan", "pair", "recordings", "trackers", "config"]
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "usage: insiders-gateway" in capsys.readouterr().out
    assert f"insiders-gateway {command}" in README or f"./{command}" in README


def test_the_sensor_to_be_looked_at_is_one_of_the_demo() -> None:
    (wanted,) = re.findall(r"scan --closer (\w+)", README)
    assert [unit.name for unit in SPARES if wanted in unit.name] != []


def test_the_ten_line_client_prints_samples_of_the_demo() -> None:
    """The demo and the README's own Python client, each a process of its own, as a newcomer runs them."""
    (client,) = code("python")
    demo_command = [sys.executable, "-m", "gateway", "demo", "--port", "0", "--trackers", "2"]
    with subprocess.Popen(demo_command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as demo:
        try:
            port = next(found[1] for line in demo.stdout or () if (found := re.search(r"watch 127.0.0.1:(\d+)", line)))
            assert '"127.0.0.1:8770"' in client
            client_command = [sys.executable, "-u", "-c", client.replace("8770", port)]
            with subprocess.Popen(client_command, stdout=subprocess.PIPE, text=True) as follower:
                serial_number, t_ms, speed = next(iter(follower.stdout or ())).split()
                follower.terminate()
            assert serial_number.startswith("SIM-")
            assert int(t_ms) > 1_700_000_000_000
            assert 0 <= float(speed) < 15
        finally:
            demo.terminate()
            last_words = demo.stdout.read() if demo.stdout else ""
    assert demo.returncode == 0
    assert re.search(r"[Nn]o gaps|gaps?:", last_words)

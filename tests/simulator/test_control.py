"""The control endpoints, the server's own rules and what it prints."""

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest

from gateway.config import load
from gateway.simulator.clock import steady_epoch_ms
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import HostError, SimulatorError
from gateway.simulator.faults import Faults
from gateway.simulator.server import PASSWORD, USERNAME, running, simulate
from tests.simulator.bench import Bench, bench


async def test_faults_are_shown_and_merged(sim: Bench) -> None:
    assert (await sim.control("GET", "faults")).body == Faults().model_dump()
    changed = await sim.control("PATCH", "faults", {"late_fraction": 0.5})
    assert changed.body["late_fraction"] == 0.5
    assert sim.cloud.faults == Faults(late_fraction=0.5)


async def test_a_wrong_change_is_refused_and_changes_nothing(sim: Bench) -> None:
    answer = await sim.control("PATCH", "faults", {"late_fracton": 0.5, "gzip": False})
    assert answer.status == 400
    assert "late_fraction" in answer.body["detail"]
    assert sim.cloud.faults == Faults()


async def test_the_state_shows_trackers_owners_and_counters(sim: Bench) -> None:
    await sim.get("devices/")
    await sim.control("POST", f"devices/{sim.ids[1]}/power", {"on": False})
    await sim.control("POST", f"devices/{sim.ids[0]}/clock", {"error_s": -7200})
    state = (await sim.control("GET", "state")).body
    assert [device["owner"] for device in state["devices"]] == [USERNAME, USERNAME, None, None]
    assert [device["powered"] for device in state["devices"]] == [True, False, True, True]
    assert [device["online"] for device in state["devices"]] == [True, False, True, True]
    assert [device["clock_error_s"] for device in state["devices"]] == [-7200, 0, 0, 0]
    assert (state["requests"], state["statuses"]) == ({"devices": 1}, {"200": 1})
    assert PASSWORD not in str(state)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("devices/1/network", {"connected": True}, 404),
        ("devices/x/power", {"on": True}, 404),
        ("devices/4101/network", {"connected": "no"}, 400),
        ("devices/4101/power", {}, 400),
        ("devices/1/clock", {"error_s": 1}, 404),
        ("devices/4101/clock", {}, 400),
        ("devices/4101/clock", {"error_s": True}, 400),
        ("devices/4101/clock", {"error_s": 0.5}, 400),
        ("devices/4101/clock", {"error_s": 5_000_000_000}, 400),
        ("devices/4101/clock", {"error_ms": 1}, 400),
        ("devices/4101/move", {"to": "mars"}, 400),
        ("devices/4101/move", [], 400),
        ("devices/4101/move", {"owner": "ours"}, 400),
        ("devices/4101/network", {"connected": False, "for_s": 3}, 400),
    ],
)
async def test_wrong_commands_are_refused(sim: Bench, path: str, body: object, status: int) -> None:
    assert (await sim.control("POST", path, body)).status == status


async def test_initial_owners_are_knobs() -> None:
    async with bench(trackers=5, initially_owned=9, initially_foreign=2) as sim:
        state = (await sim.control("GET", "state")).body
        owners = [device["owner"] for device in state["devices"]]
        assert owners == [USERNAME] * 3 + ["rival@example.org"] * 2


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org", ""])
async def test_only_loopback_is_served(host: str) -> None:
    cloud = SimulatedCloud(1, 0, Faults(), steady_epoch_ms())
    with pytest.raises(HostError, match="no access control"):
        async with running(cloud, host):
            pass


async def test_a_used_port_is_named(sim: Bench) -> None:
    with pytest.raises(SimulatorError, match=str(sim.served.port)):
        async with running(sim.cloud, port=sim.served.port):
            pass


@pytest.mark.parametrize(("trackers", "seed"), [(0, 1), (-3, 1), (1, -1)])
def test_a_world_that_cannot_be_is_refused(trackers: int, seed: int) -> None:
    with pytest.raises(SimulatorError):
        SimulatedCloud(trackers, seed, Faults(), steady_epoch_ms())


async def test_simulate_prints_a_configuration_and_runs_until_cancelled(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What it prints is all that a gateway needs, and the faults count."""
    printed = ""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(simulate("127.0.0.1", 0, 2, 7, Faults(initially_owned=1)))
        while not printed:
            await asyncio.sleep(0)
            printed = capsys.readouterr().out
        config = tmp_path / "config.toml"
        config.write_text(printed)
        settings = load(config)
        secrets = dict(re.findall(r"(INSIDERS_\w+)=(\S+)", printed))
        form = {
            "grant_type": "password",
            "username": settings.cloud.username,
            "password": secrets["INSIDERS_PASSWORD"],
            "client_id": settings.cloud.client_id,
            "client_secret": secrets["INSIDERS_CLIENT_SECRET"],
        }
        async with aiohttp.ClientSession() as session:
            async with session.post(settings.cloud.token_url + "oauth2/token/", data=form) as response:
                token = (await response.json())["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{settings.cloud.api_url}devices/?current=true"
            async with session.get(url, headers=headers) as response:
                answer = await response.json()
        task.cancel()
    assert [device["serial_number"] for device in answer["results"]] == [settings.trackers[0].serial_number]
    assert len(settings.trackers) == 2


def test_the_clock_is_the_wall_clocks_and_never_goes_back() -> None:
    now_ms = steady_epoch_ms()
    readings = [now_ms() for _ in range(100)]
    assert readings == sorted(readings)
    assert readings[0] > 1_600_000_000_000

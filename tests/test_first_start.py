"""What the log of a gateway tells whoever has just started it: where commands find it, and what to type next."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway import app, log
from gateway.credentials import Credentials
from gateway.secret import Secret
from gateway.simulator import server as simulator
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.wall_clock import utc_ms
from insiders_gateway_client.gateway import Gateway
from tests.test_gateway import settings


@asynccontextmanager
async def started(folder: Path, host: str, *, is_insecure_lan: bool = False) -> AsyncIterator[Gateway]:
    """A gateway of one tracker, asked at its local socket."""
    cloud = SimulatedCloud(1, 7, Faults(), utc_ms)
    async with simulator.running(cloud) as served:
        configured = settings(cloud, served, folder)
        live = configured.live.model_copy(update={"host": host})
        trackers = [tracker.model_copy(update={"squads": ("U19", "First")}) for tracker in configured.trackers]
        configured = configured.model_copy(update={"live": live, "trackers": trackers})
        credentials = Credentials(Secret(simulator.PASSWORD), Secret(simulator.CLIENT_SECRET))
        async with app.running(configured, credentials, {}, is_insecure_lan=is_insecure_lan):
            yield Gateway(f"unix:{folder / app.CONTROL}")


async def first_words(folder: Path, caplog: pytest.LogCaptureFixture, host: str, *, device: str = "") -> list[str]:
    """What the log says of a start, in the course of which a device may be let in."""
    caplog.clear()
    with caplog.at_level(logging.INFO, app.__name__):
        async with started(folder, host) as gateway:
            if device:
                await gateway.ask("POST", "access", json={"person": "Kim", "device": device})
    return [log.told(record) for record in caplog.records if record.name == app.__name__]


async def test_the_log_says_where_commands_ask_and_how_the_first_device_is_let_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where, how = await first_words(tmp_path, caplog, "0.0.0.0", device="laptop")
    assert where == f"Commands of this machine ask at unix:{tmp_path}/control.sock"
    assert f"`insiders-gateway access code NAME --role admin --url unix:{tmp_path}/control.sock`" in how
    assert await first_words(tmp_path, caplog, "0.0.0.0") == [where], "somebody is let in"


async def test_whoever_serves_only_this_machine_is_not_asked_to_let_others_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(await first_words(tmp_path, caplog, "127.0.0.1")) == 1


@pytest.mark.parametrize(("host", "is_insecure"), [("0.0.0.0", True), ("127.0.0.1", False)])
async def test_it_is_known_whether_laptops_are_served_without_tls(
    tmp_path: Path, host: str, *, is_insecure: bool
) -> None:
    async with started(tmp_path, host, is_insecure_lan=True) as gateway:
        assert json.loads(await gateway.ask("GET", "tls"))["is_insecure"] is is_insecure


async def test_the_squads_are_those_of_the_configuration(tmp_path: Path) -> None:
    async with started(tmp_path, "127.0.0.1") as gateway:
        assert json.loads(await gateway.ask("GET", "access/squads"))["squads"] == ["First", "U19"]

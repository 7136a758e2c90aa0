"""Guards over the whole suite: what a test may not leave behind, inherit, or reach."""

import asyncio
import ipaddress
import logging
import sys
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

from gateway.simulator.bluez.bus import is_available
from tests.canary import Canary
from tests.witness import Witness

# No test may depend on how fast the machine is; the first text that hypothesis draws on a fresh clone takes seconds.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# Before Python 3.14 pytest-asyncio would otherwise find no current loop, have one made and forget to close it.
asyncio.set_event_loop(None)

_INHERITED = (
    "CREDENTIALS_DIRECTORY",
    "INSIDERS_CLIENT_SECRET",
    "INSIDERS_GATEWAY_TOKEN",
    "INSIDERS_PASSWORD",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "STATE_DIRECTORY",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)

_WITH_A_BUS = ("tests/simulator/bluez/", "tests/fakes/")
"""Folders in which every test needs a D-Bus daemon; elsewhere those do that ask for one or are marked."""

# Closing a connection takes its task a few turns of the loop.
_TURNS_TO_END = 20


def pytest_configure(config: pytest.Config) -> None:
    """What is logged in the whole run is searched when it is over."""
    config.pluginmanager.register(Canary(), "canary")
    config.pluginmanager.register(Witness(), "witness")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if is_available():
        return
    skip = pytest.mark.skip(reason="needs a D-Bus daemon: install the package dbus")
    for item in items:
        is_asked = "bus" in getattr(item, "fixturenames", ()) or item.get_closest_marker("dbus") is not None
        if is_asked or item.nodeid.startswith(_WITH_A_BUS):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own account and service manager stay out of the tests."""
    for name in _INHERITED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent/config")  # nor do what lets them in, and their gateway
    monkeypatch.setattr("insiders_gateway_client.local.SOCKETS", ())
    # Nor does any test listen with the developer's own radio: those that need a D-Bus bring one.
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/dbus")


@pytest.fixture(autouse=True)
def _every_log_call_is_formatted(caplog: pytest.LogCaptureFixture) -> None:
    """A log call whose arguments do not fit its text fails the test, at DEBUG too."""
    for name in ("gateway", "insiders_codecs"):
        caplog.set_level(logging.DEBUG, logger=name)


@pytest.fixture(autouse=True)
def _task_guard(request: pytest.FixtureRequest) -> None:
    """Set up before every other fixture of an async test, so that it is torn down after all of them."""
    if request.node.get_closest_marker("asyncio"):
        request.getfixturevalue("_no_task_left")


@pytest.fixture
async def _no_task_left() -> AsyncIterator[None]:
    """A task that outlives its test has no owner."""
    yield
    me = asyncio.current_task()
    for _ in range(_TURNS_TO_END):
        left = [task for task in asyncio.all_tasks() if task is not me]
        if not left:
            return
        await asyncio.sleep(0)
    pytest.fail(f"tasks left behind: {', '.join(repr(task.get_coro()) for task in left)}")


def _stay_on_loopback(event: str, args: tuple[object, ...]) -> None:
    """Nobody's cloud is called by a test."""
    if event != "socket.connect":
        return
    address = args[1]
    if isinstance(address, tuple) and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise RuntimeError(f"a test may only connect to this machine, not to {address[0]}")


sys.addaudithook(_stay_on_loopback)

"""The terminal commands against the simulated cloud, over HTTP."""

import io
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from gateway.fleet.roster import Tracker
from gateway.simulator.faults import Faults
from gateway.trackers import claim_trackers, list_trackers, release_trackers
from tests.cloud.simulated import Simulated, simulated


class Terminal:
    """A terminal of 80 columns that remembers."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.console = Console(file=self._stream, width=80)

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()

    @property
    def text(self) -> str:
        return " ".join(self._stream.getvalue().split())


@pytest.fixture
async def cloud() -> AsyncIterator[Simulated]:
    async with simulated(trackers=6, faults=Faults(initially_owned=2, initially_foreign=1)) as running:
        yield running


@pytest.fixture
def roster(cloud: Simulated) -> list[Tracker]:
    """All but the second."""
    return [
        Tracker(device.serial_number, device.device_name, f"Athlete {place}", place)
        for place, device in enumerate(cloud.cloud.devices)
        if place != 1
    ]


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


async def test_list_shows_the_roster_and_what_we_own_besides(
    cloud: Simulated, roster: list[Tracker], terminal: Terminal
) -> None:
    assert await list_trackers(cloud.client, roster, (), terminal.console) == 0
    assert [line.split() for line in terminal.lines] == [
        ["Serial", "number", "Athlete", "No.", "Device", "Status"],
        ["SIM-0001", "Athlete", "0", "0", "4101", "owned"],
        ["SIM-0003", "Athlete", "2", "2", "not", "ours", "(claim", "says", "why)"],
        ["SIM-0004", "Athlete", "3", "3", "not", "ours", "(claim", "says", "why)"],
        ["SIM-0006B", "Athlete", "4", "4", "not", "ours", "(claim", "says", "why)"],
        ["SIM-0006", "Athlete", "5", "5", "not", "ours", "(claim", "says", "why)"],
        ["SIM-0003B", "4102", "owned,", "not", "in", "[[trackers]]"],
    ]


async def test_a_table_of_long_names_fits_80_columns(cloud: Simulated, terminal: Terminal) -> None:
    roster = [Tracker("S" * 60, "n", "[bold]" + "Very long name " * 5, 9999)]
    await list_trackers(cloud.client, roster, (), terminal.console)
    await claim_trackers(cloud.client, roster, [], terminal.console)
    assert max(len(line) for line in terminal.lines) <= 80
    assert "[bold]" in terminal.text


async def test_claim_takes_the_whole_roster_and_says_why_one_is_missing(
    cloud: Simulated, roster: list[Tracker], terminal: Terminal
) -> None:
    assert await claim_trackers(cloud.client, roster, [], terminal.console) == 1
    assert terminal.text.count(" owned ") >= 4
    assert "Tracker SIM-0006 belongs to another account" in terminal.text
    assert "ask its owner to release it" in terminal.text
    assert [device.id async for device in cloud.client.devices(current=True)] == [4101, 4102, 4103, 4104, 4105]


async def test_claim_takes_those_that_are_named(cloud: Simulated, roster: list[Tracker], terminal: Terminal) -> None:
    assert await claim_trackers(cloud.client, roster, ["SIM-0004", "SIM-0004"], terminal.console) == 0
    assert cloud.cloud.requests["take_ownership"] == 1
    assert len(terminal.lines) == 2


async def test_claim_refuses_a_serial_number_that_is_not_configured(
    cloud: Simulated, roster: list[Tracker], terminal: Terminal
) -> None:
    assert await claim_trackers(cloud.client, roster, ["SIM-0004", "[red]7"], terminal.console) == 1
    assert "[red]7 is not in the configuration: add it to [[trackers]]" in terminal.text
    assert cloud.cloud.requests["take_ownership"] == 1


async def test_claim_of_an_empty_roster_says_what_to_do(cloud: Simulated, terminal: Terminal) -> None:
    assert await claim_trackers(cloud.client, [], [], terminal.console) == 1
    assert "add one to [[trackers]]" in terminal.text


async def test_release_gives_up_what_is_ours_and_warns_of_the_running_gateway(
    cloud: Simulated, roster: list[Tracker], terminal: Terminal
) -> None:
    assert await release_trackers(cloud.client, roster, ["SIM-0001", "SIM-0003B"], terminal.console) == 0
    assert [device.id async for device in cloud.client.devices(current=True)] == []
    assert "SIM-0001 is released." in terminal.text
    assert "A running gateway claims SIM-0001 again" in terminal.text
    assert "claims SIM-0003B again" not in terminal.text


async def test_release_of_what_is_not_ours_says_so_and_goes_on(
    cloud: Simulated, roster: list[Tracker], terminal: Terminal
) -> None:
    assert await release_trackers(cloud.client, roster, ["SIM-0006", "SIM-0001"], terminal.console) == 1
    assert "SIM-0006 is not owned by this account" in terminal.text
    assert "SIM-0001 is released." in terminal.text


async def test_a_release_that_is_refused_says_what_the_cloud_says(
    cloud: Simulated, roster: list[Tracker], terminal: Terminal
) -> None:
    cloud.cloud.devices[0].activation_ms = None
    assert await release_trackers(cloud.client, roster, ["SIM-0001"], terminal.console) == 1
    assert 'SIM-0001 was not released. The cloud declined release_ownership with status 400 (it says "Device has' in (
        terminal.text
    )


async def test_a_refused_login_is_one_sentence(terminal: Terminal) -> None:
    async with simulated(password="wrong") as cloud:
        roster = [Tracker("SIM-0001")]
        for status in (
            await list_trackers(cloud.client, roster, (), terminal.console),
            await claim_trackers(cloud.client, roster, [], terminal.console),
            await release_trackers(cloud.client, roster, ["SIM-0001"], terminal.console),
        ):
            assert status == 1
    assert terminal.text.count("user name or password is wrong") == 3
    assert "Traceback" not in terminal.text


async def test_release_wants_to_know_what(cloud: Simulated, roster: list[Tracker], terminal: Terminal) -> None:
    assert await release_trackers(cloud.client, roster, (), terminal.console) == 1
    assert "serial numbers" in terminal.text


async def test_list_can_be_narrowed_to_some(cloud: Simulated, roster: list[Tracker], terminal: Terminal) -> None:
    named = roster[1].serial_number
    assert await list_trackers(cloud.client, roster, (named,), terminal.console) == 0
    assert [line.split()[0] for line in terminal.lines[1:]] == [named]

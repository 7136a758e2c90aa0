"""The cloud goes away in every way it can, and comes back: told in time, and found again in time. Virtual time."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from yarl import URL

from gateway.cloud.client import CloudClient
from gateway.cloud.errors import Broken, CloudError, ServerFailed, Unreachable
from gateway.cloud.retry import backoff_s
from gateway.telemetry.schedule import PollSchedule
from tests.cloud.scripted import ScriptedCloud, empty_rows
from tests.fault_proxy import FaultProxy, fault_proxy

pytestmark = pytest.mark.looptime

TOLD_WITHIN_S = 10.0
BACK_WITHIN_S = 15.0


@dataclass
class Network:
    """The way from the client to the cloud."""

    cloud: ScriptedCloud
    proxy: FaultProxy
    address: tuple[str, int] | None = None
    """What the name of the cloud stands for; None is a name that is not found."""


async def failing(_request: web.Request) -> web.Response:
    return web.Response(status=503, text="<h1>Service Unavailable</h1>", content_type="text/html")


@dataclass(frozen=True)
class Outage:
    """How to break the network, how to mend it, and what the client says meanwhile."""

    begin: Callable[[Network], object]
    end: Callable[[Network], object]
    says: CloudError


def silent(network: Network) -> None:
    """Nobody answers a connection: its queue is full."""
    network.proxy.hang()
    network.address = ("127.0.0.1", _full_port())


def found(network: Network) -> None:
    network.proxy.restore()
    network.proxy.refuses = False
    network.address = ("127.0.0.1", network.proxy.port)


def refusing(network: Network) -> None:
    network.proxy.refuses = True
    network.proxy.reset_all()


def unknown(network: Network) -> None:
    network.proxy.hang()
    network.address = None


def unable(network: Network) -> None:
    network.cloud.handler = network.cloud.token_handler = failing


def able(network: Network) -> None:
    network.cloud.handler, network.cloud.token_handler = empty_rows, network.cloud.issue


OUTAGES = {
    "black hole": Outage(lambda network: network.proxy.hang(), found, Unreachable("latest_data", Broken.TIMEOUT)),
    "connections hang": Outage(silent, found, Unreachable("latest_data", Broken.TIMEOUT)),
    "reset": Outage(refusing, found, Unreachable("latest_data", Broken.CUT)),
    "no name": Outage(unknown, found, Unreachable("latest_data", Broken.NAME)),
    "5xx": Outage(unable, able, ServerFailed("latest_data", 503)),
}


@pytest.fixture(autouse=True)
def _no_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pause between probes is as long as it may be."""

    def longest_s(failures: int, _jitter: float, base_s: float, cap_s: float) -> float:
        return backoff_s(failures, 1.0, base_s, cap_s)

    monkeypatch.setattr("gateway.cloud.pacing.backoff_s", longest_s)


_listening: list[socket.socket] = []


def _full_port() -> int:
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    _listening.append(deaf)
    for _ in range(3):
        caller = socket.socket()
        caller.setblocking(False)
        caller.connect_ex(deaf.getsockname())
        _listening.append(caller)
    return int(deaf.getsockname()[1])


@pytest.fixture
async def network(cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Network]:
    async with fault_proxy(URL(cloud.url).port or 0) as proxy:
        network = Network(cloud, proxy)
        found(network)

        async def resolve(_resolver: object, host: str, _port: int = 0, **_kwargs: object) -> list[dict[str, object]]:
            if network.address is None:
                raise OSError(-3, "Temporary failure in name resolution")
            address, port = network.address
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            return [
                {"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": flags}
            ]

        monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
        cloud.url = f"http://cloud.test:{proxy.port}/"
        yield network
    while _listening:
        _listening.pop().close()


@dataclass
class Polls:
    """What the polls of a fleet gave, and when."""

    answered_s: list[float] = field(default_factory=list)
    failed: list[tuple[float, CloudError]] = field(default_factory=list)


def now() -> float:
    return asyncio.get_running_loop().time()


async def follow(client: CloudClient, device: int, polls: Polls) -> None:
    """Ask as a tail does."""
    schedule = PollSchedule(now())
    while True:
        await asyncio.sleep(max(0.001, schedule.next_s - now()))
        asked_s = now()
        try:
            await client.latest_data(device, lambda: 20, overdue_s=schedule.overdue_s(asked_s))
        except CloudError as error:
            schedule.failed(asked_s, now())
            polls.failed.append((now(), error))
        else:
            schedule.answered(asked_s, asked_s, now(), 10)
            polls.answered_s.append(now())


@asynccontextmanager
async def followed(network: Network, trackers: int) -> AsyncIterator[Polls]:
    polls = Polls()
    async with network.cloud.open() as client, asyncio.TaskGroup() as tasks:
        tails = [tasks.create_task(follow(client, device, polls)) for device in range(trackers)]
        yield polls
        for tail in tails:
            tail.cancel()


@pytest.mark.parametrize("lasting_s", [3.0, 21.7, 60.3])
@pytest.mark.parametrize("trackers", [1, 8])
@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_an_outage_is_told_within_10_s_and_its_end_found_within_15(
    network: Network, outage: Outage, trackers: int, lasting_s: float
) -> None:
    async with followed(network, trackers) as polls:
        await asyncio.sleep(20.4)
        assert polls.failed == []
        outage.begin(network)
        began_s = now()
        await asyncio.sleep(lasting_s)
        outage.end(network)
        ended_s = now()
        await asyncio.sleep(BACK_WITHIN_S)
        assert [at for at in polls.answered_s if at > ended_s]
        if lasting_s > TOLD_WITHIN_S:
            told_s, first = polls.failed[0]
            assert told_s - began_s <= TOLD_WITHIN_S
            assert {type(error) for _, error in polls.failed} == {type(outage.says)}
            assert str(polls.failed[-1][1]).startswith(outage.says.text.split(",")[0].split(" on ")[0])
            assert first.code == outage.says.code
        await asyncio.sleep(20)
        everybody = [at for at in polls.answered_s if at > now() - 5]
        assert len(everybody) >= trackers * 3, "all of them are followed again"


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("phase_s", [0.0, 1.3, 2.6, 3.9, 5.2, 6.5])
async def test_a_token_that_expires_in_an_outage_does_not_delay_its_end(
    network: Network, outage: Outage, phase_s: float
) -> None:
    network.cloud.expires_in = 30.0
    async with followed(network, 1) as polls:
        await asyncio.sleep(5)
        outage.begin(network)
        await asyncio.sleep(50 + phase_s)
        outage.end(network)
        ended_s = now()
        await asyncio.sleep(BACK_WITHIN_S)
        assert [at for at in polls.answered_s if at > ended_s]
        assert len(network.cloud.tokens) >= 2


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_a_gateway_that_starts_without_a_network_finds_it_when_it_comes(network: Network, outage: Outage) -> None:
    outage.begin(network)
    async with followed(network, 2) as polls:
        await asyncio.sleep(600)
        assert polls.answered_s == []
        outage.end(network)
        await asyncio.sleep(BACK_WITHIN_S)
        assert polls.answered_s


async def test_a_long_outage_is_asked_about_a_few_times_a_minute_by_all_together(network: Network) -> None:
    async with followed(network, 30) as polls:
        await asyncio.sleep(20)
        refusing(network)
        await asyncio.sleep(60)
        before = network.proxy.connections
        await asyncio.sleep(600)
        assert network.proxy.connections - before <= 10 * 40
        assert polls.failed


async def test_connections_that_died_idle_cost_one_timeout_and_not_one_each(network: Network) -> None:
    async with network.cloud.open() as client:
        async with asyncio.TaskGroup() as tasks:
            for device in range(6):
                tasks.create_task(client.latest_data(device, lambda: 20))
        assert network.proxy.connections == 6
        network.proxy.hang()
        network.proxy.restore()  # six connections are dead, and new ones would live
        await asyncio.sleep(0.4)
        start_s = now()
        with pytest.raises(Unreachable):
            await client.latest_data(1, lambda: 20)
        assert now() - start_s == pytest.approx(8, abs=0.05)
        for device in range(6):
            await client.latest_data(device, lambda: 20)


async def test_a_bad_mobile_link_is_slow_and_works(network: Network) -> None:
    network.proxy.latency_s, network.proxy.bytes_per_s = 0.3, 4000

    async with followed(network, 3) as polls:
        await asyncio.sleep(60)
    assert polls.failed == []
    assert len(polls.answered_s) >= 3 * 25


async def test_corrupted_bytes_are_errors_that_pass(network: Network) -> None:
    network.proxy.corrupt_every = 37
    async with followed(network, 3) as polls:
        await asyncio.sleep(30)
        assert polls.answered_s == []
        assert polls.failed
        network.proxy.corrupt_every = None
        ended_s = now()
        await asyncio.sleep(BACK_WITHIN_S)
        assert [at for at in polls.answered_s if at > ended_s]
    assert network.cloud.handler is empty_rows


async def test_an_answer_cut_in_its_middle_is_no_answer(network: Network) -> None:
    network.cloud.handler = _long_rows
    async with followed(network, 1) as polls:
        await asyncio.sleep(5)
        network.proxy.reset_after = 3000
        await asyncio.sleep(10)
        assert {error.reason for _, error in polls.failed if isinstance(error, Unreachable)} == {Broken.CUT}
        network.proxy.reset_after = None
        ended_s = now()
        await asyncio.sleep(BACK_WITHIN_S)
        assert [at for at in polls.answered_s if at > ended_s]


async def _long_rows(_request: web.Request) -> web.Response:
    return web.json_response([{"gnss.timestamp": 1_700_000_000_000 - 100 * row} for row in range(300)])

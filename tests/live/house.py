"""A gateway with doors: people with their roles, and views that take note of who gets to them."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from gateway.access import audit, grants, releases
from gateway.access.audit import Audit
from gateway.access.caller import Caller, Scope
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.grants import NewGrant
from gateway.access.releases import Releases
from gateway.access.roles import Role
from gateway.bridges.certificates import ServedCertificates
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.limits import LIMITS, Limits
from gateway.live.server import LiveServer
from gateway.problems import Problems
from gateway.store import open_store
from gateway.telemetry.channel import Channel, Wearer
from gateway.tls.certificates import Certificates
from gateway.worker import Worker

OWNER = Caller("root", "this machine", Role.ADMIN)
WORLD_MS = 1_795_300_000_000
SQUADS = ("First", "U19")


class Clock:
    """The wall clock, set by hand, epoch ms."""

    def __init__(self) -> None:
        self.ms = WORLD_MS

    def __call__(self) -> int:
        return self.ms


@dataclass
class Reached:
    """Sensors, pairings and recordings of which nothing is known but what was asked for, and in whose name."""

    deeds: list[str] = field(default_factory=list)
    authors: list[str | None] = field(default_factory=list)

    def _note(self, deed: str, *authors: str | None) -> dict[str, str]:
        self.deeds.append(deed)
        self.authors.extend(authors)
        return {"deed": deed}

    def report(self) -> object:
        return self._note("report")

    async def inspect(self, sensor_id: str, *, take_link: bool) -> object:
        return self._note(f"inspect {sensor_id} {take_link}")

    def plan(self) -> object:
        return self._note("plan")

    def team(self) -> object:
        return self._note("team")

    async def explain(self, serial_number: str) -> object:
        return self._note(f"explain {serial_number}")

    async def set_(self, serial_number: str, body: bytes, author: str | None) -> object:
        return self._note(f"set {serial_number} {len(body)}", author)

    async def import_(self, body: bytes, author: str | None) -> object:
        return self._note(f"import {len(body)}", author)

    async def apply(self, body: bytes, author: str | None) -> object:
        return self._note(f"apply {len(body)}", author)

    async def act(self, action: str, subject: str | None, body: bytes, author: str | None) -> object:
        return self._note(f"{action} {subject} {len(body)}", author)


@dataclass
class Shelved(Reached):
    """The recordings among them, which are told in another way."""

    async def report(self, *, is_all: bool) -> object:  # type: ignore[override]
        return self._note(f"report {is_all}")

    def tag(self, *, is_all: bool) -> str:
        return f"tag-{is_all}"

    def show(self, recording_id: str) -> object:
        return self._note(f"show {recording_id}")

    async def add(
        self, blocks: AsyncIterator[bytes], size: int | None, query: Mapping[str, str], author: str | None
    ) -> object:
        came = sum([len(block) async for block in blocks])
        return self._note(f"add {came} of {size} {dict(query)}", author)

    async def rebuild(self) -> object:
        return self._note("rebuild")


@dataclass
class House:
    """A gateway that listens.

    Attributes:
        folder: Of its state.
        clock: Its wall clock.
        doorkeeper: Knows who is let in.
        audit: Takes note.
        releases: Of its athletes.
        hub: What its sessions share.
        reached: What was asked of sensors and pairings.
        shelved: What was asked of recordings.
        server: It.
        port: Where it listens.
        certificates: If it speaks TLS.
    """

    folder: Path
    clock: Clock
    doorkeeper: Doorkeeper
    audit: Audit
    releases: Releases
    hub: Hub
    reached: Reached
    shelved: Shelved
    server: LiveServer
    port: int = 0
    certificates: Certificates | None = None

    @property
    def scheme(self) -> str:
        return "http" if self.certificates is None else "https"

    @property
    def base(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def origin(self) -> dict[str, str]:
        """What a browser says of a page of ours that asks."""
        return {"Origin": self.base}

    @property
    def control(self) -> Path:
        return self.folder / "control.sock"

    def client_tls(self) -> ssl.SSLContext:
        """What a laptop knows on which the club's authority is installed."""
        assert self.certificates is not None
        return ssl.create_default_context(cadata=self.certificates.authority)

    async def token(self, role: Role, scope: Scope | None = None, person: str = "Kim Berger") -> str:
        """Let somebody in."""
        _, token = await self.doorkeeper.create(NewGrant(person, "laptop", role, scope or Scope()), OWNER)
        return token.reveal()

    async def bearer(self, role: Role) -> dict[str, str]:
        """The header of somebody who is let in."""
        return {"Authorization": f"Bearer {await self.token(role)}"}

    async def noted(self) -> list[tuple[str, str, str, str]]:
        """Person, deed, subject and outcome of what is in the audit log, oldest first."""
        lines = await self.audit.read(1000)
        return [(line.person, line.deed, line.subject, line.outcome) for line in reversed(lines)]


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    limits: Limits = LIMITS,
    is_tls: bool = False,
    is_open: bool = False,
    port: int = 0,
    host: str = "127.0.0.1",
) -> AsyncIterator[House]:
    """A gateway with two athletes, of which one is released."""
    clock = Clock()
    channels = {
        1: Channel(1, Wearer("SN-1", "Ada Lindqvist", 10, ("U19",)), 1000),
        2: Channel(2, Wearer("SN-2", "Bea Novak", 11, ("First team",)), 1000),
    }
    board = Board()
    for channel in channels.values():
        board.channel_changed(channel)
    hub = Hub(channels, board, "e", "Test", "0.0", 60.0, clock, lambda: True)
    async with open_store(folder, [grants.SCHEMA, releases.SCHEMA, audit.SCHEMA]) as store:
        doorkeeper, log = Doorkeeper(store, clock, squads=SQUADS), Audit(store, clock)
        await doorkeeper.load()
        subjects = {channel.wearer.serial_number: str(channel.wearer.athlete) for channel in channels.values()}
        released = Releases(store, subjects, clock, clock, Problems(clock), log, is_required=True)
        await released.load()
        with certified(folder / "tls", is_served=is_tls) as certificates:
            reached, shelved = Reached(), Shelved()
            server = LiveServer(
                hub,
                dict,
                reached,
                reached,
                shelved,
                doorkeeper=doorkeeper,
                audit=log,
                releases=released,
                certificates=ServedCertificates(certificates),
                limits=limits,
                is_open_on_loopback=is_open,
                gateway_id="f00d",
            )
            house = House(folder, clock, doorkeeper, log, released, hub, reached, shelved, server)
            house.certificates = certificates if is_tls else None
            tls = certificates.context if is_tls else None
            async with server.listening(host, port, tls=tls, control=house.control) as house.port:
                yield house


@contextmanager
def certified(folder: Path, *, is_served: bool = True) -> Iterator[Certificates]:
    """A certificate for loopback, of an authority made for it."""
    with closing(Worker("certificates")) as worker:
        certificates = Certificates(
            folder,
            site="Test",
            worker=worker,
            problems=Problems(Clock()),
            utc_ms=lambda: time.time_ns() // 1_000_000,
            is_clock_sure=lambda: True,
            places=lambda: frozenset({"127.0.0.1", "localhost"}),
        )
        certificates.prepare(is_served=is_served)
        yield certificates


async def raw(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """All that comes back for bytes that no decent client sends, until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def local(path: Path) -> aiohttp.ClientSession:
    """A client of the local socket."""
    return aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)))

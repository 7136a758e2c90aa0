"""A gateway as pages see it: the real server with people who are let in, athletes, and rows as a test brings them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gateway.access import audit, grants, releases
from gateway.access.audit import Audit
from gateway.access.caller import Caller, Scope
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.grants import NewGrant
from gateway.access.releases import Releases
from gateway.access.roles import Role
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.problems import Problems
from gateway.store import Store, open_store
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock
from tests.live.browser import Page
from tests.live.shelf import Shelf, full_shelf

NOW_MS = 1_795_300_000_000
ROOT = Caller("pi", "this machine", Role.ADMIN)
SQUADS = ("First team", "U19", "a squad of nobody")
HOSTILE = '<img src=x onerror="boom()"> Zoë'
TEAM = (("SN-1", "Ada Lindqvist", 10), ("SN-2", "Bea Okafor", 4), ("SN-3", HOSTILE, 7), ("SN-4", None, None))


def wall_ms() -> int:
    """The clock of this machine, epoch ms: a browser, and the `Date` of an answer, have no other one."""
    return time.time_ns() // 1_000_000


def rows(from_ms: int, *, count: int = 10, **values: float) -> SampleBlock:
    """Rows each 100 ms that hold the same values."""
    block = np.full((len(QUANTITIES), count), np.nan)
    for name, value in values.items():
        block[Column[name.upper()]] = value
    return SampleBlock(np.arange(from_ms, from_ms + 100 * count, 100), block)


@dataclass
class Gateway:
    """The real server, and what is behind it.

    Attributes:
        is_open: Whether this machine needs no credential.
        host: On which it listens; "0.0.0.0" is for others, too.
        port: Where it listens, once it has.
    """

    doorkeeper: Doorkeeper
    audit: Audit
    releases: Releases
    store: Store
    is_open: bool
    host: str
    channels: dict[int, Channel] = field(default_factory=dict)
    board: Board = field(default_factory=Board)
    shelf: Shelf = field(default_factory=full_shelf)
    epoch: str = "e"
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Its doors are open; the same port each time."""
        hub = Hub(self.channels, self.board, self.epoch, "Test", "0.0", 60.0, wall_ms, lambda: True)
        server = LiveServer(
            hub,
            dict,
            recordings=self.shelf,
            doorkeeper=self.doorkeeper,
            audit=self.audit,
            releases=self.releases,
            is_open_on_loopback=self.is_open,
        )
        async with server.listening(self.host, self.port, is_insecure=True) as self.port:
            yield

    def rows_came(self, ch: int, block: SampleBlock, presence: str = "live") -> None:
        """A tracker has sent something."""
        channel = self.channels[ch]
        channel.rows_came(block, 0.0)
        self.board.presence_changed(channel, presence)

    async def code(self, role: Role = Role.VIEWER, person: str = "Kim", scope: Scope | None = None) -> str:
        """A code that lets somebody in once."""
        return self.doorkeeper.invite(NewGrant(person, role=role, scope=scope or Scope()), ROOT, _now_s()).code.reveal()

    async def let_in(self, page: Page, role: Role, person: str = "Kim", scope: Scope | None = None) -> None:
        """Give a page the cookie of somebody; it has to be one of this gateway."""
        _, token = await self.doorkeeper.create(NewGrant(person, "laptop", role, scope or Scope()), ROOT)
        cookie = {"name": "insiders_gateway", "value": token.reveal(), "url": self.url, "httpOnly": True}
        await page.do("Network.setCookie", sameSite="Strict", **cookie)


@asynccontextmanager
async def gateway(
    folder: Path, *, is_open: bool = False, is_release_required: bool = True, host: str = "127.0.0.1"
) -> AsyncIterator[Gateway]:
    """A gateway with four trackers that has not opened its doors yet."""
    subjects = {serial: name or serial for serial, name, _ in TEAM}
    async with open_store(folder, (grants.SCHEMA, audit.SCHEMA, releases.SCHEMA)) as store:
        noted = Audit(store, wall_ms)
        doorkeeper = Doorkeeper(store, wall_ms, squads=SQUADS)
        known = Releases(
            store,
            subjects,
            wall_ms,
            wall_ms,
            Problems(wall_ms),
            noted,
            is_required=is_release_required,
        )
        await doorkeeper.load()
        await known.load()
        made = Gateway(doorkeeper, noted, known, store, is_open, host)
        for ch, (serial, name, number) in enumerate(TEAM, 1):
            made.channels[ch] = Channel(ch, Wearer(serial, name, number), 20_000)
            made.channels[ch].device_id = 4100 + ch
            made.board.channel_changed(made.channels[ch])
            made.board.presence_changed(made.channels[ch], "waiting")
        yield made


def _now_s() -> float:
    return asyncio.get_running_loop().time()

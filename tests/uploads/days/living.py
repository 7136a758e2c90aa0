"""One life of the part of a gateway that has to do with recordings, put together as `gateway.parts` does it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from gateway.bridges.recordings import ServedRecordings
from gateway.cloud.client import open_cloud
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.problems import Problems
from gateway.secret import Secret
from gateway.simulator.server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME, RunningCloud
from gateway.store import Store, open_store
from gateway.telemetry.channel import Wearer
from gateway.uploads import surroundings
from gateway.uploads.desk import Desk
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.retention import Retention
from gateway.uploads.keeping.spool import FOLDER, Spool
from gateway.uploads.sending.uploader import Options, Uploader
from gateway.uploads.taking.inbox import Inbox
from gateway.uploads.taking.intake import Intake
from gateway.uploads.taking.naming import Known
from gateway.worker import Worker
from tests.uploads.sending.bringing import Ours, wall_ms

KEEP_DAYS = 1
MOST_BYTES = 1_000_000
_BALLAST_BYTES = 4096


@dataclass
class Settings:
    """What a life finds, and what it is told.

    Attributes:
        served: The cloud.
        known: The configured trackers.
        ours: Which of them are.
        jitter: Uniform in [0, 1).
        clock_error_ms: By how much the gateway's clock is wrong.
        is_clock_sure: Whether that is trusted.
        is_lookup: Whether the cloud can be asked what it has.
        max_bytes_per_s: What uploads may take.
    """

    served: RunningCloud
    known: tuple[Known, ...]
    ours: Ours
    jitter: Callable[[], float]
    clock_error_ms: int = 0
    is_clock_sure: bool = True
    is_lookup: bool = True
    max_bytes_per_s: float | None = None

    def utc_ms(self) -> int:
        """What the gateway's clock shows."""
        return wall_ms() + self.clock_error_ms


@dataclass(frozen=True)
class Gateway:
    """A life, as others see it."""

    store: Store
    ledger: Ledger
    spool: Spool
    inbox: Inbox
    desk: Desk
    problems: Problems
    port: int


@asynccontextmanager
async def living(world: Path, settings: Settings) -> AsyncIterator[Gateway]:
    """One life, with its state and its inbox below a folder; it ends in order, unless somebody sees to it."""
    served, utc_ms = settings.served, settings.utc_ms
    with (
        closing(Worker("spool")) as spooling,
        closing(Worker("taking")) as taking,
        closing(Worker("receiving")) as receiving,
        closing(Worker("sending")) as sending,
    ):
        async with (
            open_store(world / "state", [SCHEMA]) as store,
            open_cloud(
                api_url=served.api_url,
                token_url=served.token_url,
                websocket_url=served.websocket_url,
                username=USERNAME,
                password=Secret(PASSWORD),
                client_id=CLIENT_ID,
                client_secret=Secret(CLIENT_SECRET),
            ) as cloud,
        ):
            problems, board = Problems(utc_ms), Board()
            spool = Spool(world / "state" / FOLDER, 1 << 40, _BALLAST_BYTES, 0)
            ledger = Ledger(store, spool, spooling, utc_ms)
            await ledger.load()
            inbox = Inbox(
                world / "inbox",
                Intake(spool, ledger, taking, MOST_BYTES, utc_ms),
                settings.known,
                None,
                taking,
                utc_ms,
                zone=UTC,
                is_watched=False,
            )
            options = Options(settings.max_bytes_per_s, settings.is_lookup)
            uploader = Uploader(
                cloud,
                ledger,
                spool,
                sending,
                settings.ours,
                options,
                utc_ms,
                UTC,
                lambda: settings.is_clock_sure,
                settings.jitter,
            )
            desk = Desk(
                ledger,
                Intake(spool, ledger, receiving, MOST_BYTES, utc_ms),
                inbox,
                uploader,
                spool,
                spooling,
                [Wearer(known.serial_number, None, None) for known in settings.known],
                problems,
                board,
                surroundings.Options(KEEP_DAYS, MOST_BYTES, str(inbox.folder), settings.known, None, UTC),
                utc_ms,
            )
            retention = Retention(ledger, KEEP_DAYS, utc_ms, lambda: settings.is_clock_sure)
            hub = Hub({}, board, "e", "Test", "0.0", 60.0, utc_ms, lambda: True)
            server = LiveServer(hub, dict, recordings=ServedRecordings(desk), is_open_on_loopback=True)
            async with server.listening("127.0.0.1", 0) as port, asyncio.TaskGroup() as tasks:
                works = [
                    tasks.create_task(part.run(_beat), name=type(part).__name__)
                    for part in (ledger, inbox, uploader, retention, desk)
                ]
                try:
                    yield Gateway(store, ledger, spool, inbox, desk, problems, port)
                finally:
                    for work in works:
                        work.cancel()


def _beat() -> None:
    pass

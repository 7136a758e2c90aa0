"""The life of a process that takes recordings and uploads them, to be shot at by `tests.endurance.upload_kills`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from multiprocessing.connection import Connection
from pathlib import Path

from gateway import worker
from gateway.cloud.client import open_cloud
from gateway.cloud.exchange import Limits
from gateway.secret import Secret
from gateway.simulator.server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME
from gateway.store import open_store
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.spool import FOLDER, Spool
from gateway.uploads.recording import FOR_A_PERSON, State
from gateway.uploads.sending import patience
from gateway.uploads.sending.uploader import Options, Uploader
from gateway.uploads.taking.inbox import Inbox
from gateway.uploads.taking.intake import Intake
from gateway.uploads.taking.naming import Known
from gateway.worker import Worker
from tests.endurance.haste import HASTE, HastyLoop, hasty_utc_ms

MAX_BYTES = 1 << 30
_BALLAST_BYTES = _RESERVE_BYTES = 1 << 20

AT_REST = {State.DONE, State.PURGED, *FOR_A_PERSON}
_LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a life finds what it needs.

    Attributes:
        folder: The state folder.
        inbox: Where recordings are dropped.
        api_url, token_url, websocket_url: Of the cloud.
        trackers: Serial number -> what the cloud calls it.
        since_ms: Since when clocks are hasty, epoch ms.
        resend_s: How long one waits for an answer in vain, in hasty seconds, where the cloud cannot be asked.
        is_lookup: Whether it can.
        is_last: Whether it is lived to its end, when nothing is left to do.
    """

    folder: str
    inbox: str
    api_url: str
    token_url: str
    websocket_url: str
    trackers: Mapping[str, int]
    since_ms: int
    resend_s: float
    is_lookup: bool
    is_last: bool = False


class _Trackers:
    def __init__(self, place: Place) -> None:
        self._trackers = place.trackers

    def device_id(self, serial_number: str) -> int | None:
        return self._trackers.get(serial_number)

    def recheck(self) -> None:
        pass


def live(place: Place, up: Connection) -> None:
    """One life: from its first breath, told through the connection, until it is shot or nothing is left to do."""
    worker.OVERDUE_S *= HASTE
    patience.RESEND_S = place.resend_s
    with asyncio.Runner(loop_factory=HastyLoop) as runner:
        runner.run(_live(place, up))


def spool_of(place: Place) -> Spool:
    """Where its files are."""
    return Spool(Path(place.folder) / FOLDER, MAX_BYTES, _BALLAST_BYTES, _RESERVE_BYTES)


async def _live(place: Place, up: Connection) -> None:
    up.send(None)
    async with _alive(place) as ledger:
        while not (place.is_last and _is_at_rest(place, ledger)):
            await asyncio.sleep(_LOOK_S)


def _is_at_rest(place: Place, ledger: Ledger) -> bool:
    is_empty = not any(path.is_file() for path in Path(place.inbox).rglob("*"))
    return is_empty and all(recording.state in AT_REST for recording in ledger.recordings.values())


@asynccontextmanager
async def _alive(place: Place) -> AsyncIterator[Ledger]:
    utc_ms, spool, limits = hasty_utc_ms(place.since_ms), spool_of(place), Limits()
    async with (
        open_store(Path(place.folder), [SCHEMA]) as store,
        open_cloud(
            api_url=place.api_url,
            token_url=place.token_url,
            websocket_url=place.websocket_url,
            username=USERNAME,
            password=Secret(PASSWORD),
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
            # The network is as slow as ever.
            limits=Limits(limits.connect_s * HASTE, limits.live_s * HASTE, limits.total_s * HASTE),
        ) as cloud,
        asyncio.TaskGroup() as tasks,
    ):
        spooling, taking, sending = (Worker(name) for name in ("spool", "taking", "sending"))
        ledger = Ledger(store, spool, spooling, utc_ms)
        await ledger.load()
        intake = Intake(spool, ledger, taking, MAX_BYTES, utc_ms)
        known = [Known(serial_number, "") for serial_number in place.trackers]
        inbox = Inbox(Path(place.inbox), intake, known, None, taking, utc_ms)
        options = Options(is_lookup=place.is_lookup)
        uploader = Uploader(
            cloud, ledger, spool, sending, _Trackers(place), options, utc_ms, UTC, is_clock_sure=lambda: True
        )
        running = [tasks.create_task(part.run(lambda: None)) for part in (ledger, inbox, uploader)]
        try:
            yield ledger
        finally:
            for task in running:
                task.cancel()
            for thread in (spooling, taking, sending):
                thread.close()

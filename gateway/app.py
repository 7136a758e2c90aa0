"""Puts the daemon together: builds its parts, hands each what it needs of the others, and owns their tasks."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from gateway.bluetooth.receiver import Receiver, local_receiver
from gateway.bluetooth.sensors import Sensors
from gateway.bluetooth.sightings import Sightings
from gateway.bridges.evidence import PairingEvidence
from gateway.bridges.pairings import ServedPairings
from gateway.bridges.sensors import SensorUsers, ServedSensors
from gateway.cloud.client import CloudClient, open_cloud
from gateway.cloud.endpoints import table
from gateway.config import SensorSettings, Settings
from gateway.counters import counted
from gateway.credentials import Credentials
from gateway.fleet.claim import owned
from gateway.fleet.ownership import Claims
from gateway.fleet.roster import Tracker
from gateway.live.board import Board
from gateway.live.server import LiveServer
from gateway.live.session import Hub
from gateway.pairing.desired import Basis, Desired, Origin
from gateway.pairing.desk.pairings import Pairings
from gateway.pairing.documents import ClearForm, Sensor, Wanted, Wish
from gateway.pairing.keeping.records import SCHEMA, Records
from gateway.pairing.observation import Mode
from gateway.pairing.reconciling.reconciler import Options, Reconciler
from gateway.problems import Problems
from gateway.service import Notifier, Watchdog
from gateway.store import Store, open_store
from gateway.telemetry.channel import Wearer
from gateway.telemetry.feed import Feed
from gateway.telemetry.history import History
from gateway.telemetry.ring import rows_for
from gateway.telemetry.snapshot import SavedChannel, load, save
from gateway.telemetry.sources import Source

SNAPSHOT = "telemetry.snapshot"
"""What a planned restart takes over, in the state folder."""

_TURN_S = 1.0
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Gateway:
    """The running daemon, as others in this process see it.

    Attributes:
        port: Where the live stream listens.
        feed: The channels.
        claims: Which trackers are ours.
        problems: What is wrong now.
        cloud: The client of the Insiders cloud.
        sensors: The straps and power meters in the air.
        pairings: Which of them each tracker listens to, and shall.
    """

    port: int
    feed: Feed
    claims: Claims
    problems: Problems
    cloud: CloudClient
    sensors: Sensors
    pairings: Pairings


def roster(settings: Settings) -> tuple[Tracker, ...]:
    """The configured trackers."""
    return tuple(
        Tracker(tracker.serial_number, tracker.device_name, tracker.athlete, tracker.number)
        for tracker in settings.trackers
    )


def file_managed(settings: Settings) -> dict[str, Desired]:
    """What the configuration wants of the trackers whose sensors it decides about, by serial number."""
    return {
        tracker.serial_number: Desired(
            _wanted(tracker.heart_rate_sensor), _wanted(tracker.power_meter), origin=Origin.FILE, basis=Basis.FILE
        )
        for tracker in settings.trackers
        if tracker.heart_rate_sensor is not None or tracker.power_meter is not None
    }


@asynccontextmanager
async def connected(settings: Settings, credentials: Credentials) -> AsyncIterator[CloudClient]:
    """The cloud client of a configuration."""
    cloud = settings.cloud
    async with open_cloud(
        api_url=cloud.api_url,
        token_url=cloud.token_url,
        websocket_url=cloud.websocket_url,
        username=cloud.username,
        password=credentials.password,
        client_id=cloud.client_id,
        client_secret=credentials.client_secret,
        endpoints=table(cloud.paths),
    ) as client:
        yield client


@asynccontextmanager
async def running(
    settings: Settings, credentials: Credentials, environ: Mapping[str, str] = os.environ
) -> AsyncIterator[Gateway]:
    """The whole daemon, for as long as the context is open.

    An end without an error is an orderly stop: the next start goes on under the same epoch.

    Raises:
        StoreLockedError: If another gateway uses the state folder.
        OSError: If the port of the live stream is taken.
    """
    notifier = Notifier(environ)
    watchdog = Watchdog(notifier, environ)
    snapshot = settings.gateway.state_dir / SNAPSHOT
    async with (
        open_store(settings.gateway.state_dir, [SCHEMA]) as store,
        connected(settings, credentials) as cloud,
    ):
        # The folder is ours only now: whoever is turned away must not have consumed what another has left there.
        saved = load(snapshot)
        epoch = secrets.token_hex(8) if saved is None else saved.epoch
        parts = await _assembled(settings, cloud, store, () if saved is None else saved.channels)
        del saved  # it keeps the file's pages, as many as the rings have
        server = LiveServer(
            _hub(settings, parts, epoch),
            lambda: counted(parts.feed, parts.history, cloud, parts.sightings, parts.records),
            ServedSensors(parts.sensors),
            ServedPairings(parts.pairings),
        )
        is_orderly = False
        async with (
            server.listening(settings.live.host, settings.live.port, lambda: is_orderly) as port,
            asyncio.TaskGroup() as tasks,
        ):
            works = [tasks.create_task(work, name=name) for name, work in parts.works(watchdog)]
            works.append(tasks.create_task(watchdog.run(), name="watchdog"))
            notifier.ready(f"Live stream on port {port}, {len(settings.trackers)} trackers configured")
            try:
                yield Gateway(port, parts.feed, parts.claims, parts.problems, cloud, parts.sensors, parts.pairings)
                is_orderly = True
            finally:
                notifier.stopping()
                for work in works:
                    work.cancel()
        # Reached only if nothing went wrong: what a crash leaves behind is not to be gone on from.
        save(snapshot, epoch, _utc_ms(), parts.feed.saved())


def is_clock_synced(timesync: Path = Path("/run/systemd/timesync")) -> bool | None:
    """Whether systemd's time service has set the wall clock since boot; None where it does not run.

    The kernel would know as well, but asking it is forbidden to a service that may not touch the clock.
    """
    return (timesync / "synchronized").exists() if timesync.exists() else None


def is_clock_sure(utc_ms: int, reference_ms: int | None, *, is_synced: bool | None) -> bool:
    """Whether the wall clock can be trusted: unless somebody says that it cannot, and the cloud does not say it can.

    Args:
        utc_ms: What it shows.
        reference_ms: What the cloud's shows; None if that is not known.
        is_synced: Of `is_clock_synced`.
    """
    return is_synced is not False or (reference_ms is not None and abs(utc_ms - reference_ms) < _MINUTE_MS)


@dataclass(frozen=True, slots=True)
class _Parts:
    """All that runs, put together and not yet started."""

    problems: Problems
    board: Board
    cloud: CloudClient
    claims: Claims
    feed: Feed
    history: History
    receiver: Receiver
    sightings: Sightings
    sensors: Sensors
    records: Records
    evidence: PairingEvidence
    reconciler: Reconciler
    pairings: Pairings

    def works(self, watchdog: Watchdog) -> Iterator[tuple[str, Coroutine[object, object, None]]]:
        """What each of them does until it is cancelled, by name."""
        yield "claims", self.claims.run()
        yield "claims to feed", _assign(self.claims, self.feed, self.reconciler)
        yield "feed", self.feed.run(watchdog.register("feed"))
        yield "history", self.history.run(watchdog.register("history"))
        yield "receiver", self.receiver.run()
        yield "sensors", self.sensors.run(watchdog.register("sensors"))
        yield "records", self.records.run(_utc_ms, partial(_is_wall_clock_sure, self.cloud))
        yield "evidence", self.evidence.run(watchdog.register("evidence"))
        yield "reconciler", self.reconciler.run(watchdog.register("reconciler"))
        yield "pairings", self.pairings.run(watchdog.register("pairings"))
        yield "problems to board", _tell_problems(self.problems, self.board, watchdog.register("board"))


async def _assembled(settings: Settings, cloud: CloudClient, store: Store, saved: Sequence[SavedChannel]) -> _Parts:
    """Make the parts, each with what it needs of the others.

    Args:
        settings: The configuration.
        cloud: The client of the cloud.
        store: The database of the state folder.
        saved: What the last orderly stop has left of the channels.
    """
    problems = Problems(_utc_ms)
    board = Board()
    claims = Claims(cloud, problems, roster(settings))
    wearers = [Wearer(t.serial_number, t.athlete, t.number) for t in settings.trackers]
    serial_numbers = [wearer.serial_number for wearer in wearers]
    ring_minutes = settings.telemetry.ring_minutes
    feed = Feed(
        wearers,
        rows_for(ring_minutes),
        cloud,
        board,
        problems,
        on_refused=lambda _serial_number: claims.recheck(),
        source=Source(settings.telemetry.source),
        refill_ms=min(settings.telemetry.refill_minutes, ring_minutes) * _MINUTE_MS,
        reference_ms=cloud.utc_ms,
        saved=saved,
    )
    history = History(feed.channels, cloud, ring_minutes * _MINUTE_MS)

    sightings = Sightings()
    receiver = local_receiver(sightings.heard, settings.bluetooth.adapter, is_enabled=settings.bluetooth.enabled)
    users = SensorUsers(feed.channels)
    sensors = Sensors(receiver, sightings, users, problems, board, _utc_ms)

    records = Records(store)
    await records.load()
    await records.settle(file_managed(settings), serial_numbers, _utc_ms())
    evidence = PairingEvidence(feed.channels, sensors, cloud.utc_ms, feed.trouble)
    reconciler = users.listening = Reconciler(
        cloud,
        records,
        serial_numbers,
        evidence,
        Options(Mode(settings.pairing.mode), ClearForm(settings.pairing.clear_form)),
        _utc_ms,
        partial(_is_wall_clock_sure, cloud),
        on_forbidden=lambda _serial_number: claims.recheck(),
    )
    pairings = Pairings(reconciler, records, evidence, wearers, problems, board)
    return _Parts(
        problems=problems,
        board=board,
        cloud=cloud,
        claims=claims,
        feed=feed,
        history=history,
        receiver=receiver,
        sightings=sightings,
        sensors=sensors,
        records=records,
        evidence=evidence,
        reconciler=reconciler,
        pairings=pairings,
    )


def _hub(settings: Settings, parts: _Parts, epoch: str) -> Hub:
    return Hub(
        channels=parts.feed.channels,
        board=parts.board,
        epoch=epoch,
        site=settings.gateway.site,
        version=version("insiders-gateway"),
        ring_span_s=settings.telemetry.ring_minutes * 60,
        utc_ms=_utc_ms,
        is_clock_synced=is_clock_synced,
        reference_ms=parts.cloud.utc_ms,
    )


def _is_wall_clock_sure(cloud: CloudClient) -> bool:
    return is_clock_sure(_utc_ms(), cloud.utc_ms(), is_synced=is_clock_synced())


def _wanted(configured: SensorSettings | str | None) -> Wanted:
    if configured is None:
        return Wish.UNMANAGED
    return Wish.NONE if isinstance(configured, str) else Sensor(configured.address, configured.name)


async def _assign(claims: Claims, feed: Feed, reconciler: Reconciler) -> None:
    revision = 0
    while True:
        revision = await claims.changed(revision)
        ours = owned(claims.current)
        feed.assign(ours)
        reconciler.assign(ours)


async def _tell_problems(problems: Problems, board: Board, beat: Callable[[], None]) -> None:
    """Show problems to the clients as states, and take them back when they are solved."""
    revision = -1
    shown: set[str] = set()
    while True:
        if problems.revision != revision:
            revision = problems.revision
            current = {f"problem/{problem.code}/{problem.subject}": problem for problem in problems}
            for key in shown - current.keys():
                board.forget_state(key)
            for key, problem in current.items():
                board.state_changed(key, "open", text=problem.text, action=problem.action, since_ms=problem.since_ms)
            shown = set(current)
        beat()
        await asyncio.sleep(_TURN_S)


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000

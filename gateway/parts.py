"""The parts of the daemon, put together: each with what it needs of the others, and not yet started."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.access.audit import Audit
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.releases import Releases
from gateway.bluetooth.receiver import Receiver, local_receiver
from gateway.bluetooth.sensors import Sensors
from gateway.bluetooth.sightings import Sightings
from gateway.bridges.access import NotedOwnerships, tell_access
from gateway.bridges.evidence import PairingEvidence
from gateway.bridges.recordings import OurTrackers
from gateway.bridges.sensors import SensorUsers
from gateway.cloud.client import CloudClient
from gateway.config import SensorSettings, Settings
from gateway.fleet.claim import owned
from gateway.fleet.ownership import Claims
from gateway.fleet.roster import Tracker
from gateway.live.board import Board
from gateway.pairing.desired import Basis, Desired, Origin
from gateway.pairing.desk.pairings import Pairings
from gateway.pairing.documents import ClearForm, Sensor, Wanted, Wish
from gateway.pairing.keeping.records import Records
from gateway.pairing.observation import Mode
from gateway.pairing.reconciling.reconciler import Options, Reconciler
from gateway.problems import Problems
from gateway.service import Watchdog
from gateway.store import Store
from gateway.telemetry.channel import Wearer
from gateway.telemetry.feed import Feed
from gateway.telemetry.history import History
from gateway.telemetry.ring import rows_for
from gateway.telemetry.snapshot import SavedChannel
from gateway.telemetry.sources import Source
from gateway.tls.certificates import Certificates
from gateway.uploads import surroundings
from gateway.uploads.desk import Desk
from gateway.uploads.keeping import spool as spooling
from gateway.uploads.keeping.ledger import Ledger
from gateway.uploads.keeping.retention import Retention
from gateway.uploads.sending import uploader as sending
from gateway.uploads.sending.uploader import Uploader
from gateway.uploads.taking.inbox import Inbox
from gateway.uploads.taking.intake import Intake
from gateway.uploads.taking.naming import Known
from gateway.wall_clock import is_clock_sure, is_clock_synced, local_zone, utc_ms
from gateway.worker import Worker

INBOX = "inbox"
"""Where recordings are dropped unless the configuration says otherwise, in the state folder."""

CERTIFICATES = "tls"
"""Where the club's authority and the gateway's certificate are, in the state folder."""

_TURN_S = 1.0
_MINUTE_MS = 60_000
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Workers:
    """The threads of the recordings.

    Attributes:
        spool: What is short.
        taking: Copies what is taken over from the inbox; a stick that hangs holds up nothing else.
        receiving: Writes what is sent to the gateway.
        sending: Reads what is sent.
        certificates: Looks at certificates, which others may renew.
    """

    spool: Worker
    taking: Worker
    receiving: Worker
    sending: Worker
    certificates: Worker


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


@dataclass(frozen=True, slots=True)
class Parts:
    """All that runs, put together and not yet started."""

    problems: Problems
    board: Board
    audit: Audit
    doorkeeper: Doorkeeper
    releases: Releases
    certificates: Certificates
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
    ledger: Ledger
    inbox: Inbox
    uploader: Uploader
    retention: Retention
    desk: Desk

    def works(self, watchdog: Watchdog) -> Iterator[tuple[str, Coroutine[object, object, None]]]:
        """What each of them does until it is cancelled, by name."""
        yield "audit", self.audit.run(watchdog.register("audit"))
        yield "doorkeeper", self.doorkeeper.run(watchdog.register("doorkeeper"))
        yield "releases", self.releases.run()
        yield "certificates", self.certificates.run(watchdog.register("certificates"))
        yield "claims", self.claims.run()
        yield "claims to parts", _assign(self.claims, self.feed, self.reconciler, self.uploader, self.releases)
        yield "releases to feed", _release(self.releases, self.feed, self.claims)
        yield "feed", self.feed.run(watchdog.register("feed"))
        yield "history", self.history.run(watchdog.register("history"))
        yield "receiver", self.receiver.run()
        yield "sensors", self.sensors.run(watchdog.register("sensors"))
        yield "records", self.records.run(utc_ms, partial(_is_wall_clock_sure, self.cloud))
        yield "evidence", self.evidence.run(watchdog.register("evidence"))
        yield "reconciler", self.reconciler.run(watchdog.register("reconciler"))
        yield "pairings", self.pairings.run(watchdog.register("pairings"))
        yield "ledger", self.ledger.run(watchdog.register("ledger"))
        yield "inbox", self.inbox.run(watchdog.register("inbox"))
        yield "uploader", self.uploader.run(watchdog.register("uploader"))
        yield "retention", self.retention.run(watchdog.register("retention"))
        yield "recordings", self.desk.run(watchdog.register("recordings"))
        yield "access to problems", tell_access(self.doorkeeper, self.problems, watchdog.register("access"))
        yield "problems to board", _tell_problems(self.problems, self.board, watchdog.register("board"))


async def assembled(
    settings: Settings, cloud: CloudClient, store: Store, workers: Workers, saved: Sequence[SavedChannel]
) -> Parts:
    """Make the parts, each with what it needs of the others.

    Args:
        settings: The configuration.
        cloud: The client of the cloud.
        store: The database of the state folder.
        workers: The threads of the recordings.
        saved: What the last orderly stop has left of the channels.
    """
    problems = Problems(utc_ms)
    board = Board()
    is_wall_clock_sure = partial(_is_wall_clock_sure, cloud)
    audit = Audit(store, utc_ms, is_wall_clock_sure)
    squads = [squad for tracker in settings.trackers for squad in tracker.squads]
    doorkeeper = Doorkeeper(store, utc_ms, is_wall_clock_sure, squads)
    await doorkeeper.load()
    releases = Releases(
        store,
        {tracker.serial_number: tracker.athlete or tracker.serial_number for tracker in settings.trackers},
        utc_ms,
        cloud.utc_ms,
        problems,
        audit,
        is_required=settings.access.require_release,
    )
    await releases.load()
    certificates = Certificates(
        settings.gateway.state_dir / CERTIFICATES,
        site=settings.gateway.site,
        names=settings.live.names,
        elsewhere=settings.live.elsewhere,
        worker=workers.certificates,
        problems=problems,
        utc_ms=utc_ms,
        is_clock_sure=is_wall_clock_sure,
    )
    claims = Claims(NotedOwnerships(cloud, audit), problems, roster(settings))
    wearers = [Wearer(t.serial_number, t.athlete, t.number, t.squads) for t in settings.trackers]
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
        released=releases.released,
    )
    history = History(feed.channels, cloud, ring_minutes * _MINUTE_MS)

    sightings = Sightings()
    receiver = local_receiver(sightings.heard, settings.bluetooth.adapter, is_enabled=settings.bluetooth.enabled)
    users = SensorUsers(feed.channels)
    sensors = Sensors(receiver, sightings, users, problems, board, utc_ms)

    records = Records(store)
    await records.load()
    await records.settle(file_managed(settings), serial_numbers, utc_ms())
    evidence = PairingEvidence(feed.channels, sensors, cloud.utc_ms, feed.trouble)
    reconciler = users.listening = Reconciler(
        cloud,
        records,
        serial_numbers,
        evidence,
        Options(Mode(settings.pairing.mode), ClearForm(settings.pairing.clear_form)),
        utc_ms,
        is_wall_clock_sure,
        on_forbidden=lambda _serial_number: claims.recheck(),
    )
    pairings = Pairings(reconciler, records, evidence, wearers, problems, board)

    recordings = settings.recordings
    zone = local_zone()
    known = [Known(tracker.serial_number, tracker.device_name) for tracker in settings.trackers]
    max_file_bytes = recordings.max_file_mb * _MB
    spool = spooling.Spool(settings.gateway.state_dir / spooling.FOLDER, recordings.spool_max_mb * _MB)
    ledger = Ledger(store, spool, workers.spool, utc_ms)
    await ledger.load()
    inbox = Inbox(
        recordings.inbox or settings.gateway.state_dir / INBOX,
        Intake(spool, ledger, workers.taking, max_file_bytes, utc_ms),
        known,
        recordings.tracker_pattern,
        workers.taking,
        utc_ms,
        zone=zone,
    )
    uploader = Uploader(
        cloud,
        ledger,
        spool,
        workers.sending,
        OurTrackers(claims),
        sending.Options(
            None if recordings.max_kbit_per_s is None else recordings.max_kbit_per_s * 1000 / 8, recordings.lookup
        ),
        utc_ms,
        zone,
        is_wall_clock_sure,
    )
    desk = Desk(
        ledger,
        Intake(spool, ledger, workers.receiving, max_file_bytes, utc_ms),
        inbox,
        uploader,
        spool,
        workers.spool,
        wearers,
        problems,
        board,
        surroundings.Options(
            recordings.keep_days, max_file_bytes, str(inbox.folder), known, recordings.tracker_pattern, zone
        ),
        utc_ms,
    )
    return Parts(
        problems=problems,
        board=board,
        audit=audit,
        doorkeeper=doorkeeper,
        releases=releases,
        certificates=certificates,
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
        ledger=ledger,
        inbox=inbox,
        uploader=uploader,
        retention=Retention(ledger, recordings.keep_days, utc_ms, is_wall_clock_sure),
        desk=desk,
    )


def _is_wall_clock_sure(cloud: CloudClient) -> bool:
    return is_clock_sure(utc_ms(), cloud.utc_ms(), is_synced=is_clock_synced())


def _wanted(configured: SensorSettings | str | None) -> Wanted:
    if configured is None:
        return Wish.UNMANAGED
    return Wish.NONE if isinstance(configured, str) else Sensor(configured.address, configured.name)


async def _assign(claims: Claims, feed: Feed, reconciler: Reconciler, uploader: Uploader, releases: Releases) -> None:
    revision = 0
    while True:
        revision = await claims.changed(revision)
        ours = owned(claims.current)
        feed.assign(ours, releases.released)
        reconciler.assign(ours)
        uploader.wake()


async def _release(releases: Releases, feed: Feed, claims: Claims) -> None:
    """Follow who may be shown: a tracker of somebody who may not is claimed and looked after, but not followed."""
    revision = 0
    while True:
        revision = await releases.changed(revision)
        # Until the cloud has said which trackers are ours, those are that were when the last run ended.
        feed.assign(owned(claims.current) if claims.revision else feed.devices, releases.released)


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

"""The daemon: opens what it needs in the right order, runs its parts, and closes it all again."""

import asyncio
import hmac
import logging
import os
import platform
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from gateway.access import audit, grants, releases
from gateway.access.doorkeeper import Doorkeeper
from gateway.bluetooth.sensors import Sensors
from gateway.bridges.certificates import ServedCertificates
from gateway.bridges.pairings import ServedPairings
from gateway.bridges.recordings import ServedRecordings
from gateway.bridges.sensors import ServedSensors
from gateway.cloud.client import CloudClient, open_cloud
from gateway.cloud.endpoints import table
from gateway.config import Settings, is_loopback
from gateway.counters import counted
from gateway.credentials import Credentials
from gateway.fleet.ownership import Claims
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.pairing.desk.pairings import Pairings
from gateway.pairing.keeping import records
from gateway.parts import Parts, Workers, assembled
from gateway.problems import Problems
from gateway.service import Notifier, Watchdog
from gateway.store import open_store
from gateway.telemetry.feed import Feed
from gateway.telemetry.snapshot import load, save
from gateway.uploads.desk import Desk
from gateway.uploads.keeping import ledger
from gateway.wall_clock import is_clock_synced, utc_ms
from gateway.worker import Worker

_LOG = logging.getLogger(__name__)

SNAPSHOT = "telemetry.snapshot"
"""What a planned restart takes over, in the state folder."""

CONTROL = "control.sock"

_INSECURE = (
    "insecure_lan",
    "Heart rates and tokens cross the network unencrypted, and anybody in it can read them",
    "start the gateway without --insecure-lan",
)
_SCHEMAS = (records.SCHEMA, ledger.SCHEMA, grants.SCHEMA, releases.SCHEMA, audit.SCHEMA)


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
        recordings: The .asi files on their way into the cloud.
    """

    port: int
    feed: Feed
    claims: Claims
    problems: Problems
    cloud: CloudClient
    sensors: Sensors
    pairings: Pairings
    recordings: Desk


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
    settings: Settings,
    credentials: Credentials,
    environ: Mapping[str, str] = os.environ,
    *,
    is_insecure_lan: bool = False,
) -> AsyncIterator[Gateway]:
    """The whole daemon, for as long as the context is open.

    An end without an error is an orderly stop: the next start goes on under the same epoch.

    Args:
        settings: The configuration.
        credentials: The secrets of the cloud account.
        environ: What systemd says.
        is_insecure_lan: Whether laptops are served without TLS, too.

    Raises:
        StoreLockedError: If another gateway uses the state folder.
        OSError: If the port of the live stream is taken.
    """
    notifier = Notifier(environ)
    watchdog = Watchdog(notifier, environ)
    snapshot = settings.gateway.state_dir / SNAPSHOT
    with _threads() as workers:
        async with (
            open_store(settings.gateway.state_dir, _SCHEMAS) as store,
            connected(settings, credentials) as cloud,
        ):
            # The folder is ours only now: whoever is turned away must not have consumed what another has left there.
            saved = load(snapshot)
            epoch = secrets.token_hex(8) if saved is None else saved.epoch
            parts = await assembled(settings, cloud, store, workers, () if saved is None else saved.channels)
            del saved  # it keeps the file's pages, as many as the rings have
            is_local = is_loopback(settings.live.host)
            is_tls = not is_insecure_lan and (not is_local or settings.live.elsewhere is not None)
            is_insecure = is_insecure_lan and not is_local
            server = LiveServer(
                _hub(settings, parts, epoch),
                lambda: counted(parts.feed, parts.history, cloud, parts.sightings, parts.records, parts.audit),
                ServedSensors(parts.sensors),
                ServedPairings(parts.pairings),
                ServedRecordings(parts.desk),
                doorkeeper=parts.doorkeeper,
                audit=parts.audit,
                releases=parts.releases,
                certificates=ServedCertificates(parts.certificates, is_insecure=is_insecure),
                is_open_on_loopback=settings.access.open_on_loopback,
                names=settings.live.names,
                gateway_id=installation_id(),
            )
            parts.certificates.prepare(is_served=is_tls)
            if is_insecure:
                parts.problems.report(*_INSECURE)
            control = control_socket(settings, environ)
            is_orderly = False
            async with (
                server.listening(
                    settings.live.host,
                    settings.live.port,
                    lambda: is_orderly,
                    tls=parts.certificates.context if is_tls else None,
                    is_insecure=is_insecure_lan,
                    control=control,
                ) as port,
                asyncio.TaskGroup() as tasks,
            ):
                works = [tasks.create_task(work, name=name) for name, work in parts.works(watchdog)]
                works.append(tasks.create_task(watchdog.run(), name="watchdog"))
                _tell_beginner(control, parts.doorkeeper, is_local=is_local)
                notifier.ready(f"Live stream on port {port}, {len(settings.trackers)} trackers configured")
                try:
                    yield _seen(parts, port)
                    is_orderly = True
                finally:
                    notifier.stopping()
                    for work in works:
                        work.cancel()
            # Reached only if nothing went wrong: what a crash leaves behind is not to be gone on from.
            save(snapshot, epoch, utc_ms(), parts.feed.saved())


def control_socket(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Where commands of this machine find the gateway, and no others: a socket of root and the service."""
    return Path(environ.get("RUNTIME_DIRECTORY") or settings.gateway.state_dir) / CONTROL


def installation_id(machine_id: Path = Path("/etc/machine-id")) -> str:
    """What tells this gateway from others of the network: made of the machine's id, which it does not give away."""
    try:
        machine = machine_id.read_bytes()
    except OSError:
        machine = platform.node().encode()
    return hmac.digest(machine, b"insiders-gateway", "sha256").hex()[:16]


def _tell_beginner(control: Path, doorkeeper: Doorkeeper, *, is_local: bool) -> None:
    """Say what somebody who has just started a gateway needs to know to go on."""
    _LOG.info("Commands of this machine ask at unix:%(state_path)s", {"state_path": control})
    if not is_local and not doorkeeper.grants and doorkeeper.trouble is None:
        _LOG.info(
            "No device is let in yet; what lets the first one in is "
            "`insiders-gateway access code NAME --role admin --url unix:%(state_path)s`",
            {"state_path": control},
        )


def _hub(settings: Settings, parts: Parts, epoch: str) -> Hub:
    return Hub(
        channels=parts.feed.channels,
        board=parts.board,
        epoch=epoch,
        site=settings.gateway.site,
        version=version("insiders-gateway"),
        ring_span_s=settings.telemetry.ring_minutes * 60,
        utc_ms=utc_ms,
        is_clock_synced=is_clock_synced,
        reference_ms=parts.cloud.utc_ms,
    )


def _seen(parts: Parts, port: int) -> Gateway:
    return Gateway(
        port, parts.feed, parts.claims, parts.problems, parts.cloud, parts.sensors, parts.pairings, parts.desk
    )


@contextmanager
def _threads() -> Iterator[Workers]:
    with (
        closing(Worker("spool")) as spool,
        closing(Worker("taking")) as taking,
        closing(Worker("receiving")) as receiving,
        closing(Worker("sending")) as sending,
        closing(Worker("certificates")) as certificates,
    ):
        yield Workers(spool, taking, receiving, sending, certificates)

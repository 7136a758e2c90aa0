"""The command line: arguments, exit statuses, and the sentence a person reads when something cannot be done."""

import argparse
import asyncio
import errno
import io
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from textwrap import fill

from gateway import app, log, parts, trackers
from gateway.administration import arguments as access
from gateway.administration import release, tls
from gateway.config import EXIT_CONFIG, ConfigError, describe, load
from gateway.credentials import load_credentials
from gateway.pair import arguments as pairing
from gateway.recordings import arguments as recording
from gateway.scan.closer import look_closer
from gateway.scan.screen import scan, scan_json, scan_once
from gateway.scan.sources import GatewaySource, Source
from gateway.service import stop_on_signal
from gateway.simulator.errors import SimulatorError
from gateway.simulator.faults import Faults, profiles
from gateway.store import StoreLockedError
from gateway.terminal.addressing import gateway_url
from gateway.terminal.errors import CommandError
from gateway.terminal.questions import fetch_gaps, fetch_sensors
from gateway.terminal.screen import Screen
from insiders_gateway_client.address import DEFAULT_PORT
from insiders_gateway_client.errors import GatewayError, NobodyThereError

SYSTEM_CONFIG = Path("/etc/insiders-gateway/config.toml")
DEFAULT_URL = f"127.0.0.1:{DEFAULT_PORT}"

EXIT_STOPPED = 130
"""What shells give to a program that Ctrl-C has ended before it was done."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 well, 1 failed, 2 wrong usage, 78 wrong configuration."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows another one
    options = _parser().parse_args(arguments)
    log.configure(verbose=options.verbose, is_daemon=options.command in {"run", "simulate"})
    try:
        status = asyncio.run(_COMMANDS[options.command](options))
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()  # who reads it may be gone
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the edge of the program; the unforeseen is raised again
        return _explain(error)
    return status


def _explain(error: BaseException) -> int:
    """Put a failure into a sentence and an exit status; one that nobody foresaw is raised again."""
    cause = error
    while isinstance(cause, BaseExceptionGroup):  # task groups wrap what went wrong in one of their tasks
        cause = cause.exceptions[0]
    match cause:
        case ConfigError():
            print(describe(cause), file=sys.stderr)
            return EXIT_CONFIG
        case GatewayError() | StoreLockedError():
            return _fail(f"{cause}.")
        case SimulatorError() | CommandError():
            return _fail(str(cause))
        case BrokenPipeError():
            # Our reader is gone, `| head` for example. Python must not try to flush into the pipe once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        case OSError(errno=errno.ENOSPC):
            return _fail("There is no room left where the output goes: make room and start again.")
        case KeyboardInterrupt():
            return EXIT_STOPPED
        case _:
            raise error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("insiders-gateway", description="Live telemetry of Insiders trackers.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('insiders-gateway')}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what is going on in detail")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    run = command("run", "Run the gateway.")
    run.add_argument(
        "--insecure-lan",
        action="store_true",
        dest="is_insecure_lan",
        help="serve laptops without TLS: heart rates and tokens can then be read by anybody in the network",
    )
    demo = command("demo", "Run a simulated cloud and the gateway together, and show the athletes.")
    demo.add_argument("--trackers", type=_whole(1, 200), default=12, metavar="N", help="how many athletes (default 12)")
    demo.add_argument(
        "--seed", type=_whole(0, 2**31), default=7, metavar="S", help="another number is another session (default 7)"
    )
    demo.add_argument("--port", type=_whole(0, 65535), default=8770, help="port of the live stream (default 8770)")
    demo.add_argument("--minutes", type=_whole(1, 1440), metavar="N", help="end after so many (default: on Ctrl-C)")
    demo.add_argument(
        "--source", choices=("auto", "poll", "websocket"), default="auto", help="how live rows come (default auto)"
    )
    faults = f"what shall go wrong: {', '.join(profiles())}, or a TOML file"
    demo.add_argument("--faults", metavar="NAME|FILE", help=faults)
    simulate = command("simulate", "Run a simulated Insiders cloud.")
    simulate.add_argument(
        "--port", type=_whole(0, 65535), default=8771, help="port of the simulated cloud (default 8771)"
    )
    simulate.add_argument(
        "--trackers", type=_whole(1, 1000), default=12, metavar="N", help="how many trackers (default 12)"
    )
    simulate.add_argument(
        "--seed", type=_whole(0, 2**31), default=7, metavar="S", help="another number is another session"
    )
    simulate.add_argument("--faults", metavar="NAME|FILE", help="what shall go wrong: a profile, or a TOML file")
    watch = command("watch", "Show a gateway's live stream.")
    watch.add_argument(
        "url",
        nargs="?",
        default=DEFAULT_URL,
        metavar="URL",
        help="or host:port, or a port of this machine; default 8770",
    )
    watch.add_argument("--json", action="store_true", help="print every message as a line of JSON")
    gaps = command("gaps", "Show what a gateway is missing, and what it has repaired.")
    gaps.add_argument(
        "url",
        nargs="?",
        default=DEFAULT_URL,
        metavar="URL",
        help="or host:port, or a port of this machine; default 8770",
    )
    gaps.add_argument("--all", action="store_true", dest="is_all", help="list every gap, however many there are")
    gaps.add_argument("--json", action="store_true", help="print what the gateway says, as JSON")
    sensors = command("scan", "Show the straps and power meters in the air.")
    sensors.add_argument(
        "url",
        nargs="?",
        metavar="URL",
        help="or host:port, or a port of this machine; default 8770, or this machine's own radio if nothing runs there",
    )
    sensors.add_argument("--closer", metavar="ID", help="connect to one and read what it says of itself")
    sensors.add_argument("--json", action="store_true", help="print what is in the air, as JSON")
    pairing.add_verbs(command("pair", "Say which strap and power meter each tracker shall have."), DEFAULT_URL)
    recording.add_verbs(command("recordings", "Take over .asi files, and show where each is."), DEFAULT_URL)
    access.add_access_verbs(command("access", "Let people in with their devices, or throw them out."), DEFAULT_URL)
    release.add_verbs(command("release", "Say which athletes may be shown."), DEFAULT_URL)
    tls.add_tls_verbs(command("tls", "Make the club's certificate authority, or export it for laptops."), DEFAULT_URL)
    tracker = command("trackers", "List, claim or release trackers in the cloud.")
    verbs = tracker.add_subparsers(dest="verb", required=True, metavar="VERB")
    readers = [run]
    for verb, text, serials in (
        ("list", "Show which trackers are ours.", "only these (default: all)"),
        ("claim", "Make trackers ours.", "only these (default: all that are configured)"),
        ("release", "Give trackers up.", "these"),
    ):
        readers.append(verbs.add_parser(verb, help=text, description=text))
        readers[-1].add_argument("serials", nargs="*", metavar="SERIAL", help=serials)
    config = command("config", "Check the configuration.")
    checks = config.add_subparsers(dest="verb", required=True, metavar="VERB")
    text = "Print every mistake at once, or that there is none."
    readers.append(checks.add_parser("check", help=text, description=text))
    for reader in readers:
        reader.add_argument("--config", type=Path, metavar="FILE", help=f"config.toml here, else {SYSTEM_CONFIG}")
    return parser


async def _run(options: argparse.Namespace) -> int:
    settings = load(_config(options))
    credentials = load_credentials(os.environ)
    with stop_on_signal() as stop:
        try:
            async with app.running(settings, credentials, is_insecure_lan=options.is_insecure_lan):
                await stop.wait()
        except StoreLockedError:
            raise
        except OSError as error:
            return _fail(f"Port {settings.live.port} cannot be opened, {_cause(error)}: set another in [live].")
    return 0


async def _demo(options: argparse.Namespace) -> int:
    from gateway.demo import MOBILE_LINK, demo

    with stop_on_signal() as stop:
        try:
            await demo(
                trackers=options.trackers,
                seed=options.seed,
                port=options.port,
                stop=stop,
                console=Screen(),
                faults=MOBILE_LINK if options.faults is None else Faults.named(options.faults),
                source=options.source,
                duration_s=None if options.minutes is None else options.minutes * 60.0,
            )
        except GatewayError:
            raise
        except OSError as error:
            return _fail(f"Port {options.port} cannot be opened, {_cause(error)}: give another with --port.")
    return 0


async def _simulate(options: argparse.Namespace) -> int:
    from gateway.simulator.server import simulate

    faults = Faults() if options.faults is None else Faults.named(options.faults)
    return await _until_stopped(simulate("127.0.0.1", options.port, options.trackers, options.seed, faults))


async def _watch(options: argparse.Namespace) -> int:
    from gateway.watch import watch, watch_json

    url = gateway_url(options.url)
    console = Screen()
    if not options.json and not console.is_terminal:
        return _fail("The table needs a terminal: add --json for a pipe or a file.")
    return await _until_stopped(watch_json(url) if options.json else watch(url, console))


async def _gaps(options: argparse.Namespace) -> int:
    from gateway.gaps import show_gaps

    url = gateway_url(options.url)
    if options.json:
        print((await fetch_gaps(url)).decode())
    else:
        await show_gaps(url, Screen(), is_all=options.is_all)
    return 0


async def _scan(options: argparse.Namespace) -> int:
    console = Screen()
    is_live = console.is_terminal and not options.json and options.closer is None
    status = await _until_stopped(
        _scanned(options, console, is_live=is_live), if_stopped=0 if is_live else EXIT_STOPPED
    )
    if status == EXIT_STOPPED and options.closer is not None:
        print("Stopped: nothing is connected with the sensor any more.", file=sys.stderr)
    return status


async def _scanned(options: argparse.Namespace, console: Screen, *, is_live: bool) -> None:
    async with _sensor_source(options.url, is_live=is_live) as source:
        if is_live:
            await scan(source, console)
            return
        await source.settle()
        if options.closer is not None:
            await look_closer(source, options.closer, console, is_json=options.json)
        elif options.json:
            await scan_json(source)
        else:
            await scan_once(source, console)


@asynccontextmanager
async def _sensor_source(typed: str | None, *, is_live: bool) -> AsyncIterator[Source]:
    """Where to ask for sensors."""
    url = gateway_url(DEFAULT_URL if typed is None else typed)
    try:
        await fetch_sensors(url)
    except NobodyThereError:
        if typed is not None:
            raise
        from gateway.scan.own_radio import own_radio

        duration = "" if is_live else ", up to ten seconds"
        told = f"No gateway answers at {DEFAULT_URL}: listening with this machine's own radio{duration}."
        print(told, file=sys.stderr)
        async with own_radio(_configured_adapter()) as source:
            yield source
    else:
        yield GatewaySource(url)


async def _pair(options: argparse.Namespace) -> int:
    return await _until_stopped(pairing.pair(options), if_stopped=EXIT_STOPPED)


async def _recordings(options: argparse.Namespace) -> int:
    is_followed = options.verb == "list" and options.is_followed
    return await _until_stopped(recording.recordings(options), if_stopped=0 if is_followed else EXIT_STOPPED)


async def _access(options: argparse.Namespace) -> int:
    return await _until_stopped(access.administer_access(options), if_stopped=EXIT_STOPPED)


async def _release(options: argparse.Namespace) -> int:
    return await _until_stopped(release.release(options), if_stopped=EXIT_STOPPED)


async def _tls(options: argparse.Namespace) -> int:
    return await _until_stopped(tls.administer_tls(options), if_stopped=EXIT_STOPPED)


async def _trackers(options: argparse.Namespace) -> int:
    settings = load(_config(options))
    roster, console = parts.roster(settings), Screen()
    async with app.connected(settings, load_credentials(os.environ)) as cloud:
        match options.verb:
            case "list":
                return await trackers.list_trackers(cloud, roster, options.serials, console)
            case "claim":
                return await trackers.claim_trackers(cloud, roster, options.serials, console)
            case _:
                return await trackers.release_trackers(cloud, roster, options.serials, console)


async def _check(options: argparse.Namespace) -> int:
    path = _config(options)
    try:
        settings = load(path)
    except ConfigError as error:
        print(describe(error))  # what this command was asked for, so not to stderr
        return EXIT_CONFIG
    count = len(settings.trackers)
    print(f"{path} is in order: {count} tracker{'' if count == 1 else 's'}, port {settings.live.port}.")
    try:
        load_credentials(os.environ)
    except ConfigError as error:
        missing = " and ".join(mistake.key for mistake in error.mistakes)
        print(f"Not seen from here, which is well if the service has it: {missing}.")
    return 0


async def _until_stopped(work: Coroutine[object, object, int | None], if_stopped: int = 0) -> int:
    """Do the work until it ends or a signal asks to stop; returns the exit status, which the work may say."""
    with stop_on_signal() as stop:
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(work)
            stopping = tasks.create_task(stop.wait())
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            is_done = working.done()
            working.cancel()
            stopping.cancel()
    return (working.result() or 0) if is_done else if_stopped


def _config(options: argparse.Namespace) -> Path:
    path: Path | None = options.config
    return _usual_config() if path is None else path


def _usual_config() -> Path:
    return Path("config.toml") if Path("config.toml").exists() else SYSTEM_CONFIG


def _configured_adapter() -> str | None:
    """The adapter that the gateway of this machine would listen with, if it is configured and has one of its own."""
    try:
        return load(_usual_config()).bluetooth.adapter
    except ConfigError:
        return None


def _cause(error: OSError) -> str:
    """What the operating system says, without what Python wraps around it."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


def _fail(sentence: str) -> int:
    if sys.stderr.isatty():
        sentence = fill(sentence, shutil.get_terminal_size().columns, break_long_words=False, break_on_hyphens=False)
    print(sentence, file=sys.stderr)
    return 1


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A type for arguments that are whole numbers of a range."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from {lowest} to {highest}")
        return int(text)

    return parse


_COMMANDS: dict[str, Callable[[argparse.Namespace], Coroutine[object, object, int]]] = {
    "run": _run,
    "demo": _demo,
    "simulate": _simulate,
    "watch": _watch,
    "gaps": _gaps,
    "scan": _scan,
    "pair": _pair,
    "recordings": _recordings,
    "access": _access,
    "release": _release,
    "tls": _tls,
    "trackers": _trackers,
    "config": _check,
}

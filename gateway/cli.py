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
from pathlib import Path
from textwrap import fill
from typing import TextIO

from gateway import app, log, parts, trackers
from gateway.administration import arguments as access
from gateway.administration import release, tls
from gateway.arguments import SYSTEM_CONFIG, parser
from gateway.config import EXIT_CONFIG, ConfigError, describe, load
from gateway.credentials import load_credentials
from gateway.pair import arguments as pairing
from gateway.recordings import arguments as recording
from gateway.scan.closer import look_closer
from gateway.scan.screen import scan, scan_json, scan_once
from gateway.scan.sources import GatewaySource, Source
from gateway.service import stop_on_signal
from gateway.simulator.errors import SimulatorError
from gateway.simulator.faults import Faults
from gateway.store import StoreLockedError
from gateway.terminal.addressing import gateway_url
from gateway.terminal.errors import CommandError
from gateway.terminal.questions import fetch_gaps, fetch_sensors
from gateway.terminal.screen import Screen
from insiders_gateway_client.errors import GatewayError, NobodyThereError, RefusalError

EXIT_STOPPED = 130
"""What shells give to a program that Ctrl-C has ended before it was done."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 well, 1 failed, 2 wrong usage, 78 wrong configuration."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows another one
    options = parser().parse_args(arguments)
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
            _print(describe(cause), sys.stderr)
            return EXIT_CONFIG
        case GatewayError() | StoreLockedError():
            return _fail(f"{cause}.")
        case SimulatorError() | CommandError() | RefusalError():
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
    url = gateway_url(typed)
    try:
        await fetch_sensors(url)
    except NobodyThereError:
        if typed is not None:
            raise
        from gateway.scan.own_radio import own_radio

        duration = "" if is_live else ", up to ten seconds"
        told = f"No gateway runs here: listening with this machine's own radio{duration}."
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
        _print(describe(error), sys.stdout)  # what this command was asked for, so not to stderr
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
    _print(sentence, sys.stderr)
    return 1


def _print(lines: str, stream: TextIO | None) -> None:
    """Print lines, on a terminal broken between words; nowhere if there is no stream."""
    if stream is not None and stream.isatty():
        width = shutil.get_terminal_size().columns
        broken = (fill(line, width, break_long_words=False, break_on_hyphens=False) for line in lines.splitlines())
        lines = "\n".join(broken)
    print(lines, file=stream)


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

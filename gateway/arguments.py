"""What can be typed: every command with its arguments, and what `--help` says of them."""

import argparse
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from gateway.administration.arguments import add_access_verbs
from gateway.administration.release import add_verbs as add_release_verbs
from gateway.administration.tls import add_tls_verbs
from gateway.pair.arguments import add_verbs as add_pair_verbs
from gateway.recordings.arguments import add_verbs as add_recordings_verbs
from gateway.simulator.faults import profiles
from gateway.terminal.verbs import WHICH

SYSTEM_CONFIG = Path("/etc/insiders-gateway/config.toml")


def parser() -> argparse.ArgumentParser:
    """What reads a command line."""
    root = argparse.ArgumentParser("insiders-gateway", description="Live telemetry of Insiders trackers.")
    root.add_argument("--version", action="version", version=f"%(prog)s {version('insiders-gateway')}")
    root.add_argument("-v", "--verbose", action="store_true", help="log what is going on in detail")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

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
    demo.add_argument("--trackers", type=whole(1, 200), default=12, metavar="N", help="how many athletes (default 12)")
    demo.add_argument(
        "--seed", type=whole(0, 2**31), default=7, metavar="S", help="another number is another session (default 7)"
    )
    demo.add_argument("--port", type=whole(0, 65535), default=8770, help="port of the live stream (default 8770)")
    demo.add_argument("--minutes", type=whole(1, 1440), metavar="N", help="end after so many (default: on Ctrl-C)")
    demo.add_argument(
        "--source", choices=("auto", "poll", "websocket"), default="auto", help="how live rows come (default auto)"
    )
    faults = f"what shall go wrong: {', '.join(profiles())}, or a TOML file"
    demo.add_argument("--faults", metavar="NAME|FILE", help=faults)
    simulate = command("simulate", "Run a simulated Insiders cloud.")
    simulate.add_argument(
        "--port", type=whole(0, 65535), default=8771, help="port of the simulated cloud (default 8771)"
    )
    simulate.add_argument(
        "--trackers", type=whole(1, 1000), default=12, metavar="N", help="how many trackers (default 12)"
    )
    simulate.add_argument(
        "--seed", type=whole(0, 2**31), default=7, metavar="S", help="another number is another session"
    )
    simulate.add_argument("--faults", metavar="NAME|FILE", help="what shall go wrong: a profile, or a TOML file")
    watch = command("watch", "Show a gateway's live stream.")
    watch.add_argument("url", nargs="?", metavar="URL", help=WHICH)
    watch.add_argument("--json", action="store_true", help="print every message as a line of JSON")
    gaps = command("gaps", "Show what a gateway is missing, and what it has repaired.")
    gaps.add_argument("url", nargs="?", metavar="URL", help=WHICH)
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
    add_pair_verbs(command("pair", "Say which strap and power meter each tracker shall have."))
    add_recordings_verbs(command("recordings", "Take over .asi files, and show where each is."))
    add_access_verbs(command("access", "Let people in with their devices, or throw them out."))
    add_release_verbs(command("release", "Say which athletes may be shown."))
    add_tls_verbs(command("tls", "Make the club's certificate authority, or export it for laptops."))
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
    return root


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A type for arguments that are whole numbers of a range."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from {lowest} to {highest}")
        return int(text)

    return parse

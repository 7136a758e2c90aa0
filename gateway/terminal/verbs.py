"""What every command takes that asks a running gateway: which one."""

import argparse
from collections.abc import Callable

TRACKER = "its serial number, athlete or shirt number, or a part that no other has"
"""How a person may name a tracker."""


def verbs_of(command: argparse.ArgumentParser, default_url: str) -> Callable[[str, str], argparse.ArgumentParser]:
    """What makes the parsers of a command's verbs, from their names and a sentence about each.

    Args:
        command: Whose verbs.
        default_url: The gateway that is asked if no other is named.
    """
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        parser = verbs.add_parser(name, help=text, description=text)
        parser.add_argument(
            "--url",
            default=default_url,
            help=f"the gateway: a URL, host:port, or a port of this machine (default {default_url})",
        )
        return parser

    return verb


def take_url(verb: argparse.ArgumentParser) -> None:
    """Let the gateway stand alone where nothing else can be named, as after `watch` and `scan`."""
    verb.add_argument("url", nargs="?", default=argparse.SUPPRESS, metavar="URL", help="the same as --url")

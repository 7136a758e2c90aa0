"""What every command takes that asks a running gateway: which one."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.terminal.layout import plain

WHICH = (
    "the gateway: a URL, host:port, a port of this machine, or unix:STATE_DIR/control.sock if state_dir is configured "
    "(default: the one that runs on this machine)"
)

TRACKER = "its serial number, athlete or shirt number, or a part that no other has"
"""How a person may name a tracker."""


def verbs_of(command: argparse.ArgumentParser) -> Callable[[str, str], argparse.ArgumentParser]:
    """What makes the parsers of a command's verbs, from their names and a sentence about each."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Verb)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        parser = verbs.add_parser(name, help=text, description=text)
        parser.add_argument("--url", help=WHICH)
        return parser

    return verb


class _Verb(argparse.ArgumentParser):
    """Says itself what it does not know: whoever typed that is helped by the usage of the verb, not by that of all."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What was typed; ends the program if something of it is not known."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error("; ".join(map(_unknown, unknown)))
        return options, unknown


def _unknown(word: str) -> str:
    shown = plain(word)
    if not word.startswith("-"):
        return f"{shown} is one too many: what has spaces in it belongs between quotes"
    return f"there is no option {shown}{f' (if it is a file, write ./{shown})' if Path(word).suffix else ''}"


def take_url(verb: argparse.ArgumentParser) -> None:
    """Let the gateway stand alone where nothing else can be named, as after `watch` and `scan`."""
    verb.add_argument("url", nargs="?", default=argparse.SUPPRESS, metavar="URL", help="the same as --url")

"""What can be typed after `tls`, and what is done then: the club's authority, which laptops trust."""

import argparse
import io
import os
import sys
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gateway.terminal.addressing import addressed, gateway_url
from gateway.terminal.answers import told
from gateway.terminal.errors import CommandError
from gateway.terminal.screen import Screen
from gateway.terminal.talk import LEFT, Talk
from gateway.terminal.verbs import take_url, verbs_of
from gateway.tls.files import read
from gateway.tls.moment import day
from gateway.tls.report import AuthorityRequest, ExportReport, TlsReport
from insiders_gateway_client.gateway import Gateway

_WHAT = "certificates"
_T = TypeVar("_T")

_INSECURE = (
    "Nothing is served over TLS, and laptops are served all the same: heart rates and tokens cross the network "
    "unencrypted, and anybody in it can read them. Start the gateway without --insecure-lan."
)


def add_tls_verbs(tls: argparse.ArgumentParser) -> None:
    """Let a parser take the verbs of `tls`."""
    verb = verbs_of(tls)

    take_url(verb("show", "Show the certificate that laptops see, and the club's authority."))
    making = verb("init", "See to it that the club has an authority: make one, or take that of another gateway.")
    which = making.add_mutually_exclusive_group()
    which.add_argument("--authority", type=Path, metavar="FILE", help="from `tls export --with-key` there")
    which.add_argument("--new", action="store_true", dest="is_new", help="make another one, though there is one")
    making.add_argument("--yes", action="store_true", dest="is_sure", help="do not ask")
    exporting = verb("export", "Write the club's authority, to be installed on laptops.")
    exporting.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="such as club.crt (default, if without the key: print it)"
    )
    exporting.add_argument(
        "--with-key", action="store_true", dest="is_with_key", help="for another gateway of the club: keep it secret"
    )


async def administer_tls(options: argparse.Namespace) -> int:
    """Do what was typed.

    Returns:
        The exit status.

    Raises:
        CommandError: If it cannot be done.
        GatewayError: If nobody answers.
    """
    url, talk = gateway_url(options.url), Talk(Screen(), sys.stdin or io.StringIO())
    match options.verb:
        case "show":
            _show(url, talk, await _ask(url, "GET", "tls", TlsReport))
        case "init":
            await _init(url, talk, options.authority, is_new=options.is_new, is_sure=options.is_sure)
        case _:
            await _export(url, talk, options.file, is_with_key=options.is_with_key)
    return 0


async def _init(url: str, talk: Talk, authority: Path | None, *, is_new: bool, is_sure: bool) -> None:
    before = (await _ask(url, "GET", "tls", TlsReport)).authority
    request = AuthorityRequest(None if authority is None else _content(authority), is_new)
    if before is not None and (is_new or authority is not None) and not is_sure:
        question = f"Laptops that trust {before.name} warn until they have the other one. Change it?"
        await talk.agree(question, f"{LEFT.rstrip('.')}: to change the authority unasked, add --yes.")
    report = await _ask(url, "POST", "tls", TlsReport, msgspec.to_builtins(request))
    if report.authority is not None and before == report.authority:
        talk.say("The club has this authority already; --new would make another one.")
    _show(url, talk, report)
    if before != report.authority:
        talk.say(addressed("Next: `insiders-gateway tls export club.crt`, and install that file on each laptop.", url))


async def _export(url: str, talk: Talk, file: Path | None, *, is_with_key: bool) -> None:
    if is_with_key and file is None:
        raise CommandError(
            "The key is not shown on a screen: name a file that it is written to, such as club-with-key.pem."
        )
    query = "?with_key=true" if is_with_key else ""
    pem = (await _ask(url, "GET", f"tls/authority{query}", ExportReport)).pem
    if file is None:
        talk.console.file.write(pem)
        return
    mode = 0o600 if is_with_key else 0o644
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as opened:
            opened.write(pem)
    except FileExistsError:
        raise CommandError(f"{file} is there already: name another file, or remove it first.") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be written ({_why(error)}): name another file.") from None
    if is_with_key:
        talk.say(f"{file}: whoever has it can pass for any gateway of the club. `tls init --authority` takes it there.")
    else:
        talk.say(f"{file}: install it on each laptop. It is no secret.")


def _show(url: str, talk: Talk, report: TlsReport) -> None:
    certificate, authority = report.certificate, report.authority
    if report.is_insecure:
        talk.say(_INSECURE, "bold yellow")
    elif certificate is None:
        talk.say("Nothing is served over TLS: the gateway listens on its own machine only.")
    else:
        origin = "signed by the club's authority" if certificate.source == "own" else "from elsewhere"
        talk.say(f"Certificate: {origin}, valid until {day(certificate.not_after_ms)}")
        talk.say(f"for {', '.join(certificate.places)}", lead="  ")
        talk.say(f"SHA-256 {_readable(certificate.fingerprint)}", lead="  ")
    if authority is not None:
        talk.say(f"Authority: {authority.name}, valid until {day(authority.not_after_ms)}")
        talk.say(f"SHA-256 {_readable(authority.fingerprint)}", lead="  ")
    elif certificate is None or certificate.source == "own":
        talk.say(addressed("Authority: none in order. `insiders-gateway tls init` makes one.", url))


async def _ask(url: str, method: str, path: str, form: type[_T], json: Any = None) -> _T:
    return await told(Gateway(url).ask(method, path, json=json), form, url, _WHAT)


def _content(file: Path) -> str:
    try:
        return read(file).decode()
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no PEM file: give the one that `tls export --with-key` has written.") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read ({_why(error)}): name another file.") from None


def _why(error: OSError) -> str:
    return (error.strerror or "no reason given").lower()


def _readable(fingerprint: str) -> str:
    """As browsers show it."""
    return ":".join(fingerprint[place : place + 2] for place in range(0, len(fingerprint), 2)).upper()

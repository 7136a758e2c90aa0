"""`access audit`: who did what, and who was turned away."""

from collections.abc import Mapping
from datetime import datetime, tzinfo

from gateway.access.audit import DENIED, DONE, Line
from gateway.access.documents import AuditReport
from gateway.terminal.answers import told
from gateway.terminal.talk import Talk
from insiders_gateway_client.gateway import Gateway

MOST_LINES = 1000

_DEEDS: Mapping[str, tuple[str, str]] = {
    "add_recordings": ("added a recording", "add a recording"),
    "admission": ("showed a token or a code", "come in"),
    "change_pairings": ("changed pairings", "change pairings"),
    "changed_authority": ("changed the club's authority", "change the club's authority"),
    "claimed": ("claimed", "claim"),
    "decide_recordings": ("decided about a recording", "decide about a recording"),
    "exported_authority": ("exported the club's authority", "export the club's authority"),
    "follow": ("followed live data", "follow live data"),
    "inspect_sensors": ("looked closer at", "look closer at"),
    "invited": ("made a code for", "make a code for"),
    "let_in": ("let in", "let in"),
    "looked": ("looked at live data", "look at live data"),
    "paired": ("came in with a code", "come in with a code"),
    "release given": ("released", "release"),
    "release withdrawn": ("withdrew the release of", "withdraw the release of"),
    "signed_out": ("signed out", "sign out"),
    "threw_out": ("threw out", "throw out"),
}
"""What was done, and what somebody tried to do; of others, the word itself is told."""


async def show_audit(url: str, talk: Talk, count: int, *, is_json: bool) -> None:
    """Print the last lines of the audit log, the newest last.

    Raises:
        CommandError: If the gateway does not tell them.
        GatewayError: If nobody answers.
    """
    report = await told(Gateway(url).ask("GET", f"audit?limit={count}"), AuditReport, url, "the audit log")
    if is_json:
        talk.document(report)
        return
    if not report.lines:
        talk.say("Nothing has been done yet.")
    zone = datetime.now().astimezone().tzinfo
    for line in reversed(report.lines):
        lead = f"{_at(line.last_ms, zone):%Y-%m-%d %H:%M:%S}  "
        talk.say(_sentence(line, zone), "yellow" if line.outcome == DENIED else "", lead=lead)


def _sentence(line: Line, zone: tzinfo | None) -> str:
    word = _words(line.deed)
    done, tried = _DEEDS.get(line.deed, (word, word))
    deed = done if line.outcome == DONE else f"tried to {tried}"
    outcome = "" if line.outcome == DONE else f": {_words(line.outcome)}"
    address = f", from {line.address}" if line.address else ""
    times = f" ({line.count} times since {_at(line.first_ms, zone):%H:%M:%S})" if line.count > 1 else ""
    return f"{_who(line)}{address}: {f'{deed} {line.subject}'.rstrip()}{outcome}{times}"


def _who(line: Line) -> str:
    if not line.person:
        return "somebody unknown"
    return line.person if line.device in {"", line.person} else f"{line.person} ({line.device})"


def _words(identifier: str) -> str:
    return identifier.replace("_", " ")


def _at(time_ms: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, zone)

"""`access audit`: who did what, and who was turned away."""

from datetime import datetime, tzinfo

from gateway.access.audit import DENIED, DONE, Line
from gateway.access.documents import AuditReport
from gateway.terminal.answers import told
from gateway.terminal.talk import Talk
from insiders_gateway_client.gateway import Gateway

MOST_LINES = 1000


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
        talk.say(_sentence(line), "yellow" if line.outcome == DENIED else "", lead=f"{_time(line, zone)}  ")


def _sentence(line: Line) -> str:
    who = f"{line.person} ({line.device})" if line.person else "somebody unknown"
    deed = f"{who}: {line.deed.replace('_', ' ')} {line.subject}".rstrip()
    outcome = "" if line.outcome == DONE else f", {line.outcome.replace('_', ' ')}"
    times = f" ({line.count} times)" if line.count > 1 else ""
    return f"{deed}{outcome}{times}{f', from {line.address}' if line.address else ''}"


def _time(line: Line, zone: tzinfo | None) -> str:
    return f"{datetime.fromtimestamp(line.first_ms / 1000, zone):%Y-%m-%d %H:%M:%S}"

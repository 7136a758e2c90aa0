"""`access code`: a one-time code as a picture to scan and a link to open."""

import io
from datetime import datetime

import msgspec
import segno
from rich.text import Text

from gateway.access.documents import CodeReport, GrantForm
from gateway.administration.access import in_words
from gateway.terminal.answers import told
from gateway.terminal.layout import plain
from gateway.terminal.talk import Talk
from insiders_gateway_client.gateway import Gateway

_QUIET = 2
"""Modules of light around the picture: cameras do with half of what the standard wants, and lines are few."""

_COLOURS = "bright_white on black"
"""As drawn, what is light is full: that must not depend on the colours of the terminal."""


async def invite(url: str, talk: Talk, form: GrantForm, *, is_json: bool) -> None:
    """Make a code, and show it.

    Raises:
        CommandError: If the gateway does not do it.
        GatewayError: If nobody answers.
    """
    answer = Gateway(url).ask("POST", "access/codes", json=msgspec.to_builtins(form))
    report = await told(answer, CodeReport, url, "codes")
    if is_json:
        talk.document(report)
        return
    until = datetime.fromtimestamp(report.expires_ms / 1000).astimezone()
    talk.say(
        f"Lets one device of {plain(form.person)} in, as {in_words(form)}. "
        f"Scan it or open the link there within five minutes, until {until:%H:%M:%S}:"
    )
    talk.console.print(Text(report.url), soft_wrap=True)
    picture = drawn(report.url)
    if not talk.console.is_terminal or talk.console.options.ascii_only:
        return
    if max(map(len, picture)) > talk.console.width:
        talk.say("The picture needs a wider window.")
        return
    # The picture comes last: of a small window it fills all, and the link is just above.
    talk.show(Text(line, _COLOURS) for line in picture)


def drawn(url: str) -> list[str]:
    """A link as a QR code in half blocks, as small as can be: that of a usual name has 23 lines."""
    lines = io.StringIO()
    segno.make(url, error="l", micro=False).terminal(lines, border=_QUIET, compact=True)
    return lines.getvalue().splitlines()

"""`access code`: a one-time code as a picture to scan and a link to open."""

import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import zip_longest

import msgspec
import segno
from rich.text import Text

from gateway.access.documents import CodeReport, GrantForm
from gateway.administration.access import in_words
from gateway.terminal.answers import told
from gateway.terminal.layout import plain, wrapped
from gateway.terminal.talk import Talk
from insiders_gateway_client.gateway import Gateway

_QUIET = 2
"""Modules of light around the picture: cameras do with half of what the standard wants, and lines are few."""

_COLOURS = "bright_white on black"
"""As drawn, what is light is full: that must not depend on the colours of the terminal."""

_APART, _NARROWEST = 2, 24
"""Columns between the picture and what stands beside it, and how many both take besides the picture at least."""


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
    words = (
        f"Lets one device of {plain(form.person)} in, as {in_words(form)}. "
        f"Scan it or open the link there within five minutes, until {until:%H:%M:%S}"
    )
    link, picture = Text(report.url), drawn(report.url)
    can_draw = talk.console.is_terminal and not talk.console.options.ascii_only
    if can_draw and _width(picture) + _NARROWEST <= talk.width:
        # The picture fills all of a small window, so what is to be read stands beside it, and the link scrolls away.
        talk.console.print(link, soft_wrap=True)
        talk.show(_beside(picture, wrapped(f"{words}. The link stands above.", talk.width - _width(picture) - _APART)))
        return
    talk.say(f"{words}:")
    talk.console.print(link, soft_wrap=True)
    if can_draw and _width(picture) <= talk.console.width:
        talk.show(Text(line, _COLOURS) for line in picture)
    elif can_draw:
        talk.say("The picture needs a wider window.")


def drawn(url: str) -> list[str]:
    """A link as a QR code in half blocks, as small as can be: that of a usual name has 23 lines."""
    lines = io.StringIO()
    segno.make(url, error="l", micro=False).terminal(lines, border=_QUIET, compact=True)
    return lines.getvalue().splitlines()


def _width(picture: Sequence[str]) -> int:
    return max(map(len, picture))


def _beside(picture: Sequence[str], words: Sequence[Text]) -> Iterator[Text]:
    """A picture with words at the right of its middle."""
    above = [Text()] * max(0, (len(picture) - len(words)) // 2)
    for line, word in zip_longest(picture, [*above, *words]):
        drawing = Text((line or "").ljust(_width(picture)), _COLOURS if line is not None else "")
        yield Text.assemble(drawing, " " * _APART, word) if word else drawing

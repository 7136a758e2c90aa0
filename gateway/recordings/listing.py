"""Where all recordings are, once or for as long as somebody looks."""

import asyncio
import sys
from datetime import datetime

from rich.live import Live
from rich.text import Text

from gateway.recordings.bars import Standstill
from gateway.recordings.source import Source
from gateway.recordings.table import table, window
from gateway.terminal.errors import CommandError, RefusedError
from gateway.terminal.layout import wrapped
from gateway.terminal.talk import Talk
from insiders_gateway_client.errors import GatewayError

ASKED_EVERY_S = 1.0


async def list_recordings(url: str, talk: Talk, *, is_json: bool = False, is_all: bool = False) -> None:
    """Print all recordings, what needs somebody first.

    Args:
        url: Of the gateway.
        talk: Where to.
        is_json: As the gateway says it.
        is_all: What was deleted too, and however many there are; otherwise, beside what needs somebody, as many as a
            window shows at once.

    Raises:
        GatewayError: If nobody answers.
    """
    report = await Source(url).recordings(is_all=is_all)
    if is_json:
        talk.document(report)
        return
    is_cut = talk.console.is_terminal and not is_all
    height = talk.console.height - 1 if is_cut else sys.maxsize  # the prompt follows
    talk.show([table(report, url, datetime.now().astimezone(), talk.width, height)])


async def follow_list(url: str, talk: Talk, *, is_all: bool = False) -> None:
    """Draw all recordings until cancelled.

    Args:
        url: Of the gateway.
        talk: Where to; a terminal.
        is_all: What was deleted too.

    Raises:
        CommandError: If it is no terminal.
        GatewayError: If the first question has no answer; later ones are asked again.
    """
    if not talk.console.is_terminal:
        text = "With --follow the list is drawn again and again, which takes a terminal: leave it out to print it once."
        raise CommandError(text)
    source, standstill, trouble = Source(url), Standstill(), list[Text]()
    report = await source.recordings(is_all=is_all)
    with Live(console=talk.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as screen:
        while True:
            height = talk.console.height - len(trouble)
            still = standstill.saw(report.recordings, asyncio.get_running_loop().time())
            told = window(report, url, datetime.now().astimezone(), talk.width, height, still)
            screen.update(Text("\n").join([*trouble, told]), refresh=True)
            await asyncio.sleep(ASKED_EVERY_S)
            try:
                report, trouble = await source.recordings(is_all=is_all), []
            except (GatewayError, RefusedError) as error:
                sentence = f"{str(error).rstrip('.')}. What follows is old."
                trouble = wrapped(sentence, talk.width, "bold red")

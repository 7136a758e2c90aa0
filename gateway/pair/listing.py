"""How all trackers stand."""

import sys
from datetime import datetime

from gateway.pair.source import Source
from gateway.pair.table import table
from gateway.terminal.talk import Talk


async def list_pairings(url: str, talk: Talk, *, is_json: bool = False, is_all: bool = False) -> None:
    """Print all trackers, what needs somebody first.

    Args:
        url: Of the gateway.
        talk: Where to.
        is_json: As the gateway says it.
        is_all: However many there are; otherwise as many as a window shows at once.

    Raises:
        GatewayError: If nobody answers.
    """
    report = await Source(url).pairings()
    if is_json:
        talk.document(report)
        return
    is_cut = talk.console.is_terminal and not is_all
    height = talk.console.height - 1 if is_cut else sys.maxsize  # the prompt follows
    talk.show([table(report, url, datetime.now().astimezone(), talk.width, height)])

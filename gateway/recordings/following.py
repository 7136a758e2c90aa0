"""What becomes of recordings, until each is in the cloud or needs somebody."""

import asyncio
import random
import sys
from collections.abc import Callable, Sequence

from rich.text import Text

from gateway.recordings.bars import Standstill, bars, under_way
from gateway.recordings.grouping import Rank, grouped_recordings, is_waited_for
from gateway.recordings.source import Source
from gateway.recordings.words import Names, named
from gateway.terminal.addressing import command
from gateway.terminal.errors import CommandError, RefusedError
from gateway.terminal.layout import wrapped
from gateway.terminal.talk import Talk
from gateway.uploads.report import RecordingReport
from insiders_gateway_client.errors import GatewayError

ASKED_EVERY_S = 1.0

PATIENCE_S = 60.0
"""A gateway that is restarted answers again within so long."""

_MOST_ASKED = 20
"""So many that are not in the list are asked for at each look."""


_SAFE = "Ctrl-C ends only what is shown here: the gateway goes on by itself."


def at_first(recording: RecordingReport) -> str:
    """What stands before how a recording stands."""
    return f"{recording.id} {named(recording)}:"


def tell(
    talk: Talk,
    recordings: Sequence[RecordingReport],
    url: str,
    introduced: Callable[[RecordingReport], str] = at_first,
) -> None:
    """Say how recordings stand, and what to type for those that need somebody, at once for all that need the same.

    Args:
        talk: Where to.
        recordings: Which.
        url: Of the gateway.
        introduced: What stands before how one stands.
    """
    for group in grouped_recordings(recordings, url, sys.maxsize):
        needs_person = group.rank is Rank.NEEDS_YOU
        style = "yellow" if needs_person else ""
        if needs_person and len(group.recordings) > 1:
            talk.say(f"{group.title.rstrip('.')}:", style)
            for recording in group.recordings:
                talk.say(f"{recording.id} {named(recording)}", lead="  ")
        else:
            for recording in group.recordings:
                talk.say(f"{introduced(recording)} {group.title}", style)
        if needs_person:
            talk.show(Text(f"  → {typed}") for typed in group.commands)


async def follow(
    source: Source, talk: Talk, recordings: Sequence[RecordingReport], names: Names
) -> list[RecordingReport]:
    """Show how recordings get on, and say of each when it has come to an end, be that the cloud or somebody's desk.

    Args:
        source: The gateway.
        talk: Where to.
        recordings: Which, as they stood when they were seen last.
        names: Of the trackers.

    Returns:
        How they stand then.

    Raises:
        CommandError: If the gateway says nothing for a minute.
        CancelledError: If Ctrl-C ends it; it is said before that the gateway goes on.
    """
    now_s = asyncio.get_running_loop().time
    shown = f"`{command('recordings list', source.url)}` shows how far it is."
    known = {recording.sha256: recording for recording in recordings}
    told: dict[str, str] = {}
    heard_s, trouble, standstill = now_s(), "", Standstill()
    with talk.said_if_stopped(f"The gateway goes on by itself: {shown}"), bars(talk) as screen:
        while True:
            news = [recording for recording in known.values() if told.get(recording.sha256) != recording.text]
            # A pipe has no bars that tell what becomes of them meanwhile.
            news = [one for one in news if not is_waited_for(one) or not talk.console.is_terminal]
            if news:
                screen.show([])
                tell(talk, news, source.url)
            told |= {recording.sha256: recording.text for recording in news}
            pending = [recording for recording in known.values() if is_waited_for(recording)]
            if not pending:
                return list(known.values())
            above = wrapped(trouble, talk.width, "bold red") if trouble else []
            below = wrapped(_SAFE, talk.width, "dim")
            height = talk.console.height - len(above) - len(below)
            still = standstill.saw(pending, now_s())
            screen.show([*above, *under_way(pending, names, talk.width, height, still), *below])
            await asyncio.sleep(ASKED_EVERY_S)
            try:
                known |= await _look(source, pending)
                heard_s, trouble = now_s(), ""
            except (GatewayError, RefusedError) as error:
                trouble = f"{str(error).rstrip('.')}."
                if now_s() - heard_s >= PATIENCE_S:
                    raise CommandError(f"The gateway has them, but tells nothing any more. {trouble} {shown}") from None


async def _look(source: Source, pending: Sequence[RecordingReport]) -> dict[str, RecordingReport]:
    """How those stand now that get on."""
    kept = {recording.sha256: recording for recording in (await source.recordings()).recordings}
    # What is done and deleted by now is not in the list any more, and of very many not all are.
    missing = [one for one in pending if one.sha256 not in kept]
    for one in random.sample(missing, min(len(missing), _MOST_ASKED)):
        kept[one.sha256] = await source.recording(one.sha256)
    return {one.sha256: kept.get(one.sha256, one) for one in pending}

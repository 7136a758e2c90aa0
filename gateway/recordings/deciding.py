"""What a person decides about recordings: whose they are, that they are sent again, that they go."""

from collections.abc import Awaitable, Callable, Sequence

from gateway.recordings.choosing import find_recordings
from gateway.recordings.following import at_first, tell
from gateway.recordings.source import Source
from gateway.recordings.words import Names, named, sized
from gateway.terminal.errors import CommandError, RefusedError
from gateway.terminal.layout import counted, plain, sentences
from gateway.terminal.talk import LEFT, Talk
from gateway.terminal.wearers import athlete, called, find_tracker
from gateway.uploads.report import RecordingReport

_Deed = Callable[[str], Awaitable[RecordingReport]]

_MAYBE_THERE = frozenset({"ambiguous", "accepted"})
"""States in which the cloud may have a recording already."""


async def assign(url: str, talk: Talk, ids: Sequence[str], tracker: str) -> int:
    """Say which tracker recordings come from.

    Args:
        url: Of the gateway.
        talk: Where to.
        ids: The beginning of the id of each.
        tracker: Serial number, athlete or number, or a part that only it has.

    Returns:
        The exit status: 1 if the gateway has refused any.

    Raises:
        CommandError: If there is no such recording, or no such tracker.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    report = await source.recordings(is_all=True)
    wearer = find_tracker(report.trackers, tracker)
    recordings = await find_recordings(source, report, ids)
    serial = plain(wearer.serial_number)
    now = f"is {called(wearer)}'s now{f' ({serial})' if athlete(wearer) != serial else ''}."
    return await _each(
        source,
        talk,
        recordings,
        lambda sha256: source.assign(sha256, wearer.serial_number),
        lambda recording: f"{recording.id} {named(recording)} {now}",
    )


async def retry(url: str, talk: Talk, ids: Sequence[str], *, is_sure: bool = False) -> int:
    """Let recordings be sent, whatever has been, after a question where the cloud may have them.

    Args:
        url: Of the gateway.
        talk: Where to print and ask.
        ids: The beginning of the id of each.
        is_sure: Do not ask.

    Returns:
        The exit status: 1 if the gateway has refused any.

    Raises:
        CommandError: If there is no such recording, or nobody agrees.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    report = await source.recordings(is_all=True)
    recordings, names = await find_recordings(source, report, ids), Names(report.trackers)
    doubtful = [recording for recording in recordings if recording.state in _MAYBE_THERE]
    if doubtful and not is_sure:
        for recording in doubtful:
            talk.say(f"{names.titled(recording)}.", "bold")
            talk.say(sentences(recording.text, ""), lead="  ")
        them = _them(len(doubtful))
        question = f"If {them} {'is' if them == 'it' else 'are'} sent again now, the cloud may have {them} twice. Send?"
        await talk.agree(question, f"{LEFT.rstrip('.')}: to send {them} again unasked, add --yes.")
    return await _each(source, talk, recordings, source.retry)


async def discard(url: str, talk: Talk, ids: Sequence[str], *, is_sure: bool = False) -> int:
    """Delete recordings, after a question that says of each whether it may be the only copy.

    Args:
        url: Of the gateway.
        talk: Where to print and ask.
        ids: The beginning of the id of each.
        is_sure: Do not ask.

    Returns:
        The exit status: 1 if the gateway has refused any.

    Raises:
        CommandError: If there is no such recording, one cannot be deleted now, or nobody agrees.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    report = await source.recordings(is_all=True)
    recordings, names = await find_recordings(source, report, ids), Names(report.trackers)
    for recording in recordings:
        if "discard" not in recording.deeds:
            raise CommandError(f"{recording.id} cannot be deleted while this is so: {plain(recording.text)}.")
    for recording in recordings:
        talk.say(f"{names.titled(recording)}.", "bold")
        talk.say(sentences(recording.text, ""), lead="  ")
        if recording.is_only_copy:
            talk.say("As far as the gateway knows, this is the only copy.", "bold yellow", "  ")
        elif recording.state == "done":
            talk.say("So this is not the only copy.", lead="  ")
    if not is_sure:
        them = _them(len(recordings))
        await talk.agree(f"Delete {them} for good?", f"{LEFT.rstrip('.')}: to delete {them} unasked, add --yes.")
    return await _each(source, talk, recordings, source.discard)


async def rebuild(url: str, talk: Talk) -> None:
    """Let the gateway read all files that it keeps, and tell its queue again from them.

    Args:
        url: Of the gateway.
        talk: Where to.

    Raises:
        CommandError: If the gateway cannot.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    used_bytes = (await source.recordings()).spool.used_bytes
    talk.say(f"The gateway reads every file that it keeps, {sized(used_bytes)}, which may take minutes.")
    with talk.said_if_stopped("Stopped: nothing is lost by that, and it can be begun again."):
        report = await source.rebuild()
    is_well = not (report.missing or report.corrupt or report.strays)
    talk.say(f"{plain(report.text)}.", "" if is_well else "yellow")


def _them(count: int) -> str:
    return {1: "it", 2: "both"}.get(count, f"all {count} of them")


async def _each(
    source: Source,
    talk: Talk,
    recordings: Sequence[RecordingReport],
    deed: _Deed,
    introduced: Callable[[RecordingReport], str] = at_first,
) -> int:
    """Do something with one after another: what is refused of one holds up no other."""
    refused = 0
    for recording in recordings:
        try:
            tell(talk, [await deed(recording.sha256)], source.url, introduced)
        except RefusedError as error:
            if len(recordings) == 1:
                raise
            talk.say(f"{recording.id}: {error}", "yellow")
            refused += 1
    if refused:
        talk.say(f"{counted(refused, 'recording')} of {len(recordings)} left as before.")
    return 1 if refused else 0

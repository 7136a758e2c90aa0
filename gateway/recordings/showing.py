"""One recording: how it stands, what to do next, where it came from and what has happened to it."""

from datetime import datetime
from operator import itemgetter

from rich.text import Text

from gateway.recordings.choosing import find_recordings
from gateway.recordings.grouping import commands_for
from gateway.recordings.source import Source
from gateway.recordings.words import STATES, Names, dated, in_short, lasting, made, sized
from gateway.terminal.layout import NOT_KNOWN, plain, wrapped
from gateway.terminal.talk import Talk
from gateway.uploads.report import RecordingReport

_SAID_BY = {"path": "said by its folder or name", "person": "said by a person"}
_WAYS = {"inbox": "from the inbox", "upload": "sent to the gateway", "spool": "found in the gateway's own folder"}
_TERM = 10


async def show(url: str, talk: Talk, recording_id: str, *, is_json: bool = False) -> None:
    """Print all that is known of a recording.

    Args:
        url: Of the gateway.
        talk: Where to.
        recording_id: The beginning of its id.
        is_json: As the gateway says it.

    Raises:
        CommandError: If there is no such recording.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    report = await source.recordings(is_all=True)
    (listed,) = await find_recordings(source, report, [recording_id])
    recording = await source.recording(listed.sha256)
    if is_json:
        talk.document(recording)
    else:
        talk.show(shown(recording, Names(report.trackers), url, datetime.now().astimezone(), talk.width))


def shown(recording: RecordingReport, names: Names, url: str, now: datetime, width: int) -> list[Text]:
    """A recording in lines.

    Args:
        recording: Which.
        names: Of the trackers.
        url: Of the gateway, for what to type.
        now: The present time in the zone in which times are to be told.
        width: Columns.
    """
    style = "bold yellow" if recording.needs_person else "bold"
    lines = wrapped(f"{names.titled(recording)}: {in_short(recording)}.", width, style)
    for told in (recording.text, *recording.warnings):
        lines += wrapped(f"{plain(told)}.", width, "", "  ")
    if recording.action:
        action = plain(recording.action)
        lines += wrapped(f"{action[:1].upper()}{action[1:]}.", width, "bold", "  → ")
        lines += [Text(f"    {typed}") for typed in commands_for([recording], url)]
    for term, told in _facts(recording, names, now):
        lines += wrapped(told, width, "", f"  {term:<{_TERM}} ")
    lines.append(Text("So far:", "bold"))
    for at_ms, told in _past(recording):
        lines += wrapped(told, width, "", f"  {dated(at_ms, now)}  ")
    return lines


def _past(recording: RecordingReport) -> list[tuple[int, str]]:
    """What has happened to it and when, epoch ms; the oldest first."""
    events = [
        (source.at_ms, f"came in: {plain(source.name)}, {_WAYS.get(source.way, plain(source.way))}")
        for source in recording.sources
    ]
    for step in recording.trail:
        by = f" (said by {plain(step.author)})" if step.author else ""
        events.append((step.at_ms, f"{STATES.get(step.state, plain(step.state))}{by}"))
    return sorted(events, key=itemgetter(0))


def _facts(recording: RecordingReport, names: Names, now: datetime) -> list[tuple[str, str]]:
    progress, serial = recording.progress, recording.serial_number
    basis = _SAID_BY.get(recording.basis or "", "")
    tracker = f"{plain(serial)}{f', {basis}' if basis else ''}" if serial else "not known"
    facts = [
        ("Athlete", names.whose(recording) or NOT_KNOWN),
        ("Tracker", tracker),
        ("Made", made(recording, now)),
        ("SHA-256", plain(recording.sha256)),
    ]
    if progress is not None:
        rate = f", {sized(progress.bytes_per_s)}/s" if progress.bytes_per_s else ""
        facts.append(("Sent", f"{sized(progress.sent_bytes)} of {sized(recording.size)}{rate}"))
    if recording.tries:
        facts.append(("Tries", str(recording.tries)))
    if recording.next_s is not None:
        facts.append(("Next look" if recording.state == "accepted" else "Next try", f"in {lasting(recording.next_s)}"))
    if recording.job_id is not None:
        facts.append(("Cloud job", f"{plain(recording.job_id)} ({plain(recording.job_state or 'not asked yet')})"))
    if recording.deletes_ms is not None:
        facts.append(("Kept until", dated(recording.deletes_ms, now)))
    return facts

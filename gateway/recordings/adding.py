"""Files of this machine are given to the gateway, and followed into the cloud."""

from collections.abc import Sequence
from pathlib import Path

from gateway.recordings.bars import FileLine, moving
from gateway.recordings.files import UnusableError, called_here, opened, told_name
from gateway.recordings.following import follow, tell
from gateway.recordings.source import Source
from gateway.recordings.words import Names, sized
from gateway.terminal.addressing import addressed, command
from gateway.terminal.errors import CommandError, RefusedError
from gateway.terminal.layout import counted
from gateway.terminal.talk import Talk
from gateway.terminal.wearers import find_tracker
from gateway.uploads.report import RecordingReport, RecordingsReport
from insiders_gateway_client.errors import GatewayError

_AGAIN = "type the same again when that is over: what the gateway has it recognises"


async def add(
    url: str, talk: Talk, paths: Sequence[Path], *, tracker: str | None = None, is_followed: bool = True
) -> int:
    """Give files to the gateway, which has each when that is said; they stay where they are.

    Args:
        url: Of the gateway.
        talk: Where to.
        paths: Of the files.
        tracker: The one they come from, as a person calls it; where none is given, their names may say it.
        is_followed: Show also how they get into the cloud.

    Returns:
        The exit status: 1 if any was not taken, or needs somebody.

    Raises:
        CommandError: If there is no such tracker, or the gateway stops answering.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    report = await source.recordings()
    serial_number = None if tracker is None else find_tracker(report.trackers, tracker).serial_number
    taken: dict[str, RecordingReport] = {}
    refused = 0
    for place, path in enumerate(paths):
        left = len(paths) - place
        with talk.said_if_stopped(_stopped(left, len(taken))):
            try:
                which = f"{place + 1} of {len(paths)}: " if len(paths) > 1 else ""
                recording = await _sent(source, talk, report, path, serial_number, which)
            except (UnusableError, RefusedError) as error:
                talk.say(addressed(str(error), url), "yellow")
                refused += 1
            except GatewayError as error:
                raise CommandError(f"{error}. {counted(left, 'file')} of {len(paths)} not sent: {_AGAIN}.") from None
            else:
                taken[recording.sha256] = recording
    if refused and len(paths) > 1:
        talk.say(f"{counted(len(paths) - refused, 'file')} of {len(paths)} in the gateway.")
    if is_followed:
        ended = await follow(source, talk, list(taken.values()), Names(report.trackers))
    else:
        ended = list(taken.values())
        tell(talk, ended, url)
    return 1 if refused or any(recording.needs_person for recording in ended) else 0


async def _sent(
    source: Source, talk: Talk, report: RecordingsReport, path: Path, serial_number: str | None, which: str
) -> RecordingReport:
    """One file, given away and compared with what the gateway says that it has got."""
    shown = called_here(path)
    with opened(path, report.max_file_bytes) as file, moving(talk, FileLine(file, f"{which}{shown}", talk.width)):
        try:
            recording = await source.add(file, told_name(path), serial_number)
        except RefusedError as error:
            raise UnusableError(f"{shown}: {error}") from None
    if recording.sha256 != file.sha256:
        raise UnusableError(
            f"{shown}: what has come to the gateway is something else than what was read here: discard "
            f"{recording.id} with `insiders-gateway recordings discard {recording.id}`, and add the file again."
        )
    whose = Names(report.trackers).whose(recording)
    known = "has been there before" if len(recording.sources) > 1 else "is in the gateway"
    told = f"{shown} {known}: {recording.id}, {sized(recording.size)}{f', {whose}' if whose else ''}."
    if serial_number is not None and recording.serial_number not in {None, serial_number}:
        told += f" It stays {whose}'s, and is not {Names(report.trackers).of(serial_number)}'s"
        changes = f": `{command(f'recordings assign {recording.id} TRACKER', source.url)}` changes that"
        told += f"{changes if 'assign' in recording.deeds else ''}."
    talk.say(told)
    return recording


def _stopped(left: int, taken: int) -> str:
    has = f" What it has ({counted(taken, 'recording')}), it takes on into the cloud." if taken else ""
    return f"Stopped: {counted(left, 'file')} not in the gateway.{has}"

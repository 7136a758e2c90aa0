"""What is wanted of a whole team, from and into a file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.text import Text

from gateway.pair.approving import ask_for_approval
from gateway.pair.planning import awaiting
from gateway.pair.source import Source, allowed
from gateway.pair.talk import Talk, author
from gateway.pair.words import SLOTS, SensorNames, called
from gateway.pairing.desk.team_files import TeamFileError, read_csv, read_toml, write_csv, write_toml
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.report import PairingsReport, TeamEntry
from gateway.pairing.requests import EntryRequest, ImportRequest, asked
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import counted, plain, wrapped

_READERS = {".csv": read_csv, ".toml": read_toml}
_WRITERS = {".csv": write_csv, ".toml": write_toml}
_MARK = "\ufeff"
"""In front of a file for spreadsheets; on a screen it is in the way."""


async def import_team(
    url: str,
    talk: Talk,
    path: Path,
    *,
    is_dry: bool = False,
    is_immediate: bool = False,
    is_during_session: bool = False,
    reason: str = "",
) -> None:
    """Want what a file says of the trackers that it names, all of it or nothing.

    Args:
        url: Of the gateway's live stream.
        talk: Where to print and ask.
        path: Of the file, whose name ends with .csv or .toml.
        is_dry: Only print what would be wanted instead of what is.
        is_immediate: Tell the trackers at once, not when they start next.
        is_during_session: Though athletes train.
        reason: Why, for those who read it later.

    Raises:
        CommandError: If the file cannot be used, or the gateway refuses.
        StreamError: If nobody answers.
    """
    entries = _read(path, talk)
    source = Source(url)
    report = await source.pairings()
    talk.show(_differences(report, entries, talk.width))
    if is_dry:
        talk.say("Nothing was changed: without --dry-run it is.")
        return
    request = ImportRequest(
        trackers=tuple(
            EntryRequest(
                serial_number=entry.serial_number, heart_rate=asked(entry.heart_rate), power=asked(entry.power)
            )
            for entry in entries
        ),
        author=author(),
        reason=reason,
        immediate=is_immediate,
        during_session=is_during_session,
    )
    plan = await allowed(talk, request, source.import_)
    named = [entry.serial_number for entry in entries]
    need = len(awaiting(plan, named))
    talk.say(
        f"That is what is wanted now. {counted(need, 'group')} of changes need{'s' if need == 1 else ''} you:"
        if need
        else "That is what is wanted now: `insiders-gateway pair list` shows how all of them stand."
    )
    await ask_for_approval(source, talk, plan, named)


async def export_team(url: str, talk: Talk, path: Path | None = None) -> None:
    """Write what is wanted of all trackers into a file that can be imported.

    Args:
        url: Of the gateway's live stream.
        talk: Where to ask, and to print if there is no path.
        path: Of the file, whose name ends with .csv or .toml.

    Raises:
        CommandError: If the file cannot be written, or is there already and nobody says that it shall be replaced.
        StreamError: If nobody answers.
    """
    write = _WRITERS[_form(path)] if path is not None else write_csv
    source = Source(url)
    team = await source.team()
    athletes = {tracker.serial_number: tracker.name for tracker in (await source.pairings()).trackers if tracker.name}
    content = write(team.trackers, athletes)
    if path is None:
        told = content.decode()
        talk.console.file.write(told.removeprefix(_MARK) if talk.console.is_terminal else told)
        return
    if _is_there(path):
        await talk.agree(f"{path} is there already. Replace it?", f"{path} is there already: give another name.")
    _write(path, content)
    talk.say(f"{path}: {counted(len(team.trackers), 'tracker')}.")


def _read(path: Path, talk: Talk) -> tuple[TeamEntry, ...]:
    read = _READERS[_form(path)]
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror}): give the name of a file.") from None
    except TeamFileError as error:
        for mistake in error.mistakes:
            talk.say(f"{mistake}")
        count = counted(len(error.mistakes), "mistake")
        raise CommandError(f"Nothing was imported: correct {count} in {path}.") from None


def _is_there(path: Path) -> bool:
    return path.exists()


def _write(path: Path, content: bytes) -> None:
    """Write the whole file or leave what is there."""
    part = path.with_name(f"{path.name}.part")
    try:
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{path} cannot be written ({error.strerror}): give another name, or make room.") from None


def _form(path: Path) -> str:
    form = path.suffix.lower()
    if form not in _READERS:
        raise CommandError(f"{path} is of no known form: give a name that ends with {' or '.join(_READERS)}.")
    return form


def _differences(report: PairingsReport, entries: Sequence[TeamEntry], width: int) -> Iterator[Text]:
    """What a list wants otherwise than it is wanted now."""
    trackers = {tracker.serial_number: tracker for tracker in report.trackers}
    known = [(trackers[entry.serial_number], entry) for entry in entries if entry.serial_number in trackers]
    changes = [
        (tracker, Slot(slot.slot), slot.desired, wanted)
        for tracker, entry in known
        for slot in tracker.slots
        if slot.desired != (wanted := entry.heart_rate if slot.slot == Slot.HEART_RATE else entry.power)
    ]
    names = SensorNames(sensor for change in changes for sensor in change[2:] if isinstance(sensor, Sensor))
    for tracker, slot, before, after in changes:
        yield from wrapped(f"{called(tracker)}, {SLOTS[slot]}: {names.of(before)} → {names.of(after)}.", width)
    strangers = [plain(entry.serial_number) for entry in entries if entry.serial_number not in trackers]
    for stranger in strangers:
        yield from wrapped(f"{stranger} is no tracker of this gateway.", width, "yellow")
    if not changes and not strangers:
        yield Text("All of that is wanted already.")

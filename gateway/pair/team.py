"""What is wanted of a whole team, from and into a file."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from rich.text import Text

from gateway.pair.approving import ask_for_approval
from gateway.pair.planning import awaiting, group, names_in
from gateway.pair.source import Source, allowed
from gateway.pair.words import SLOTS, SensorNames, command, training
from gateway.pairing.desk.team_files import TeamFile, TeamFileError, read_csv, read_toml, write_csv, write_toml
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.report import PairingsReport, TeamEntry
from gateway.pairing.requests import EntryRequest, ImportRequest, asked
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import counted, plain, wrapped
from gateway.terminal.talk import LEFT, Talk, author
from gateway.terminal.wearers import called

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
        url: Of the gateway.
        talk: Where to print and ask.
        path: Of the file, whose name ends with .csv or .toml.
        is_dry: Only print what would be different, and what the gateway would say.
        is_immediate: Tell the trackers at once, not when they start next.
        is_during_session: Though athletes train.
        reason: Why, for those who read it later.

    Raises:
        CommandError: If the file cannot be used, nobody agrees, or the gateway refuses.
        GatewayError: If nobody answers.
    """
    file = _read(path, talk)
    source = Source(url)
    report = await source.pairings()
    differences = list(_differences(report, file.trackers, talk.width))
    talk.show(differences)
    slips = _slips(report, file)
    for slip in slips:
        talk.say(slip, "yellow")
    request = ImportRequest(
        trackers=tuple(
            EntryRequest(
                serial_number=entry.serial_number, heart_rate=asked(entry.heart_rate), power=asked(entry.power)
            )
            for entry in file.trackers
        ),
        author=author(),
        reason=reason,
        immediate=is_immediate,
        during_session=is_during_session,
    )
    named = [entry.serial_number for entry in file.trackers]
    if is_dry:
        await _try(source, talk, request, named, report)
        talk.say("Nothing was changed: without --dry-run it is." if differences else "All of that is wanted already.")
        return
    if slips and talk.is_possible:
        await talk.agree("Import it all the same?", LEFT)
    plan, request = await allowed(talk, request, source.import_)
    need = len(awaiting(plan, named))
    talk.say(
        f"That is what is wanted now. {counted(need, 'group')} of changes need{'s' if need == 1 else ''} you:"
        if need
        else f"That is what is wanted now: `{command('list', url)}` shows how all of them stand."
    )
    await ask_for_approval(source, talk, plan, named, is_during_session=request.during_session)


async def export_team(url: str, talk: Talk, path: Path | None = None) -> None:
    """Write what is wanted of all trackers into a file that can be imported.

    Args:
        url: Of the gateway.
        talk: Where to ask, and to print if there is no path.
        path: Of the file, whose name ends with .csv or .toml.

    Raises:
        CommandError: If the file cannot be written, or is there already and nobody says that it shall be replaced.
        GatewayError: If nobody answers.
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


async def _try(
    source: Source, talk: Talk, request: ImportRequest, named: Sequence[str], report: PairingsReport
) -> None:
    """Say what the gateway would answer; what it would refuse is refused now."""
    # That athletes train is no reason to say nothing else.
    plan = await source.import_(msgspec.structs.replace(request, dry_run=True, during_session=True))
    groups = awaiting(plan, named)
    if groups:
        talk.say(f"{counted(len(groups), 'group')} of changes would need your approval:")
    for change_set in groups:
        talk.show(group(change_set, names_in(plan.change_sets), None, talk.width))
    if report.session_until_ms is not None and not request.during_session:
        train = training(report.session_until_ms, datetime.now().astimezone())
        talk.say(f"{train}: the import asks, or needs --during-session.", "yellow")


def _read(path: Path, talk: Talk) -> TeamFile:
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


def _slips(report: PairingsReport, file: TeamFile) -> list[str]:
    """Rows of another athlete than the one who wears the tracker: as where a column was sorted without the others."""
    slips = []
    for tracker in report.trackers:
        theirs = plain(file.athletes.get(tracker.serial_number, "")).strip()
        if tracker.name and theirs and theirs.casefold() != plain(tracker.name).strip().casefold():
            slips.append(f"{plain(tracker.serial_number)} is worn by {called(tracker)}, and is {theirs}'s in the file.")
    return slips

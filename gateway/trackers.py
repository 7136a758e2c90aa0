"""``insiders-gateway trackers list | claim | release``: the roster and the cloud, at the terminal."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.cloud.errors import CloudError
from gateway.cloud.models import Device
from gateway.fleet.claim import Claim, ClaimStatus, claim
from gateway.fleet.roster import Tracker, find

OK, FAILED = 0, 1


class Cloud(Protocol):
    """What these commands need of the cloud."""

    def devices(self, *, current: bool | None = None) -> AsyncIterator[Device]:
        """Devices we own now (`current`), or ever owned."""

    async def take_ownership(self, serial_number: str, device_name: str) -> Device:
        """Claim a device."""

    async def release_ownership(self, device_id: int) -> None:
        """Give a device up."""


async def list_trackers(cloud: Cloud, roster: Sequence[Tracker], serials: Sequence[str], console: Console) -> int:
    """Show the roster beside what the account owns, and what it owns besides; only the named ones if some are named.

    Returns:
        Exit status: 0, or 1 if the cloud could not be asked.
    """
    try:
        owned = [device async for device in cloud.devices(current=True)]
    except CloudError as error:
        return _fail(console, str(error))
    table = _table("Device")
    for tracker in roster:
        if serials and tracker.serial_number not in serials:
            continue
        device = find(tracker.serial_number, owned, tracker.device_name)
        status = "[green]owned[/]" if device else "[yellow]not ours (claim says why)[/]"
        table.add_row(*_cells(tracker), str(device.id) if device else "", status)
    listed = {tracker.serial_number for tracker in roster}
    for device in owned:
        if device.serial_number not in listed and (not serials or device.serial_number in serials):
            table.add_row(escape(device.serial_number or "?"), "", "", str(device.id), "owned, not in \\[\\[trackers]]")
    console.print(table)
    return OK


async def claim_trackers(cloud: Cloud, roster: Sequence[Tracker], serials: Sequence[str], console: Console) -> int:
    """Claim the trackers with these serial numbers, or all of the roster; those that are ours are left alone.

    Returns:
        Exit status: 0 if all of them are ours now, else 1.
    """
    by_serial = {tracker.serial_number: tracker for tracker in roster}
    strangers = [serial for serial in serials if serial not in by_serial]
    for serial in strangers:
        _fail(console, f"{serial} is not in the configuration: add it to [[trackers]], with its device_name.")
    wanted = (
        [by_serial[serial] for serial in dict.fromkeys(serials) if serial in by_serial] if serials else list(roster)
    )
    if not wanted:
        return FAILED if strangers else _fail(console, "There is no tracker to claim: add one to [[trackers]].")
    try:
        claims = await claim(cloud, wanted)
    except CloudError as error:
        return _fail(console, str(error))
    table = _table("Status")
    for found in claims:
        colour = "green" if found.status is ClaimStatus.OWNED else "red"
        table.add_row(*_cells(found.tracker), f"[{colour}]{found.status.value}[/]")
    console.print(table)
    failed = [found for found in claims if found.status is not ClaimStatus.OWNED]
    for found in failed:
        _fail(console, _sentence(found))
    return FAILED if failed or strangers else OK


async def release_trackers(cloud: Cloud, roster: Sequence[Tracker], serials: Sequence[str], console: Console) -> int:
    """Give up the trackers with these serial numbers.

    Returns:
        Exit status: 0 if all of them were released, else 1.
    """
    if not serials:
        return _fail(console, "Name the trackers to release by their serial numbers.")
    try:
        owned = [device async for device in cloud.devices(current=True)]
    except CloudError as error:
        return _fail(console, str(error))
    listed = {tracker.serial_number for tracker in roster}
    status = OK
    for serial in dict.fromkeys(serials):
        device = find(serial, owned)
        if device is None:
            status = _fail(console, f"{serial} is not owned by this account: see `insiders-gateway trackers list`.")
            continue
        try:
            await cloud.release_ownership(device.id)
        except CloudError as error:
            status = _fail(console, f"{serial} was not released. {error}")
            continue
        _say(console, f"{serial} is released.", "green")
        if serial in listed:
            _say(console, f"A running gateway claims {serial} again: take it out of [[trackers]] too.", "yellow")
    return status


def _table(*last: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Serial number", no_wrap=True, max_width=20)
    table.add_column("Athlete", no_wrap=True, max_width=20)
    table.add_column("No.", justify="right")
    for name in last:
        table.add_column(name, justify="right" if name == "Device" else "left")
    if "Status" not in last:
        table.add_column("Status")
    return table


def _cells(tracker: Tracker) -> tuple[str, str, str]:
    number = "" if tracker.number is None else str(tracker.number)
    return escape(tracker.serial_number), escape(tracker.athlete or ""), number


def _sentence(found: Claim) -> str:
    said = f' (it says "{found.server_text}")' if found.server_text else ""
    return f"{found.text}{said}: {found.action}."


def _fail(console: Console, sentence: str) -> int:
    _say(console, sentence, "red")
    return FAILED


def _say(console: Console, sentence: str, style: str) -> None:
    # No markup: a cloud may write brackets too.
    console.print(sentence, style=style, markup=False, highlight=False)

"""What a gateway is missing, as a table for the technician: what is not repaired first, and one line that sums up."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec
from rich.console import Console
from rich.text import Text

from gateway.live.gaps import ChannelGaps, Gap, GapReport, GapState
from gateway.terminal.layout import columns
from gateway.terminal.questions import fetch_gaps
from insiders_gateway_client.errors import GatewayError

SHOWN_PER_GROUP = 20
"""Gaps listed of each group unless all are asked for: an outage gives every tracker one."""

_LONGEST_LINE = 100
"""Beyond this the eye loses the line."""

_REASONS = {
    "upstream_outage": "cloud away",
    "upstream_rate_limited": "cloud said wait",
    "device_silent": "tracker silent",
    "ring_overrun": "memory overrun",
    "clock_step": "clock wrong",
    "gateway_restart": "gateway restarted",
}


class Standing(StrEnum):
    """How a gap stands for a person, most urgent first; the value is the title of its group."""

    MISSING = "Rows missing"
    OPEN = "Open (nothing comes at present)"
    PENDING = "To be read from the cloud (asked again within minutes)"
    SILENT = "Silent (the tracker has sent nothing, so nothing is lost)"
    REPAIRED = "Repaired"


_HEADS = ("Athlete", "From-to", "Lasted", "Why", "Missing", "Repaired")
_IS_NUMBER = (False, False, True, False, True, True)
_NARROWEST_NAME = 8
_MINUTE_MS = 60_000
_SILENCE = "device_silent"

_STYLES = {
    Standing.MISSING: "bold red",
    Standing.OPEN: "yellow",
    Standing.PENDING: "yellow",
    Standing.SILENT: "dim",
    Standing.REPAIRED: "green",
}


@dataclass(frozen=True, slots=True)
class _Entry:
    channel: ChannelGaps
    gap: Gap


async def show_gaps(url: str, console: Console, *, is_all: bool = False) -> None:
    """Print the table of a gateway's gaps.

    Args:
        url: Of the gateway.
        console: Where to.
        is_all: However many there are.

    Raises:
        GatewayError: If they cannot be had.
    """
    try:
        report = msgspec.json.decode(await fetch_gaps(url), type=GapReport)
    except msgspec.DecodeError:
        raise GatewayError(f"{url} answers something else than gaps: give the address of a gateway") from None
    width = min(console.width, _LONGEST_LINE)
    most = None if is_all else SHOWN_PER_GROUP
    console.print(table(report, datetime.now().astimezone(), width, most), soft_wrap=True)


def table(report: GapReport, now: datetime, width: int, most: int | None) -> Text:
    """The report as it is to be printed.

    Args:
        report: What the gateway said.
        now: The present time in the zone in which times are to be told.
        width: Characters in a line.
        most: Gaps of each group at most; None for all.
    """
    groups = _grouped(report)
    cells = {
        standing: [_cells(entry, standing, now, report.utc_ms) for entry in entries[:most]]
        for standing, entries in groups.items()
    }
    told = [_HEADS, *(line for group in cells.values() for line in group)]
    widths = [max(map(len, column)) for column in zip(*told, strict=True)]
    widths[0] = max(_NARROWEST_NAME, width - sum(widths[1:]) - len(widths) + 1)
    lines = [columns(_HEADS, widths, _IS_NUMBER, "bold")] if groups else []
    for standing, entries in groups.items():
        lines.append(Text(f"{standing}: {len(entries)}", style=_STYLES[standing]))
        lines += [
            columns(line, widths, _IS_NUMBER, "dim" if standing is Standing.SILENT else "") for line in cells[standing]
        ]
        left_out = len(entries) - len(cells[standing])
        if left_out:
            lines.append(Text(f"and {left_out} more: --all lists them", style="dim"))
    return Text("\n").join([*lines, Text(sentence(report))])


def sentence(report: GapReport) -> str:
    """All gaps of the report in one line: each is repaired, silent, open, or counted."""
    groups = _grouped(report)
    if not groups and not report.totals.gaps_forgotten:
        return "No gaps: no row is known to be missing."
    count = {standing: len(groups.get(standing, ())) for standing in Standing}
    lost, pending = (
        sum(entry.gap.rows or 0 for entry in groups.get(standing, ()))
        for standing in (Standing.MISSING, Standing.PENDING)
    )
    told = (
        (count[Standing.REPAIRED], "repaired"),
        (count[Standing.SILENT], "silent"),
        (count[Standing.OPEN], "open"),
        (count[Standing.PENDING], f"with {_rows(pending)} to be read"),
        (count[Standing.MISSING], f"with {_rows(lost)} missing"),
    )
    total = sum(count.values())
    parts = ", ".join(f"{number} {what}" for number, what in told if number)
    text = f"{total} gap{'' if total == 1 else 's'}{': ' if parts else ''}{parts}."
    if report.totals.gaps_forgotten:
        total_lost = sum(rows for reason, rows in report.totals.rows_missing.items() if reason != _SILENCE)
        text += (
            f"\n{report.totals.gaps_forgotten} older ones are not listed any more; rows missing in all: {total_lost:,}."
        )
    return text


def _grouped(report: GapReport) -> dict[Standing, list[_Entry]]:
    """The gaps by how they stand, most urgent group first, in each the newest first; no empty group.

    Left out are those in which nothing was ever missing: time that was not ours, and cuts that lost nothing.
    """
    entries = [_Entry(channel, gap) for channel in report.channels for gap in channel.gaps if not _is_void(gap)]
    entries.sort(key=lambda entry: -entry.gap.from_ms)
    groups = {standing: [entry for entry in entries if _standing(entry.gap) is standing] for standing in Standing}
    return {standing: found for standing, found in groups.items() if found}


def _is_void(gap: Gap) -> bool:
    return gap.state is GapState.REPAIRED and gap.rows_repaired == 0


def _standing(gap: Gap) -> Standing:
    if gap.state is GapState.REPAIRED:
        return Standing.REPAIRED
    if gap.state is GapState.OPEN:
        return Standing.SILENT if gap.reason == _SILENCE else Standing.OPEN
    if not gap.settled:
        return Standing.PENDING
    return Standing.SILENT if gap.reason == _SILENCE else Standing.MISSING


def _cells(entry: _Entry, standing: Standing, now: datetime, utc_ms: int) -> tuple[str, ...]:
    channel, gap = entry.channel, entry.gap
    is_counted = standing is not Standing.SILENT and gap.rows is not None
    return (
        channel.name or channel.serial_number,
        _span(gap.from_ms, gap.to_ms, now),
        _duration((utc_ms if gap.to_ms is None else gap.to_ms) - gap.from_ms),
        _REASONS.get(gap.reason, gap.reason),
        f"{gap.rows:,}" if is_counted else "—",
        f"{gap.rows_repaired:,}",
    )


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _span(from_ms: int, to_ms: int | None, now: datetime) -> str:
    """From when to when, with the date where it is not today's, and then without seconds."""
    start = datetime.fromtimestamp(from_ms / 1000, now.tzinfo)
    if to_ms is None:
        return f"{_clock(start, now)}-now"
    end = datetime.fromtimestamp(to_ms / 1000, now.tzinfo)
    if start.date() == end.date() != now.date():
        return f"{start:%d %b %H:%M:%S}-{end:%H:%M:%S}"
    return f"{_clock(start, now)}-{_clock(end, now)}"


def _clock(time: datetime, now: datetime) -> str:
    return f"{time:%H:%M:%S}" if time.date() == now.date() else f"{time:%d %b %H:%M}"


def _duration(duration_ms: int) -> str:
    if duration_ms < _MINUTE_MS:
        return f"{max(0, duration_ms) / 1000:.1f} s"
    minutes, seconds = divmod(round(duration_ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

"""The live stream in a terminal: a table for people, or every message as a line for programs."""

import asyncio
import sys
import time
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import median
from textwrap import wrap
from typing import TextIO

import msgspec
import numpy as np
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway import log
from insiders_codecs.samples import newer
from insiders_gateway_client.errors import GatewayError, RefusalError
from insiders_gateway_client.gateway import Gateway
from insiders_gateway_client.messages import Codec, Message, Run

HEART_RATE_GOES_OLD_MS = 5_000
"""A heart rate older than this, by the tracker's own time, is no longer the athlete's."""

DELAY_OVER_MS = 30_000
"""How far back the delay looks: long enough to be steady, short enough to follow the link."""

STALE_AFTER_MS, LOST_AFTER_MS = 3_000, 10_000
"""How long the gateway may say nothing until what it said last is dimmed, and until it counts no more."""

_REDRAWS_PER_S = 4
_WIDTH = 80
_KMH_PER_MPS = 3.6
_CLOCK_WRONG = "clock wrong"
_NOT_RELEASED = "not released"
_NOBODY = "There is no athlete here whom you may see."
_STYLES = {
    "live": "",
    "behind": "yellow",
    "stale": "dim",
    "lost": "dim red",
    "waiting": "dim",
    "unclaimed": "dim red",
    _NOT_RELEASED: "dim",
    _CLOCK_WRONG: "yellow",
}
_HEART_RATE, _SPEED, _POWER = "heart_rate", "speed", "power"
_NOTHING = np.empty(0)
_SHOWN = {"live", "stale"}
"""States in which a value is the athlete's still, if not of this second."""


@dataclass(slots=True)
class Row:
    """What is known of one athlete."""

    name: str
    number: int | None
    presence: str = "waiting"
    is_clock_wrong: bool = False
    t_ms: int = 0
    latest: dict[str, tuple[int, float]] = field(default_factory=dict)  # time and value last measured
    losses: set[int] = field(default_factory=set)  # gaps that are neither repaired nor silence
    arrivals: deque[tuple[float, float]] = field(default_factory=deque)  # when newer rows came, and how old they were
    withdrawn: int = 0  # up to which number its rows were another's

    def forget(self, withdrawn: int) -> None:
        """The tracker was not ours, if only for a moment: nothing that is known of its wearer holds."""
        self.t_ms, self.withdrawn = 0, withdrawn
        for known in (self.latest, self.losses, self.arrivals):
            known.clear()


class Scoreboard:
    """The newest of everything, by channel, built from the messages of the stream."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.problems: dict[str, Message] = {}
        self.connection = "connecting"
        self.site = "Gateway"
        self.is_past_told = False
        self._clock_offset_ms = 0.0
        self._heard_ms = 0.0
        self._epoch = ""

    def take(self, message: Message, arrivals: list[Run], now_ms: float) -> None:
        """Take in one message and its decoded samples; `now_ms` is any clock of this computer that never jumps."""
        if message["op"] != "disconnected":  # those are our own
            self._heard_ms = now_ms
        if message["op"] == "hello" and message["epoch"] != self._epoch:
            # Another run of the gateway: nothing that the last one said of channels, problems and gaps holds.
            self._epoch = message["epoch"]
            self.problems.clear()
            self.rows.clear()
            self.is_past_told = False
        if message["op"] == "hello":
            for row in self.rows.values():
                row.losses.clear()  # those that hold follow
        match message["op"]:
            case "hello" | "time":
                # Ages are told by the gateway's clock: a laptop's may be minutes off.
                self._clock_offset_ms = message["utc_ms"] - now_ms
                self.connection = "connected"
                self.site = message.get("site", self.site)
            case "channels":
                for channel in message["channels"]:
                    row = self.rows.setdefault(channel["ch"], Row("", None))
                    row.name = channel["name"] or channel["serial_number"]
                    row.number = channel["number"]
                    withdrawn = channel.get("withdrawn", 0)
                    if channel["device_id"] is None or withdrawn != row.withdrawn:
                        row.forget(withdrawn)
            case "state" if "ch" in message and message["ch"] in self.rows:
                row = self.rows[message["ch"]]
                row.presence, row.is_clock_wrong = message["value"], message.get("clock_error_ms") is not None
            case "state" if message["key"].startswith("problem/"):
                if message["value"] == "gone":
                    self.problems.pop(message["key"], None)
                else:
                    self.problems[message["key"]] = message
            case "gap" if message["ch"] in self.rows and "id" in message:
                losses = self.rows[message["ch"]].losses
                is_loss = message["state"] != "repaired" and message["reason"] != "device_silent"
                (losses.add if is_loss else losses.discard)(message["id"])
            case "snap" if message.get("end"):
                self.is_past_told = True
            case "disconnected":
                self.connection = f"{message['text']}, trying again"
        for run in arrivals:
            self._take_rows(run, now_ms + self._clock_offset_ms, is_past=message["op"] == "snap")

    @property
    def is_connected(self) -> bool:
        """Whether the last word was the gateway's."""
        return self.connection == "connected"

    def state(self, row: Row, now_ms: float) -> str:
        """The one word that says most of an athlete: the gateway's last, for as long as that can hold."""
        silent_ms = now_ms - self._heard_ms
        if silent_ms >= LOST_AFTER_MS:
            return "lost"
        if row.presence == "unreleased":
            return _NOT_RELEASED
        if row.is_clock_wrong and row.presence != "unclaimed":
            return _CLOCK_WRONG
        return "stale" if silent_ms >= STALE_AFTER_MS and row.presence == "live" else row.presence

    def age_ms(self, row: Row, now_ms: float) -> float | None:
        """How old the newest sample is by the gateway's clock; None before the first."""
        return max(0.0, now_ms + self._clock_offset_ms - row.t_ms) if row.t_ms else None

    def delay_ms(self, row: Row, now_ms: float) -> float | None:
        """Median age of newer rows when they came here, over the last half minute; None if none came."""
        since_ms = now_ms + self._clock_offset_ms - DELAY_OVER_MS
        return median(ages) if (ages := [age_ms for at_ms, age_ms in row.arrivals if at_ms >= since_ms]) else None

    def table(self, now_ms: float, height: int = 100) -> Group:
        """The board as it is to be drawn: fits 80 columns, and as many lines as are given.

        What a person must act on stands at the top, where no window is too small for it; but a third of the window at
        most, for the athletes are what it is for.
        """
        problems, above = self._problems(height // 3)
        status = f"{self.site}: {self.connection}"
        lines: list[Table | Text] = [Text(status, style="" if self.is_connected else "bold red"), *problems, Text()]
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
        table.add_column("#", justify="right", width=4)
        table.add_column("Athlete", width=20, no_wrap=True, overflow="ellipsis")
        for heading, width in (("HR bpm", 6), ("km/h", 5), ("W", 5), ("Age s", 7), ("Delay s", 7), ("Gaps", 4)):
            table.add_column(heading, justify="right", width=width)
        table.add_column("State", width=12)
        rows = sorted(self.rows.values(), key=lambda row: (row.number is None, row.number or 0, row.name))
        # Four are the empty line, the heading and its rule, and the last.
        room = max(1, height - len(wrap(status, _WIDTH)) - above - 4)
        for row in rows[:room]:
            state = self.state(row, now_ms)
            table.add_row(*self._cells(row, state, now_ms), style=_STYLES.get(state, ""))
        # The last line is a short one: a terminal writes its ^C there, and what it breaks into two is drawn twice.
        left_out = f"and {len(rows) - room} more: make the window taller" if len(rows) > room else ""
        if not rows and self.is_past_told:
            left_out = _NOBODY
        lines += [table, Text(left_out, style="dim")]
        return Group(*lines)

    def _problems(self, most: int) -> tuple[list[Text], int]:
        """The problems for which there is room, at least one, and how many lines they take."""
        sentences = [f"{problem['text']}: {problem['action']}." for problem in self.problems.values()]
        ends = [0, *accumulate(len(wrap(sentence, _WIDTH)) for sentence in sentences)]
        shown = min(len(sentences), max(1, bisect_right(ends, most) - 1))
        told = [*sentences[:shown], *([f"Other problems: {len(sentences) - shown}."] * (shown < len(sentences)))]
        return [Text(sentence, style="yellow") for sentence in told], ends[shown] + len(told) - shown

    def _cells(self, row: Row, state: str, now_ms: float) -> list[str | Text]:
        age_ms, delay_ms = self.age_ms(row, now_ms), self.delay_ms(row, now_ms)
        is_shown = state in _SHOWN
        return [
            "" if row.number is None else str(row.number),
            Text(row.name),  # not markup: people have brackets in their names
            _value(row, _HEART_RATE, "{:.0f}", 1) if is_shown else "—",
            _value(row, _SPEED, "{:.1f}", _KMH_PER_MPS) if is_shown else "—",
            _value(row, _POWER, "{:.0f}", 1) if is_shown else "—",
            _seconds(age_ms),
            _seconds(delay_ms),
            str(len(row.losses)) if row.losses else "",
            "" if state == "live" else state,
        ]

    def _take_rows(self, run: Run, now_ms: float, *, is_past: bool) -> None:
        """Take in rows at a time of the gateway's clock; those of the past say nothing about the delay."""
        row = self.rows.setdefault(run.ch, Row("", None))
        if run.is_misdated:
            return
        newest_ms = newer(row.t_ms, int(run.t_ms.max()))
        if newest_ms > row.t_ms and not is_past:
            row.arrivals.append((now_ms, max(0.0, now_ms - newest_ms)))
            while row.arrivals[0][0] < now_ms - DELAY_OVER_MS:
                row.arrivals.popleft()
        row.t_ms = newest_ms
        for column in (_HEART_RATE, _SPEED, _POWER):
            values = run.columns.get(column, _NOTHING)
            measured = np.flatnonzero(~np.isnan(values))
            if len(measured):
                last = int(measured[np.argmax(run.t_ms[measured])])
                t_ms = int(run.t_ms[last])
                if newer(row.latest.get(column, (0, 0.0))[0], t_ms) == t_ms:
                    row.latest[column] = (t_ms, float(values[last]))


async def watch(url: str, console: Console) -> None:
    """Draw the live table until cancelled.

    Raises:
        ExceptionGroup: With a `GatewayError`, if the address is no live stream.
    """
    client = Gateway(url).follow()
    board = Scoreboard()
    with Live(console=console, auto_refresh=False) as screen:
        log.restream()
        try:
            async with asyncio.TaskGroup() as tasks:
                drawing = tasks.create_task(_draw(board, screen), name="drawing")
                try:
                    async for message in client.messages():
                        arrivals = client.rows(message) if message["op"] in {"snap", "d"} else []
                        board.take(message, arrivals, _now_ms())
                finally:
                    drawing.cancel()
        except* (GatewayError, RefusalError):
            screen.update(Text(), refresh=True)  # no heart rate stays where nobody follows it, or may not any more
            raise
        finally:
            screen.stop()
            log.restream()


async def watch_json(url: str, out: TextIO = sys.stdout) -> None:
    """Print every message as one line of JSON until cancelled; raises `GatewayError` as `watch` does."""
    async for message in Gateway(url).follow(codec=Codec.JSON).messages():
        out.write(msgspec.json.encode(message).decode() + "\n")
        out.flush()


async def _draw(board: Scoreboard, screen: Live) -> None:
    while True:
        screen.update(board.table(_now_ms(), screen.console.height), refresh=True)
        await asyncio.sleep(1 / _REDRAWS_PER_S)


def _value(row: Row, column: str, form: str, factor: float) -> str:
    t_ms, value = row.latest.get(column, (0, np.nan))
    is_old = column == _HEART_RATE and row.t_ms - t_ms > HEART_RATE_GOES_OLD_MS
    return "—" if np.isnan(value) or is_old else form.format(value * factor)


def _seconds(duration_ms: float | None) -> str:
    return "—" if duration_ms is None else f"{duration_ms / 1000:.1f}"


def _now_ms() -> float:
    """A clock that goes on while a laptop sleeps, where there is one: what was said before is old when it wakes."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) * 1000

"""What moves in a terminal while files are on their way: a line for each, with a bar."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from types import MappingProxyType

from rich.live import Live
from rich.text import Text

from gateway.recordings.files import OutgoingFile
from gateway.recordings.words import Names, in_short, lasting, outlook, percent, rounded, sized
from gateway.terminal.layout import UNLIMITED, bar, columns, fitted, plain, shortened, wrapped
from gateway.terminal.talk import Talk
from gateway.uploads.recording import SHORT_ID
from gateway.uploads.report import ProgressReport, RecordingReport

RATED_OVER_S = 5.0
"""Long enough to be steady, short enough to follow a link that gets worse."""

STILL_AFTER_S = 5.0
"""What has not moved for so long is said to stand still."""

_MOVING = frozenset({"sending", "closing"})
NOT_STILL: Mapping[str, float] = MappingProxyType({})

_BAR, _FACTS = 12, 45
_DRAWN_PER_S = 4
_OTHER_LINES = 3
"""Of a window: what is above the bars, what is left out, and the cursor."""


class Rate:
    """How fast something goes, of what has gone at several times."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def saw(self, sent_bytes: int, now_s: float) -> None:
        """Take how much has gone until now.

        Args:
            sent_bytes: All in all.
            now_s: Monotonic.
        """
        self._seen.append((now_s, sent_bytes))
        while len(self._seen) > 2 and now_s - self._seen[1][0] >= RATED_OVER_S:
            self._seen.popleft()

    @property
    def bytes_per_s(self) -> float | None:
        """Over the last seconds; None if nothing has gone or that cannot be said yet."""
        if len(self._seen) < 2:
            return None
        (since_s, before), (now_s, now) = self._seen[0], self._seen[-1]
        return (now - before) / (now_s - since_s) if now > before and now_s > since_s else None


class Standstill:
    """How long each of those that are being sent has not moved."""

    def __init__(self) -> None:
        self._moved: dict[str, tuple[int, float]] = {}

    def saw(self, recordings: Sequence[RecordingReport], now_s: float) -> Mapping[str, float]:
        """Those that stand still, by SHA-256, each with the seconds.

        Args:
            recordings: As they are told now.
            now_s: Monotonic.
        """
        before, self._moved = self._moved, {}
        for recording in recordings:
            if recording.progress is not None and recording.progress.sent_bytes < recording.size:
                sent = recording.progress.sent_bytes
                known = before.get(recording.sha256)
                self._moved[recording.sha256] = known if known is not None and known[0] == sent else (sent, now_s)
        still = {sha256: now_s - since_s for sha256, (_, since_s) in self._moved.items()}
        return {sha256: still_s for sha256, still_s in still.items() if still_s >= STILL_AFTER_S}


def is_moving(recording: RecordingReport) -> bool:
    """Whether its body is on its way."""
    return recording.state in _MOVING


def sending(label: str, progress: ProgressReport, size: int, width: int, still_s: float | None = None) -> Text:
    """A line for what is being sent: whose it is, a bar, bytes, rate, and time left; into a pipe without the bar.

    Args:
        label: What it is.
        progress: How far it is.
        size: Of all of it, bytes.
        width: Columns.
        still_s: How long it has not moved; None if it moves.
    """
    sent = progress.sent_bytes
    facts = f"{sized(sent)} of {sized(size)}"
    if sent >= size:
        facts += ", the answer is awaited"
    elif still_s is not None:
        facts += f", stands still for {rounded(still_s)}"
    else:
        facts += f", {sized(progress.bytes_per_s)}/s" if progress.bytes_per_s else ""
        facts += f", {lasting(progress.left_s)} left" if progress.left_s is not None else ""
    if width >= UNLIMITED:
        return Text(f"{label}: {percent(sent, size)}, {facts}")
    cells = (label, bar(progress.sent_bytes, size, _BAR), facts)
    room = _room(width)
    return columns(cells, (room, _BAR, width - room - _BAR - 2), (False, False, False), "")


class FileLine:
    """A line for a file on its way to the gateway, whenever it is asked for."""

    def __init__(self, file: OutgoingFile, label: str, width: int) -> None:
        self._file = file
        self._label = shortened(label, _room(width))
        self._width = width
        self._rate = Rate()

    def __call__(self) -> Text:
        """What it is just now."""
        sent_bytes, size = self._file.sent_bytes, self._file.size
        self._rate.saw(sent_bytes, time.monotonic())
        speed = self._rate.bytes_per_s
        left_s = (size - sent_bytes) / speed if speed else None
        progress = ProgressReport(sent_bytes=sent_bytes, bytes_per_s=speed, left_s=left_s)
        return sending(self._label, progress, size, self._width)


def under_way(
    recordings: Sequence[RecordingReport],
    names: Names,
    width: int,
    height: int,
    still: Mapping[str, float] = NOT_STILL,
) -> list[Text]:
    """A line for each recording under way, those that move first, and one for all that have no room.

    Args:
        recordings: Which.
        names: Of the trackers.
        width: Columns.
        height: Of the window.
        still: How many seconds those have not moved that stand still, by SHA-256.
    """
    ordered = sorted(recordings, key=lambda one: (one.progress is None, not is_moving(one), one.state == "queued"))
    blocks: list[list[Text]] = []
    for text, group in groupby(ordered, lambda one: None if one.progress is not None else plain(one.text)):
        some = list(group)
        if text is None:
            moving = ((one, one.progress, still.get(one.sha256)) for one in some if one.progress is not None)
            blocks += [[sending(_label(one, names), at, one.size, width, still_s)] for one, at, still_s in moving]
        else:
            blocks += _resting(text, some, names, width)
    # What moves has its line however small the window is.
    room = max(height - _OTHER_LINES + 1, len(blocks[0]) + 1 if blocks else 0)
    return fitted(blocks, room, lambda hidden: wrapped(f"and {hidden} more.", width, "dim"))


class Bars:
    """Lines that are drawn over as they change; nothing into a pipe."""

    def __init__(self, screen: Live | None) -> None:
        self._screen = screen

    def show(self, lines: Sequence[Text]) -> None:
        """Draw these, and no others any more."""
        if self._screen is not None:
            self._screen.update(Text("\n").join(lines), refresh=True)


@contextmanager
def bars(talk: Talk) -> Iterator[Bars]:
    """Lines that are gone when the context closes; what is said meanwhile stands above them."""
    if not talk.console.is_terminal:
        yield Bars(None)
        return
    with Live(
        console=talk.console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as screen:
        yield Bars(screen)


@contextmanager
def moving(talk: Talk, line: Callable[[], Text]) -> Iterator[None]:
    """A line that is drawn several times a second while the context is open; nothing into a pipe.

    Args:
        talk: Where to.
        line: What it is just now; asked for in another thread.
    """
    if not talk.console.is_terminal:
        yield
        return
    with Live(
        console=talk.console,
        get_renderable=line,
        refresh_per_second=_DRAWN_PER_S,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield


def _room(width: int) -> int:
    """Columns for what a line is about."""
    return max(SHORT_ID + 1, width - _BAR - _FACTS - 2)


def _label(recording: RecordingReport, names: Names) -> str:
    return f"{recording.id} {names.whose(recording)}".strip()


def _resting(text: str, recordings: Sequence[RecordingReport], names: Names, width: int) -> list[list[Text]]:
    """Those that stand the same: each in a line, where one has no room for how that is it stands above them."""
    lines = [
        Text(f"{_label(one, names)}: {', '.join(filter(None, (text, outlook(one))))}", "dim") for one in recordings
    ]
    if all(line.cell_len <= width for line in lines):
        return [[line] for line in lines]
    title = wrapped(f"{text}:", width, "dim")
    lines = [Text(f"  {_label(one, names)}: {in_short(one)}", "dim") for one in recordings]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return [[*title, lines[0]], *([line] for line in lines[1:])]

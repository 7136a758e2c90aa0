"""What moves in a terminal while files are on their way: a line for each, with a bar."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.live import Live
from rich.text import Text

from gateway.recordings.files import OutgoingFile
from gateway.recordings.words import Names, lasting, outlook, sized
from gateway.terminal.layout import bar, columns, plain, shortened, wrapped
from gateway.terminal.talk import Talk
from gateway.uploads.report import ProgressReport, RecordingReport

RATED_OVER_S = 5.0
"""Long enough to be steady, short enough to follow a link that gets worse."""

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


def sending(label: str, progress: ProgressReport, size: int, width: int) -> Text:
    """A line for what is being sent: whose it is, a bar, bytes, rate, and time left.

    Args:
        label: What it is.
        progress: How far it is.
        size: Of all of it, bytes.
        width: Columns.
    """
    facts = f"{sized(progress.sent_bytes)} of {sized(size)}"
    facts += f", {sized(progress.bytes_per_s)}/s" if progress.bytes_per_s else ""
    facts += f", {lasting(progress.left_s)} left" if progress.left_s is not None else ""
    cells = (label, bar(progress.sent_bytes, size, _BAR), facts)
    return columns(cells, (_room(width), _BAR, _FACTS), (False, False, False), "")


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


def under_way(recordings: Sequence[RecordingReport], names: Names, width: int, height: int) -> list[Text]:
    """A line for each recording under way, those that move first, and one for all that have no room.

    Args:
        recordings: Which.
        names: Of the trackers.
        width: Columns.
        height: Of the window.
    """
    ordered = sorted(recordings, key=lambda recording: (recording.progress is None, recording.state == "queued"))
    room = max(1, height - _OTHER_LINES)
    lines = [_line(recording, names, width) for recording in ordered[:room]]
    hidden = len(ordered) - len(lines)
    return [*lines, *(wrapped(f"and {hidden} more.", width, "dim") if hidden else [])]


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
    return width - _BAR - _FACTS - 2


def _line(recording: RecordingReport, names: Names, width: int) -> Text:
    label = f"{recording.id} {names.whose(recording)}".strip()
    if recording.progress is not None:
        return sending(label, recording.progress, recording.size, width)
    told = ", ".join(filter(None, (plain(recording.text), outlook(recording))))
    line = Text(f"{label}: {told}", "dim")
    line.truncate(width, overflow="ellipsis")
    return line

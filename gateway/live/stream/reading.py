"""Cursors into the rings, and what is read from there next. There is no queue of samples anywhere.

What a client has not been sent yet waits in the rings; if it waits too long there, the next read says how many rows
are gone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from gateway.live.source import Channels, RingView
from insiders_codecs.live import MAX_ROWS, Arrivals, Codec
from insiders_codecs.packing import PackedBlock
from insiders_codecs.samples import SampleBlock, newer

_Rows = SampleBlock | PackedBlock
_AT_ONCE = MAX_ROWS[Codec.MSGPACK]


@dataclass(slots=True)
class Position:
    """Where somebody stands in one channel.

    Attributes:
        cursor: Arrival number of the last row that was read.
        last_ms: Time of that row, or of the last one before it whose time was right.
        sent_ms: Of the newest values: the time of the last one of each column.
    """

    cursor: int
    last_ms: int | None = None
    sent_ms: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of a channel that were passed over.

    Attributes:
        ch: Number of the channel.
        after: Arrival number of the last row before them.
        until: Arrival number behind which it goes on.
        from_ms: Time of the last row before them; None if that is not known.
        to_ms: Time of the first one after them; None if that is not known.
        rows: How many.
    """

    ch: int
    after: int
    until: int
    from_ms: int | None
    to_ms: int | None
    rows: int


class Cursors:
    """One position in each of some channels."""

    def __init__(self, positions: dict[int, Position]) -> None:
        self.positions = positions
        self._turn = 0

    def copy(self) -> "Cursors":
        """The same positions, to move on from apart."""
        return Cursors(
            {
                ch: Position(position.cursor, position.last_ms, position.sent_ms.copy())
                for ch, position in self.positions.items()
            }
        )

    def is_level_with(self, other: "Cursors") -> bool:
        """Whether both have read as far."""
        return all(position.cursor == other.positions[ch].cursor for ch, position in self.positions.items())

    def take_over(self, other: "Cursors") -> None:
        """Know what another has told of the newest values, too: what is older than that is no news."""
        for ch, position in other.positions.items():
            own = self.positions[ch].sent_ms
            for column, t_ms in position.sent_ms.items():
                own[column] = max(t_ms, own.get(column, t_ms))

    def forget_newest(self) -> None:
        """Know nothing of what was told of the newest values."""
        for position in self.positions.values():
            position.sent_ms.clear()

    def next_runs(
        self, channels: Channels, room: int, ends: Mapping[int, int] | None = None
    ) -> tuple[list[Arrivals], list[LeftOut]]:
        """The next rows, going on with the channel at which the last look ended.

        Args:
            channels: Those with these positions among them.
            room: Most rows.
            ends: Arrival number up to which each channel is read; None for as far as there are rows.

        Returns:
            The rows, and what was overwritten before it could be read.
        """
        runs: list[Arrivals] = []
        lost: list[LeftOut] = []
        order = [ch for ch in self.positions if ch in channels]
        for place in range(self._turn, self._turn + len(order)):
            ch = order[place % len(order)]
            position, ring = self.positions[ch], channels[ch].ring
            while room:
                limit = room if ends is None else min(room, ends[ch] - position.cursor)
                run = ring.read(position.cursor, limit) if limit > 0 else None
                if run is None:
                    break
                lost += _advance(position, run, ring.withdrawn)
                runs.append(run)
                room -= len(run.block)
            if not room:
                self._turn = (place + 1) % len(order)  # a channel with much to send does not keep the others waiting
                break
        return runs, lost

    def newest_runs(
        self, channels: Channels, columns: Iterable[int], room: int
    ) -> tuple[list[Arrivals], list[LeftOut], bool]:
        """Of the next rows only those that hold the newest value of some column, one run for each.

        Args:
            channels: Those with these positions among them.
            columns: Which ones count.
            room: Most rows.

        Returns:
            The runs, what was passed over for them, and whether every channel had its turn.
        """
        runs: list[Arrivals] = []
        left_out: list[LeftOut] = []
        columns = tuple(columns)
        order = [ch for ch in self.positions if ch in channels]
        for place in range(self._turn, self._turn + len(order)):
            ch = order[place % len(order)]
            position, ring = self.positions[ch], channels[ch].ring
            if room <= len(columns):
                self._turn = place % len(order)
                return runs, left_out, False
            before = max(position.cursor, ring.withdrawn)
            newest = _read_newest(position, ring, columns)
            chosen: dict[int, _Rows] = {}
            for column, (t_ms, number, block) in newest.items():
                if newer(position.sent_ms.get(column, -1), t_ms) == t_ms:
                    position.sent_ms[column] = t_ms
                    chosen[number] = block
            runs += [Arrivals(ch, number, chosen[number]) for number in sorted(chosen)]
            room -= len(chosen)
            last_ms = max((int(block.t_ms[0]) for block in chosen.values()), default=None)
            passed = max(0, position.cursor - before) - len(chosen)
            if passed > 0:
                left_out.append(LeftOut(ch, before, position.cursor, position.last_ms, last_ms, passed))
            position.last_ms = position.last_ms if last_ms is None else last_ms
        return runs, left_out, True


def _read_newest(position: Position, ring: RingView, columns: tuple[int, ...]) -> dict[int, tuple[int, int, _Rows]]:
    """Read to the end.

    Returns:
        By column (-1: the row itself) time, arrival number and row of its newest value.
    """
    newest: dict[int, tuple[int, int, _Rows]] = {}
    while (run := ring.read(position.cursor, _AT_ONCE)) is not None:
        position.cursor = run.last
        if run.is_misdated:
            continue  # whatever its time says, it cannot be known to be newer than another
        is_measured = ~np.isnan(run.block.values)
        for column in (-1, *columns):
            rows = np.flatnonzero(is_measured[column]) if column >= 0 else np.arange(len(run.block))
            if len(rows):
                row = int(rows[np.argmax(run.block.t_ms[rows])])
                t_ms = int(run.block.t_ms[row])
                if column not in newest or t_ms > newest[column][0]:
                    newest[column] = (t_ms, run.n0 + row, run.block.take(slice(row, row + 1)))
    return newest


def _advance(position: Position, run: Arrivals, withdrawn: int) -> list[LeftOut]:
    """Move the cursor behind a run; if rows before it were overwritten unread, what says so."""
    before = max(position.cursor, withdrawn)
    lost = run.n0 - before - 1
    before_ms = position.last_ms
    position.cursor = run.last
    if not run.is_misdated:
        position.last_ms = int(run.block.t_ms[-1])
    if lost <= 0:
        return []
    to_ms = None if run.is_misdated else int(run.block.t_ms[0])
    return [LeftOut(run.ch, before, run.n0 - 1, before_ms, to_ms, lost)]

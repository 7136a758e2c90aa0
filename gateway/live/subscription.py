"""One subscription: a cursor into each ring, and what is to be sent next.

There is no queue of samples per client anywhere. What a client has not been sent yet waits in the rings; if it waits
too long there, the next read says how many rows are gone.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from gateway.live.requests import ErrorCode, RequestError, Sub
from gateway.live.source import Channels, ChannelView
from gateway.live.visibility import EVERYTHING, Sight
from insiders_codecs.live import MAX_ROWS, Arrivals, Codec, Message, encode_rows
from insiders_codecs.packing import PackedBlock
from insiders_codecs.samples import COLUMN_NAMES, SampleBlock, newer

Rows = SampleBlock | PackedBlock

SNAPSHOT_BYTES_PER_S = 256 * 1024
"""How fast the past is sent to one client, so that a laptop that connects does not take the Wi-Fi from the others."""


@dataclass(slots=True)
class _Position:
    """Where the subscription stands in one channel."""

    cursor: int
    snapshot_end: int
    last_ms: int | None = None
    sent_ms: dict[int, int] = field(default_factory=dict)  # in mode latest: time last sent of each column


class Subscription:
    """Decides what one subscription sends; told the time, touches no socket."""

    def __init__(self, request: Sub, codec: Codec, now_s: float, sight: Sight = EVERYTHING) -> None:
        """Make one that no channel is in yet; raises `RequestError` if it names a column that it may not see."""
        self.request = request
        names = request.columns or sight.column_names
        for name in names:
            if name not in sight.column_names:
                known = ", ".join(sight.column_names)
                raise RequestError(ErrorCode.UNKNOWN_COLUMN, f"There is no column {name!r}; columns are {known}.")
        self._columns = tuple(COLUMN_NAMES.index(name) for name in names)
        self._codec = codec
        self._positions: dict[int, _Position] = {}
        self._seq = 0
        self._turn = 0
        self._is_admitted = False
        self._in_snapshot = True
        self.due_s = now_s
        self._interval_s = request.batch_ms / 1000 if request.mode == "all" else 1 / request.max_hz

    def admit(self, channels: Channels, epoch: str) -> Message | None:
        """Take in the channels that are wanted and not followed yet.

        Returns:
            The `sub_ok` that must precede their samples; None if there is nothing to add.

        Raises:
            RequestError: If a device is named that no channel has.
        """
        is_first = not self._is_admitted
        # Asked before every message: with a thousand channels it must not look at each of them.
        if not is_first and (self.request.devices != "*" or len(self._positions) == len(channels)):
            return None
        self._is_admitted = True
        added = [channel for channel in self._wanted(channels) if channel.ch not in self._positions]
        verdicts = [self._place(channel, epoch, is_first=is_first) for channel in added]
        message: Message = {
            "op": "sub_ok",
            "sub": self.request.sub,
            "columns": [COLUMN_NAMES[column] for column in self._columns],
            "channels": verdicts,
        }
        if self.request.id is not None and is_first:
            message["id"] = self.request.id
        return message

    @property
    def followed(self) -> Collection[int]:
        """Numbers of the channels that were taken in."""
        return self._positions.keys()

    def messages(self, channels: Channels, now_s: float) -> list[Message | bytes]:
        """What is due now, one message of samples at most; while more is waiting, `due_s` stays in the past.

        Returns:
            Records of rows that were overwritten before they could be sent, then encoded samples.
        """
        if now_s < self.due_s:
            return []
        lost: list[Message] = []
        if self.request.mode == "latest":
            runs, is_whole = self._newest_runs(channels)
        else:
            runs, lost = self._next_runs(channels)
            is_whole = sum(len(run.block) for run in runs) < MAX_ROWS[self._codec]
        op = "snap" if self._in_snapshot else "d"
        if self._in_snapshot or runs:
            self._seq += 1
        head: Message = {"op": op, "sub": self.request.sub, "seq": self._seq}
        if self._in_snapshot:
            if is_whole:
                head["end"] = True
                self._in_snapshot = False
            payload = encode_rows(head, runs, self._columns, self._codec)
            self.due_s = now_s + len(payload) / SNAPSHOT_BYTES_PER_S
            return [*lost, payload]
        if is_whole:
            self.due_s = now_s + self._interval_s
        return [*lost, encode_rows(head, runs, self._columns, self._codec)] if runs else list(lost)

    def _wanted(self, channels: Channels) -> list[ChannelView]:
        if self.request.devices == "*":
            return list(channels.values())
        by_serial = {channel.wearer.serial_number: channel for channel in channels.values()}
        unknown = [serial for serial in self.request.devices if serial not in by_serial]
        if unknown:
            raise RequestError(
                ErrorCode.UNKNOWN_DEVICE, f"No tracker here has the serial number {unknown[0]!r}; see `channels`."
            )
        return [by_serial[serial] for serial in dict.fromkeys(self.request.devices)]

    def _place(self, channel: ChannelView, epoch: str, *, is_first: bool) -> Message:
        """Put the cursor where the client asked for it, and say what of that could be met."""
        start, ring = self.request.start, channel.ring
        verdict: Message = {"ch": channel.ch, "serial_number": channel.wearer.serial_number, "recovered": "fresh"}
        cursor = ring.newest
        known = dict(start.cursors or ()).get(channel.ch) if start.epoch == epoch else None
        if known is not None and known <= ring.newest:
            cursor = max(known, ring.oldest - 1)
            verdict["recovered"] = "exact"
            if cursor > known:
                verdict |= {"recovered": "partial", "missing_rows": cursor - known}
        elif not is_first:
            cursor = ring.oldest - 1  # a channel that came later is wanted whole
        elif start.last_s and ring.newest_ms is not None:
            cursor = ring.since(round(ring.newest_ms - start.last_s * 1000))
        self._positions[channel.ch] = _Position(cursor, ring.newest)
        return verdict | {"cursor": cursor}

    def _next_runs(self, channels: Channels) -> tuple[list[Arrivals], list[Message]]:
        """The next rows after the cursors, up to a message's worth, going on where the last message ended."""
        runs: list[Arrivals] = []
        lost: list[Message] = []
        room = MAX_ROWS[self._codec]
        order = [ch for ch in self._positions if ch in channels]
        for place in range(self._turn, self._turn + len(order)):
            ch = order[place % len(order)]
            position = self._positions[ch]
            while room:
                limit = min(room, position.snapshot_end - position.cursor) if self._in_snapshot else room
                run = channels[ch].ring.read(position.cursor, limit) if limit > 0 else None
                if run is None:
                    break
                lost += self._advance(position, run, channels[ch].ring.withdrawn)
                runs.append(run)
                room -= len(run.block)
            if not room:
                self._turn = (place + 1) % len(order)  # a channel with much to send does not keep the others waiting
                break
        return runs, lost

    def _newest_runs(self, channels: Channels) -> tuple[list[Arrivals], bool]:
        """Of the rows after the cursors only those that hold the newest value of some column, one run for each.

        Returns:
            The runs, and whether every channel had its turn.
        """
        runs: list[Arrivals] = []
        room = MAX_ROWS[self._codec]
        for ch, position in self._positions.items():
            if ch not in channels:
                continue
            if room <= len(self._columns):
                return runs, False
            ring = channels[ch].ring
            newest: dict[int, tuple[int, int, Rows]] = {}  # by column (-1: the row itself): time, number, row
            while (run := ring.read(position.cursor, MAX_ROWS[Codec.MSGPACK])) is not None:
                position.cursor = run.last
                if run.is_misdated:
                    continue  # whatever its time says, it cannot be known to be newer than another
                is_measured = ~np.isnan(run.block.values)
                for column in (-1, *self._columns):
                    rows = np.flatnonzero(is_measured[column]) if column >= 0 else np.arange(len(run.block))
                    if len(rows):
                        row = int(rows[np.argmax(run.block.t_ms[rows])])
                        t_ms = int(run.block.t_ms[row])
                        if column not in newest or t_ms > newest[column][0]:
                            newest[column] = (t_ms, run.n0 + row, run.block.take(slice(row, row + 1)))
            chosen: dict[int, Rows] = {}
            for column, (t_ms, number, block) in newest.items():
                sent_ms = position.sent_ms.get(column, -1)
                if newer(sent_ms, t_ms) == t_ms:
                    position.sent_ms[column] = t_ms
                    chosen[number] = block
            runs += [Arrivals(ch, number, chosen[number]) for number in sorted(chosen)]
            room -= len(chosen)
        return runs, True

    def _advance(self, position: _Position, run: Arrivals, withdrawn: int) -> list[Message]:
        """Move the cursor behind a run; if rows before it were overwritten unread, the record that says so."""
        lost = run.n0 - max(position.cursor, withdrawn) - 1
        records: list[Message] = []
        if lost > 0:
            records.append(
                {
                    "op": "gap",
                    "ch": run.ch,
                    "sub": self.request.sub,
                    "from_ms": position.last_ms,
                    "to_ms": None if run.is_misdated else int(run.block.t_ms[0]),
                    "rows": lost,
                    "reason": "ring_overrun",
                    "state": "closed",
                }
            )
        position.cursor = run.last
        if not run.is_misdated:
            position.last_ms = int(run.block.t_ms[-1])
        return records

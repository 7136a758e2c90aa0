"""One subscription: what a client has asked for, how far it has got, and what it is sent next.

While it keeps up it shares its cursors, and the bytes of every message, with all that have asked for the same: see
`gateway.live.stream.groups`. It has cursors of its own while it is sent the past, and while its client is slow.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from math import inf

from gateway.live.forms import shown
from gateway.live.requests import ErrorCode, RequestError, Sub
from gateway.live.source import Channels
from gateway.live.stream.groups import CATCH_UP_S, Group, Groups, Key
from gateway.live.stream.ladder import Level
from gateway.live.stream.omissions import Omissions
from gateway.live.stream.pacing import Pace
from gateway.live.stream.placing import placed, wanted
from gateway.live.stream.reading import Cursors, LeftOut
from gateway.live.stream.wire import Outlet
from gateway.live.visibility import Sight
from insiders_codecs.live import MAX_ROWS, Arrivals, Codec, Message, encode, encode_head, encode_samples
from insiders_codecs.samples import COLUMN_NAMES, SAMPLE_PERIOD_MS

CONFLATED_S = 0.5
"""How often a client that is slow gets the newest values."""

CATCH_UP_SPEED = 3
"""How much faster than rows are measured those that wait are sent to somebody who was cut short and has recovered."""

_ROWS_PER_S = 1000 / SAMPLE_PERIOD_MS


class Subscription:
    """Decides what one subscription sends; told the time.

    Attributes:
        request: What was asked for.
        followed: Numbers of the channels that were taken in.
        due_s: When its own turn comes, while it is alone.
    """

    def __init__(
        self,
        request: Sub,
        codec: Codec,
        now_s: float,
        groups: Groups,
        outlet: Outlet,
        paces: Sequence[Pace],
        sight: Sight,
    ) -> None:
        """Make one that no channel is in yet.

        Args:
            request: What was asked for.
            codec: Form of the messages.
            now_s: Now.
            groups: Where those are who may have asked for the same.
            outlet: Where its messages go.
            paces: That the past keeps: the client's, and that of all.
            sight: Which columns there are for the client.

        Raises:
            RequestError: If it names a column that there is not.
        """
        for name in request.columns or ():
            if name not in sight.column_names:
                known = ", ".join(sight.column_names)
                raise RequestError(ErrorCode.UNKNOWN_COLUMN, f"There is no column {shown(name)}; columns are {known}.")
        self.request = request
        self.due_s = now_s
        self.followed: frozenset[int] = frozenset()
        self._codec = codec
        self._groups = groups
        self._outlet = outlet
        self._paces = paces
        self._columns = tuple(COLUMN_NAMES.index(name) for name in request.columns or sight.column_names)
        self._is_latest = request.mode == "latest"
        self._interval_s = 1 / request.max_hz if self._is_latest else request.batch_ms / 1000
        self._may_leave_out = not self._is_latest and request.on_slow == "conflate"
        self._is_admitted = False
        self._cursors: Cursors | None = Cursors({})  # None while they are the group's
        self._group: Group | None = None
        self._ends: dict[int, int] | None = {}  # of the past, None once it was sent
        self._level = Level.NORMAL
        self._is_recovering = False
        self._omissions = Omissions()
        self._seq = 0
        self._unacknowledged: deque[tuple[int, float]] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether its client has taken all that went before."""
        return self._outlet.is_ready

    @property
    def served_s(self) -> float:
        """Until when its client has had its share of the past."""
        return self._paces[0].due_s

    @property
    def is_in_past(self) -> bool:
        """Whether it is still being sent the past."""
        return self._ends is not None

    def admit(self, channels: Channels, epoch: str) -> Message | None:
        """Take in the channels that are wanted and not followed yet.

        Returns:
            The `sub_ok` that must precede their samples; None if there is nothing to add.

        Raises:
            RequestError: If a device is named that no channel has.
        """
        is_first = not self._is_admitted
        if not is_first and (self.request.devices != "*" or len(self.followed) == len(channels)):
            return None
        found = wanted(self.request.devices, channels)
        added = [channel for channel in found if channel.ch not in self.followed]
        self._is_admitted = True
        cursors = self._step_out()
        verdicts = list[Message]()
        for channel in added:
            cursors.positions[channel.ch], verdict = placed(channel, self.request.start, epoch, is_first=is_first)
            verdicts.append(verdict)
            if self._ends is not None:
                self._ends[channel.ch] = channel.ring.newest
        self.followed = frozenset(cursors.positions)
        message: Message = {
            "op": "sub_ok",
            "sub": self.request.sub,
            "columns": [COLUMN_NAMES[column] for column in self._columns],
            "channels": verdicts,
        }
        if self.request.id is not None and is_first:
            message["id"] = self.request.id
        return message

    def begin(self, level: Level, now_s: float) -> None:
        """Take its turns from now on."""
        self._groups.add(self)
        self.judge(level, now_s)

    def end(self) -> None:
        """Send nothing any more."""
        self._step_out()
        self._groups.remove(self)

    def judge(self, level: Level, now_s: float) -> None:
        """Take note of how slow the client is."""
        if level is self._level:
            return
        self._is_recovering = self._level is Level.SHED
        self._level = level
        cursors = self._step_out()
        if not self._is_latest and not self._omissions:
            cursors.forget_newest()
        if not self.is_in_past:
            self.due_s = now_s

    def acknowledge(self, seq: int) -> None:
        """The client has dealt with all messages up to this one; from the first such word on it is held to it."""
        if self._unacknowledged is None:
            self._unacknowledged = deque()
        while self._unacknowledged and self._unacknowledged[0][0] <= seq:
            self._unacknowledged.popleft()

    def unacknowledged_s(self, now_s: float) -> float:
        """How long ago the oldest message went that is not acknowledged."""
        return now_s - self._unacknowledged[0][1] if self._unacknowledged else 0.0

    def deliver(self, now_s: float, samples: bytes, lost: Sequence[LeftOut]) -> None:
        """Send a message with these samples, after the word of what was lost before them."""
        if lost:
            self._tell(now_s, (self._record(left_out, "ring_overrun") for left_out in lost))
        self._send(now_s, samples)

    def fall_out(self, cursors: Cursors, due_s: float) -> None:
        """Go on alone from here."""
        self._cursors, self.due_s = cursors, due_s
        self._groups.add(self)

    def follow(self, channels: Channels, now_s: float) -> None:
        """Send what is next, alone."""
        if self._cursors is None:
            return
        if self._ends is not None:
            self._send_past(self._cursors, self._ends, channels, now_s)
        elif self._level is Level.NORMAL and not self._omissions:
            self._catch_up(self._cursors, channels, now_s)
        elif self._level is Level.SHED:
            self.due_s = inf
            if self._may_leave_out:
                positions = self._cursors.positions.items()
                none = [LeftOut(ch, at.cursor, at.cursor, at.last_ms, None, 0) for ch, at in positions]
                self._begin_omissions(none, channels, now_s)
        elif self._may_leave_out:
            self._send_newest(self._cursors, channels, now_s)
        else:
            self._catch_up(self._cursors, channels, now_s)

    def _send_past(self, cursors: Cursors, ends: Mapping[int, int], channels: Channels, now_s: float) -> None:
        self.due_s = max(pace.due_s for pace in self._paces)
        if self.due_s > now_s:
            return
        runs, lost, is_whole = self._next(cursors, channels, ends)
        if is_whole:
            self._ends = None
        samples = encode_samples(runs, self._columns, self._codec)
        self._tell(now_s, (self._record(left_out, "ring_overrun") for left_out in lost))
        self._send(now_s, samples, "snap", is_end=is_whole)
        for pace in self._paces:
            pace.spend(len(samples), now_s)
        self.due_s = now_s if is_whole else self._paces[0].due_s

    def _catch_up(self, cursors: Cursors, channels: Channels, now_s: float) -> None:
        """Send what waits, not too fast, and get into step if that was all."""
        runs, lost, is_whole = self._next(cursors, channels)
        if runs:
            self.deliver(now_s, encode_samples(runs, self._columns, self._codec), lost)
        self.due_s = now_s + CATCH_UP_S
        if self._is_recovering:
            rows = sum(len(run.block) for run in runs)
            self.due_s = now_s + max(CATCH_UP_S, rows / (CATCH_UP_SPEED * _ROWS_PER_S * max(1, len(self.followed))))
        if not is_whole:
            return
        if self._level is not Level.NORMAL:
            self.due_s = max(self.due_s, now_s + max(self._interval_s, CONFLATED_S))
            return
        key = Key(self._codec, self._columns, self._is_latest, self._interval_s, self.followed)
        group = self._groups.of(key)
        if group.join(self, cursors, now_s):
            self._cursors, self._group, self._is_recovering = None, group, False
            self._groups.remove(self)
        else:
            self.due_s = max(self.due_s, group.due_s)

    def _send_newest(self, cursors: Cursors, channels: Channels, now_s: float) -> None:
        """Send the newest values in place of all rows; once the client keeps up again, also how many were left out."""
        runs, passed, is_whole = cursors.newest_runs(channels, self._columns, MAX_ROWS[self._codec])
        self._begin_omissions(passed, channels, now_s)
        if runs:
            self._send(now_s, encode_samples(runs, self._columns, self._codec))
        if not is_whole:
            self.due_s = now_s
        elif self._level is not Level.NORMAL:
            self.due_s = now_s + CONFLATED_S
        else:
            self.due_s = now_s
            self._tell(now_s, (self._record(ended, "slow_consumer") for ended in self._omissions.end(cursors)))

    def _begin_omissions(self, passed: Sequence[LeftOut], channels: Channels, now_s: float) -> None:
        """Count rows that are passed over, and say once of each channel that some are."""
        begun = self._omissions.pass_over(passed, channels)
        still = {"to_ms": None, "rows": None, "state": "open"}
        self._tell(now_s, (self._record(it, "slow_consumer") | {"after": it.after} | still for it in begun))

    def _next(
        self, cursors: Cursors, channels: Channels, ends: Mapping[int, int] | None = None
    ) -> tuple[list[Arrivals], list[LeftOut], bool]:
        """The next rows, what was lost before them, and whether that is all for now."""
        room = MAX_ROWS[self._codec]
        if self._is_latest:
            runs, _, is_whole = cursors.newest_runs(channels, self._columns, room)
            return runs, [], is_whole
        runs, lost = cursors.next_runs(channels, room, ends)
        return runs, lost, sum(len(run.block) for run in runs) < room

    def _send(self, now_s: float, samples: bytes, op: str = "d", *, is_end: bool = False) -> None:
        self._seq += 1
        if self._unacknowledged is not None:
            self._unacknowledged.append((self._seq, now_s))
        head: Message = {"op": op, "sub": self.request.sub, "seq": self._seq}
        if is_end:
            head["end"] = True
        self._outlet.send(now_s, encode_head(head, self._codec), samples)

    def _tell(self, now_s: float, records: Iterable[Message]) -> None:
        for record in records:
            self._outlet.send(now_s, encode(record, self._codec))

    def _record(self, left_out: LeftOut, reason: str) -> Message:
        return {
            "op": "gap",
            "ch": left_out.ch,
            "sub": self.request.sub,
            "after": left_out.until,
            "from_ms": left_out.from_ms,
            "to_ms": left_out.to_ms,
            "rows": left_out.rows,
            "reason": reason,
            "state": "closed",
        }

    def _step_out(self) -> Cursors:
        """Have cursors of its own."""
        if self._cursors is None:
            assert self._group is not None  # noqa: S101 - for the type checker: in step there is one
            self._cursors, self._group = self._group.leave(self), None
            self._groups.add(self)
        return self._cursors

"""Equal subscriptions that keep up share one set of cursors, and every message of samples is encoded once for all.

A member that cannot take a message when its group's turn comes gets a copy of the cursors and goes on alone; it is back
in step as soon as it has read as far as the others. Who has just come is alone, too, until it has its past.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple, Protocol

from gateway.live.source import Channels
from gateway.live.stream.reading import Cursors, LeftOut
from insiders_codecs.live import MAX_ROWS, Codec, encode_samples

BLOCKED_POLL_S = 0.05
"""How soon it is looked again whether a connection takes more."""

CATCH_UP_S = 0.05
"""Between two messages where there is more to send than one holds, after a repair for example."""


class Key(NamedTuple):
    """What makes subscriptions equal.

    Attributes:
        codec: Form of the messages.
        columns: Indices, in the order wanted.
        is_latest: Whether only the newest values are wanted.
        interval_s: Between two messages.
        channels: Numbers.
    """

    codec: Codec
    columns: tuple[int, ...]
    is_latest: bool
    interval_s: float
    channels: frozenset[int]


class Member(Protocol):
    """A subscription, as its group sees it."""

    due_s: float
    """When its own turn comes, while it is alone."""

    @property
    def is_ready(self) -> bool:
        """Whether its client has taken all that went before."""

    @property
    def served_s(self) -> float:
        """Until when its client has had its share of the past."""

    def deliver(self, now_s: float, samples: bytes, lost: Sequence[LeftOut]) -> None:
        """Send a message with these samples, after the word of what was lost before them."""

    def fall_out(self, cursors: Cursors, due_s: float) -> None:
        """Go on alone from here."""

    def follow(self, channels: Channels, now_s: float) -> None:
        """Send what is next, alone."""


class Group:
    """Those who are in step.

    Attributes:
        due_s: When the next turn is; in the past where nobody is here.
    """

    def __init__(self, key: Key) -> None:
        self.due_s = -inf
        self._key = key
        self._cursors = Cursors({})
        self._members: dict[Member, None] = {}

    def __bool__(self) -> bool:
        return bool(self._members)

    def join(self, member: Member, cursors: Cursors, now_s: float) -> bool:
        """Get into step, if that is how far it has read; who comes first says how far that is."""
        if not self._members:
            self._cursors = cursors
            self.due_s = now_s + self._key.interval_s
        elif cursors.is_level_with(self._cursors):
            self._cursors.take_over(cursors)
        else:
            return False
        self._members[member] = None
        return True

    def leave(self, member: Member) -> Cursors:
        """Get out of step; the cursors from which to go on."""
        del self._members[member]
        return self._cursors.copy()

    def turn(self, channels: Channels, now_s: float) -> None:
        """Send everybody what is next."""
        self.due_s = now_s + self._key.interval_s
        late = [member for member in self._members if not member.is_ready]
        for member in late:
            member.fall_out(self.leave(member), self.due_s)
        if not self._members:
            return
        room, lost = MAX_ROWS[self._key.codec], list[LeftOut]()
        if self._key.is_latest:
            runs, _, is_whole = self._cursors.newest_runs(channels, self._key.columns, room)
        else:
            runs, lost = self._cursors.next_runs(channels, room)
            is_whole = sum(len(run.block) for run in runs) < room
        if not is_whole:
            self.due_s = now_s + CATCH_UP_S
        if runs:
            samples = encode_samples(runs, self._key.columns, self._key.codec)
            for member in self._members:
                member.deliver(now_s, samples, lost)


class Groups:
    """All subscriptions of all clients."""

    def __init__(self) -> None:
        self._groups: dict[Key, Group] = {}
        self._alone: dict[Member, None] = {}

    def of(self, key: Key) -> Group:
        """The group of equal subscriptions."""
        return self._groups.setdefault(key, Group(key))

    def add(self, member: Member) -> None:
        """Give it turns of its own."""
        self._alone[member] = None

    def remove(self, member: Member) -> None:
        """Give it no turns of its own any more."""
        self._alone.pop(member, None)

    def due_s(self, now_s: float) -> float:
        """When the next turn is."""
        groups = (group.due_s for group in self._groups.values())
        alone = (max(member.due_s, now_s if member.is_ready else now_s + BLOCKED_POLL_S) for member in self._alone)
        return min(min(groups, default=inf), min(alone, default=inf))

    def turn(self, channels: Channels, now_s: float) -> None:
        """Send everybody what is due."""
        for key, group in tuple(self._groups.items()):
            if now_s >= group.due_s and group:
                group.turn(channels, now_s)
            if not group:
                del self._groups[key]
        # Who was sent something of the past last is last: the common pace may not be enough for all.
        for member in sorted(self._alone, key=lambda member: member.served_s):
            if now_s >= member.due_s and member.is_ready:
                member.follow(channels, now_s)

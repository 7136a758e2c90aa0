"""What lies in the inbox: for how long it has rested, what may be tried now, and why the rest is not taken.

Told the time: seconds of a monotonic clock, and for people the wall clock.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from gateway.uploads.report import InboxReport
from gateway.uploads.taking.naming import SUFFIX, printable
from gateway.uploads.taking.removal import ASIDE
from gateway.uploads.taking.sources import Kind, Look

QUIET_S = 5.0
"""How long a file has to be unchanged if it is known that nobody has it open for writing."""

UNSURE_QUIET_S = 40.0
"""And if that cannot be known: a copier that stalls for half a minute goes on writing into what is deleted by then."""

MAX_TOLD = 1000
"""Things of which somebody is told."""

_STUCK_S = 900.0
"""After which what would be a matter of time is one for a person."""

_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", "~")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is not taken.

    Attributes:
        code: A word for programs.
        text: One sentence without full stop.
        action: What to do next, one clause; "" if nothing is to be done.
        late_action: The same when it has been so for long.
    """

    code: str
    text: str
    action: str = ""
    late_action: str = ""


_RESTS = Reason("being_written", "It was changed a moment ago, and is taken when it has rested")
WRITTEN = Reason(
    "being_written",
    "Another program has it open for writing",
    late_action="end the program that has it open: its copying hangs",
)
_UNSURE = Reason("being_written", f"It is taken when nobody has changed it for {UNSURE_QUIET_S:.0f} s")
_NEXT = Reason("waiting", "It waits for its turn")
_TAKEN = Reason("taken", "It is in the gateway, and stays here as well, because nothing can be removed here")
_LEFT = Reason("not_removed", "It is taken over, and the gateway may not remove it", "delete it here")

_UNFINISHED_NAME = Reason(
    "unfinished",
    "Its name says that it is not finished",
    late_action="rename it if it is whole, or copy it anew and delete this one",
)
_HIDDEN = Reason("unfinished", "Its name begins with a dot, as those of unfinished copies do; it is left alone")
_KINDS = {
    Kind.LINK: Reason("not_a_file", "It is a link, and those are not followed", "copy the recording itself"),
    Kind.PIPE: Reason("not_a_file", "It is a pipe and no file", "delete it"),
    Kind.SOCKET: Reason("not_a_file", "It is a socket and no file", "delete it"),
    Kind.DEVICE: Reason("not_a_file", "It is a device and no file", "delete it"),
    Kind.CLOSED: Reason("unreadable", "This folder may not be looked into", "let the gateway read and write it"),
    Kind.UNSEEN: Reason("unreadable", "It cannot be looked at", "check what is mounted there, or the disk"),
    Kind.DEEP: Reason("too_deep", "This folder lies below too many others", "move it up"),
}


@dataclass(frozen=True, slots=True)
class _Lying:
    look: Look
    since_s: float
    since_ms: int
    reason: Reason = _RESTS
    again_s: float = -math.inf


@dataclass(slots=True, eq=False)
class Settling:
    """What lies in the inbox, look by look."""

    _lying: dict[str, _Lying] = field(default_factory=dict)
    _read_only: Collection[int] = ()
    _told: tuple[float, tuple[InboxReport, ...]] | None = None
    """What is told in this minute, unless something changes: a stick may be full of other things."""

    @property
    def next_s(self) -> float:
        """When something is to be tried next, monotonic; infinite if nothing is."""
        return min((it.again_s for it in self._lying.values()), default=math.inf)

    def observe(self, looks: Iterable[Look], now_s: float, now_ms: int, read_only: Collection[int] = ()) -> None:
        """Take a whole look at the inbox: what is new or changed begins to rest, what is gone is forgotten.

        Args:
            looks: All that was seen.
            now_s: When, monotonic.
            now_ms: When, epoch ms.
            read_only: Devices on which nothing can be removed. Of what lies there the number does not count: where a
                file system has none (FAT), the kernel makes one up whenever it has forgotten the last.
        """
        before, self._lying, self._read_only = self._lying, {}, read_only
        for look in looks:
            known = before.get(look.path)
            if known is not None and look.device in read_only:
                known = replace(known, look=replace(known.look, inode=look.inode))
            if known is None or known.look != look:
                reason = _at_sight(look)
                known = _Lying(look, now_s, now_ms, reason or _RESTS, math.inf if reason else now_s + QUIET_S)
            self._lying[look.path] = known
        if self._lying != before:
            self._told = None

    def due(self, now_s: float) -> Sequence[Look]:
        """What may be tried now, what was written longest ago first; what has rested now waits for its turn."""
        due = sorted((it for it in self._lying.values() if now_s >= it.again_s), key=lambda it: it.look.mtime_ns)
        for it in due:
            if it.reason is _RESTS:
                self._put(replace(it, reason=_NEXT))
        return [it.look for it in due]

    def may_take(self, look: Look, now_s: float, *, is_written_to: bool | None) -> bool:
        """Whether it may be taken; if not, it is tried again when it may.

        Args:
            look: Something due.
            now_s: Monotonic.
            is_written_to: Whether another program has it open for writing; None if that is not known.
        """
        known = self._lying[look.path]
        if is_written_to:
            self.leave(look, WRITTEN, now_s + QUIET_S)
        elif is_written_to is None and now_s - known.since_s < UNSURE_QUIET_S:
            self.leave(look, _UNSURE, known.since_s + UNSURE_QUIET_S)
        else:
            return True
        return False

    def leave(self, look: Look, reason: Reason, again_s: float = math.inf) -> None:
        """It is not taken.

        Args:
            look: As it was tried.
            reason: Why.
            again_s: When to try it again, monotonic; else as soon as it was changed.
        """
        self._put(replace(self._lying[look.path], reason=reason, again_s=again_s))

    def stay(self, look: Look) -> None:
        """It is taken, and still there."""
        self.leave(look, _TAKEN if look.device in self._read_only else _LEFT)

    def forget(self, look: Look) -> None:
        """It is gone, or not what it was: if it is there, the next look begins anew."""
        del self._lying[look.path]
        self._told = None

    def reports(self, now_s: float) -> tuple[InboxReport, ...]:
        """What is told of what lies there: first what needs somebody, last what is taken."""
        minute = now_s // 60
        if self._told is None or self._told[0] != minute:
            self._told = minute, self._reports(now_s)
        return self._told[1]

    def _put(self, lying: _Lying) -> None:
        self._lying[lying.look.path] = lying
        self._told = None

    def _reports(self, now_s: float) -> tuple[InboxReport, ...]:
        told = sorted(
            ((self._action(it, now_s), it) for it in self._lying.values()),
            key=lambda one: (not one[0], one[1].reason is _TAKEN, one[1].look.path),
        )
        return tuple(
            InboxReport(
                name=printable(it.look.path),
                size=it.look.size if it.look.kind is Kind.FILE else None,
                code=it.reason.code,
                text=it.reason.text,
                action=action,
                since_ms=it.since_ms,
            )
            for action, it in told[:MAX_TOLD]
        )

    def _action(self, lying: _Lying, now_s: float) -> str:
        # Nobody can tidy up where nothing can be removed, and a stick has other things on it than recordings.
        if lying.look.device in self._read_only and not lying.look.path.lower().endswith(SUFFIX):
            return ""
        is_late = now_s - lying.since_s >= _STUCK_S
        return lying.reason.late_action if is_late and lying.reason.late_action else lying.reason.action


def _at_sight(look: Look) -> Reason | None:
    """Why something is left alone without opening it."""
    if look.kind is not Kind.FILE:
        return _KINDS[look.kind]
    name = look.path.rpartition("/")[2]
    if name.startswith(".") and not name.startswith(ASIDE):
        return _HIDDEN
    return _UNFINISHED_NAME if name.lower().endswith(_UNFINISHED) else None

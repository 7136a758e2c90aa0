"""Since when each condition is what it is, and which changes are worth an event."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from gateway.pairing.conditions import Condition, ConditionType, Reason, Status, is_right
from gateway.pairing.keeping.events import CHATTER, Event, event
from gateway.pairing.planning.plan import Plan


class Mark(Struct, frozen=True, array_like=True):
    """A condition as it was when it last changed.

    Attributes:
        status, reason: What it is.
        since_ms: Since when, epoch ms.
    """

    # Plain, so that a mark with a word of another version is only a mark that differs.
    status: str
    reason: str
    since_ms: int


Marks = Mapping[str, Mark]
"""Those of one tracker, by the key of the condition."""


Dated = Mapping[str, tuple[tuple[Condition, int], ...]]
"""The conditions of each tracker, by serial number, each with since when it is what it is, epoch ms."""


class Notes(Protocol):
    """Where events and marks are kept."""

    @property
    def marks(self) -> Mapping[str, Marks]:
        """The marks that were kept, by serial number."""

    def note(self, events: Iterable[Event]) -> None:
        """Keep events, soon."""

    def mark(self, serial_number: str, marks: Marks) -> None:
        """Keep the marks of a tracker, soon."""


class Chronicle:
    """Sees every plan."""

    def __init__(self, notes: Notes) -> None:
        """Go on from what was kept."""
        self._notes = notes
        self._marks = {serial: dict(marks) for serial, marks in notes.marks.items()}
        self._blanks: dict[tuple[str, str], Mark] = {}

    def dated(self, plan: Plan, now_ms: int) -> Dated:
        """The conditions of each tracker, each with since when its status and reason are what they are, epoch ms.

        What is not known yet, as after every start, ends nothing: a condition that comes back as it was keeps its date.
        """
        return {
            serial: tuple(self._seen(serial, tracker.conditions, now_ms)) for serial, tracker in plan.trackers.items()
        }

    def _seen(
        self, serial_number: str, conditions: Iterable[Condition], now_ms: int
    ) -> Iterable[tuple[Condition, int]]:
        before = self._marks.get(serial_number)
        known, after, dated, events = before or {}, {}, [], []
        for condition in conditions:
            key = _key(condition)
            last = known.get(key)
            mark = Mark(condition.status, condition.reason, now_ms)
            if condition.reason in _BLANK:
                if last is not None:
                    after[key] = last
                mark = self._blanks.setdefault((serial_number, key), mark)
            else:
                self._blanks.pop((serial_number, key), None)
                if last is not None and _is_same(last, mark):
                    mark = last
                elif before is not None and _is_told(condition, last):
                    events.append(_event(serial_number, condition, now_ms))
                after[key] = mark
            dated.append((condition, mark.since_ms))
        self._notes.note(events)
        if after != known:
            self._marks[serial_number] = after
            if _lasting(after) != _lasting(known):
                self._notes.mark(serial_number, _lasting(after))
        return dated


_BLANK = frozenset({Reason.NOT_READ_YET, Reason.FLEET_NOT_READ})
# What is told already: one repeats the others, one says what is being done, and the rest is said by who did it.
_REPEATS = frozenset({ConditionType.READY, ConditionType.RECONCILING})
_SAID_BY_OTHERS = frozenset({ConditionType.APPROVED, ConditionType.TARGET_ACCEPTED})
_SAYS_NOTHING = frozenset(
    {
        *(Reason.UNMANAGED, Reason.NOTHING_TO_APPROVE, Reason.NOT_WRITTEN, Reason.WRITING),
        *(Reason.OPERATOR_SUSPEND, Reason.FLEET_PAUSE),
    }
)


def _key(condition: Condition) -> str:
    return condition.type if condition.slot is None else f"{condition.type}/{condition.slot}"


def _is_same(mark: Mark, other: Mark) -> bool:
    return (mark.status, mark.reason) == (other.status, other.reason)


def _is_told(condition: Condition, last: Mark | None) -> bool:
    """Whether it is news for somebody who asks what has happened: what went wrong, and what is right again."""
    if condition.type in _REPEATS or condition.reason in _SAYS_NOTHING:
        return False
    if not condition.is_right:
        return condition.status is not Status.UNKNOWN
    if last is None or condition.type in _SAID_BY_OTHERS:
        return False
    was_told = last.status != Status.UNKNOWN and last.reason not in _SAYS_NOTHING
    was_wrong = was_told and not is_right(condition.type, last.status)
    return was_wrong or condition.type is ConditionType.DEVICE_CONVERGED


def _event(serial_number: str, condition: Condition, now_ms: int) -> Event:
    reason: str = condition.reason
    if condition.reason is Reason.OK:  # all is well in many ways: what is, says the type
        reason = condition.type if condition.status is Status.TRUE else f"Not{condition.type}"
    return event(serial_number, condition.slot, reason, condition.text, now_ms)


def _lasting(marks: Marks) -> Marks:
    """Without those that come and go all the time: a card is written to as rarely as can be."""
    return {key: mark for key, mark in marks.items() if key.partition("/")[0] not in CHATTER}

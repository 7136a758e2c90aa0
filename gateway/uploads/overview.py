"""All recordings, sorted by what they ask of people: pure, and made once for each revision of the ledger."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain, takewhile
from operator import attrgetter

from gateway.uploads.recording import DELETED, FOR_A_PERSON, Recording, State
from gateway.uploads.report import CountReport, LeftOutReport
from gateway.uploads.transitions import UNDER_WAY

MAX_OPEN = 1000
"""Of those that wait for a person, and of those on their way, so many are listed."""

MAX_DONE, MAX_ALL_DONE = 200, 1000
"""Of those that are done so many are listed, and so many for who asks for all."""

MAX_DELETED = 200
"""Of those that are deleted so many are listed for who asks for all."""

MAX_TOLD = 500
"""Of so many it is told by itself whenever they stand otherwise."""

TOLD_DONE_MS = 24 * 3_600_000
"""How long one that is done is among those."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The recordings.

    Attributes:
        counts: Of every state in which there is one, in the order of the states.
        waiting: Those that wait for a person, newest first.
        open: Those that get on by themselves: what is being sent, then the others, newest first.
        done: Those that are done, the latest first.
        deleted: Those that are deleted, the latest first.
    """

    counts: tuple[CountReport, ...] = ()
    waiting: Sequence[Recording] = ()
    open: Sequence[Recording] = ()
    done: Sequence[Recording] = ()
    deleted: Sequence[Recording] = ()

    def listed(self, *, is_all: bool) -> tuple[list[Recording], LeftOutReport]:
        """Those to list, newest first, and how many are not among them.

        Args:
            is_all: With those that are deleted, and more of those that are done.
        """
        done, deleted = (MAX_ALL_DONE, MAX_DELETED) if is_all else (MAX_DONE, 0)
        listed = [*self.waiting[:MAX_OPEN], *self.open[:MAX_OPEN], *self.done[:done], *self.deleted[:deleted]]
        left_out = LeftOutReport(
            needs_person=max(0, len(self.waiting) - MAX_OPEN),
            under_way=max(0, len(self.open) - MAX_OPEN),
            done=max(0, len(self.done) - done),
            deleted=max(0, len(self.deleted) - deleted) if is_all else 0,
        )
        return sorted(listed, key=attrgetter("taken_ms"), reverse=True), left_out

    def told(self, utc_ms: int) -> list[Recording]:
        """Those of which everybody hears: what is being sent, then the newest.

        Args:
            utc_ms: The wall clock, epoch ms.
        """
        latest = takewhile(lambda it: utc_ms - it.changed_ms < TOLD_DONE_MS, self.done)
        kept = chain(self.waiting[:MAX_TOLD], self.open[:MAX_TOLD], latest)
        return nlargest(MAX_TOLD, kept, key=lambda it: (it.state in UNDER_WAY, it.taken_ms))


def overview(recordings: Iterable[Recording]) -> Overview:
    """Sort all recordings."""
    found: dict[State, list[Recording]] = {}
    for recording in recordings:
        found.setdefault(recording.state, []).append(recording)

    def those(states: Iterable[State], key: str = "taken_ms") -> list[Recording]:
        some = chain.from_iterable(found.get(state, ()) for state in states)
        return sorted(some, key=attrgetter(key), reverse=True)

    return Overview(
        counts=tuple(_count(state, found[state]) for state in State if state in found),
        waiting=those(FOR_A_PERSON),
        open=[*those(UNDER_WAY), *those(_OPEN - UNDER_WAY)],
        done=those({State.DONE}, "changed_ms"),
        deleted=those(DELETED, "changed_ms"),
    )


_OPEN = frozenset(State) - FOR_A_PERSON - DELETED - {State.DONE}


def _count(state: State, recordings: Sequence[Recording]) -> CountReport:
    return CountReport(
        state=state,
        recordings=len(recordings),
        bytes=sum(it.size for it in recordings),
        oldest_ms=min(it.changed_ms for it in recordings),
    )

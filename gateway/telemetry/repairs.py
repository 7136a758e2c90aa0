"""What to read from history next, and what an answer proves. Pure decisions, told the time.

A look at a tracker takes all of its gaps that are due. It begins with the list of ranges, which is cheap, is not
cached, and says where rows are and how many; only what holds more rows than we do is then read, in parts of one page.
Over the fleet the newest part comes first, because it is what people are looking at.

What the cloud answers is final only when it has settled: it caches pages for 120 s, and a tracker may hand in later
what it kept while it had no network. So gaps of our own making are read at once and read again to be sure, others are
first given time, and what stays missing is looked at again, ever more rarely, while it is recent enough to matter.

Source: Insiders API 1.22, ranges and paged data; trackers keep what they cannot send.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from gateway.cloud.models import OPEN_END_MS
from gateway.telemetry.channel import Channel
from gateway.telemetry.gap import Gap, GapState, Hole
from gateway.telemetry.holes import GapReason
from gateway.telemetry.spans import Range, Span, claimed, joined, parts
from gateway.telemetry.traces import Traces
from insiders_codecs.samples import SAMPLE_PERIOD_MS

SETTLE_S = 120.0
"""How long the cloud caches a page."""

PAUSES_S = (SETTLE_S, 300.0, 600.0, 1200.0, 2400.0)
"""Pause after each look at a gap of which something stays missing; the last one is repeated."""

REST_S = 15.0
"""Shortest pause between two looks at one tracker, so that gaps found one after the other are looked at together."""

APART_MS = 60_000
"""Holes that lie closer together are asked for at once: the known rows between them cost less than a request."""

FAILURES_TO_POSTPONE = 3
"""Passing failures of one look, after which the other trackers come first."""

_OURS = {GapReason.UPSTREAM_OUTAGE, GapReason.UPSTREAM_RATE_LIMITED, GapReason.GATEWAY_RESTART}


class Asked(Enum):
    """What of a tracker is asked for."""

    OWNERSHIPS = "ownerships"
    RANGES = "ranges"
    ROWS = "rows"
    TRACES = "traces"
    """Ranges of a hole whose rows nobody will read, because they left memory: are there any?"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to ask the cloud for; the span is empty for ownerships."""

    what: Asked
    ch: int
    device_id: int
    from_ms: int = 0
    to_ms: int = 0


@dataclass(slots=True)
class _Case:
    """A gap and what was done about it.

    Attributes:
        is_ours: The cause was on our side: the cloud had the rows all the time.
        floor_ms: Nothing older is asked for: it had left the ring's span when the gap was found.
        due_s: When to look next; infinite if never.
        looks: How often it was looked at, those not counted that only a passing failure ended.
        is_settled: The last look proved that the cloud has no more.
        is_traced: It is being looked into whether the cloud has rows of it that will not be read.
    """

    is_ours: bool
    floor_ms: int
    due_s: float
    looks: int = 0
    is_settled: bool = False
    is_traced: bool = False


@dataclass(slots=True)
class _Look:
    """One look at the holes of one tracker.

    Attributes:
        holes: What was missing when it began, and whether all of it may be asked for.
        spans: What is wanted, ascending.
        windows: Where ranges are still to be asked for, ascending; one per ownership.
        parts: Where rows are still to be asked for, ascending.
        claims: Rows that the cloud says it has in each window; None where its ranges do not tell.
        is_complete: The pages held as many rows as they counted.
        failures: Passing failures so far.
    """

    holes: list[tuple[Hole, bool]]
    spans: list[Span] = field(default_factory=list)
    windows: list[Span] = field(default_factory=list)
    parts: list[Span] = field(default_factory=list)
    claims: list[tuple[Span, int | None]] = field(default_factory=list)
    is_complete: bool = True
    failures: int = 0

    @property
    def gaps(self) -> set[int]:
        return {hole.gap for hole, _ in self.holes}


@dataclass(slots=True)
class _Desk:
    """Everything about one tracker, for as long as it is ours."""

    channel: Channel
    device_id: int
    generation: int
    revision: int = -1
    cases: dict[int, _Case] = field(default_factory=dict)
    look: _Look | None = None
    traces: Traces = field(default_factory=Traces)
    rest_until_s: float = -math.inf
    owned: list[Span] | None = None
    was_refused: bool = False

    @property
    def is_current(self) -> bool:
        """Whether the tracker is still the same, and its samples were not forgotten meanwhile."""
        return (self.device_id, self.generation) == (self.channel.device_id, self.channel.gaps.generation)

    def has_due(self, now_s: float) -> bool:
        """Whether it is time to look at a gap that is not being looked at."""
        known = self.look.gaps if self.look else ()
        return any(case.due_s <= now_s and gap_id not in known for gap_id, case in self.cases.items())


class Repairs:
    """The gaps of all trackers and what is done about them. Times are seconds of one monotonic clock.

    Attributes:
        gaps_repaired: Gaps that were repaired after they had been looked at.
        gaps_refused: Gaps that the cloud does not let us read.
    """

    def __init__(self, channels: Mapping[int, Channel], span_ms: int) -> None:
        """Begin with nothing asked.

        Args:
            channels: All channels.
            span_ms: How far back from the newest row history is wanted: the span of the rings.
        """
        self.gaps_repaired = 0
        self.gaps_refused = 0
        self._channels = channels
        self._span_ms = span_ms
        self._desks: dict[int, _Desk] = {}

    def pending(self) -> tuple[int, int]:
        """Gaps that will be looked at because more may be found, and the rows they miss."""
        gaps = [
            gap
            for desk in self._desks.values()
            for gap in desk.channel.gaps.gaps
            if (case := desk.cases.get(gap.id)) and not case.is_settled and case.due_s < math.inf
        ]
        return len(gaps), sum(gap.rows or 0 for gap in gaps)

    def next(self, now_s: float) -> Ask | None:
        """What to ask for now; None if nothing is due."""
        newest: tuple[int, bool] | None = None
        chosen: Ask | None = None
        for ch, channel in self._channels.items():
            desk = self._desk(ch, channel, now_s)
            if desk is None:
                continue
            if now_s >= desk.rest_until_s and desk.has_due(now_s):
                # What is still under way is part of the new look, behind what is newer.
                desk.look = self._open(desk, now_s)
                desk.rest_until_s = now_s + REST_S
            ask = self._trace(ch, desk) if desk.look is None else self._ask(ch, desk, desk.look)
            if ask is None:
                continue
            # Of the same age, what is begun is ended first.
            order = (ask.to_ms, ask.what is Asked.ROWS)
            if newest is None or order > newest:
                newest, chosen = order, ask
        return chosen

    def is_wanted(self, ask: Ask) -> bool:
        """Whether the tracker is still the one that was asked about, and its samples were not forgotten meanwhile."""
        return self._current(ask) is not None

    def ownerships_came(self, ask: Ask, spans: Iterable[Span]) -> None:
        """Take in when the tracker was ours."""
        if (desk := self._current(ask)) is None:
            return
        desk.owned = joined(spans, 1)
        end_ms = -OPEN_END_MS
        for start_ms, stop_ms in (*desk.owned, (OPEN_END_MS, OPEN_END_MS)) if desk.owned else ():
            desk.channel.gaps.not_ours(end_ms + 1, start_ms - 1)
            end_ms = stop_ms
        # What is missing may be less than it was when the look began.
        desk.look, desk.rest_until_s = None, -math.inf

    def ranges_came(self, ask: Ask, ranges: Sequence[Range], now_s: float) -> None:
        """Take in where the cloud has rows, and how many."""
        desk = self._current(ask)
        if desk is None or desk.look is None:
            return
        desk.was_refused = False
        look, window = desk.look, desk.look.windows.pop()
        rows = claimed(window, ranges)
        look.claims.append((window, rows))
        if rows is None or rows > len(desk.channel.ring.between(window[0], window[1] + 1)):
            look.parts = parts(look.spans, window, ranges)
        self._finish_if_done(desk, look, now_s)

    def traces_came(self, ask: Ask, ranges: Sequence[Range]) -> None:
        """Take in whether the cloud has rows where nobody will read them."""
        desk = self._current(ask)
        if desk is None or desk.traces.next(desk.channel.gaps) is None:
            return
        desk.traces.came(desk.channel.gaps, ranges)

    def rows_came(self, ask: Ask, counted: int, given: int, now_s: float) -> None:
        """Take in that a part was read.

        Args:
            ask: What was asked for.
            counted: Rows it has in the words of the cloud.
            given: Different rows that came.
            now_s: The time.
        """
        desk = self._current(ask)
        if desk is None or desk.look is None:
            return
        desk.was_refused = False
        desk.look.parts.pop()
        desk.look.is_complete &= given >= counted
        self._finish_if_done(desk, desk.look, now_s)

    def refused(self, ask: Ask) -> bool:
        """Take in that the cloud says that this was not ours.

        Returns:
            Whether it is given up: the first time, only the ownerships are read once more.
        """
        desk = self._current(ask)
        if desk is None:
            return False
        look, desk.look, desk.owned = desk.look, None, None
        is_final, desk.was_refused = desk.was_refused, not desk.was_refused
        if is_final:
            refused = desk.traces.gaps if look is None else look.gaps
            for gap_id in refused & desk.cases.keys():
                desk.cases[gap_id].due_s = math.inf
                desk.channel.gaps.settle(gap_id)
                self.gaps_refused += 1
            if look is None:
                desk.traces.clear()
        return is_final

    def failed(self, ask: Ask, now_s: float, *, is_transient: bool) -> None:
        """Take in that there was no answer: the same is asked again, or later if that will not help."""
        desk = self._current(ask)
        if desk is not None and ask.what is Asked.TRACES and not is_transient:
            desk.traces.failed(desk.channel.gaps)
        if desk is None or desk.look is None:
            return
        desk.look.failures += 1
        if not is_transient or desk.look.failures >= FAILURES_TO_POSTPONE:
            desk.look.is_complete = False
            self._finish(desk, desk.look, now_s, has_looked=not is_transient)

    def _current(self, ask: Ask) -> _Desk | None:
        desk = self._desks.get(ask.ch)
        if desk is None or ask.device_id != desk.device_id or not desk.is_current:
            return None
        return desk

    def _desk(self, ch: int, channel: Channel, now_s: float) -> _Desk | None:
        """The tracker's desk, with a case for each of its closed gaps."""
        desk = self._desks.get(ch)
        if channel.device_id is None:
            self._desks.pop(ch, None)
            return None
        if desk is None or not desk.is_current:
            desk = self._desks[ch] = _Desk(channel, channel.device_id, channel.gaps.generation)
        if desk.revision != channel.gaps.revision:
            desk.revision = channel.gaps.revision
            self._sort(desk, now_s)
        return desk

    def _sort(self, desk: _Desk, now_s: float) -> None:
        cases, desk.cases = desk.cases, {}
        looked_at = {gap_id for gap_id, case in cases.items() if case.looks} | (desk.look.gaps if desk.look else set())
        for gap in desk.channel.gaps.gaps:
            if gap.state is GapState.CLOSED:
                desk.cases[gap.id] = cases.get(gap.id) or self._case(gap, now_s)
            elif gap.id in cases:
                self.gaps_repaired += gap.id in looked_at
        if desk.look is not None and not desk.look.gaps & desk.cases.keys():
            desk.look = None

    def _case(self, gap: Gap, now_s: float) -> _Case:
        is_ours = gap.reason in _OURS
        floor_ms = (gap.to_ms or 0) - self._span_ms
        return _Case(is_ours, floor_ms, now_s if is_ours else now_s + SETTLE_S)

    def _open(self, desk: _Desk, now_s: float) -> _Look | None:
        """A look at the gaps that are due; those that have left the span are looked at no more."""
        due = {gap_id: case for gap_id, case in desk.cases.items() if case.due_s <= now_s}
        newest_ms = desk.channel.gaps.newest_ms or 0
        holes = [hole for hole in desk.channel.gaps.holes(newest_ms - self._span_ms) if hole.gap in due]
        for gap_id in due.keys() - {hole.gap for hole in holes}:
            self._give_up(desk, gap_id)
        return _Look([(hole, False) for hole in holes]) if holes else None

    def _ask(self, ch: int, desk: _Desk, look: _Look) -> Ask | None:
        if desk.owned is None:
            return Ask(Asked.OWNERSHIPS, ch, desk.device_id, to_ms=look.holes[-1][0].before_ms)
        if not look.spans:
            self._plan(desk, look, desk.owned)
        if look.parts:
            return Ask(Asked.ROWS, ch, desk.device_id, *look.parts[-1])
        if look.windows:
            return Ask(Asked.RANGES, ch, desk.device_id, *look.windows[-1])
        return None

    def _plan(self, desk: _Desk, look: _Look, owned: Sequence[Span]) -> None:
        """Clip what is missing to what may be asked for."""
        holes, look.holes = [hole for hole, _ in look.holes if hole.gap in desk.cases], []
        wanted: dict[Span, list[Span]] = {}
        for hole in holes:
            first_ms, last_ms = hole.after_ms + 1, hole.before_ms - 1
            floor_ms = desk.cases[hole.gap].floor_ms
            is_whole = False
            for start_ms, stop_ms in owned:
                span = (max(first_ms, floor_ms, start_ms), min(last_ms, stop_ms))
                # What is shorter than a period beside a known row holds no other.
                if min(span[1] - hole.after_ms, hole.before_ms - span[0]) >= SAMPLE_PERIOD_MS and span[0] <= span[1]:
                    wanted.setdefault((start_ms, stop_ms), []).append(span)
                    is_whole |= span == (first_ms, last_ms)
            look.holes.append((hole, is_whole))
        for spans in wanted.values():
            together = joined(spans, APART_MS)
            look.spans += together
            look.windows.append((together[0][0], together[-1][1]))
        look.windows.sort()
        if not look.spans:
            for gap_id in look.gaps & desk.cases.keys():
                self._give_up(desk, gap_id)
            desk.look = None

    def _give_up(self, desk: _Desk, gap_id: int) -> None:
        """Look at a gap no more, but find out whether the cloud has rows of it: then they are lost to us."""
        desk.cases[gap_id].due_s = math.inf
        desk.traces.add(gap_id)

    def _trace(self, ch: int, desk: _Desk) -> Ask | None:
        """Ask about a hole whose rows will not be read."""
        hole = desk.traces.next(desk.channel.gaps)
        if hole is None:
            return None
        if desk.owned is None:
            return Ask(Asked.OWNERSHIPS, ch, desk.device_id)
        return Ask(Asked.TRACES, ch, desk.device_id, hole.after_ms + 1, hole.before_ms - 1)

    def _finish_if_done(self, desk: _Desk, look: _Look, now_s: float) -> None:
        if not look.parts and not look.windows:
            self._finish(desk, look, now_s)

    def _finish(self, desk: _Desk, look: _Look, now_s: float, *, has_looked: bool = True) -> None:
        """Draw the conclusions of a look; an outage is no reason to look more rarely when it is over."""
        # Misdated rows may be all that the cloud has there; only reading tells.
        is_settled = look.is_complete and all(
            rows is None or rows <= desk.channel.ring.count(at[0], at[1] + 1) for at, rows in look.claims
        )
        for gap_id in look.gaps & desk.cases.keys():
            case = desk.cases[gap_id]
            # What was read at once may have been read before the cloud had settled.
            case.is_settled = is_settled and not (case.is_ours and case.looks == 0)
            case.due_s = now_s + PAUSES_S[min(case.looks, len(PAUSES_S) - 1)]
            case.looks += has_looked
            for hole, is_whole in look.holes if case.is_settled else ():
                if hole.gap == gap_id and is_whole:
                    desk.channel.gaps.proved_silent(hole.after_ms, hole.before_ms)
            if not case.is_settled:
                continue
            if case.is_traced or all(is_whole for hole, is_whole in look.holes if hole.gap == gap_id):
                desk.channel.gaps.settle(gap_id)
            else:
                case.is_traced = True
                desk.traces.add(gap_id)
        desk.look = None
        desk.rest_until_s = now_s + REST_S

"""All trackers in groups, each under what somebody has to do with them: those that need somebody first."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import partial
from typing import NamedTuple

from gateway.pair.words import is_stopped
from gateway.pairing.report import ConditionReport, PairingReport, PairingsReport
from gateway.terminal.addressing import addressed
from gateway.terminal.layout import plain
from gateway.terminal.wearers import called


class Rank(IntEnum):
    """Whom a group is for, in the order of the list."""

    NEEDS_YOU = 0
    WAITS = 1
    WARNED = 2
    STOPPED = 3
    UNDER_WAY = 4
    IN_ORDER = 5
    UNMANAGED = 6


class Group(NamedTuple):
    """Trackers with which the same is to be done.

    Attributes:
        rank: Whom it is for.
        title: What is to be done.
        trackers: With which.
    """

    rank: Rank
    title: str
    trackers: list[PairingReport]


def grouped(report: PairingsReport, url: str) -> list[Group]:
    """All trackers, what needs somebody first.

    Args:
        report: What is told.
        url: Of the gateway, for what to type.
    """
    headings = _Headings(report.trackers)
    found: dict[_Heading, list[PairingReport]] = {}
    for tracker in report.trackers:
        found.setdefault(headings.of(tracker), []).append(tracker)
    found = _waiting_together(found)
    return [
        Group(heading.rank, addressed(_title(heading, trackers, report.utc_ms), url), trackers)
        for heading, trackers in sorted(found.items(), key=lambda item: item[0].rank)
    ]


def warning(tracker: PairingReport) -> str:
    """What of the sensors of a tracker is not as it should be, in a word or two; empty if nothing."""
    told = (
        _WARNINGS.get(condition.reason, "")
        for condition in tracker.conditions
        if condition.status == "false" and condition.type in _SENSOR
    )
    return next(filter(None, told), "")


class _Heading(NamedTuple):
    rank: Rank
    text: str


_ANY = "TRACKER"
"""Stands in a command for any tracker of a group."""

_APPROVE = _Heading(Rank.NEEDS_YOU, "Type `insiders-gateway pair apply` (shows them and asks)")
_SWITCH = _Heading(Rank.NEEDS_YOU, "Switch it off and on")
_WARNED = _Heading(Rank.WARNED, f"With a warning (`insiders-gateway pair explain {_ANY}`)")
_STOPPED = _Heading(Rank.STOPPED, f"Stopped until `insiders-gateway pair resume {_ANY}`")
_UNDER_WAY = _Heading(Rank.UNDER_WAY, "Under way, wait")
_IN_ORDER = _Heading(Rank.IN_ORDER, "In order")
_UNMANAGED = _Heading(Rank.UNMANAGED, "Not managed by this gateway")
_WAITS_FOR_MANY = _Heading(Rank.WAITS, "Wait for others of this list")

_MOST_WAITS = 2
"""So many others are named that are waited for: more would be a heading for each tracker."""

_TYPE_APPROVAL = "type `insiders-gateway pair apply --approve"
_LET_GO = {"AwaitingRelease", "HeldByOtherCurrent"}
_SENSOR, _MATCHED = {"SensorSeen", "SensorDelivering"}, "SensorMatched"
_WARNINGS = {
    "NoData": "no values",
    "FlatZero": "flat values",
    "InUseElsewhere": "elsewhere?",
    "NeverSeen": "never heard",
    "SeenStale": "not heard",
    "NewAddress": "new address",
    "AmbiguousNeighbours": "two of a name",
}
"""What may be wrong with a sensor that its tracker listens to, in a word or two."""


class _Headings:
    """Finds under which words each of some trackers stands."""

    def __init__(self, trackers: Sequence[PairingReport]) -> None:
        self._trackers = {tracker.serial_number: tracker for tracker in trackers}
        self._names = {plain(serial): called(tracker) for serial, tracker in self._trackers.items()}
        known = sorted(map(re.escape, filter(None, self._names)), key=len, reverse=True)
        self._serial = re.compile(rf"(?<!\w)(?:{'|'.join(known)})(?!\w)") if known else None
        self._switched = {
            waits.other for tracker in trackers if (waits := _let_go(tracker)) and waits.action.startswith("switch")
        }

    def of(self, tracker: PairingReport) -> _Heading:
        """What is to be done; who waits for another tracker stands below what is to be done with that one."""
        last = self._last(tracker)
        theirs = self._due(last)
        if last is tracker:
            return theirs
        if theirs.rank is not Rank.NEEDS_YOU or theirs == _APPROVE:
            return _UNDER_WAY
        how = f"Wait until {called(last)} is switched{theirs.text.removeprefix('Switch it')}"
        return _Heading(Rank.WAITS, how if theirs.text.startswith("Switch it") else f"Wait for {called(last)}")

    def _last(self, tracker: PairingReport) -> PairingReport:
        """At the end of a chain in which each waits for the next one; in a circle, the first that can be switched."""
        passed: set[str] = set()
        while (waits := _let_go(tracker)) and tracker.serial_number not in passed | self._switched:
            passed.add(tracker.serial_number)
            tracker = self._trackers.get(waits.other or "", tracker)
        return tracker

    def _due(self, tracker: PairingReport) -> _Heading:
        """What is to be done with a tracker itself, be it for the sake of another one."""
        own = self._own(tracker)
        is_for_others = own.rank is not Rank.NEEDS_YOU or _let_go(tracker) is not None
        return _SWITCH if tracker.serial_number in self._switched and is_for_others else own

    def _own(self, tracker: PairingReport) -> _Heading:
        action = plain(tracker.action)
        if not action:
            mixed_up = (condition for condition in tracker.conditions if condition.type == _MATCHED)
            action = next((plain(condition.action) for condition in mixed_up if condition.status == "false"), "")
        if action.startswith(_TYPE_APPROVAL):
            return _APPROVE
        is_calm = not action or action.startswith("wait") or tracker.state == "suspended"
        if is_stopped(tracker) and is_calm:
            return _STOPPED
        if action and not action.startswith("wait"):
            told = self._of_any(action, tracker)
            return _Heading(Rank.NEEDS_YOU, f"{told[:1].upper()}{told[1:]}")
        match tracker.state:
            case "in_sync":
                return _WARNED if warning(tracker) else _IN_ORDER
            case "unmanaged":
                return _UNMANAGED
            case _:
                return _UNDER_WAY

    def _of_any(self, action: str, tracker: PairingReport) -> str:
        """What is to be done without saying with which tracker, so that it holds for several.

        Another one is told by who wears it, but in commands by its serial number.
        """
        if self._serial is None:
            return action
        own = plain(tracker.serial_number)
        parts = action.split("`")
        for place, part in enumerate(parts):
            names = {**self._names, own: "it"} if place % 2 == 0 else {own: _ANY}
            parts[place] = self._serial.sub(partial(_renamed, names), part)
        return "`".join(parts)


def _renamed(names: Mapping[str, str], found: re.Match[str]) -> str:
    return names.get(found[0], found[0])


def _let_go(tracker: PairingReport) -> ConditionReport | None:
    """What says that a tracker waits until another one has let a sensor go; None if it does not."""
    told = (
        condition
        for condition in tracker.conditions
        if condition.other is not None
        and condition.reason in _LET_GO
        and condition.status != "true"
        and condition.action == tracker.action
    )
    return next(told, None)


def _waiting_together(found: Mapping[_Heading, list[PairingReport]]) -> dict[_Heading, list[PairingReport]]:
    """Those who wait under one heading where they wait for many: there is one thing to do for all, which is above."""
    waits = [heading for heading in found if heading.rank is Rank.WAITS]
    if len(waits) <= _MOST_WAITS:
        return dict(found)
    others = {heading: trackers for heading, trackers in found.items() if heading.rank is not Rank.WAITS}
    return others | {_WAITS_FOR_MANY: [tracker for heading in waits for tracker in found[heading]]}


def _title(heading: _Heading, trackers: Sequence[PairingReport], now_ms: int) -> str:
    text = heading.text
    if len(trackers) == 1:
        text = text.replace(_ANY, plain(trackers[0].serial_number))
    if text.startswith("Switch it"):
        text += _looked_at(trackers, now_ms)
    return f"{text}:"


def _looked_at(trackers: Iterable[PairingReport], now_ms: int) -> str:
    """When the gateway last looked whether it was done already: it does so again by itself, but not at once."""
    read_ms = [tracker.read_ms for tracker in trackers if tracker.read_ms is not None]
    if not read_ms:
        return ""
    ago_s = max(0, now_ms - min(read_ms)) // 1000
    ago = f"{ago_s} s" if ago_s < 100 else f"{ago_s // 60} min"
    return f" (done already? wait, last looked at {ago} ago)"

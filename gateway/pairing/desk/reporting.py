"""How the trackers stand, from the plan to what is told of it."""

from collections.abc import Iterable, Sequence

from gateway.pairing.approval import Change
from gateway.pairing.desk.permission import Situation
from gateway.pairing.documents import Document, Documents, Sensor, Slot
from gateway.pairing.keeping.chronicle import Dated
from gateway.pairing.keeping.events import Event
from gateway.pairing.naming import Wearer, Wearers
from gateway.pairing.observation import Fleet, Observation
from gateway.pairing.planning.changes import ChangeSet
from gateway.pairing.planning.plan import Plan
from gateway.pairing.planning.sentences import called
from gateway.pairing.report import (
    ChangeReport,
    ChangeSetReport,
    ConditionReport,
    EventReport,
    PairingReport,
    PairingsReport,
    PlanReport,
    SlotReport,
    TeamEntry,
    TeamReport,
)

MAX_EVENTS = 100
"""Events told of one tracker: more nobody reads."""


def report_tracker(
    situation: Situation, seen: Observation, dated: Dated, read_ms: int | None, events: Sequence[Event] = ()
) -> PairingReport:
    """One tracker.

    Args:
        situation: How all of them stand.
        seen: What is known of it.
        dated: Conditions as they were dated last; those that have become different since then are so since now.
        read_ms: When the cloud told its documents, epoch ms; None if it did not yet.
        events: What has happened to it, newest first.
    """
    serial = seen.serial_number
    planned, wearer = situation.plan.trackers[serial], situation.wearers[serial]
    documents = seen.documents or Documents(Document(), Document())
    since = {(it.type, it.slot, it.status, it.reason): since_ms for it, since_ms in dated.get(serial, ())}
    summary = planned.conditions[0]
    return PairingReport(
        serial_number=serial,
        name=wearer.athlete,
        number=wearer.number,
        managed_by=seen.desired.origin if seen.desired.managed else "nobody",
        state=planned.state,
        text=summary.text,
        action=summary.action,
        generation=seen.desired.generation,
        slots=tuple(
            SlotReport(
                slot=slot, desired=seen.desired[slot], target=documents.target[slot], current=documents.current[slot]
            )
            for slot in Slot
        ),
        conditions=tuple(
            ConditionReport(
                type=it.type,
                slot=it.slot,
                status=it.status,
                reason=it.reason,
                text=it.text,
                action=it.action,
                other=it.other,
                since_ms=since.get((it.type, it.slot, it.status, it.reason), situation.fleet.now_ms),
            )
            for it in planned.conditions
        ),
        change_set=planned.change_set,
        read_ms=read_ms,
        events=tuple(_event(event) for event in events[:MAX_EVENTS]),
    )


def report_all(fleet: Fleet, trackers: Iterable[PairingReport]) -> PairingsReport:
    """All trackers."""
    return PairingsReport(
        utc_ms=fleet.now_ms,
        mode=fleet.mode,
        paused_by=paused_by(fleet),
        session_until_ms=fleet.session_until_ms,
        trackers=tuple(trackers),
    )


def paused_by(fleet: Fleet) -> str | None:
    """Who has stopped all changes; None if nobody has."""
    return None if fleet.pause is None else fleet.pause.author or "somebody"


def report_plan(situation: Situation) -> PlanReport:
    """What is to change."""
    plan = situation.plan
    return PlanReport(
        hash=plan.hash,
        session_until_ms=situation.fleet.session_until_ms,
        change_sets=tuple(_change_set(group, plan, situation.wearers) for group in plan.change_sets),
    )


def report_team(fleet: Fleet) -> TeamReport:
    """What is wanted of all trackers."""
    return TeamReport(
        trackers=tuple(
            TeamEntry(
                serial_number=seen.serial_number,
                heart_rate=seen.desired.heart_rate,
                power=seen.desired.power,
                generation=seen.desired.generation,
            )
            for seen in fleet.trackers
        )
    )


def _change_set(group: ChangeSet, plan: Plan, wearers: Wearers) -> ChangeSetReport:
    return ChangeSetReport(
        hash=group.hash,
        why=tuple(group.why),
        is_approved=group.is_approved,
        changes=tuple(_change(change, plan, wearers[change.serial_number]) for change in group.changes),
    )


def _change(change: Change, plan: Plan, wearer: Wearer) -> ChangeReport:
    return ChangeReport(
        serial_number=change.serial_number,
        name=wearer.athlete,
        number=wearer.number,
        slot=change.slot,
        before=change.before,
        after=change.after,
        state=plan.trackers[change.serial_number].state,
        text=_change_text(wearer.athlete or change.serial_number, change.slot, change.before, change.after),
    )


def _change_text(who: str, slot: Slot, before: Sensor | None, after: Sensor | None) -> str:
    if after is None:
        return f"{who} loses {called(before, slot)}"
    instead = "" if before is None else f" instead of {called(before, slot)}"
    if before is not None and (before.address == after.address or called(before, slot) == called(after, slot)):
        instead = " under another name" if before.address == after.address else " with another address"
    return f"{who} gets {called(after, slot)}{instead}"


def _event(event: Event) -> EventReport:
    return EventReport(
        slot=event.slot,
        reason=event.reason,
        text=event.text,
        author=event.author,
        count=event.count,
        first_ms=event.first_ms,
        last_ms=event.last_ms,
    )

"""Approval of what is to change by a person."""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from gateway.pair.following import follow
from gateway.pair.planning import awaiting, group, names_in, planned, to_type
from gateway.pair.source import Source, allowed
from gateway.pair.words import training
from gateway.pairing.documents import Slot, Wanted, Wish
from gateway.pairing.report import ChangeSetReport, PlanReport
from gateway.pairing.requests import ApplyRequest, ImportRequest
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import plain
from gateway.terminal.talk import LEFT, Talk, author

_SHORTEST_HASH = 4
_NOT_APPROVED = "Not approved: nothing of it changes before somebody does."


async def apply(
    url: str,
    talk: Talk,
    *,
    approve: str | None = None,
    is_immediate: bool = False,
    is_during_session: bool = False,
    is_unconfirmed_ok: bool = False,
) -> None:
    """Approve changes: those with a hash, or, after a question in a terminal, all that need somebody.

    Args:
        url: Of the gateway.
        talk: Where to print and ask.
        approve: Hash of a group of changes or of all of them, or the beginning of one.
        is_immediate: Tell the trackers at once, not when they start next.
        is_during_session: Though athletes train.
        is_unconfirmed_ok: Do not wait until a tracker confirms that it has let a sensor go.

    Raises:
        CommandError: If there is no such hash, the gateway refuses, or nobody agrees or can be asked.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    plan = await source.plan()
    request = ApplyRequest(
        approve="",
        author=author(),
        immediate=is_immediate,
        during_session=is_during_session,
        unconfirmed=is_unconfirmed_ok,
    )
    if approve is not None:
        chosen = _full_hash(plan, approve)
        sets = [change_set for change_set in plan.change_sets if chosen in {change_set.hash, plan.hash}]
        await allowed(talk, msgspec.structs.replace(request, approve=chosen), source.apply)
        await _follow(source, talk, sets)
        return
    if not awaiting(plan):
        talk.show(planned(plan, url, datetime.now().astimezone(), talk.width))
        return
    if not talk.is_possible:
        raise CommandError("Say what you approve with --approve and its hash: `insiders-gateway pair plan` shows it.")
    if not await _asked(source, talk, plan, awaiting(plan), request):
        raise CommandError(LEFT)


async def ask_for_approval(
    source: Source,
    talk: Talk,
    plan: PlanReport,
    serial_numbers: Collection[str],
    *,
    is_during_session: bool = False,
) -> None:
    """Show what of a change that was asked for needs somebody, and ask for it in a terminal.

    Args:
        source: The gateway.
        talk: Where to print and ask; where nobody can be asked, the command to approve is printed.
        plan: What is to change.
        serial_numbers: Only what changes any of these trackers.
        is_during_session: Whether it was said that it is meant though athletes train.
    """
    groups = awaiting(plan, serial_numbers)
    request = ApplyRequest(approve="", author=author(), during_session=is_during_session)
    await _asked(source, talk, plan, groups, request)


async def approve_agreed(
    source: Source, talk: Talk, plan: PlanReport, agreed: Mapping[tuple[str, Slot], Wanted], request: ImportRequest
) -> None:
    """Approve the groups that change nothing else than what a person has agreed to before.

    Args:
        source: The gateway.
        talk: Where to ask if athletes have begun to train meanwhile.
        plan: What is to change.
        agreed: To what they have agreed, by serial number and slot.
        request: How they want it.
    """
    approval = ApplyRequest(
        approve="", author=request.author, immediate=request.immediate, during_session=request.during_session
    )
    for change_set in awaiting(plan):
        changes = {(change.serial_number, Slot(change.slot)): change.after for change in change_set.changes}
        if all(where in agreed and agreed[where] == (after or Wish.NONE) for where, after in changes.items()):
            await allowed(talk, msgspec.structs.replace(approval, approve=change_set.hash), source.apply)


async def _asked(
    source: Source, talk: Talk, plan: PlanReport, groups: list[ChangeSetReport], request: ApplyRequest
) -> bool:
    """Show groups of changes, ask for their approval, and follow them; false only if a person does not agree."""
    names = names_in(plan.change_sets)
    for change_set in groups:
        talk.show(group(change_set, names, None if talk.is_possible else source.url, talk.width))
    if not groups or not talk.is_possible:
        return True
    question = "Approve it" if len(groups) == 1 else f"Approve all {len(groups)} of them"
    if plan.session_until_ms is not None and not request.during_session:
        # What is approved is done at once or not at all while athletes train, so this is one question and not two.
        train = training(plan.session_until_ms, datetime.now().astimezone())
        question = f"{train}. {question}, and change it now"
        request = msgspec.structs.replace(request, during_session=True)
    if not await talk.is_agreed(f"{question}?", _NOT_APPROVED):
        about = dict.fromkeys(change.serial_number for one in groups for change in one.changes)
        talk.say(f"{_NOT_APPROVED} To keep what the cloud has:")
        talk.show([to_type(f"adopt {' '.join(about)}", source.url)])
        return False
    for change_set in groups:
        # One by one, because the hash of all changes with each of them that is made.
        await allowed(talk, msgspec.structs.replace(request, approve=change_set.hash), source.apply)
    await _follow(source, talk, groups)
    return True


async def _follow(source: Source, talk: Talk, change_sets: list[ChangeSetReport]) -> None:
    serial_numbers = [change.serial_number for change_set in change_sets for change in change_set.changes]
    await follow(source, talk, list(dict.fromkeys(serial_numbers)))


def _full_hash(plan: PlanReport, typed: str) -> str:
    """The hash that begins as a person has typed it."""
    sought = plain(typed).strip().lower()
    if not plan.change_sets:
        raise CommandError("Nothing is to change, so there is nothing to approve.")
    hashes = list(dict.fromkeys([*(change_set.hash for change_set in plan.change_sets), plan.hash]))
    matches = [known for known in hashes if known.startswith(sought)]
    if sought in hashes:
        return sought
    if len(sought) < _SHORTEST_HASH or len(matches) != 1:
        raise CommandError(
            f"{plain(typed)!r} is not what is to change, or not any more: `insiders-gateway pair plan` shows it."
        )
    return matches[0]

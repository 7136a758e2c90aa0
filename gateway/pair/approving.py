"""Approval of what is to change by a person."""

from collections.abc import Collection
from datetime import datetime

import msgspec

from gateway.pair.following import follow
from gateway.pair.planning import awaiting, group, names_in, planned
from gateway.pair.source import Source, allowed
from gateway.pair.talk import Talk, author
from gateway.pair.words import command
from gateway.pairing.report import ChangeSetReport, PlanReport
from gateway.pairing.requests import ApplyRequest
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import plain

_SHORTEST_HASH = 4


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
        url: Of the gateway's live stream.
        talk: Where to print and ask.
        approve: Hash of a group of changes or of all of them, or the beginning of one.
        is_immediate: Tell the trackers at once, not when they start next.
        is_during_session: Though athletes train.
        is_unconfirmed_ok: Do not wait until a tracker confirms that it has let a sensor go.

    Raises:
        CommandError: If there is no such hash, the gateway refuses, or nobody can be asked.
        StreamError: If nobody answers.
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
        raise CommandError(
            f"Say what you approve with --approve and its hash: `{command('plan', url)}` shows what is to change."
        )
    await ask_for_approval(source, talk, plan, None, request)


async def ask_for_approval(
    source: Source,
    talk: Talk,
    plan: PlanReport,
    serial_numbers: Collection[str] | None,
    request: ApplyRequest | None = None,
) -> None:
    """Show what of a plan needs somebody, ask for it in a terminal, and tell what becomes of it.

    Args:
        source: The gateway.
        talk: Where to print and ask; where nobody can be asked, the command to approve is printed.
        plan: What is to change.
        serial_numbers: Only what changes any of these trackers; None for all.
        request: How to approve.
    """
    request = request or ApplyRequest(approve="", author=author())
    groups = awaiting(plan, serial_numbers)
    names = names_in(plan.change_sets)
    for change_set in groups:
        talk.show(group(change_set, names, source.url, talk.width))
    if not groups or not talk.is_possible:
        return
    question = "Approve it" if len(groups) == 1 else f"Approve all {len(groups)} of them"
    if plan.session_until_ms is not None and not request.during_session:
        # What is approved is done at once or not at all while athletes train, so this is one question and not two.
        question = f"Athletes train. {question}, and do it all the same"
        request = msgspec.structs.replace(request, during_session=True)
    if not await talk.is_agreed(f"{question}?"):
        talk.say("Not approved: nothing of it changes before somebody does.")
        return
    for change_set in groups:
        # One by one, because the hash of all changes with each of them that is made.
        await allowed(talk, msgspec.structs.replace(request, approve=change_set.hash), source.apply)
    await _follow(source, talk, groups)


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

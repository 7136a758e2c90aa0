"""What a person decides about pairings besides sensors: adopt, suspend, resume, retry."""

from collections.abc import Sequence
from enum import StrEnum

from gateway.pair.exchange import as_in_cloud
from gateway.pair.source import Source
from gateway.pair.taking import tell
from gateway.pairing.report import PairingReport, PairingsReport
from gateway.pairing.requests import ImportRequest, PersonRequest, Refusal
from gateway.terminal.addressing import addressed
from gateway.terminal.errors import CommandError, RefusedError
from gateway.terminal.layout import counted
from gateway.terminal.talk import Talk, author
from gateway.terminal.wearers import called, find_tracker


class Verb(StrEnum):
    """What can be decided.

    ADOPT: What the cloud has is what we want.
    SUSPEND: Nothing is written until somebody resumes.
    RESUME: Writing goes on; no other controller is suspected any more.
    RETRY: What was given up, or waits for its next try, is tried at once.
    """

    ADOPT = "adopt"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETRY = "retry"


_ALL_TOLD = {
    Verb.SUSPEND: "Stopped: nothing is written until `insiders-gateway pair resume`, for",
    Verb.RESUME: "Writing goes on, for",
    Verb.RETRY: "What waits for another try is tried at once, for",
}


async def steer(url: str, talk: Talk, verb: Verb, trackers: Sequence[str], *, reason: str = "") -> None:
    """Decide something about some trackers, or about all of them.

    Args:
        url: Of the gateway.
        talk: Where to.
        verb: What.
        trackers: Serial number, athlete or number of each, or a part that only it has; all if none is named.
        reason: Why, for those who read it later.

    Raises:
        CommandError: If there is no such tracker, or the gateway refuses.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    request = PersonRequest(author=author(), reason=reason)
    before = await source.pairings()
    found = [find_tracker(before.trackers, typed) for typed in trackers]
    found = list({tracker.serial_number: tracker for tracker in found}.values())
    if not found:
        if verb is Verb.ADOPT:
            await _adopt_all(source, talk, before, request)
        else:
            report = await source.tell_all(verb, request)
            talk.say(addressed(f"{_ALL_TOLD[verb]} {counted(len(report.trackers), 'tracker')}.", url))
        return
    if verb is Verb.ADOPT and len(found) > 1:
        # At once, because two that were to exchange their sensors can only take that back together.
        await source.import_(
            ImportRequest(trackers=tuple(map(as_in_cloud, _read(found))), author=request.author, reason=reason)
        )
    else:
        for tracker in found:
            await source.tell(verb, tracker.serial_number, request)
    if verb is Verb.SUSPEND:
        for tracker in found:
            resume = f"`insiders-gateway pair resume {tracker.serial_number}`"
            talk.say(addressed(f"{called(tracker)}: stopped. Nothing is written until {resume}.", url))
        return
    await tell(source, talk, [tracker.serial_number for tracker in found])


async def _adopt_all(source: Source, talk: Talk, before: PairingsReport, request: PersonRequest) -> None:
    """Adopt whatever can be, and say of how many trackers that was nothing, and why."""
    try:
        after = await source.tell_all(Verb.ADOPT, request)
    except RefusedError as refused:
        others = _not_adopted(before)
        if refused.code != Refusal.NOTHING_TO_DO or not others:
            raise
        raise CommandError(f"Nothing was adopted. {' '.join(others)}") from None
    known = {tracker.serial_number: tracker.generation for tracker in before.trackers}
    count = sum(tracker.generation != known.get(tracker.serial_number) for tracker in after.trackers)
    talk.say(f"Adopted: {counted(count, 'tracker')}.", "bold")
    for sentence in _not_adopted(after):
        talk.say(sentence)


def _not_adopted(report: PairingsReport) -> list[str]:
    """Why some of the trackers are not wanted as the cloud has them."""
    unread = sum(tracker.read_ms is None for tracker in report.trackers)
    kept = sum(tracker.managed_by == "file" for tracker in report.trackers)
    others = sum(tracker.change_set is not None and tracker.managed_by == "field" for tracker in report.trackers)
    told = [
        (unread, f"Not read from the cloud yet: {unread}: wait, then type it again."),
        (kept, f"Left to config.toml: {kept}."),
        (others, f"To be changed otherwise, and left so: {others}. Name them, together, to keep what the cloud has."),
    ]
    return [sentence for number, sentence in told if number]


def _read(trackers: Sequence[PairingReport]) -> Sequence[PairingReport]:
    """These, of which all has to be known."""
    unread = next((tracker for tracker in trackers if tracker.read_ms is None), None)
    if unread is not None:
        raise CommandError(f"{called(unread)} was not read from the cloud yet: wait, then type it again.")
    return trackers

"""What a person decides about pairings besides sensors: adopt, suspend, resume, retry."""

from enum import StrEnum

from gateway.pair.choosing import find_tracker
from gateway.pair.source import Source
from gateway.pair.taking import tell
from gateway.pair.talk import Talk, author
from gateway.pairing.requests import PersonRequest
from gateway.terminal.layout import counted


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
    Verb.ADOPT: "What the cloud has is what is wanted from now on, of",
    Verb.SUSPEND: "Nothing is written until somebody resumes, for",
    Verb.RESUME: "Writing goes on, for",
    Verb.RETRY: "What waits for another try is tried at once, for",
}


async def steer(url: str, talk: Talk, verb: Verb, tracker: str | None, *, reason: str = "") -> None:
    """Decide something about one tracker, or about all of them.

    Args:
        url: Of the gateway's live stream.
        talk: Where to.
        verb: What.
        tracker: Serial number, athlete or number, or a part that only it has; None for all.
        reason: Why, for those who read it later.

    Raises:
        CommandError: If there is no such tracker, or the gateway refuses.
        StreamError: If nobody answers.
    """
    source = Source(url)
    request = PersonRequest(author=author(), reason=reason)
    if tracker is None:
        report = await source.tell_all(verb, request)
        talk.say(f"{_ALL_TOLD[verb]} {counted(len(report.trackers), 'tracker')}.")
        return
    found = find_tracker((await source.pairings()).trackers, tracker)
    await source.tell(verb, found.serial_number, request)
    await tell(source, talk, [found.serial_number])

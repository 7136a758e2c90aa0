"""How a recording stands and what to do next, in words for a technician: one sentence and one clause for each case.

Both are told over HTTP, in the terminal and on the page, so they name no command and no button of any one of them; the
verbs are those of all three: assign, retry, discard.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gateway.uploads.recording import WITHOUT_FILE, Recording, State
from gateway.uploads.transitions import ASSIGNABLE, DISCARDABLE, MAX_TRIES, RETRIABLE

LONG_MS = 24 * 3_600_000
"""The cloud's work on a recording, or its way there, should not take longer; if it does, a person has to know."""

_BRING_IT_AGAIN = "bring the original in once more, or discard it if that is gone"
_WAIT = "nothing has to be done; retry sends it at once, and the cloud may then have it twice"
_ASKED = "so the gateway asks, and sends it again if it is not there"
_SENT_AGAIN = "so it is sent again after an hour, and marked as maybe twice"
_NO_MAGIC = '"ASI V2" is missing where it stands in other recordings: it may be damaged, or of another kind'
_SENTENCE_ENDS = " .!,;:"

_ACTIONS: Mapping[State, str] = {
    State.UNASSIGNED: "assign it",
    State.QUESTIONED: "assign it to the tracker that it comes from; to the same one if that is right",
    State.AMBIGUOUS: _WAIT,
    State.FAILED: "ask the vendor about it, then retry or discard it",
    State.QUARANTINED: "look whether it is the right file, ask the vendor about it, then retry or discard it",
    State.CORRUPT: _BRING_IT_AGAIN,
    State.MISSING: _BRING_IT_AGAIN,
}
"""What to do next where the state says it."""


class Standing(NamedTuple):
    """How a recording stands.

    Attributes:
        text: One sentence without full stop.
        action: What to do next, one clause; "" if nothing is to be done.
    """

    text: str
    action: str


def standing(
    recording: Recording, now_ms: int, *, is_lookup: bool = False, hindrance: Standing | None = None
) -> Standing:
    """How a recording stands.

    Args:
        recording: Any.
        now_ms: The wall clock, epoch ms.
        is_lookup: Whether the cloud can be asked which recordings it has.
        hindrance: Clauses that say what keeps it from being sent, looked up or followed, beside its turn, and what to
            do about that; None if nothing does.
    """
    told = Standing(_text(recording, now_ms, is_lookup=is_lookup), _action(recording, now_ms))
    told = _hindered(told, recording, now_ms, hindrance)
    if not recording.remark:
        return told
    return Standing(f"{told.text}; {recording.remark}", told.action or "look in the cloud whether its tracker is right")


def is_overdue(recording: Recording, now_ms: int) -> bool:
    """Whether a recording for which nobody has to do anything has been under way for too long."""
    match recording.state:
        case State.QUEUED | State.SENDING | State.CLOSING | State.AMBIGUOUS:
            return now_ms - recording.taken_ms > LONG_MS
        case State.ACCEPTED:
            return now_ms - recording.changed_ms > LONG_MS
        case _:
            return False


def deeds(recording: Recording) -> tuple[str, ...]:
    """What a person may ask of it now."""
    possible = {
        "assign": recording.state in ASSIGNABLE,
        "retry": recording.state in RETRIABLE and recording.serial_number is not None,
        "discard": recording.state in DISCARDABLE,
    }
    return tuple(deed for deed, is_possible in possible.items() if is_possible)


def warnings(recording: Recording) -> tuple[str, ...]:
    """What is odd about it and keeps nobody from anything: sentences without full stop."""
    return (_NO_MAGIC,) if recording.lacks_magic_v2 else ()


def is_only_copy(recording: Recording) -> bool:
    """Whether the cloud has not said that it has it; a source that could not be removed may be there, unknown to us."""
    return recording.state not in WITHOUT_FILE and recording.state is not State.DONE


def deletes_ms(recording: Recording, keep_days: int) -> int | None:
    """When its file is deleted by itself, epoch ms; None if that is not to happen."""
    return recording.changed_ms + keep_days * LONG_MS if recording.state is State.DONE else None


def _hindered(told: Standing, recording: Recording, now_ms: int, hindrance: Standing | None) -> Standing:
    if hindrance is None:
        return told
    match recording.state:
        case State.QUEUED:
            return Standing(f"It waits: {hindrance.text}", hindrance.action)
        case State.ACCEPTED if not is_overdue(recording, now_ms):
            taken = f"The cloud has taken it{_twice(recording)} and cannot be asked how far its work is"
            return Standing(f"{taken}: {hindrance.text}", hindrance.action or told.action)
        case State.AMBIGUOUS | State.ACCEPTED:
            return Standing(f"{told.text}; {hindrance.text}", hindrance.action or told.action)
        case _:
            return told


def _text(recording: Recording, now_ms: int, *, is_lookup: bool) -> str:
    why = _why(recording)
    match recording.state:
        case State.UNASSIGNED:
            unknown = _sentence(recording.question) or "Nobody has said which tracker it comes from"
            return f"{unknown}{_perhaps(recording)}"
        case State.QUESTIONED:
            return f"Is it from tracker {recording.serial_number}? {_sentence(recording.question)}"
        case State.QUEUED:
            return _waiting(recording)
        case State.SENDING:
            return "It is on its way into the cloud"
        case State.CLOSING:
            return "All of it has been sent, and the cloud's answer is awaited"
        case State.AMBIGUOUS:
            return f"The cloud's answer was lost{_because(why)}; it may have it, {_ASKED if is_lookup else _SENT_AGAIN}"
        case State.ACCEPTED:
            return _working(recording, now_ms)
        case State.DONE:
            return f"The cloud has it{_twice(recording)} and has finished its work"
        case State.PURGED:
            return f"The cloud has it{_twice(recording)}; the copy here was deleted"
        case State.FAILED:
            return f"The cloud could not work with it: {why or 'it gave no reason'}"
        case State.QUARANTINED if recording.tries >= MAX_TRIES:
            return f"It was sent {recording.tries} times without a clear answer{_because(why)}{_perhaps(recording)}"
        case State.QUARANTINED:
            return f"The cloud does not take it: {why or 'it gave no reason'}{_perhaps(recording)}"
        case State.CORRUPT:
            return f"The file here is not what was taken over{_because(why)}{_perhaps(recording)}"
        case State.MISSING:
            return f"The file is not in the gateway any more, and nobody has deleted it here{_perhaps(recording)}"
        case State.DISCARDED:
            return f"{recording.author or 'Somebody'} has deleted it here"


def _action(recording: Recording, now_ms: int) -> str:
    match recording.state:
        case State.ACCEPTED if is_overdue(recording, now_ms):
            return f"ask the vendor about job {recording.job_id}; retry sends it once more"
        case State.DONE if recording.maybe_duplicate:
            return "look in the cloud whether it is there twice, and delete one there"
        case State.QUARANTINED if recording.may_be_in_cloud:
            return "look in the cloud whether it is there: discard it if it is, retry if it is not"
        case state:
            return _ACTIONS.get(state, "")


def _waiting(recording: Recording) -> str:
    if why := _why(recording):
        return f"It waits to be sent anew: {why}{_perhaps(recording)}"
    return f"It waits for its turn{_perhaps(recording)}"


def _working(recording: Recording, now_ms: int) -> str:
    if is_overdue(recording, now_ms):
        days = (now_ms - recording.changed_ms) // LONG_MS
        since = "a day" if days == 1 else f"{days} days"
        return f"The cloud has taken it{_twice(recording)}, and for {since} has not said that its work is finished"
    return f"The cloud has it{_twice(recording)} and works on it"


def _twice(recording: Recording) -> str:
    return ", maybe twice," if recording.maybe_duplicate else ""


def _perhaps(recording: Recording) -> str:
    return "; the cloud may have it" if recording.may_be_in_cloud else ""


def _why(recording: Recording) -> str:
    """As a part of a sentence: some of it was said by the cloud."""
    return recording.error.rstrip(_SENTENCE_ENDS)


def _because(error: str) -> str:
    return f" ({error})" if error else ""


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:]

"""What the end of an attempt means for the recording that was sent, and for those that wait. Pure.

Two things decide: what has come back, and whether the end of the body may have left. A body without its end is no JSON,
so without it nothing was uploaded, whatever came back.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import islice

from gateway.cloud.errors import (
    CloudError,
    Forbidden,
    LoginRefused,
    NetworkLoginNeeded,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    TlsFailed,
    Unauthorized,
    Unreachable,
)
from gateway.uploads.recording import Recording
from gateway.uploads.transitions import postponed, refused, unanswered

OPERATION = "load_asi"

HOUR_S = 3600.0

OF_ANOTHER = "the cloud names its work on another recording"

MAX_REASON = 200
"""Characters of the cloud's own words that are kept."""

_DECLINED: Mapping[int, str] = {
    400: "it cannot be read there",
    413: "it is too large",
    415: "it is not of a kind that is taken",
    422: "something is wrong with it",
}
"""Statuses that the same file will get again, and what each says."""

_NOT_WAITED = {408, 425}
"""Statuses that say that not all of it has come, and nothing about what has."""

_NO_REFUSAL: Mapping[int, str] = {
    408: "the cloud did not wait for all of it",
    409: "it conflicts with something there",
    425: "it came too early",
    499: "somebody in between did not wait for the cloud",
}
"""Statuses that somebody may get whose recording was taken, once all of that has left, and what each says."""

_BAD_GATEWAY = {502, 504}
"""Somebody in between has lost the cloud."""


class Verdict(Enum):
    """What has become of the recording."""

    POSTPONED = auto()
    """It was certainly not taken, and that says nothing about the file."""

    DOUBTED = auto()
    """It was declined, and may be taken another time."""

    DECLINED = auto()
    """It was declined, and always will be."""

    UNANSWERED = auto()
    """It may have been taken."""


class Wait(Enum):
    """Until when the recording is not sent again."""

    NOTHING = auto()
    """It has its turn as soon as anybody has."""

    AGAIN = auto()
    """Growing with every time that it does not get through."""

    REFUSAL = auto()
    """Growing with its tries."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt has ended that brought no job.

    Attributes:
        verdict: For the recording.
        code: Why, for programs.
        text: Why, as a clause for people.
        action: What a person may do about it; "" if it is only a matter of time.
        wait: For the recording.
        is_for_all: Whether the others would meet the same.
        pause_s: How long nobody is to try then; None if that only grows with every time.
        is_ours_in_doubt: Whether the tracker may be another account's.
        is_wrong_setting: Whether it lasts until somebody corrects a setting.
        is_cut: Whether it was broken off in the middle.
    """

    verdict: Verdict
    code: str
    text: str
    action: str = ""
    wait: Wait = Wait.AGAIN
    is_for_all: bool = False
    pause_s: float | None = None
    is_ours_in_doubt: bool = False
    is_wrong_setting: bool = False
    is_cut: bool = False

    def applied(self, known: Recording, at_ms: int) -> Recording:
        """The recording that was under way, after it."""
        match self.verdict:
            case Verdict.POSTPONED:
                return postponed(known, self.code, self.text, at_ms)
            case Verdict.UNANSWERED:
                return unanswered(known, self.code, self.text, at_ms)
            case verdict:
                return refused(known, self.code, self.text, at_ms, is_final=verdict is Verdict.DECLINED)


def outcome_of(error: CloudError, *, has_begun: bool, has_ended: bool) -> Outcome:
    """How an upload has ended.

    Args:
        error: What came back instead of a job.
        has_begun: Whether anything of the body may have left.
        has_ended: Whether its end may have left.
    """
    if error.operation != OPERATION:  # no token: nothing was sent
        return _for_all(error)
    match error:
        case Unreachable() if not has_begun:
            return _for_all(error)
        case Throttled():
            return _for_all(error, pause_s=error.retry_after_s)
        case NetworkLoginNeeded() if has_ended:  # anybody's, or a proxy's of the cloud
            found = f"a redirect to {error.host}" if error.host else "a web page"
            text = f"{found} came instead of an answer"
            return Outcome(Verdict.UNANSWERED, error.code, text, error.action, Wait.REFUSAL, is_for_all=True)
        case TlsFailed() if has_ended:
            return Outcome(
                Verdict.UNANSWERED, error.code, clause(error.text), error.action, Wait.REFUSAL, is_for_all=True
            )
        case Unauthorized() | LoginRefused() | NetworkLoginNeeded() | TlsFailed():
            return _for_all(error)
        case NotFound() if error.is_path_unknown:
            return replace(_for_all(error, pause_s=HOUR_S), is_wrong_setting=True)
        case Rejected(status=405):
            text = "the cloud takes no uploads where they are sent to (status 405)"
            action = f"correct {OPERATION} in [cloud.paths]"
            told = Outcome(Verdict.POSTPONED, error.code, text, action, Wait.NOTHING, is_for_all=True, pause_s=HOUR_S)
            return replace(told, is_wrong_setting=True)
        case Forbidden() | NotFound():
            text = f"the cloud says that its tracker is not ours{said(error)}"
            action = "check that this account owns the tracker"
            return Outcome(Verdict.POSTPONED, error.code, text, action, is_ours_in_doubt=True)
        case Rejected() if has_ended and error.status in _NO_REFUSAL:
            return Outcome(Verdict.UNANSWERED, error.code, _declined(error).text, wait=Wait.REFUSAL)
        case Rejected() if error.status in _NOT_WAITED:
            return Outcome(
                Verdict.POSTPONED, error.code, _declined(error).text, "send it over a better line", is_cut=True
            )
        case Rejected():
            return _declined(error)
        case _ if has_ended and not (isinstance(error, ServerFailed) and error.status == 503):
            return Outcome(
                Verdict.UNANSWERED, error.code, reason_of(error), error.action, Wait.REFUSAL, is_for_all=True
            )
        case ServerFailed() if error.status != 503 and error.status not in _BAD_GATEWAY:
            return Outcome(Verdict.DOUBTED, error.code, reason_of(error), wait=Wait.REFUSAL, is_for_all=True)
        case _:
            is_cut = isinstance(error, Unreachable)
            return Outcome(
                Verdict.POSTPONED, error.code, reason_of(error), error.action, is_for_all=True, is_cut=is_cut
            )


def is_about_all(error: CloudError) -> bool:
    """Whether an error that came back to a question would have come to any other as well."""
    kinds = (Unreachable, TlsFailed, NetworkLoginNeeded, LoginRefused, Unauthorized, Throttled)
    return isinstance(error, kinds) or error.operation == "token"


def reason_of(error: CloudError) -> str:
    """Why, as a clause."""
    match error:
        case Unreachable():
            return error.reason.value
        case ServerFailed():
            return f"the cloud failed with status {error.status}{said(error)}"
        case _:
            return clause(error.text) + said(error)


def clause(sentence: str) -> str:
    """A sentence as a part of another one."""
    return sentence[:1].lower() + sentence[1:]


def said(error: CloudError) -> str:
    """The cloud's own words, in brackets; "" if it has none."""
    return f' (it says "{error.server_text}")' if error.server_text else ""


def is_of_another(job_id: str, sha256: str, known: Iterable[Recording]) -> bool:
    """Whether a job is known as the cloud's work on another recording than this one: then it is not that on this."""
    return any(it.job_id == job_id and it.sha256 != sha256 for it in known)


def words_of(details: object) -> str:
    """What the cloud says about work that has failed: whatever form it has, bounded and printable."""
    found = "; ".join(filter(None, map(_cleaned, _texts(details))))
    return found if len(found) <= MAX_REASON else found[: MAX_REASON - 1] + "…"


_MAX_TEXTS = 100
"""Values that are looked at, of however many."""


def _texts(details: object) -> Iterator[str]:
    """Every value, from the outside inwards."""
    waiting = deque([details])
    for _ in range(_MAX_TEXTS):
        if not waiting:
            return
        match waiting.popleft():
            case None:
                pass
            case dict() as document:
                waiting.extend(islice(document.values(), _MAX_TEXTS))
            case list() as items:
                waiting.extend(islice(items, _MAX_TEXTS))
            case value:
                yield str(value)


def _cleaned(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * MAX_REASON]).split())


def _for_all(error: CloudError, pause_s: float | None = None) -> Outcome:
    return Outcome(
        Verdict.POSTPONED,
        error.code,
        clause(error.text),
        error.action,
        Wait.NOTHING,
        is_for_all=True,
        pause_s=pause_s,
    )


def _declined(error: Rejected) -> Outcome:
    words = {**_DECLINED, **_NO_REFUSAL}.get(error.status, "it was declined")
    text = f"{words}, status {error.status}{said(error)}"
    if error.status in _DECLINED:
        return Outcome(Verdict.DECLINED, error.code, text)
    return Outcome(Verdict.DOUBTED, error.code, text, wait=Wait.REFUSAL)

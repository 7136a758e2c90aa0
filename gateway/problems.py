"""What is wrong now: code, sentence, next action, since when; a problem leaves when its cause does."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong and that a person may have to act on.

    Attributes:
        code: Stable identifier for programs, ``tracker_foreign``.
        subject: What it is about, for example a serial number; empty for the gateway as a whole.
        text: One sentence: what is wrong.
        action: One sentence: what to do next.
        since_ms: When it was first reported, epoch milliseconds.
    """

    code: str
    subject: str
    text: str
    action: str
    since_ms: int


class Problems:
    """The problems of this moment, oldest first; iterating gives a snapshot.

    There is at most one problem for a code and a subject. All of it reaches the log, so it carries nothing that may not
    stand there: no name of a person, no secret, no position.

    Attributes:
        revision: Grows with every visible change, so that a reader compares a number instead of owning a queue.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.revision = 0
        self._now_ms = now_ms
        self._current: dict[tuple[str, str], Problem] = {}

    def __iter__(self) -> Iterator[Problem]:
        return iter(tuple(self._current.values()))

    def __len__(self) -> int:
        return len(self._current)

    def report(self, code: str, text: str, action: str, subject: str = "") -> None:
        """Say that something is wrong; saying it again changes its words at most, never its beginning."""
        known = self._current.get((code, subject))
        if known is None:
            problem = Problem(code, subject, text, action, self._now_ms())
        else:
            problem = replace(known, text=text, action=action)
        if problem != known:
            self._current[code, subject] = problem
            self.revision += 1
            level = logging.DEBUG if known else logging.WARNING
            _log.log(
                level,
                "%(problem)s: %(text)s: %(action)s",
                {"problem": _label(code, subject), "text": text, "action": action},
            )

    def resolve(self, code: str, subject: str = "") -> None:
        """Say that it is right again; no matter if it never was wrong."""
        if self._current.pop((code, subject), None):
            self.revision += 1
            _log.info("%(problem)s: resolved", {"problem": _label(code, subject)})


def _label(code: str, subject: str) -> str:
    return f"{code} [{subject}]" if subject else code

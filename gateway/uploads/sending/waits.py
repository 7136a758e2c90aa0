"""What of the queue has to wait, and for how long: what stands in everybody's way, and what in that of one. Pure."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gateway.uploads.sending.outcome import Outcome, Wait
from gateway.uploads.sending.patience import MAX_CUTS, Line, after_cut_s, after_refusal_s, again_s
from gateway.uploads.standing import Standing

_CUT_ACTION = "send it over a better line, or find out whether something on the way to the cloud limits uploads"


@dataclass(frozen=True, slots=True)
class _Backoff:
    """One that did not get through.

    Attributes:
        failures: How often in a row.
        next_s: When it is its turn again, monotonic seconds.
        cuts: How often it was broken off in the middle, without having left whole in between.
        trouble: What is in its own way; None if that is not known.
    """

    failures: int = 0
    next_s: float = -math.inf
    cuts: int = 0
    trouble: Standing | None = None


_NONE = _Backoff()


class Waits:
    """Of all recordings that are queued; every method is told the monotonic time.

    Attributes:
        wrong_setting: What somebody has to set right before anything can be sent, as clauses; None if nothing is known.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self.wrong_setting: Standing | None = None
        self._jitter = jitter
        self._line = Line()
        self._backoffs: dict[str, _Backoff] = {}

    def line_s(self, now_s: float) -> float:
        """Until anything may be sent."""
        return self._line.wait_s(now_s)

    def left_s(self, sha256: str, now_s: float) -> float:
        """Until this one may be sent, as far as that is its own matter."""
        return max(0.0, self._backoff(sha256).next_s - now_s)

    def failures(self, sha256: str) -> int:
        """How often in a row this one did not get through, since the start."""
        return self._backoff(sha256).failures

    def trouble(self, sha256: str, now_s: float) -> Standing | None:
        """Why this one may not be sent; None if it may, or waits for its turn."""
        own = self._backoff(sha256).trouble if self.left_s(sha256, now_s) > 0 else None
        return own or (self._line.trouble if self._line.wait_s(now_s) > 0 else None)

    def got_through(self, sha256: str) -> None:
        """The cloud has taken it, or there is nothing more to send."""
        self._line = Line()
        self.wrong_setting = None
        self._backoffs.pop(sha256, None)

    def ended(self, sha256: str, outcome: Outcome, tries: int, now_s: float) -> None:
        """An attempt has ended otherwise.

        Args:
            sha256: Of the recording.
            outcome: How.
            tries: How often it was sent and not clearly taken.
            now_s: When.
        """
        trouble = Standing(outcome.text, outcome.action)
        self.wrong_setting = trouble if outcome.is_wrong_setting else None
        if outcome.pause_s is not None:
            self._line = self._line.held(trouble, now_s, outcome.pause_s)
        elif outcome.is_for_all:
            self.fail_line(trouble, now_s)
        else:
            self._line = Line()
        match outcome.wait:
            case Wait.AGAIN if outcome.is_cut:
                self._cut(sha256, now_s)
            case Wait.AGAIN:
                self.postpone(sha256, now_s)
            case Wait.REFUSAL:
                failures = self.failures(sha256) + 1
                self._backoffs[sha256] = _Backoff(failures, now_s + after_refusal_s(max(tries, 1)))
            case Wait.NOTHING:
                pass

    def postpone(self, sha256: str, now_s: float, trouble: Standing | None = None) -> None:
        """Let the others go first for a while, longer with every time, because of what is in its own way."""
        before = self._backoff(sha256)
        failures = before.failures + 1
        next_s = now_s + again_s(failures, self._jitter())
        self._backoffs[sha256] = _Backoff(failures, next_s, before.cuts, trouble)

    def fail_line(self, trouble: Standing, now_s: float) -> None:
        """Something that concerns everybody did not work."""
        self._line = self._line.failed(trouble, now_s, self._jitter())

    def hurry(self, sha256: str, now_s: float) -> None:
        """A person does not want to wait for this one."""
        self._backoffs.pop(sha256, None)
        self._line = self._line.impatient(now_s)

    def keep(self, pending: Collection[str]) -> None:
        """Forget all others."""
        if not pending:
            self.wrong_setting = None
        self._backoffs = {sha256: backoff for sha256, backoff in self._backoffs.items() if sha256 in pending}

    def _cut(self, sha256: str, now_s: float) -> None:
        before = self._backoff(sha256)
        cuts = before.cuts + 1
        trouble = Standing(f"it was cut off in the middle {cuts} times in a row", _CUT_ACTION)
        self._backoffs[sha256] = _Backoff(
            before.failures + 1,
            now_s + after_cut_s(cuts, self._jitter()),
            cuts,
            trouble if cuts >= MAX_CUTS else None,
        )

    def _backoff(self, sha256: str) -> _Backoff:
        return self._backoffs.get(sha256, _NONE)

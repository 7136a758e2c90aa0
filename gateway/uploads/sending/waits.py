"""What of the queue has to wait, and for how long: what stands in everybody's way, and what in that of one. Pure."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from gateway.uploads.sending.outcome import Outcome, Wait
from gateway.uploads.sending.patience import Line, after_refusal_s, again_s
from gateway.uploads.standing import Standing


@dataclass(frozen=True, slots=True)
class _Backoff:
    """One that did not get through: how often in a row, and when it is its turn again, monotonic seconds."""

    failures: int
    next_s: float


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
        backoff = self._backoffs.get(sha256)
        return 0.0 if backoff is None else max(0.0, backoff.next_s - now_s)

    def trouble(self, now_s: float) -> Standing | None:
        """Why nothing may be sent; None if it may."""
        return self._line.trouble if self._line.wait_s(now_s) > 0 else None

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
            case Wait.AGAIN:
                self.postpone(sha256, now_s)
            case Wait.REFUSAL:
                self._backoffs[sha256] = _Backoff(self._failures(sha256), now_s + after_refusal_s(max(tries, 1)))
            case Wait.NOTHING:
                pass

    def postpone(self, sha256: str, now_s: float) -> None:
        """Let the others go first for a while, longer with every time."""
        failures = self._failures(sha256)
        self._backoffs[sha256] = _Backoff(failures, now_s + again_s(failures, self._jitter()))

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

    def _failures(self, sha256: str) -> int:
        before = self._backoffs.get(sha256)
        return 1 if before is None else before.failures + 1

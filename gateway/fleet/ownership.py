"""Keeps the roster's trackers ours while the gateway runs, and says what stands in the way."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from gateway.cloud.errors import CloudError
from gateway.cloud.retry import backoff_s
from gateway.fleet.claim import Claim, ClaimStatus, Ownerships, claim
from gateway.fleet.roster import Tracker

RECHECK_S = 300.0
"""Somebody may take a tracker over at any time; five minutes cost one request and are shorter than a warm-up."""

RETRY_BASE_S, RETRY_CAP_S = 2.0, 10.0
"""Without the list of devices there is no live data at all, so a network that comes back is to be noticed soon."""

DOUBT_BASE_S, DOUBT_CAP_S = 2.0, 60.0
"""Pause before a look that somebody asked for, doubled with every one that found nothing new: a cloud that lists a
tracker as ours and refuses its data all the same is not asked at full speed for ever."""

_TICK_S = 0.001
"""A timer may fire a clock tick early: what it was set for counts as reached, or the loop would spin until it is."""

UNCHECKED = "trackers_unchecked"
CODES = {
    ClaimStatus.FOREIGN: "tracker_foreign",
    ClaimStatus.UNKNOWN: "tracker_unknown",
    ClaimStatus.NAME_MISSING: "tracker_name_missing",
    ClaimStatus.REFUSED: "tracker_refused",
    ClaimStatus.PENDING: "tracker_pending",
}
"""Problem code of each status that is a problem."""


class Problems(Protocol):
    """Where people are told."""

    def report(self, code: str, text: str, action: str, subject: str = "") -> None:
        """Say that something is wrong."""

    def resolve(self, code: str, subject: str = "") -> None:
        """Say that it is right again."""


class Claims:
    """Claims every tracker of the roster, at the start, when the roster changes, and again from time to time.

    Attributes:
        revision: Grows with every change of what `current` gives, and with every look that `recheck` asked for; 0
            before the first look at the cloud.
    """

    def __init__(
        self,
        cloud: Ownerships,
        problems: Problems,
        trackers: Sequence[Tracker],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.revision = 0
        self._cloud = cloud
        self._problems = problems
        self._jitter = jitter
        self._trackers = tuple(trackers)
        self._claims = tuple(_unchecked(tracker) for tracker in trackers)
        self._reported: dict[str, str] = {}
        self._roster_is_new = False
        self._is_doubted = False
        self._vain_doubts = 0
        self._woken = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def current(self) -> tuple[Claim, ...]:
        """Where each tracker stands, in the order of the roster."""
        return self._claims

    def set_roster(self, trackers: Sequence[Tracker]) -> None:
        """Replace the roster; what is new in it is claimed at once, what left it is forgotten but not released.

        For rosters that change while the gateway runs; that of the configuration file does not.
        """
        known = {found.tracker.serial_number: found for found in self._claims}
        self._trackers = tuple(trackers)
        self._announce(tuple(replace(known.get(t.serial_number, _unchecked(t)), tracker=t) for t in trackers))
        self._roster_is_new = True
        self._woken.set()

    def recheck(self) -> None:
        """Look at the cloud soon: somebody was refused a tracker's data, for example."""
        self._is_doubted = True
        self._woken.set()

    async def changed(self, since: int) -> int:
        """Wait until `revision` is another than ``since``, and give it."""
        while self.revision == since:
            await self._changed.wait()
        return self.revision

    async def run(self) -> None:
        """Check for ever; ends by cancellation."""
        failures = 0
        while True:
            self._roster_is_new = False
            failures = 0 if await self.check() else failures + 1
            retry_s = backoff_s(failures, self._jitter(), RETRY_BASE_S, RETRY_CAP_S)
            await self._pause(retry_s if failures else RECHECK_S)

    async def check(self) -> bool:
        """Look at the cloud once, and claim what is missing; whether it answered for every tracker."""
        trackers = self._trackers
        try:
            claims = tuple(await claim(self._cloud, trackers))
        except CloudError as error:
            # What we knew stays: not being able to ask takes no tracker away.
            self._problems.report(UNCHECKED, error.text, error.action)
            return False
        self._problems.resolve(UNCHECKED)
        if trackers is not self._trackers:
            return False  # the roster changed meanwhile: this was about another one
        is_news = claims != self._claims
        self._vain_doubts = self._vain_doubts + 1 if self._is_doubted and not is_news else 0
        if is_news or self._is_doubted or not self.revision:
            self._is_doubted = False
            self._announce(claims)
        self._tell(claims)
        return all(found.status.is_final for found in claims)

    def _announce(self, claims: tuple[Claim, ...]) -> None:
        self._claims = claims
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def _pause(self, pause_s: float) -> None:
        """Wait, less long if a doubt is raised, and no longer once the roster changes."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not self._roster_is_new:
            self._woken.clear()
            doubt_s = min(DOUBT_CAP_S, DOUBT_BASE_S * 2.0 ** min(self._vain_doubts, 16))
            left_s = start + (min(pause_s, doubt_s) if self._is_doubted else pause_s) - loop.time()
            if left_s <= _TICK_S:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._woken.wait()

    def _tell(self, claims: Sequence[Claim]) -> None:
        wrong = {found.tracker.serial_number: found for found in claims if found.status in CODES}
        for serial_number, code in self._reported.items():
            if serial_number not in wrong or CODES[wrong[serial_number].status] != code:
                self._problems.resolve(code, serial_number)
        for serial_number, found in wrong.items():
            self._problems.report(CODES[found.status], found.text, found.action, serial_number)
        self._reported = {serial_number: CODES[found.status] for serial_number, found in wrong.items()}


def _unchecked(tracker: Tracker) -> Claim:
    return Claim(tracker, ClaimStatus.PENDING)

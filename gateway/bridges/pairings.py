"""The pairings, as the live server sees them."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.live.requests import ErrorCode, RequestError, parse_body
from gateway.live.routes.authors import signed
from gateway.pairing.desk.pairings import Pairings
from gateway.pairing.report import PairingReport, PairingsReport, PlanReport, TeamReport
from gateway.pairing.requests import ApplyRequest, ImportRequest, PairingRefused, PersonRequest, SetRequest


class ServedPairings:
    """The pairings, as the live server sees them: `gateway.live.source.PairingsView`."""

    def __init__(self, pairings: Pairings) -> None:
        self._pairings = pairings
        self._actions = {
            "adopt": pairings.adopt,
            "suspend": pairings.suspend,
            "resume": pairings.resume,
            "retry": pairings.retry,
        }

    def report(self) -> PairingsReport:
        """How each tracker stands."""
        return self._pairings.report()

    def plan(self) -> PlanReport:
        """What is to change."""
        return self._pairings.plan()

    def team(self) -> TeamReport:
        """What is wanted of all trackers."""
        return self._pairings.team()

    async def explain(self, serial_number: str) -> PairingReport:
        """How one tracker stands, and what has happened to it; raises `RequestError`, as all that follow."""
        with _refusing():
            return await self._pairings.explain(serial_number)

    async def set_(self, serial_number: str, body: bytes, author: str | None) -> PairingReport:
        """Want something of one tracker."""
        with _refusing():
            return await self._pairings.set_(serial_number, signed(parse_body(body, SetRequest), author))

    async def import_(self, body: bytes, author: str | None) -> PlanReport:
        """Want something of several trackers."""
        with _refusing():
            return await self._pairings.import_(signed(parse_body(body, ImportRequest), author))

    async def apply(self, body: bytes, author: str | None) -> PlanReport:
        """Approve changes."""
        with _refusing():
            return await self._pairings.apply(signed(parse_body(body, ApplyRequest), author))

    async def act(
        self, action: str, serial_number: str | None, body: bytes, author: str | None
    ) -> PairingReport | PairingsReport:
        """Adopt, suspend, resume or retry: one tracker, or all of them."""
        with _refusing():
            return await self._actions[action](serial_number, signed(parse_body(body, PersonRequest), author))


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except PairingRefused as refused:
        raise RequestError(ErrorCode(refused.code), str(refused), refused.facts) from None

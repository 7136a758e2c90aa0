"""The running gateway that is asked for pairings, and told of changes, over HTTP."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import msgspec

from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.report import SensorsReport
from gateway.pair.words import training
from gateway.pairing.report import PairingReport, PairingsReport, PlanReport, TeamReport
from gateway.pairing.requests import ApplyRequest, ImportRequest, PersonRequest, Refusal, SetRequest
from gateway.terminal.answers import told
from gateway.terminal.errors import RefusedError
from gateway.terminal.questions import change_pairings, fetch_pairings, fetch_sensors, inspect_sensor, tracker_path
from gateway.terminal.talk import Talk

_T = TypeVar("_T")
_Request = TypeVar("_Request", SetRequest, ImportRequest, ApplyRequest)


class Source:
    """A gateway.

    Everything raises `GatewayError` if nobody answers, and `RefusedError` if the gateway does not do it.
    """

    def __init__(self, url: str) -> None:
        """Make one from the address of a gateway."""
        self.url = url

    async def pairings(self) -> PairingsReport:
        """All trackers."""
        return await self._ask("", PairingsReport)

    async def tracker(self, serial_number: str) -> PairingReport:
        """One tracker, with what has happened."""
        return await self._ask(tracker_path(serial_number), PairingReport)

    async def plan(self) -> PlanReport:
        """What is to change."""
        return await self._ask("plan", PlanReport)

    async def team(self) -> TeamReport:
        """What is wanted of all trackers."""
        return await self._ask("team", TeamReport)

    async def sensors(self) -> SensorsReport:
        """What is in the air."""
        return await self._answered(fetch_sensors(self.url), SensorsReport)

    async def inspect(self, sensor_id: str) -> Inspection:
        """Look closer at a sensor whose link nobody needs."""
        return await self._answered(inspect_sensor(self.url, sensor_id, take_link=False), Inspection)

    async def set(self, serial_number: str, request: SetRequest) -> PairingReport:
        """Want something of one tracker."""
        return await self._change("PATCH", tracker_path(serial_number), request, PairingReport)

    async def import_(self, request: ImportRequest) -> PlanReport:
        """Want something of several trackers."""
        return await self._change("PUT", "team", request, PlanReport)

    async def apply(self, request: ApplyRequest) -> PlanReport:
        """Approve changes."""
        return await self._change("POST", "apply", request, PlanReport)

    async def tell(self, verb: str, serial_number: str, request: PersonRequest) -> PairingReport:
        """Adopt, suspend, resume or retry one tracker."""
        return await self._change("POST", tracker_path(serial_number, verb), request, PairingReport)

    async def tell_all(self, verb: str, request: PersonRequest) -> PairingsReport:
        """Adopt, suspend, resume or retry all of them."""
        return await self._change("POST", verb, request, PairingsReport)

    async def _ask(self, path: str, form: type[_T]) -> _T:
        return await self._answered(fetch_pairings(self.url, path), form)

    async def _change(self, method: str, path: str, request: msgspec.Struct, form: type[_T]) -> _T:
        return await self._answered(change_pairings(self.url, method, path, msgspec.to_builtins(request)), form)

    async def _answered(self, answer: Awaitable[bytes], form: type[_T]) -> _T:
        return await told(answer, form, self.url, "pairings")


async def allowed(talk: Talk, request: _Request, send: Callable[[_Request], Awaitable[_T]]) -> tuple[_T, _Request]:
    """Send a request; if athletes train, only if a person wants it all the same.

    Returns:
        The answer, and the request that was sent in the end.

    Raises:
        CommandError: If nobody says so, or it is refused for another reason.
        GatewayError: If nobody answers.
    """
    try:
        return await send(request), request
    except RefusedError as refused:
        if refused.code != Refusal.SESSION_RUNNING or request.during_session:
            raise
        until_ms = refused.facts.get("session_until_ms")
        train = training(until_ms, datetime.now().astimezone()) if isinstance(until_ms, int) else "Athletes train"
        await talk.agree(f"{train}. Change it now?", str(refused))
        request = msgspec.structs.replace(request, during_session=True)
        return await send(request), request

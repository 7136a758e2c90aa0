"""The desk: what people ask about the trackers' sensors, want of them, and follow, in one place.

Every face of the gateway comes here, so all of them are refused by the same rules in the same words.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from gateway.pairing.desired import Desired
from gateway.pairing.desk.approving import approved
from gateway.pairing.desk.deeds import Deed, done, wanted
from gateway.pairing.desk.outlook import Outlook, Radio, Reconciler
from gateway.pairing.desk.permission import Situation, check_not_suspended, known
from gateway.pairing.desk.publisher import StateBoard, publish, publish_fleet
from gateway.pairing.desk.reporting import report_all, report_plan, report_team
from gateway.pairing.desk.stopping import stopped, suspension, without_rival
from gateway.pairing.desk.trouble import Problems, Trouble
from gateway.pairing.desk.wanting import adopted, commanded, imported, named
from gateway.pairing.documents import Slot
from gateway.pairing.keeping.events import Event
from gateway.pairing.keeping.records import Records
from gateway.pairing.memory import Memory
from gateway.pairing.naming import Wearer
from gateway.pairing.report import PairingReport, PairingsReport, PlanReport, TeamReport
from gateway.pairing.requests import (
    ApplyRequest,
    ImportRequest,
    PairingRefused,
    PersonRequest,
    Refusal,
    SetRequest,
)
from gateway.store import StoreError

_LOG = logging.getLogger(__name__)

_TURN_S = 1.0


class Pairings:
    """What people can see and do. Everything that changes something raises `PairingRefused` where it cannot."""

    def __init__(
        self,
        reconciler: Reconciler,
        records: Records,
        radio: Radio,
        wearers: Sequence[Wearer],
        problems: Problems,
        board: StateBoard,
    ) -> None:
        """Put it together.

        Args:
            reconciler: Does what is wanted.
            records: Keep what is wanted.
            radio: Is asked about a sensor that somebody wants.
            wearers: Of all trackers of the roster, in its order.
            problems: Is told what needs a person.
            board: Is told how each tracker stands.
        """
        self._reconciler = reconciler
        self._records = records
        self._outlook = Outlook(reconciler, radio, wearers)
        self._board = board
        self._trouble = Trouble(problems)
        self._told_plan: object = None
        # Two people at once must not both get the same sensor.
        self._turn = asyncio.Lock()

    async def run(self, beat: Callable[[], None]) -> None:
        """Tell what changes, once a second, until cancelled; `beat` is called with each turn."""
        is_failing = False
        while True:
            try:
                self._tell()
                is_failing = False
            except Exception:  # noqa: BLE001 - the edge of a task: what cannot be told must not end the session
                if not is_failing:
                    _LOG.exception("Unexpected failure while pairings were told, it goes on")
                is_failing = True
            beat()
            await asyncio.sleep(_TURN_S)

    def report(self) -> PairingsReport:
        """How each tracker stands."""
        situation = self._outlook.present()
        return report_all(situation.fleet, self._outlook.reports(situation))

    def plan(self) -> PlanReport:
        """What is to change."""
        return report_plan(self._outlook.present())

    def team(self) -> TeamReport:
        """What is wanted of all trackers."""
        return report_team(self._reconciler.fleet())

    async def explain(self, serial_number: str) -> PairingReport:
        """How one tracker stands, and what has happened to it; raises `PairingRefused` if there is none."""
        return await self._explained(self._outlook.present(), serial_number)

    async def set_(self, serial_number: str, request: SetRequest) -> PairingReport:
        """Want something of one tracker."""
        async with self._changing() as situation:
            changed = {serial_number: commanded(situation, serial_number, request)}
            await self._want(Deed.WANTED, situation, changed, named(request))
        return await self._explained(self._outlook.planned(), serial_number)

    async def import_(self, request: ImportRequest) -> PlanReport:
        """Want something of several trackers, all of it or nothing."""
        async with self._changing() as situation:
            changed = imported(situation, request)
            if request.dry_run:
                return report_plan(self._outlook.supposed(situation, changed))
            await self._want(Deed.IMPORTED, situation, changed)
        return report_plan(self._outlook.planned())

    async def apply(self, request: ApplyRequest) -> PlanReport:
        """Approve changes."""
        async with self._changing() as situation:
            approvals = approved(situation, request)
            about = dict.fromkeys(change.serial_number for change in approvals[-1].changes)
            events = done(Deed.APPROVED, about, situation.fleet.now_ms, request.author)
            await self._records.set_approvals(approvals, events)
        return report_plan(self._outlook.planned())

    async def adopt(self, serial_number: str | None, request: PersonRequest) -> PairingReport | PairingsReport:
        """Want what the cloud has."""
        async with self._changing() as situation:
            await self._want(Deed.ADOPTED, situation, adopted(situation, serial_number, request))
        return await self._told(serial_number)

    async def suspend(self, serial_number: str | None, request: PersonRequest) -> PairingReport | PairingsReport:
        """Stop our writes."""
        async with self._changing() as situation:
            by = suspension(situation, serial_number, request)
            events = self._done(Deed.SUSPENDED, serial_number, situation, request)
            if serial_number is None:
                await self._records.set_pause(by, events)
            else:
                await self._records.remember(serial_number, replace(self._memory(serial_number), suspension=by), events)
        return await self._told(serial_number)

    async def resume(self, serial_number: str | None, request: PersonRequest) -> PairingReport | PairingsReport:
        """Let our writes go on."""
        async with self._changing() as situation:
            trackers = stopped(situation, serial_number)
            for serial in trackers:
                memory = without_rival(self._memory(serial))
                kept = memory.suspension if serial_number is None else None
                await self._records.remember(serial, replace(memory, suspension=kept))
            if serial_number is None:
                await self._records.set_pause(None)
            self._records.note(self._done(Deed.RESUMED, serial_number, situation, request))
        return await self._told(serial_number)

    async def retry(self, serial_number: str | None, request: PersonRequest) -> PairingReport | PairingsReport:
        """Try again now."""
        async with self._changing() as situation:
            trackers = situation.fleet.trackers if serial_number is None else [known(situation, serial_number)]
            check_not_suspended(situation, trackers)
            self._records.note(self._done(Deed.RETRIED, serial_number, situation, request))
            for seen in trackers:
                memory = self._memory(seen.serial_number)
                if memory.refusals:  # what the cloud refused a while ago it may take now: a person says so
                    await self._records.remember(seen.serial_number, replace(memory, refusals=()))
            self._reconciler.retry(serial_number)
        return await self._told(serial_number)

    def _tell(self) -> None:
        self._trouble.check(store=self._records.trouble, damage=self._records.damage)
        situation = self._outlook.present()
        publish_fleet(self._board, situation)
        if situation.plan is self._told_plan:
            return
        self._told_plan = situation.plan
        self._trouble.update(situation.plan)
        for report in self._outlook.reports(situation):
            publish(self._board, situation.plan.trackers[report.serial_number], report)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Situation]:
        """What a request meets; one at a time, for two people must not both get the same sensor."""
        async with self._turn:
            try:
                yield self._outlook.planned()
            except StoreError as error:
                text = f"{error.text}, so that was not written down: {error.action}."
                raise PairingRefused(Refusal.STORE_FAILED, text) from None
            finally:
                self._reconciler.wake()

    async def _want(
        self, deed: Deed, situation: Situation, changed: Mapping[str, Desired], slots: Sequence[Slot] = ()
    ) -> None:
        """Want something else, or the same once more of these slots: either way what others did there is settled."""
        before = {
            seen.serial_number: seen.desired for seen in situation.fleet.trackers if seen.serial_number in changed
        }
        if changed:
            await self._records.set_desired(changed, wanted(deed, before, changed))
        for serial, desired in changed.items():
            memory, settled = self._memory(serial), {*slots, *desired.differing(before[serial])}
            drifted, served = (
                {slot: wish for slot, wish in known.items() if slot not in settled}
                for known in (memory.drifted, memory.served)
            )
            if (drifted, served) != (memory.drifted, memory.served):
                await self._records.remember(serial, replace(memory, drifted=drifted, served=served))

    def _memory(self, serial_number: str) -> Memory:
        """What is remembered at this moment: what was observed may be older, and must not come back."""
        return self._records.memories.get(serial_number, Memory())

    def _done(self, deed: Deed, serial_number: str | None, situation: Situation, request: PersonRequest) -> list[Event]:
        about = situation.wearers if serial_number is None else [serial_number]
        return done(deed, about, situation.fleet.now_ms, request.author, request.reason)

    async def _told(self, serial_number: str | None) -> PairingReport | PairingsReport:
        situation = self._outlook.planned()
        if serial_number is not None:
            return await self._explained(situation, serial_number)
        return report_all(situation.fleet, self._outlook.reports(situation))

    async def _explained(self, situation: Situation, serial_number: str) -> PairingReport:
        seen = known(situation, serial_number)
        return self._outlook.report(situation, seen, await self._records.events(serial_number))

"""What stands in for a gateway: its own server over a loopback socket, with pairings that answer as a test has said."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.report import RadioReport, SensorReport, SensorsReport
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.requests import ErrorCode, RequestError
from gateway.live.server import LiveServer
from gateway.pairing.documents import Sensor, Wanted, Wish
from gateway.pairing.report import (
    ChangeReport,
    ChangeSetReport,
    ConditionReport,
    EventReport,
    PairingReport,
    PairingsReport,
    PlanReport,
    SlotReport,
    TeamEntry,
    TeamReport,
)
from tests.test_scan import LISTENING, NOW_MS

H10 = Sensor("a0:9e:1a:00:4f:2a", "Polar H10 AE60D42F")
H9 = Sensor("a0:9e:1a:00:4f:2b", "Polar H9 0C4FA154")
SPARE = Sensor("a0:9e:1a:00:8d:3e", "Polar H10 8D3E")
METER = Sensor("d4:3a:2e:6a:77:01", "ASSIOMA17287L")

OFF_AND_ON = ("Polar H10 8D3E waits in the cloud since 14:02 for SIM-0001", "switch SIM-0001 off and on")


def slot(name: str, desired: Wanted = Wish.UNMANAGED, target: Sensor | None = None, **more: Any) -> SlotReport:
    return SlotReport(slot=name, desired=desired, target=target, current=more.get("current", target))


def tracker(
    number: int,
    name: str | None,
    strap: SlotReport | None = None,
    meter: SlotReport | None = None,
    state: str = "in_sync",
    told: tuple[str, str] = ("It listens to what is wanted", ""),
    **more: Any,
) -> PairingReport:
    known: dict[str, Any] = {
        "managed_by": "field",
        "generation": 1,
        "conditions": (),
        "change_set": None,
        "read_ms": NOW_MS,
    }
    return PairingReport(
        serial_number=f"SIM-{number:04}",
        name=name,
        number=number + 6,
        state=state,
        text=told[0],
        action=told[1],
        slots=(strap or slot("heart_rate"), meter or slot("power")),
        **(known | more),
    )


def condition(type_: str, status: str, reason: str, text: str, action: str = "", **more: Any) -> ConditionReport:
    return ConditionReport(
        type=type_,
        slot=more.get("slot"),
        other=more.get("other"),
        status=status,
        reason=reason,
        text=text,
        action=action,
        since_ms=NOW_MS - 3_600_000,
    )


def event(text: str, minutes_ago: int, **more: Any) -> EventReport:
    at_ms = NOW_MS - 60_000 * minutes_ago
    told: dict[str, Any] = {"slot": None, "reason": "Written", "author": "", "count": 1}
    return EventReport(text=text, first_ms=at_ms, last_ms=at_ms, **(told | more))


def change(of: PairingReport, before: Sensor | None, after: Sensor | None, name: str = "heart_rate") -> ChangeReport:
    return ChangeReport(
        serial_number=of.serial_number,
        name=of.name,
        number=of.number,
        slot=name,
        before=before,
        after=after,
        state="awaiting_approval",
        text="",
    )


def group(
    hash_: str, *changes: ChangeReport, why: Sequence[str] = ("swap",), is_approved: bool = False
) -> ChangeSetReport:
    return ChangeSetReport(hash=hash_, why=tuple(why), is_approved=is_approved, changes=changes)


def fleet(*trackers: PairingReport, **more: Any) -> PairingsReport:
    told: dict[str, Any] = {"utc_ms": NOW_MS, "mode": "propose", "paused_by": None, "session_until_ms": None}
    return PairingsReport(trackers=trackers, **(told | more))


@dataclass
class Desk:
    """A gateway's pairings and sensors.

    Attributes:
        trackers: All of them, as they are told next.
        groups: What is to change.
        sensors: What is in the air; called for every report, so that it may move.
        radio: How the radio is.
        refusals: What the next changes are refused with, each once.
        found: What a closer look finds, or is refused with; None never ends.
        asked: Every change that was asked for: what, of which tracker, and the body.
        on_asked: What happens then.
    """

    trackers: list[PairingReport] = field(default_factory=list)
    groups: list[ChangeSetReport] = field(default_factory=list)
    sensors: Callable[[], Sequence[SensorReport]] = tuple
    radio: RadioReport = LISTENING
    refusals: list[RequestError] = field(default_factory=list)
    found: Inspection | RequestError | None = None
    asked: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)
    on_asked: Callable[[], object] = lambda: None
    looks: int = 0
    told: dict[str, Any] = field(default_factory=dict)

    def report(self) -> PairingsReport:
        return fleet(*self.trackers, **self.told)

    def plan(self) -> PlanReport:
        until_ms = self.told.get("session_until_ms")
        all_hash = "a11a11a11a11" if self.groups else ""
        return PlanReport(hash=all_hash, session_until_ms=until_ms, change_sets=tuple(self.groups))

    def team(self) -> TeamReport:
        return TeamReport(
            trackers=tuple(
                TeamEntry(serial_number=one.serial_number, heart_rate=one.slots[0].desired, power=one.slots[1].desired)
                for one in self.trackers
            )
        )

    async def explain(self, serial_number: str) -> PairingReport:
        return self._tracker(serial_number)

    def _tracker(self, serial_number: str) -> PairingReport:
        for one in self.trackers:
            if one.serial_number == serial_number:
                return one
        raise RequestError(ErrorCode.UNKNOWN_TRACKER, "No tracker has this serial number: see `pair list`.")

    async def set_(self, serial_number: str, body: bytes, _author: str | None) -> PairingReport:
        self._ask("set", serial_number, body)
        return self._tracker(serial_number)

    async def import_(self, body: bytes, _author: str | None) -> PlanReport:
        self._ask("import", None, body)
        return self.plan()

    async def apply(self, body: bytes, _author: str | None) -> PlanReport:
        self._ask("apply", None, body)
        return self.plan()

    async def act(self, action: str, serial_number: str | None, body: bytes, _author: str | None) -> object:
        self._ask(action, serial_number, body)
        return self.report() if serial_number is None else self._tracker(serial_number)

    def _ask(self, what: str, serial_number: str | None, body: bytes) -> None:
        self.asked.append((what, serial_number, json.loads(body)))
        if self.refusals:
            raise self.refusals.pop(0)
        self.on_asked()

    def put(self, index: int, **changes: Any) -> None:
        """A tracker stands otherwise from now on."""
        self.trackers[index] = msgspec.structs.replace(self.trackers[index], **changes)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve it; yields the address of its live stream."""
        hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
        async with LiveServer(hub, dict, _Air(self), self, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
            yield f"ws://127.0.0.1:{port}/api/v1/stream"


@dataclass
class _Air:
    desk: Desk

    def report(self) -> SensorsReport:
        return SensorsReport(utc_ms=NOW_MS, radio=self.desk.radio, others=0, sensors=tuple(self.desk.sensors()))

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        assert not take_link
        self.desk.looks += 1
        if isinstance(self.desk.found, RequestError):
            raise self.desk.found
        if self.desk.found is None:
            await asyncio.Event().wait()
            raise AssertionError
        return self.desk.found

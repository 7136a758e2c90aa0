"""The whole way of a wish: over HTTP to the desk, the store, the reconciler and a simulated cloud, and back."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.access.doorkeeper import Doorkeeper
from gateway.bridges.pairings import ServedPairings
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.requests import ErrorCode
from gateway.live.server import LiveServer
from gateway.pairing.conditions import ConditionType
from gateway.pairing.desk import outlook
from gateway.pairing.desk.pairings import Pairings
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.observation import Mode
from gateway.pairing.planning.changes import Why
from gateway.pairing.planning.plan import State
from gateway.pairing.report import PairingReport, PairingsReport, PlanReport
from gateway.pairing.requests import ApplyRequest, ImportRequest, PersonRequest, Refusal, SetRequest
from gateway.problems import Problems
from gateway.terminal.questions import change_pairings, fetch_pairings, tracker_path
from insiders_gateway_client.errors import RefusalError
from insiders_gateway_client.gateway import Gateway
from tests.bridges.letting_in import technician
from tests.fakes.clouds import wall_ms
from tests.pairing.desks import Wearer
from tests.pairing.reconciled import METER, OTHER_STRAP, STRAP, Bench, bench

pytestmark = pytest.mark.looptime


@dataclass
class Faced:
    """A gateway as a client sees it, and what is behind it."""

    gateway: Bench
    url: str
    board: Board
    refusals: Counter[str]

    async def tracker(self, place: int = 0) -> PairingReport:
        told = await fetch_pairings(self.url, tracker_path(self.gateway.serial(place)))
        return msgspec.json.decode(told, type=PairingReport)

    async def set_(self, place: int = 0, **said: Any) -> PairingReport:
        path = tracker_path(self.gateway.serial(place))
        told = await change_pairings(self.url, "PATCH", path, {"author": "Kim", **msgspec.to_builtins(said)})
        return msgspec.json.decode(told, type=PairingReport)

    async def tell(self, action: str, place: int = 0) -> PairingReport:
        path = tracker_path(self.gateway.serial(place), action)
        return msgspec.json.decode(await change_pairings(self.url, "POST", path, {"author": "Kim"}), type=PairingReport)

    async def plan(self) -> PlanReport:
        return msgspec.json.decode(await fetch_pairings(self.url, "plan"), type=PlanReport)

    async def until(self, *states: str) -> None:
        """Wait until the trackers stand like this, in the order of the roster."""
        async with asyncio.timeout(300):
            while True:
                report = msgspec.json.decode(await fetch_pairings(self.url), type=PairingsReport)
                if [it.state for it in report.trackers][: len(states)] == list(states):
                    return
                await asyncio.sleep(1)

    def restart(self, place: int) -> None:
        self.gateway.cloud.restart(self.gateway.device_id(place))


@asynccontextmanager
async def faced(folder: Path, trackers: int = 2, doorkeeper: Doorkeeper | None = None) -> AsyncIterator[Faced]:
    async with bench(folder, trackers) as gateway:
        board = Board()
        people = [Wearer(gateway.serial(place), f"Athlete {place}", place) for place in range(trackers)]
        desk = Pairings(gateway.reconciler, gateway.records, gateway.told, people, Problems(wall_ms), board)
        hub = Hub({}, board, "e", "Test", "0.0", 60.0, wall_ms, lambda: True)
        server = LiveServer(hub, dict, pairings=ServedPairings(desk), doorkeeper=doorkeeper, is_open_on_loopback=True)
        async with server.listening("127.0.0.1", 0) as port, asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(desk.run(lambda: None))
            await asyncio.sleep(5)
            yield Faced(gateway, f"ws://127.0.0.1:{port}/api/v1/stream", board, hub.refusals)
            telling.cancel()


async def test_a_strap_is_set_and_in_order_when_the_tracker_has_been_switched_off_and_on(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        report = await face.set_(heart_rate=STRAP)
        assert (report.managed_by, report.slots[0].desired, report.generation) == ("field", STRAP, 1)
        await face.until("awaiting_device")
        await asyncio.sleep(60)  # before that, its silence means nothing
        report = await face.tracker()
        waiting = next(it for it in report.conditions if it.type == "DeviceConverged" and it.slot == "heart_rate")
        assert (report.slots[0].target, report.text, report.action) == (STRAP, waiting.text, waiting.action)
        assert report.action.startswith(f"switch {face.gateway.serial(0)}")
        face.restart(0)
        await face.until("in_sync")
        await asyncio.sleep(2)
        told = [it for it in face.board.since(0) if it["key"] == f"pairing/{face.gateway.serial(0)}"]
        assert [(it["value"], it["name"]) for it in told] == [("in_sync", "Athlete 0")]
        assert len(face.gateway.writes()) == 1


async def test_what_a_technician_does_is_told_as_theirs_whomever_the_request_names(tmp_path: Path) -> None:
    async with (
        technician(tmp_path / "access", "Tom Tech") as (doorkeeper, token),
        faced(tmp_path, 2, doorkeeper) as face,
    ):
        gateway, said = Gateway(face.url, token), {"author": "Somebody Else"}
        path = f"pairings/{tracker_path(face.gateway.serial(0))}"
        await gateway.ask("PATCH", path, json={"heart_rate": msgspec.to_builtins(STRAP), **said})
        await face.until("awaiting_device")
        entry = {"serial_number": face.gateway.serial(0), "heart_rate": "none", "power": "unmanaged"}
        await gateway.ask("PUT", "pairings/team", json={"trackers": [entry], **said})
        (group,) = (await face.plan()).change_sets
        await gateway.ask("POST", "pairings/apply", json={"approve": group.hash, **said})
        await gateway.ask("POST", f"{path}/suspend", json={})
        await face.tell("resume")  # without a token: nobody knows who asks
        report = msgspec.json.decode(await gateway.ask("GET", path), type=PairingReport)
        assert {it.reason: it.author for it in report.events if it.author} == {
            "Wanted": "Tom Tech",
            "Imported": "Tom Tech",
            "Approved": "Tom Tech",
            "Suspended": "Tom Tech",
            "Resumed": "Kim",
        }
        await gateway.ask("POST", "pairings/suspend", json=said)
        told = msgspec.json.decode(await gateway.ask("GET", "pairings"), type=PairingsReport)
        assert told.paused_by == "Tom Tech"


async def test_two_straps_are_exchanged_in_ordered_steps_once_a_person_has_approved(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        for place, strap in enumerate((STRAP, OTHER_STRAP)):
            await face.set_(place, heart_rate=strap, immediate=True)
        await face.until("in_sync", "in_sync")
        wanted = [
            {"serial_number": face.gateway.serial(place), "heart_rate": strap, "power": "unmanaged"}
            for place, strap in enumerate((OTHER_STRAP, STRAP))
        ]
        told = await change_pairings(face.url, "PUT", "team", {"trackers": msgspec.to_builtins(wanted)})
        asked = msgspec.json.decode(told, type=PlanReport)
        (group,) = asked.change_sets
        assert ("swap" in group.why, group.is_approved, len(group.changes)) == (True, False, 2)
        await asyncio.sleep(30)
        assert len(face.gateway.writes(0)) == len(face.gateway.writes(1)) == 1
        await change_pairings(face.url, "POST", "apply", {"approve": group.hash, "author": "Lee"})
        await asyncio.sleep(30)
        assert [face.gateway.target(place).heart_rate for place in (0, 1)] == [None, None]
        for _ in range(2):
            face.restart(0)
            face.restart(1)
            await asyncio.sleep(120)
        await face.until("in_sync", "in_sync")
        assert [face.gateway.current(place).heart_rate for place in (0, 1)] == [OTHER_STRAP, STRAP]
        assert (await face.plan()).hash == ""


async def test_what_somebody_else_changes_is_shown_and_not_undone_until_a_person_says_so(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await face.set_(heart_rate=STRAP, immediate=True)
        await face.until("in_sync")
        face.gateway.foreign(0, Slot.HEART_RATE, OTHER_STRAP)
        await face.until("drifted")
        await asyncio.sleep(120)
        assert face.gateway.target(0).heart_rate == OTHER_STRAP
        (group,) = (await face.plan()).change_sets
        assert group.why == ("drift",)
        await face.set_(heart_rate=STRAP, immediate=True)
        await face.until("in_sync")
        assert face.gateway.target(0).heart_rate == STRAP
        face.gateway.foreign(0, Slot.HEART_RATE, OTHER_STRAP)
        await face.until("drifted")
        assert (await face.tell("adopt")).slots[0].desired == OTHER_STRAP
        assert len(face.gateway.writes()) == 2


async def test_what_is_said_a_hundred_times_is_written_once(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await face.set_(heart_rate=STRAP)
        for _ in range(100):
            with pytest.raises(RefusalError) as refused:
                await face.set_(heart_rate=STRAP)
            assert refused.value.code == ErrorCode.NOTHING_TO_DO
            await asyncio.sleep(1)
        assert len(face.gateway.writes()) == 1


async def test_a_session_and_a_suspension_stop_what_is_not_said_to_be_meant(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await face.tell("suspend")
        with pytest.raises(RefusalError, match="pair resume") as refused:
            await face.set_(heart_rate=STRAP)
        assert refused.value.code == ErrorCode.SUSPENDED
        await face.tell("resume")
        face.gateway.told.session_s = asyncio.get_running_loop().time() + 3600
        await asyncio.sleep(5)
        with pytest.raises(RefusalError, match="--during-session") as refused:
            await face.set_(heart_rate=STRAP)
        assert refused.value.code == ErrorCode.SESSION_RUNNING
        await face.set_(heart_rate=STRAP, during_session=True)
        await face.until("awaiting_device")


def sent(change: Callable[[dict[str, Any]], object]) -> bytes:
    document: dict[str, Any] = {"heart_rate": msgspec.to_builtins(STRAP)}
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'""',
        b"null",
        b"\xff\xfe",
        b'{"a":' * 5000,
        b'{"heart_rate": "\xed\xa0\x80"}',
        b'{"heart_rate": {"address": "a0:9e:1a:0f:0f:01"}}',
        b'{"heart_rate": {"address": 1, "name": "x"}}',
        b'{"heart_rate": null}',
        b'{"heart_rate": "both"}',
        sent(lambda it: it.update(of_a_later_version=1)),
        sent(lambda it: it.update({"!within_s": 5})),
        sent(lambda it: it["heart_rate"].update(firmware="3.3.1")),
        sent(lambda it: it.update(generation=-1)),
        sent(lambda it: it.update(generation="1")),
        sent(lambda it: it.update(during_session="yes")),
        sent(lambda it: it.update(author="x" * 81)),
        sent(lambda it: it.update(author="Kim\x1b[2J")),
        sent(lambda it: it.update(reason="x" * 201)),
        sent(lambda it: it["heart_rate"].update(name="x" * 101)),
        sent(lambda it: it["heart_rate"].update(name="\x1b[2J")),
        sent(lambda it: it["heart_rate"].update(address="x" * 5000)),
        b"",
        b"{}",
    ],
)
async def test_a_body_that_cannot_be_understood_changes_nothing(tmp_path: Path, body: bytes) -> None:
    async with faced(tmp_path, 1) as face:
        path = f"/api/v1/pairings/{tracker_path(face.gateway.serial(0))}"
        status, answer = await patched(face.url, path, body)
        assert status == 400
        assert answer["op"] == "error"
        assert answer["code"] in {"bad_message", "unsupported_option", "invalid_sensor"}
        assert answer["text"].endswith(".")
        assert answer["text"].isprintable()
        assert len(answer["text"]) < 300
        assert not face.gateway.records.desired


@pytest.mark.parametrize(
    ("heart_rate", "says"),
    [
        ({"address": STRAP.address}, "needs the name"),
        ({"address": STRAP.address, "name": ""}, "needs the name"),
        ({"name": STRAP.name}, "has no Bluetooth address"),
        ({"address": "", "name": STRAP.name}, "has no Bluetooth address"),
        ({}, "has no Bluetooth address"),
    ],
)
async def test_a_sensor_that_is_not_whole_is_an_invalid_sensor(
    tmp_path: Path, heart_rate: dict[str, str], says: str
) -> None:
    async with faced(tmp_path, 1) as face:
        with pytest.raises(RefusalError, match=says) as refused:
            await face.set_(heart_rate=heart_rate)
        assert refused.value.code == ErrorCode.INVALID_SENSOR


@pytest.mark.parametrize(
    "more", [{"name": "Ada"}, {"immediate": True}, {"heart_rate": {**msgspec.to_builtins(STRAP), "kind": "heart_rate"}}]
)
async def test_a_list_with_a_field_that_is_not_known_changes_nothing(tmp_path: Path, more: dict[str, Any]) -> None:
    async with faced(tmp_path, 1) as face:
        entry = {"serial_number": face.gateway.serial(0), "heart_rate": msgspec.to_builtins(STRAP), "power": "none"}
        with pytest.raises(RefusalError, match="There is no field") as refused:
            await change_pairings(face.url, "PUT", "team", {"trackers": [entry | more]})
        assert refused.value.code == ErrorCode.BAD_MESSAGE
        assert not face.gateway.records.desired
        await change_pairings(face.url, "PUT", "team", {"trackers": [entry]})


async def test_a_stale_wish_overwrites_nobodys(tmp_path: Path) -> None:
    async with faced(tmp_path, 1) as face:
        stale = json.loads(await fetch_pairings(face.url, "team"))["trackers"]
        await face.set_(heart_rate=STRAP)
        for doing in (
            face.set_(heart_rate=OTHER_STRAP, generation=stale[0]["generation"]),
            change_pairings(face.url, "PUT", "team", {"trackers": stale}),
        ):
            with pytest.raises(RefusalError, match="look at it again") as refused:
                await doing
            assert refused.value.code == ErrorCode.GENERATION_CHANGED
        assert (await face.tracker()).slots[0].desired == STRAP
        assert (await face.set_(heart_rate=OTHER_STRAP, generation=1)).generation == 2


async def test_a_refusal_tells_a_program_whose_it_is_and_how_long_it_lasts(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await face.set_(0, heart_rate=STRAP)
        with pytest.raises(RefusalError) as refused:
            await face.set_(1, heart_rate=STRAP)
        assert refused.value.code == ErrorCode.SENSOR_TAKEN
        assert refused.value.facts == {"serial_number": face.gateway.serial(0)}
        face.gateway.told.session_s = asyncio.get_running_loop().time() + 3600
        await asyncio.sleep(5)
        with pytest.raises(RefusalError) as refused:
            await face.set_(1, heart_rate=OTHER_STRAP)
        report = msgspec.json.decode(await fetch_pairings(face.url), type=PairingsReport)
        assert report.session_until_ms is not None
        assert abs(int(refused.value.facts["session_until_ms"]) - report.session_until_ms) < 1000


async def patched(url: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """What is answered to bytes that no decent client sends."""
    port = int(url.split(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    head_bytes, _, rest = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split(b" ")[1]), json.loads(rest)


async def test_a_meter_is_told_as_what_it_is(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        report = await face.set_(power=Sensor(METER.address.upper(), METER.name))
        assert [it.desired for it in report.slots] == ["unmanaged", METER]
        assert [it.text for it in report.events] == [f"{METER.name} is wanted"]


async def test_who_only_looks_makes_no_plan_however_many_trackers_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan of a thousand trackers takes a tenth of a second, which everybody else would wait for."""
    async with faced(tmp_path) as face:
        await face.until("unmanaged", "unmanaged")
        monkeypatch.delattr(outlook, "plan")
        for path in ("", "plan", "team", tracker_path(face.gateway.serial(0))):
            assert await fetch_pairings(face.url, path)


DOCUMENT = (Path(__file__).parents[2] / "docs/live-protocol.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.partition("\n## Pairings\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("word", [*State, *ConditionType, *Refusal, *Why, *Mode])
def test_the_document_has_every_word_of_a_closed_set(word: str) -> None:
    assert f"`{word}`" in SECTION


FORMS = {"PATCH": SetRequest, "team": ImportRequest, "apply": ApplyRequest, "adopt": PersonRequest}


def test_what_the_document_sends_is_what_the_gateway_takes() -> None:
    calls = re.findall(r"curl -X (\w+) \S+/(\S+) -d '([^']+)'", SECTION)
    assert len(calls) == 4
    for method, place, body in calls:
        asked = msgspec.json.decode(body, type=FORMS.get(method) or FORMS[place])
        assert getattr(asked, "during_session", True), "the demo is always in a session"


def shapes(told: Any) -> Any:
    """What something told consists of, without its values."""
    if isinstance(told, dict):
        return {name: shapes(value) for name, value in told.items()}
    return [shapes(told[0])] if isinstance(told, list | tuple) and told else None


EXAMPLES = [
    json.loads(line)
    for block in SECTION.split("```json\n")[1:]
    for line in re.split(r"\n(?=\{)", block.partition("```")[0].strip())
]


def shown(**has: str) -> Any:
    """The first example of the document that has this; an ellipsis stands for more of the same."""
    return next(shapes(it) for it in EXAMPLES if has.items() <= it.items())


async def test_the_document_shows_what_is_told(tmp_path: Path) -> None:
    async with faced(tmp_path) as face:
        await face.set_(heart_rate=STRAP, immediate=True)
        await face.until("in_sync")
        told = await face.set_(heart_rate=OTHER_STRAP, reason="new strap")
        await face.until("awaiting_device")
        await asyncio.sleep(2)
        state = next(it for it in face.board.since(0) if it["key"].endswith(face.gateway.serial(0)))
        assert shapes(state) == shown(key="pairing/SIM-0001")
        fleet = next(it for it in face.board.since(0) if it["key"] == "pairings")
        assert shapes(fleet) == shown(key="pairings")
        report = json.loads(await fetch_pairings(face.url))
        assert {*shown(op="pairings")["trackers"][0]} - {"…"} <= {*report["trackers"][0]}
        assert {*report["trackers"][0]} == {*state, "state", "read_ms", "events"} - {"key", "value"}
        assert {*report} == {*shown(op="pairings")}
        assert shapes(msgspec.to_builtins(told.events[0])) == shown(reason="Wanted")
        team = json.loads(await fetch_pairings(face.url, "team"))
        team["trackers"].sort(key=lambda entry: entry["heart_rate"] == "unmanaged")
        assert shapes(team) == shown(op="pairing_team")
        with pytest.raises(RefusalError) as refused:
            await face.set_(1, heart_rate=OTHER_STRAP)
        assert {"op", "code", "text", *refused.value.facts} == {*shown(code="sensor_taken")}
        await face.set_(heart_rate=STRAP)
        plan = json.loads(await fetch_pairings(face.url, "plan"))
        plan["change_sets"][0]["why"] = ["swap"]
        assert shapes(plan) == shown(op="pairing_plan")

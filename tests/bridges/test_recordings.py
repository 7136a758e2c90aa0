"""The whole way of a recording: over HTTP to the desk, the spool, the uploader and a simulated cloud, and back."""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import pytest

from gateway.access.doorkeeper import Doorkeeper
from gateway.bridges.recordings import ServedRecordings
from gateway.live.board import Board
from gateway.live.door.gate import STATUSES
from gateway.live.hub import Hub
from gateway.live.requests import ErrorCode
from gateway.live.server import LiveServer
from gateway.problems import Problems
from gateway.store import StoreError
from gateway.uploads.desk import Desk
from gateway.uploads.display import FRESH_S
from gateway.uploads.overview import MAX_DELETED
from gateway.uploads.recording import State
from gateway.uploads.report import InboxReport, LeftOutReport, RecordingReport, RecordingsReport, TroubleReport
from gateway.uploads.requests import Refusal
from gateway.uploads.surroundings import Options
from gateway.uploads.taking.intake import Intake
from gateway.uploads.taking.naming import Known
from gateway.uploads.transitions import assigned, discarded, found_missing
from gateway.worker import Worker
from tests.bridges.letting_in import technician
from tests.uploads.sending.bringing import Bringing, asi, bringing, wall_ms

pytestmark = pytest.mark.looptime

MOST = 1_000_000
ADDRESS = "/api/v1/recordings"


@dataclass(frozen=True)
class Wearer:
    serial_number: str
    athlete: str | None
    number: int | None


@dataclass
class Inbox:
    """What lies there, and what is wrong with it."""

    waiting: Sequence[InboxReport] = ()
    trouble: StoreError | None = None


@dataclass
class Faced:
    """A gateway as a client sees it, and what is behind it."""

    gateway: Bringing
    port: int
    board: Board
    problems: Problems
    inbox: Inbox
    refusals: Counter[str]
    beats: list[float]
    token: str | None = None

    async def ask(self, method: str, path: str = "", body: Any = None) -> tuple[int, bytes]:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        url = f"http://127.0.0.1:{self.port}{ADDRESS}{path}"
        async with aiohttp.ClientSession(headers=headers) as http, http.request(method, url, data=body) as answer:
            return answer.status, await answer.read()

    async def well(self, method: str, path: str = "", body: Any = None) -> RecordingReport:
        status, told = await self.ask(method, path, body)
        assert status in {200, 201}, told
        return msgspec.json.decode(told, type=RecordingReport)

    async def refused(self, method: str, path: str = "", body: Any = None) -> tuple[int, dict[str, Any]]:
        status, told = await self.ask(method, path, body)
        answer: dict[str, Any] = json.loads(told)
        assert answer.pop("op") == "error"
        assert answer["text"][-1] == "."
        assert Refusal(answer["code"])
        return status, answer

    async def report(self, query: str = "") -> RecordingsReport:
        status, told = await self.ask("GET", query)
        assert status == 200
        return msgspec.json.decode(told, type=RecordingsReport)

    def left_behind(self) -> list[str]:
        """What is in the spool."""
        return sorted(it.name for it in self.gateway.spool.folder.iterdir() if it.name not in {"ballast", "journal"})


@asynccontextmanager
async def faced(folder: Path, doorkeeper: Doorkeeper | None = None, **knobs: object) -> AsyncIterator[Faced]:
    worker = Worker("intake")
    try:
        async with bringing(folder, None, **knobs) as gateway:
            board, problems, inbox, beats = Board(), Problems(wall_ms), Inbox(), list[float]()
            one, other = gateway.serial(0), gateway.serial(1)
            desk = Desk(
                gateway.ledger,
                Intake(gateway.spool, gateway.ledger, worker, MOST, wall_ms),
                inbox,
                gateway.uploader,
                gateway.spool,
                worker,
                [Wearer(one, "Ada", 10), Wearer(other, None, None)],
                problems,
                board,
                Options(7, MOST, "/srv/inbox", [Known(one, "Robin"), Known(other)], None, UTC),
                wall_ms,
            )
            hub = Hub({}, board, "e", "Test", "0.0", 60.0, wall_ms, lambda: True)
            server = LiveServer(
                hub, dict, recordings=ServedRecordings(desk), doorkeeper=doorkeeper, is_open_on_loopback=True
            )
            async with server.listening("127.0.0.1", 0) as port, asyncio.TaskGroup() as tasks:
                loop = asyncio.get_running_loop()
                telling = tasks.create_task(desk.run(lambda: beats.append(loop.time())))
                yield Faced(gateway, port, board, problems, inbox, hub.refusals, beats)
                telling.cancel()
    finally:
        worker.close()


async def test_a_file_that_is_sent_gets_into_the_cloud_and_is_told_all_the_way(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        content = asi(200_000)
        serial = seen.gateway.serial()
        taken = await seen.well("POST", f"?name=evening.asi&tracker={serial}&author=Kim", content)
        assert taken.sha256 == hashlib.sha256(content).hexdigest()
        assert (taken.serial_number, taken.athlete, taken.basis, taken.name) == (serial, "Ada", "person", "evening.asi")
        await seen.gateway.until(taken.sha256, State.DONE)
        await asyncio.sleep(2)
        done = await seen.well("GET", f"/{taken.id}")
        assert (done.state, done.text) == ("done", "The cloud has it and has finished its work")
        assert done.deletes_ms is not None
        assert done.deletes_ms - done.since_ms == 7 * 86_400_000
        assert [it.state for it in done.trail] == ["queued", "sending", "closing", "accepted", "done"]
        assert seen.gateway.accepted(taken.sha256) == 1
        (state,) = [it for it in seen.board.since(0) if it["key"] == f"recording/{taken.id}"]
        assert state["value"] == "done"
        assert len(seen.beats) > 1


async def test_its_folder_or_name_says_the_tracker_and_the_time_of_what_is_sent(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        robin = await seen.well("POST", "?name=robin/20261117T183000Z.asi", asi(seed=1))
        assert (robin.serial_number, robin.basis, robin.made_ms) == (seen.gateway.serial(), "path", 1_794_940_200_000)
        for name in ("", "a.asi", f"{seen.gateway.serial()} robin {seen.gateway.serial(1)}.asi"):
            nobody = await seen.well("POST", f"?name={name}", asi(seed=len(name) + 2))
            assert (nobody.state, nobody.serial_number, nobody.needs_person) == ("unassigned", None, True)
            assert nobody.name
        both = sorted([seen.gateway.serial(), seen.gateway.serial(1)])
        assert nobody.text == f"Its folder and name say more than one tracker: {', '.join(both)}"
        day = await seen.well("POST", "?name=robin/20261117.asi", asi(seed=77))
        assert (day.made_ms, day.made_until_ms) == (1_794_873_600_000, 1_794_960_000_000)
        assert robin.made_until_ms == robin.made_ms
        made_ms = 1_794_000_000_000
        older = await seen.well("POST", f"?name=robin/b.asi&modified_ms={made_ms}", asi(seed=99))
        assert older.made_ms == made_ms
        last = await seen.report()
        assert [it.name for it in last.trackers] == ["Ada", None]
        assert last.max_file_bytes == MOST


@pytest.mark.parametrize(
    ("query", "content", "status", "code"),
    [
        ("?tracker=nobody", asi(), 404, "unknown_tracker"),
        ("", b"", 400, "empty"),
        ("", b"ASX" * 100, 415, "not_asi"),
        ("", asi(MOST + 1), 413, "too_large"),
        (f"?sha256={'0' * 64}", asi(), 400, "cut_off"),
    ],
)
async def test_what_cannot_be_taken_leaves_nothing(
    tmp_path: Path, query: str, content: bytes, status: int, code: str
) -> None:
    async with faced(tmp_path) as seen:
        told, answer = await seen.refused("POST", query, content)
        assert (told, answer["code"]) == (status, code)
        assert seen.gateway.ledger.recordings == {}
        assert seen.left_behind() == []
        assert seen.refusals == {code: 1}


async def test_a_body_without_length_is_bounded_all_the_same(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"ASI" * 10_000

    async with faced(tmp_path) as seen:
        assert (await seen.refused("POST", "", endless()))[1]["code"] == "too_large"
        assert seen.left_behind() == []


@pytest.mark.parametrize("query", ["?traker=x", "?sha256=xyz", "?author=a%0Ab"])
async def test_what_is_misspelt_is_refused_and_not_ignored(tmp_path: Path, query: str) -> None:
    async with faced(tmp_path) as seen:
        status, told = await seen.ask("POST", query, asi())
        assert (status, json.loads(told)["code"]) == (400, "bad_message")
        assert seen.left_behind() == []


async def test_whoever_goes_away_in_the_middle_leaves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with faced(tmp_path) as seen:
        _, writer = await asyncio.open_connection("127.0.0.1", seen.port)
        head = f"POST {ADDRESS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500000\r\n\r\n"
        writer.write(head.encode() + asi(300_000))
        while not seen.left_behind():
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while seen.left_behind():
            await asyncio.sleep(0.01)
        assert seen.gateway.ledger.recordings == {}
        assert [it for it in caplog.records if it.levelno >= logging.ERROR] == []


async def test_a_body_that_stops_coming_leaves_nothing(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        reader, writer = await asyncio.open_connection("127.0.0.1", seen.port)
        head = f"POST {ADDRESS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500000\r\n\r\n"
        writer.write(head.encode() + asi(300_000))
        assert (await reader.readline()).split()[1] == b"408"
        assert seen.left_behind() == []
        writer.close()


async def test_a_disk_that_fails_is_said_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        known = await seen.well("POST", "?name=a.asi", asi(seed=1))
        seen.gateway.disk.told = StoreError("The disk is full", "free some space")
        status, answer = await seen.refused("POST", "?name=b.asi", asi(seed=2))
        assert (status, answer["code"]) == (503, "disk_failed")
        assert "The disk is full" in answer["text"]
        status, answer = await seen.refused("POST", f"/{known.id}/discard")
        assert (status, answer["code"]) == (503, "disk_failed")
        assert (await seen.report()).spool.text == "The disk is full"
        await asyncio.sleep(2)
        assert {it.code for it in seen.problems} == {"recordings_disk", "recordings_waiting_for_person"}


async def test_a_person_answers_and_it_goes_on(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        unknown = await seen.well("POST", "?name=a.asi", asi())
        status, answer = await seen.refused("POST", f"/{unknown.id}/assign", b'{"tracker": "nobody"}')
        assert (status, answer["code"]) == (404, "unknown_tracker")
        wish = json.dumps({"tracker": seen.gateway.serial(1), "author": "Kim"}).encode()
        assigned = await seen.well("POST", f"/{unknown.id}/assign", wish)
        assert (assigned.state, assigned.basis) == ("queued", "person")
        await seen.gateway.until(unknown.sha256, State.DONE)
        status, answer = await seen.refused("POST", f"/{unknown.id}/assign", wish)
        assert (status, answer["code"], answer["state"]) == (409, "not_now", "done")
        other = seen.gateway.serial(1)
        assert (
            answer["text"] == f"The cloud has it already, for tracker {other}: only the vendor can move it from there."
        )
        ada = await seen.well("POST", f"?name=b.asi&tracker={seen.gateway.serial()}", asi(seed=5))
        await seen.gateway.until(ada.sha256, State.DONE)
        _, answer = await seen.refused("POST", f"/{ada.id}/assign", wish)
        assert f"for tracker {seen.gateway.serial()} (Ada): only" in answer["text"]
        _, answer = await seen.refused("POST", f"/{ada.id}/retry")
        assert answer["text"] == "It cannot be retried now (The cloud has it and has finished its work): discard."


async def test_what_a_technician_does_is_kept_as_theirs_whomever_the_request_names(tmp_path: Path) -> None:
    async with (
        technician(tmp_path / "access", "Tom Tech") as (doorkeeper, token),
        faced(tmp_path, doorkeeper, upload_answer_lost_fraction=1.0) as seen,
    ):
        seen.token, said = token, {"author": "Somebody Else"}
        one = await seen.well("POST", "?name=a.asi&author=Somebody+Else", asi())
        assert seen.gateway[one.sha256].author == "Tom Tech"
        wish = {"tracker": seen.gateway.serial(1), **said}
        await seen.well("POST", f"/{one.id}/assign", json.dumps(wish))
        await seen.gateway.until(one.sha256, State.AMBIGUOUS)
        seen.gateway.faults(upload_answer_lost_fraction=0.0)
        await seen.well("POST", f"/{one.id}/retry", json.dumps(said))
        await seen.gateway.until(one.sha256, State.DONE, within_s=60)
        gone = await seen.well("POST", f"/{one.id}/discard", json.dumps(said))
        assert gone.text == "Tom Tech has deleted it here"
        decided = [(it.state, it.author) for it in gone.trail if it.author]
        assert decided == [(state, "Tom Tech") for state in ("queued", "queued", "discarded")]


async def test_a_person_does_not_have_to_wait_for_the_hour(tmp_path: Path) -> None:
    async with faced(tmp_path, upload_answer_lost_fraction=1.0) as seen:
        lost = await seen.well("POST", f"?tracker={seen.gateway.serial()}", asi())
        await seen.gateway.until(lost.sha256, State.AMBIGUOUS)
        told = await seen.well("GET", f"/{lost.id}")
        assert told.text.startswith("The cloud's answer was lost")
        assert told.next_s is not None
        assert 3000 < told.next_s <= 3600
        seen.gateway.faults(upload_answer_lost_fraction=0.0)
        await seen.well("POST", f"/{lost.id}/retry", b'{"author": "Kim"}')
        await seen.gateway.until(lost.sha256, State.DONE, within_s=60)
        assert (await seen.well("GET", f"/{lost.id}")).maybe_duplicate


async def test_a_discarded_recording_goes_and_is_told_only_to_who_asks(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        unknown = await seen.well("POST", "?name=a.asi", asi())
        assert seen.left_behind() == [f"{unknown.sha256}.asi"]
        gone = await seen.well("POST", f"/{unknown.id}/discard", b'{"author": "Kim"}')
        assert (gone.state, gone.text, gone.deeds) == ("discarded", "Kim has deleted it here", ())
        assert seen.left_behind() == []
        assert (await seen.report()).recordings == ()
        assert (await seen.well("GET", f"/{unknown.id}")).state == "discarded"
        told = await seen.report("?all=true")
        assert [it.state for it in told.recordings] == ["discarded"]
        assert [(it.state, it.recordings, it.bytes) for it in told.counts] == [("discarded", 1, 2000)]
        again = await seen.well("POST", "?name=b.asi", asi())
        assert (again.state, len(again.sources)) == ("unassigned", 2)
        assert seen.left_behind() == [f"{unknown.sha256}.asi"]


async def test_of_many_deleted_ones_the_latest_are_told(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        for seed in range(MAX_DELETED + 5):
            sha256 = await seen.gateway.put(asi(seed=seed), None)
            await seen.gateway.ledger.change(sha256, partial(discarded, author="", at_ms=seed))
        assert (await seen.report()).left_out == LeftOutReport(), "nobody has asked for them"
        told = await seen.report("?all=true")
        assert len(told.recordings) == MAX_DELETED
        assert told.left_out == LeftOutReport(deleted=5)
        assert min(it.since_ms for it in told.recordings) == 5
        assert told.counts[0].recordings == MAX_DELETED + 5


async def test_nothing_is_decided_by_a_digit_or_two(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        only = await seen.well("POST", "?name=a.asi", asi())
        for deed, body in (("discard", None), ("retry", None), ("assign", f'{{"tracker": "{seen.gateway.serial()}"}}')):
            for digits in (1, 3):
                status, answer = await seen.refused("POST", f"/{only.id[:digits]}/{deed}", body)
                assert (status, answer["code"]) == (404, "unknown_recording")
                assert answer["text"] == f"{only.id[:digits]} is too short for that: give at least 4 digits of the id."
        assert (await seen.well("GET", f"/{only.id[:1]}")).state == "unassigned", "to look is no decision"
        assert (await seen.well("POST", f"/{only.id[:4]}/discard")).state == "discarded"


async def test_what_a_person_is_called_cannot_turn_what_is_said(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        strange = "Kim\u202efdp\u2028x"
        for seed, deed in enumerate(("discard", "retry", "assign")):
            one = await seen.well("POST", f"?name=a.asi&author={quote(strange)}", asi(seed=seed))
            assert seen.gateway[one.sha256].author.isprintable()
            wish = {"author": strange, **({"tracker": seen.gateway.serial()} if deed == "assign" else {})}
            if deed == "retry":
                await seen.gateway.ledger.change(one.sha256, lambda it: assigned(it, seen.gateway.serial(), "", 1))
            told = await seen.well("POST", f"/{one.id}/{deed}", json.dumps(wish))
            assert "Kim" in seen.gateway[one.sha256].author
            assert seen.gateway[one.sha256].author.isprintable()
            assert told.text.isprintable()


async def test_whoever_has_the_report_is_told_again_when_something_in_it_is_another(tmp_path: Path) -> None:
    async with faced(tmp_path, upload_seconds_per_mb=100.0) as seen:
        url, known = f"http://127.0.0.1:{seen.port}{ADDRESS}", ""

        async def is_news() -> bool:
            nonlocal known
            async with aiohttp.ClientSession() as http, http.get(url, headers={"If-None-Match": known}) as answer:
                known = answer.headers["ETag"]
                assert answer.status in {200, 304}
                return answer.status == 200

        async def settled() -> None:
            """Not at once: free room and the like are looked at every few seconds."""
            while await is_news():
                await asyncio.sleep(FRESH_S / 4)

        await settled()
        one = await seen.well("POST", "?name=a.asi", asi(400_000))
        assert await is_news()
        await settled()
        seen.inbox.waiting = (InboxReport(name="a", size=1, code="x", text="It is", action="", since_ms=1),)
        assert await is_news()
        await settled()
        seen.inbox.trouble = StoreError("The inbox is gone", "plug it in")
        assert await is_news()
        await settled()
        seen.gateway.disk.told = StoreError("The disk is full", "free some space")
        assert await is_news()
        seen.gateway.disk.told = None
        await settled()
        await seen.well("POST", f"/{one.id}/assign", json.dumps({"tracker": seen.gateway.serial()}))
        await seen.gateway.until(one.sha256, State.SENDING)
        assert await is_news()
        for _ in range(5):
            await asyncio.sleep(2)
            assert await is_news(), "it gets on"
        await seen.gateway.until(one.sha256, State.DONE)
        await settled()
        assert not await is_news()
        await asyncio.sleep(FRESH_S)
        assert await is_news(), "of what time does by itself"


async def test_an_id_is_as_many_digits_as_it_takes(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        taken = [await seen.well("POST", "", asi(seed=seed)) for seed in range(20)]
        one = taken[0]
        for said in (one.id, one.id.upper(), one.sha256):
            assert (await seen.well("GET", f"/{said}")).sha256 == one.sha256
        firsts = Counter(it.sha256[0] for it in taken)
        shared = firsts.most_common(1)[0][0]
        status, answer = await seen.refused("GET", f"/{shared}")
        assert (status, answer["code"]) == (404, "unknown_recording")
        assert "give more of its digits" in answer["text"]
        for strange in ("zz", "a%0Ab", "x" * 3000):
            status, answer = await seen.refused("POST", f"/{strange}/retry")
            assert (status, answer["code"]) == (404, "unknown_recording")
            assert len(answer["text"]) < 400
        for other in taken:
            if other.sha256[0] == shared and other is not next(it for it in taken if it.sha256[0] == shared):
                await seen.well("POST", f"/{other.sha256}/discard")
        assert (await seen.well("GET", f"/{shared}")).state == "unassigned", "deleted ones are not meant"


async def test_the_queue_is_told_again_from_the_files(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        lost = await seen.well("POST", "", asi(seed=1))
        await seen.gateway.ledger.change(lost.sha256, lambda it: found_missing(it, 1))
        status, told = await seen.ask("POST", "/rebuild")
        assert (status, json.loads(told)["files"]) == (200, 1)
        assert (await seen.well("GET", f"/{lost.id}")).state == "unassigned"


async def test_the_inbox_and_the_room_are_told(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        waits = InboxReport(name="a.jpg", size=1, code="not_asi", text="It is none", action="remove it", since_ms=1)
        seen.inbox.waiting, seen.inbox.trouble = (waits,), StoreError("The inbox is gone", "plug it in")
        await asyncio.sleep(2)
        told = await seen.report()
        assert (told.inbox, told.inbox_folder) == ((waits,), "/srv/inbox")
        assert told.inbox_trouble == TroubleReport(text="The inbox is gone", action="plug it in")
        assert told.spool.limit_bytes
        assert told.spool.free_bytes is not None
        assert {it.code for it in seen.problems} == {"inbox_not_taken", "inbox_unreadable"}


async def test_a_spool_that_cannot_be_looked_at_does_not_end_the_telling(tmp_path: Path) -> None:
    async with faced(tmp_path) as seen:
        kept = await seen.well("POST", "", asi())
        await asyncio.sleep(1)
        seen.gateway.spool.folder.rename(tmp_path / "away")
        await asyncio.sleep(10)
        spool = (await seen.report()).spool
        assert (spool.free_bytes, spool.limit_bytes) == (None, None)
        assert spool.used_bytes == kept.size, "what was kept is not gone because it cannot be seen"
        (tmp_path / "away").rename(seen.gateway.spool.folder)
        await asyncio.sleep(10)
        assert (await seen.report()).spool.free_bytes is not None


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_has_a_code_over_http(refusal: Refusal) -> None:
    code = ErrorCode(refusal)
    assert code in STATUSES or refusal in {Refusal.EMPTY, Refusal.CUT_OFF}, "these are 400"

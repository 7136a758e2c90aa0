"""The whole daemon and the simulated cloud in virtual time: from a dropped file to a finished job; every setting."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from gateway import app
from gateway.config import Settings
from gateway.credentials import Credentials
from gateway.secret import Secret
from gateway.simulator import server as simulator
from gateway.simulator.cloud import SimulatedCloud
from gateway.uploads.recording import SHORT_ID
from gateway.uploads.report import InboxReport, RecordingReport, RecordingsReport
from insiders_gateway_client.gateway import Gateway
from tests.fakes.clouds import simulation, wall_ms
from tests.test_gateway import settings
from tests.uploads.taking.dropping import asi

pytestmark = pytest.mark.looptime

BIG_KB = 1500
"""More than the smallest limits that can be set."""

CREDENTIALS = Credentials(Secret(simulator.PASSWORD), Secret(simulator.CLIENT_SECRET))


@pytest.fixture(autouse=True)
def _virtual(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells of changes in real time, so nobody listens to it; and the wall clock is that of the cloud."""

    async def hear_nothing(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("gateway.uploads.taking.watching.Watch._listen", hear_nothing)
    monkeypatch.setattr("gateway.parts.utc_ms", wall_ms)


@dataclass
class Place:
    """Where a gateway lives, one after the other; the cloud goes on meanwhile."""

    cloud: SimulatedCloud
    served: simulator.RunningCloud
    folder: Path
    port: int = 0

    @asynccontextmanager
    async def gateway(self, **recordings: Any) -> AsyncIterator[app.Gateway]:
        """One life, with these settings of [recordings]."""
        raw = settings(self.cloud, self.served, self.folder / "state", source="poll").model_dump()
        # Through the validation, as from a file.
        configured = Settings.model_validate(raw | {"recordings": recordings})
        async with app.running(configured, CREDENTIALS, {}) as gateway:
            self.port = gateway.port
            yield gateway

    @property
    def inbox(self) -> Path:
        return self.folder / "state/inbox"

    @property
    def serial(self) -> str:
        return self.cloud.devices[0].serial_number

    def drop(self, content: bytes, name: str = "", inbox: Path | None = None) -> Path:
        """A file that nobody writes any more."""
        path = (inbox or self.inbox) / (name or f"{self.serial}/a.asi")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    async def send(self, content: bytes, **query: str) -> tuple[int, dict[str, Any]]:
        """Give a file over HTTP."""
        url = f"http://127.0.0.1:{self.port}/api/v1/recordings"
        async with aiohttp.ClientSession() as http, http.post(url, params=query, data=BytesIO(content)) as answer:
            return answer.status, await answer.json()

    async def told(self) -> RecordingsReport:
        url = f"http://127.0.0.1:{self.port}/api/v1/recordings?all=true"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return msgspec.json.decode(await answer.read(), type=RecordingsReport)

    async def comes(self, is_so: Callable[[RecordingsReport], Any], within_s: float = 120.0) -> RecordingsReport:
        """Wait until the list is so."""
        async with asyncio.timeout(within_s):
            while not is_so(told := await self.told()):
                await asyncio.sleep(0.5)
        return told

    async def comes_to(self, state: str, content: bytes, within_s: float = 120.0) -> RecordingReport:
        """Wait until a recording is in a state."""

        def found(told: RecordingsReport) -> list[RecordingReport]:
            return [it for it in told.recordings if (it.sha256, it.state) == (sha256(content).hexdigest(), state)]

        return found(await self.comes(found, within_s))[0]

    async def stays(self, path: Path) -> InboxReport:
        """Wait until it is said why a file stays in the inbox."""
        (waits,) = (await self.comes(lambda it: [one for one in it.inbox if one.action])).inbox
        assert path.exists()
        return waits

    def accepted(self, content: bytes) -> int:
        return self.cloud.jobs.accepted(sha256(content).hexdigest())


@asynccontextmanager
async def a_place(folder: Path, **knobs: object) -> AsyncIterator[Place]:
    async with simulation(1, **knobs) as (cloud, served):
        yield Place(cloud, served, folder)


async def test_a_dropped_file_is_done_in_the_cloud_and_everybody_hears_of_it(tmp_path: Path) -> None:
    content = asi()
    key = f"recording/{sha256(content).hexdigest()[:SHORT_ID]}"
    async with a_place(tmp_path) as place, place.gateway() as gateway:
        heard = []
        async with aclosing(Gateway(str(gateway.port)).follow().messages()) as messages:
            path = place.drop(content)
            async with asyncio.timeout(120):
                async for message in messages:
                    if message["op"] == "state" and message["key"] == key:
                        heard.append(message["value"])
                        if heard[-1] == "done":
                            break
        assert heard[0] == "queued"
        assert set(heard) <= {"queued", "sending", "closing", "accepted", "done"}
        assert place.accepted(content) == 1
        assert not path.exists()
        (told,) = (await place.told()).recordings
        assert (told.state, told.serial_number, told.maybe_duplicate) == ("done", place.serial, False)
        (job,) = place.cloud.jobs.all
        assert (job.job_id, job.device_id) == (told.job_id, place.cloud.devices[0].device_id)


@pytest.mark.parametrize("is_orderly", [True, False])
async def test_a_gateway_that_is_stopped_in_the_middle_goes_on_with_it(tmp_path: Path, *, is_orderly: bool) -> None:
    content = asi(BIG_KB)
    async with a_place(tmp_path) as place:

        async def live() -> None:
            async with place.gateway(max_kbit_per_s=256):
                place.drop(content)
                await place.comes_to("sending", content)
                await asyncio.sleep(10)
                assert (await place.told()).recordings[0].progress is not None
                if not is_orderly:
                    await asyncio.sleep(3600)

        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(live())
            await asyncio.sleep(60)
            life.cancel()
        assert place.accepted(content) == 0
        async with place.gateway():
            done = await place.comes_to("done", content)
        assert place.accepted(content) == 1
        assert (done.maybe_duplicate, done.tries) == (False, 0)


async def test_the_inbox_is_where_it_is_said_to_be(tmp_path: Path) -> None:
    inbox = tmp_path / "elsewhere"
    async with a_place(tmp_path) as place, place.gateway(inbox=str(inbox)):
        path = place.drop(asi(), inbox=inbox)
        await place.comes_to("done", asi())
        assert not path.exists()
        assert (await place.told()).inbox_folder == str(inbox)
        assert not place.inbox.exists()


async def test_a_pattern_names_the_tracker_in_the_inbox_and_over_http(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, place.gateway(tracker_pattern="from{tracker}.asi"):
        name = f"from{place.serial}.asi"
        place.drop(asi(), name)
        assert (await place.comes_to("done", asi())).serial_number == place.serial
        assert (await place.send(asi(seed=1), name=name))[1]["serial_number"] == place.serial
        # It is in place of what a name says usually.
        assert (await place.send(asi(seed=2), name=f"{place.serial}.asi"))[1]["serial_number"] is None


async def test_without_a_pattern_such_a_name_says_nothing(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, place.gateway():
        name = f"from{place.serial}.asi"
        place.drop(asi(), name)
        await place.comes_to("unassigned", asi())
        assert (await place.send(asi(seed=1), name=name))[1]["serial_number"] is None


async def test_a_file_that_is_larger_than_is_taken_stays_and_is_refused(tmp_path: Path) -> None:
    content = asi(BIG_KB)
    async with a_place(tmp_path) as place:
        async with place.gateway(max_file_mb=1):
            path = place.drop(content)
            assert (await place.stays(path)).code == "too_large"
            status, told = await place.send(content)
            assert (status, told["code"]) == (413, "too_large")
            assert (await place.told()).max_file_bytes == 1_000_000
        async with place.gateway(max_file_mb=2):
            await place.comes_to("done", content)
            assert not path.exists()


async def test_what_has_no_room_stays_and_is_refused(tmp_path: Path) -> None:
    content = asi(BIG_KB)
    async with a_place(tmp_path) as place:
        async with place.gateway(spool_max_mb=1):
            path = place.drop(content)
            stays = await place.stays(path)
            assert stays.code == "no_room"
            assert "spool_max_mb is 1.0 MB" in stays.text
            status, told = await place.send(content)
            assert (status, told["code"]) == (507, "no_room")
            assert (await place.comes(lambda it: it.spool.limit_bytes)).spool.limit_bytes == 1_000_000
        async with place.gateway(spool_max_mb=2):
            await place.comes_to("done", content)


async def test_what_is_done_is_kept_for_as_long_as_is_said(tmp_path: Path) -> None:
    kept = "state/recordings"
    file = f"{sha256(asi()).hexdigest()}.asi"
    async with a_place(tmp_path) as place:
        async with place.gateway():
            place.drop(asi())
            await place.comes_to("done", asi())
        async with place.gateway(keep_days=1):
            await asyncio.sleep(60)
            (told,) = (await place.told()).recordings
            assert (told.state, told.deletes_ms) == ("done", told.since_ms + 86_400_000)
            assert (tmp_path / kept / file).exists()
        async with place.gateway(keep_days=0):
            purged = await place.comes_to("purged", asi())
            assert not (tmp_path / kept / file).exists()
            assert purged.deletes_ms is None


async def test_a_thin_line_is_not_taken_whole(tmp_path: Path) -> None:
    """What 64 kbit/s take minutes for, base64 and all, takes seconds without a limit."""
    now = asyncio.get_running_loop().time
    content = asi(BIG_KB)
    least_s = BIG_KB * 1000 * 4 / 3 / 8000
    async with a_place(tmp_path) as place:
        async with place.gateway(max_kbit_per_s=64):
            place.drop(content)
            await place.comes_to("sending", content)
            began_s = now()
            await place.comes_to("accepted", content, within_s=3 * least_s)
            assert 0.8 * least_s < now() - began_s < 1.5 * least_s
        async with place.gateway():
            other = asi(BIG_KB, seed=1)
            place.drop(other)
            await place.comes_to("done", other, within_s=0.3 * least_s)


@pytest.mark.parametrize("lookup", [True, False])
async def test_the_cloud_is_asked_for_what_it_may_have_only_where_that_is_said_to_be_possible(
    tmp_path: Path, *, lookup: bool
) -> None:
    knobs = {"lookup_enabled": True, "upload_answer_lost_fraction": 1.0, "lost_answer_form": "reset"}
    async with a_place(tmp_path, **knobs) as place, place.gateway(lookup=lookup):
        place.drop(asi())
        lost = await place.comes_to("ambiguous", asi())
        assert ("so the gateway asks" in lost.text) is lookup
        if lookup:
            await place.comes_to("done", asi(), within_s=600)
        else:
            await asyncio.sleep(600)
            assert (await place.told()).recordings[0].state == "ambiguous"
        assert (place.cloud.requests["find_asi"] > 0) is lookup
        assert place.accepted(asi()) == 1


async def test_a_lookup_that_the_cloud_has_not_is_a_problem(tmp_path: Path) -> None:
    async with (
        a_place(tmp_path, upload_answer_lost_fraction=1.0, lost_answer_form="reset") as place,
        place.gateway(lookup=True) as gateway,
    ):
        place.drop(asi())
        await place.comes_to("ambiguous", asi())
        await asyncio.sleep(120)
        (wrong,) = [it for it in gateway.problems if it.code == "recordings_setting"]
        assert "lookup = false" in wrong.action

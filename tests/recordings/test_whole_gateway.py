"""What a technician types, against the whole daemon and the simulated cloud, in virtual time."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.recordings.adding import add
from gateway.recordings.deciding import assign, discard, rebuild, retry
from gateway.recordings.listing import list_recordings
from gateway.recordings.showing import show
from gateway.simulator.faults import Faults
from gateway.terminal.errors import CommandError
from tests.recordings.test_adding import without_codes
from tests.terminal.person import person, pipe
from tests.test_gateway import World, world

pytestmark = pytest.mark.looptime


@asynccontextmanager
async def ready(**knobs: Any) -> AsyncIterator[World]:
    """A gateway whose trackers are ours."""
    async with world(Faults().merged(knobs), trackers=3) as w:
        async with asyncio.timeout(60):
            while {claim.status.value for claim in w.gateway.claims.current} != {"owned"}:
                await asyncio.sleep(1)
        yield w


def made(folder: Path, name: str, size: int = 300_000) -> Path:
    path = folder / name
    path.write_bytes(b"ASI\x00\x00\x00\x10\x04\x04\x06ASI V2" + os.urandom(size))
    return path


async def test_files_are_added_with_a_tracker_with_its_name_or_with_neither(tmp_path: Path) -> None:
    async with ready() as w:
        serials = [device.serial_number for device in w.cloud.devices]
        (tmp_path / serials[2]).mkdir()
        talk, out = pipe()
        named = [made(tmp_path, f"monday {serials[1]}.asi"), made(tmp_path / serials[2], "tuesday.asi")]
        assert await add(w.url, talk, [made(tmp_path, "a.asi")], tracker=serials[0]) == 0
        assert await add(w.url, talk, named) == 0
        assert await add(w.url, talk, [made(tmp_path, "b.asi")]) == 1
        lines = out.getvalue().splitlines()
        assert sum(line.endswith("The cloud has it and has finished its work.") for line in lines) == 3
        id_ = lines[-1].split()[4]
        assert f"insiders-gateway recordings assign {id_} TRACKER --url" in lines[-1]

        async with person() as one:
            assert await assign(w.url, one.talk, [id_], serials[0]) == 0
            await asyncio.sleep(60)
            await list_recordings(w.url, one.talk)
            await one.saw("4 recordings, nothing to do.")
        talk, out = pipe()
        await show(w.url, talk, id_)
        assert "said by a person" in out.getvalue()
        assert out.getvalue().splitlines()[-1].endswith("in the cloud")


async def test_what_the_cloud_refuses_is_said_retried_and_discarded_after_a_question(tmp_path: Path) -> None:
    async with ready(upload_refuses=422) as w:
        serial = w.cloud.devices[0].serial_number
        async with person() as one:
            assert await add(w.url, one.talk, [made(tmp_path, "a.asi")], tracker=serial) == 1
            await one.saw("recordings discard")
        seen = without_codes(one.seen)
        assert "a.asi: The cloud does not take it: " in seen
        id_ = seen.rpartition("recordings discard ")[2].split()[0]

        talk, out = pipe()
        w.faults(upload_refuses=0)
        assert await retry(w.url, talk, [id_]) == 0
        assert out.getvalue() == f"{id_} a.asi: It waits for its turn.\n"
        await asyncio.sleep(60)
        async with person({"[y/N]": b"y\n"}) as one:
            assert await discard(w.url, one.talk, [id_[:4]]) == 0
            await one.saw("has deleted it here.")
        assert "So this is not the only copy." in one.text
        with pytest.raises(CommandError, match="cannot be deleted while this is so"):
            await discard(w.url, talk, [id_], is_sure=True)


async def test_what_the_gateway_knows_already_is_recognised_and_its_files_can_be_read_again(tmp_path: Path) -> None:
    async with ready() as w:
        serial = w.cloud.devices[0].serial_number
        talk, out = pipe()
        path = made(tmp_path, "a.asi")
        assert await add(w.url, talk, [path, path], tracker=serial) == 0
        assert "a.asi has been there before: " in out.getvalue()
        await rebuild(w.url, talk)
        assert out.getvalue().splitlines()[-1].startswith("1 file")

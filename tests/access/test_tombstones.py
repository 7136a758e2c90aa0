"""What is taken back stays so after a restart, even where the database could not take it: on a full disk."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.access.tombstones import SLOTS, Tombstones
from gateway.store import open_store

ROOT = Path(__file__).parents[2]
NAME = "ended"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Tombstones]:
    async with open_store(folder, []) as store:
        tombstones = Tombstones(store, NAME)
        await tombstones.load()
        yield tombstones


async def test_the_file_has_its_size_from_the_first_and_no_names(tmp_path: Path) -> None:
    """What grew when it is needed would need room."""
    async with opened(tmp_path) as tombstones:
        size = (tmp_path / NAME).stat().st_size
        assert (tmp_path / NAME).stat().st_blocks * 512 >= size > 0
        await tombstones.add(["Ada de la Cruz"])
    content = (tmp_path / NAME).read_bytes()
    assert len(content) == size
    assert b"Ada" not in content
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


async def test_a_slot_that_is_half_written_is_nobodys(tmp_path: Path) -> None:
    async with opened(tmp_path) as tombstones:
        await tombstones.add(["a"])
        await tombstones.add(["b"])
    content = bytearray((tmp_path / NAME).read_bytes())
    content[24:32] = bytes(8)
    (tmp_path / NAME).write_bytes(content)
    async with opened(tmp_path) as tombstones:
        assert ("a" in tombstones, "b" in tombstones) == (True, False)
        await tombstones.add(["b"])
        assert "b" in tombstones


async def test_a_file_that_was_cut_off_keeps_what_it_has_and_gets_its_size(tmp_path: Path) -> None:
    async with opened(tmp_path) as tombstones:
        await tombstones.add(["a"])
        size = (tmp_path / NAME).stat().st_size
    os.truncate(tmp_path / NAME, 20)
    async with opened(tmp_path) as tombstones:
        assert "a" in tombstones
        assert (tmp_path / NAME).stat().st_size == size


async def test_what_finds_no_room_is_not_said_to_be_kept(tmp_path: Path) -> None:
    async with opened(tmp_path) as tombstones:
        names = [str(number) for number in range(SLOTS + 1)]
        await tombstones.add(names)
        assert sum(name in tombstones for name in names) == SLOTS


@pytest.mark.parametrize("is_there", [True, False])
async def test_without_the_file_nothing_is_kept_and_nothing_stops(tmp_path: Path, is_there: bool) -> None:
    if is_there:
        (tmp_path / NAME).mkdir()
    async with opened(tmp_path) as tombstones:
        if not is_there:
            (tmp_path / NAME).unlink()
        await tombstones.add(["a"])
        assert "a" not in tombstones
        await tombstones.clear()


class Keeping(RuleBasedStateMachine):
    """Any sequence of keeping, forgetting and restarting."""

    @initialize()
    def begin(self) -> None:
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="tombstones-"))
        self.kept: set[str] = set()
        self.runner.run(self._open())

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.stack.aclose())
            self.runner.close()
            shutil.rmtree(self.folder)

    @rule(names=st.sets(st.sampled_from("abcd\udc80")))
    def add(self, names: set[str]) -> None:
        self.runner.run(self.tombstones.add(names))
        self.kept |= names

    @rule()
    def clear(self) -> None:
        self.runner.run(self.tombstones.clear())
        self.kept.clear()

    @rule()
    def restart(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.run(self._open())

    @invariant()
    def what_was_added_is_there(self) -> None:
        if hasattr(self, "kept"):
            assert {name for name in "abcd\udc80" if name in self.tombstones} == self.kept

    async def _open(self) -> None:
        self.tombstones = await self.stack.enter_async_context(opened(self.folder))


Keeping.TestCase.settings = settings(max_examples=20, stateful_step_count=10, deadline=None)
TestKeeping = Keeping.TestCase


FULL = """
import asyncio, sys
from pathlib import Path
from gateway.access import grants, releases
from gateway.access.caller import Caller
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.grants import NewGrant
from gateway.access.releases import Releases
from gateway.access.roles import Role
from gateway.problems import Problems
from gateway.store import open_store

FOLDER, FILLING = Path(sys.argv[1]), Path(sys.argv[1]) / "filling"
KIM = Caller("root", "this machine", Role.ADMIN)

class Audit:
    def note(self, *args, **named): pass

async def run(deed):
    async with open_store(FOLDER, [grants.SCHEMA, releases.SCHEMA]) as store:
        problems = Problems(lambda: 0)
        doorkeeper = Doorkeeper(store)
        team = {"SN-1": "Ada", "SN-2": "Bo"}
        released = Releases(store, team, lambda: 5, lambda: 5, problems, Audit(), is_required=True)
        await doorkeeper.load()
        await released.load()
        await deed(doorkeeper, released)
        people = sorted(grant.person for grant in doorkeeper.grants)
        problem = [it.text for it in problems if it.code == "releases_unsaved"]
        print(people, sorted(released.released), doorkeeper.trouble is None, doorkeeper.is_forgetful, *problem)

async def began(doorkeeper, released):
    await doorkeeper.create(NewGrant("Cem", "laptop"), KIM)
    await doorkeeper.create(NewGrant("Dan", "laptop"), KIM)
    await released.give("*", "consent", KIM)

async def full(doorkeeper, released):
    with FILLING.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    [cem] = [grant for grant in doorkeeper.grants if grant.person == "Cem"]
    await doorkeeper.revoke(cem.id, KIM)
    await released.withdraw(["Ada"], KIM)

async def still_full(doorkeeper, released):
    pass

async def with_room(doorkeeper, released):
    FILLING.unlink()
    await doorkeeper._register._tend()
    await released._keep()

async def given_again(doorkeeper, released):
    await released.give(["Ada"], "consent", KIM)

for deed in (began, full, still_full, with_room, given_again, still_full):
    asyncio.run(run(deed))
    print(any((FOLDER / "access.ended").read_bytes()), any((FOLDER / "releases.withdrawn").read_bytes()))
"""


def test_on_a_full_disk_what_is_taken_back_stays_so_after_a_restart(tmp_path: Path) -> None:
    disk = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=2m none "$0" && exec "$@"', str(tmp_path)]
    if subprocess.run([*disk, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "codecs")))}
    command = [*disk, sys.executable, "-c", FULL, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    told = "Releases were changed and the disk has not kept that; what was withdrawn stays so all the same"
    assert result.stdout.splitlines() == [
        "['Cem', 'Dan'] ['SN-1', 'SN-2'] True False",
        "False False",
        f"['Dan'] ['SN-2'] False False {told}",
        "True True",
        "['Dan'] ['SN-2'] False False",
        "True True",
        "['Dan'] ['SN-2'] True False",
        "False False",
        "['Dan'] ['SN-1', 'SN-2'] True False",
        "False False",
        "['Dan'] ['SN-1', 'SN-2'] True False",
        "False False",
    ]

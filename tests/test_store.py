"""The store: what it has said is written stays written, and no disk, whatever it does, stops anything else."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway import store as store_module
from gateway import worker
from gateway.store import DATABASE, Connection, Store, StoreError, StoreLockedError, open_store

ROOT = Path(__file__).parent.parent
SCHEMA = "CREATE TABLE IF NOT EXISTS number (value INTEGER PRIMARY KEY, text TEXT NOT NULL DEFAULT '') STRICT;"


def put(value: int, text: str = "") -> Callable[[Connection], None]:
    return lambda connection: void(connection.execute("INSERT INTO number VALUES (?, ?)", (value, text)))


def void(_: object) -> None:
    pass


def numbers(connection: Connection) -> list[int]:
    return [value for (value,) in connection.execute("SELECT value FROM number ORDER BY value")]


def working(store: Store) -> Store:
    assert store.trouble is None
    assert store.damage == ""
    return store


async def fill(folder: Path, count: int = 3) -> None:
    async with open_store(folder, [SCHEMA]) as store:
        for value in range(count):
            await working(store).write(put(value, "x" * 3000))


ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'codecs'}"}


def run(script: str, folder: Path, prefix: tuple[str, ...] = ()) -> list[str]:
    """The lines that a script has printed in a process of its own."""
    command = [*prefix, sys.executable, "-c", PREAMBLE + script, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False, env=ENVIRONMENT)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


PREAMBLE = """
import asyncio, itertools, sys
from pathlib import Path
from gateway.store import StoreError, StoreLockedError, open_store
from tests.test_store import SCHEMA, numbers, put
folder = Path(sys.argv[1])
"""


async def test_what_was_written_is_there_at_the_next_start(tmp_path: Path) -> None:
    await fill(tmp_path)
    async with open_store(tmp_path, [SCHEMA]) as store:
        assert await working(store).read(numbers) == [0, 1, 2]


async def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    async with open_store(folder, [SCHEMA]) as store:
        await store.write(put(1))
        assert folder.stat().st_mode & 0o777 == 0o700
        databases = [path for path in folder.iterdir() if not path.name.endswith(".exists")]
        assert len(databases) == 3
        assert {path.stat().st_mode & 0o777 for path in databases} == {0o600}


async def test_a_transaction_is_kept_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """Not even a mistake of the program stops anything but itself."""

    def half(connection: Connection) -> None:
        put(1)(connection)
        raise LookupError

    def twice(connection: Connection) -> None:
        put(2)(connection)
        put(2)(connection)

    async with open_store(tmp_path, [SCHEMA]) as store:
        with pytest.raises(LookupError):
            await store.write(half)
        for mistake in (twice, lambda connection: void(connection.execute("SELECT nothing"))):
            with pytest.raises(StoreError, match="does not work"):
                await store.write(mistake)
            assert await store.mend()
        assert await working(store).read(numbers) == []


@pytest.fixture
def answers() -> Iterator[threading.Event]:
    """Set when the disk shall answer, at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


async def test_the_event_loop_runs_while_the_disk_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: threading.Event
) -> None:
    """What is asked of it meanwhile is refused with the reason, and it is well again as soon as the disk is."""
    monkeypatch.setattr(worker, "OVERDUE_S", 0.05)

    def stuck(connection: Connection) -> None:
        answers.wait()
        put(1)(connection)

    async with open_store(tmp_path, [SCHEMA]) as store, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(store.write(stuck))
        while store.trouble is None:
            await asyncio.sleep(0.01)
        assert "does not answer" in store.trouble.text
        for refused in (store.write(put(2)), store.read(numbers)):
            with pytest.raises(StoreError, match="does not answer"):
                await refused
        assert not await store.mend()
        answers.set()
        await task
        assert await working(store).read(numbers) == [1]


async def test_who_is_cancelled_while_writing_has_written_and_is_told_of_it(
    tmp_path: Path, answers: threading.Event
) -> None:
    begun = threading.Event()
    told: list[str] = []

    def slow(connection: Connection) -> str:
        begun.set()
        answers.wait()
        put(1)(connection)
        return "written"

    async with open_store(tmp_path, [SCHEMA]) as store:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(store.write(slow, told.append))
            while not begun.is_set():
                await asyncio.sleep(0)
            task.cancel()
        assert told == []
        answers.set()
        assert await store.read(numbers) == [1]
        assert told == ["written"]


async def test_the_start_does_not_wait_for_a_disk_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: threading.Event
) -> None:
    monkeypatch.setattr(worker, "OVERDUE_S", 0.05)
    mkdir = Path.mkdir

    def slow(path: Path, mode: int, parents: bool, exist_ok: bool) -> None:
        answers.wait()
        mkdir(path, mode, parents, exist_ok)

    monkeypatch.setattr(Path, "mkdir", slow)
    async with open_store(tmp_path / "state", [SCHEMA]) as store:
        for refused in (store.write(put(1)), store.read(numbers)):
            with pytest.raises(StoreError, match="does not answer"):
                await refused
        answers.set()
        while store.trouble is not None:
            await asyncio.sleep(0.01)
        assert await store.read(numbers) == []
        await working(store).write(put(1))


async def test_two_gateways_do_not_share_a_folder(tmp_path: Path) -> None:
    async with open_store(tmp_path, [SCHEMA]) as store:
        with pytest.raises(StoreLockedError, match="Another gateway uses"):
            async with open_store(tmp_path, [SCHEMA]):
                pass
        other = run(
            """
async def main():
    try:
        async with open_store(folder, [SCHEMA]):
            print("open")
    except StoreLockedError:
        print("taken")
asyncio.run(main())
""",
            tmp_path,
        )
        assert other == ["taken"]
        await working(store).write(put(1))
    await fill(tmp_path / "another")
    async with open_store(tmp_path, [SCHEMA]) as store:
        assert await working(store).read(numbers) == [1]


WRITER = """
async def main():
    async with open_store(folder, [SCHEMA]) as store:
        first = len(await store.read(numbers))
        for value in itertools.count(first):
            await store.write(put(value, "x" * 2000))
            print(value, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_that_was_written_is_lost_when_it_is_killed(tmp_path: Path, seed: int) -> None:
    """At any instant, several times in a row: what was acknowledged is there, and at most one more."""
    draw = random.Random(seed)
    acknowledged = -1
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=ENVIRONMENT,
        ) as writer:
            assert writer.stdout is not None
            for _ in range(draw.randrange(1, 60)):
                acknowledged = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        async with open_store(tmp_path, [SCHEMA]) as store:
            kept = await working(store).read(numbers)
        assert kept in (list(range(acknowledged + 1)), list(range(acknowledged + 2)))
        acknowledged = kept[-1]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zero_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(100))


def zero_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(8192))


def noise(path: Path) -> None:
    path.write_bytes(random.Random(3).randbytes(5000))


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [cut, zero_header, zero_pages, noise, empty, Path.unlink])
async def test_a_damaged_database_is_moved_aside_and_begun_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """One that is empty or gone is never taken for the first start. It is told until a person has seen to it."""
    await fill(tmp_path)
    damage(tmp_path / DATABASE)
    left = (tmp_path / DATABASE).read_bytes() if (tmp_path / DATABASE).exists() else None
    for _ in range(2):
        async with open_store(tmp_path, [SCHEMA]) as store:
            assert store.trouble is None
            assert await store.read(numbers) == []
            aside = Path(store.damage)
            assert ((aside / DATABASE).read_bytes() if left is not None else None) == left
    async with open_store(tmp_path, [SCHEMA]) as store:
        await store.write(put(1))
        shutil.rmtree(aside)
        assert await store.mend()
        assert await working(store).read(numbers) == [1]


async def test_any_flipped_bits_leave_a_store_that_works(tmp_path: Path) -> None:
    """In the names of columns too, which SQLite takes for what they are."""
    draw = random.Random(3)
    for case in range(12):
        folder = tmp_path / str(case)
        await fill(folder)
        content = bytearray((folder / DATABASE).read_bytes())
        for _ in range(draw.randrange(1, 50)):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        (folder / DATABASE).write_bytes(content)
        async with open_store(folder, [SCHEMA]) as store:
            if store.trouble is None:
                await store.write(put(100))
                assert 100 in await store.read(numbers)
            else:
                assert "newer gateway" in store.trouble.text


@pytest.mark.parametrize("harm", [Path.unlink, empty, noise, cut])
async def test_a_log_that_is_damaged_leaves_an_earlier_state(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    async with open_store(tmp_path / "one", [SCHEMA]) as store:
        for value in range(10):
            await store.write(put(value, "x" * 3000))
        shutil.copytree(tmp_path / "one", tmp_path / "two")  # as a power cut would leave it
    harm(tmp_path / "two" / f"{DATABASE}-wal")
    async with open_store(tmp_path / "two", [SCHEMA]) as store:
        kept = await working(store).read(numbers)
        assert kept == list(range(len(kept)))
        await store.write(put(100))


async def test_no_more_than_five_damaged_ones_are_kept(tmp_path: Path) -> None:
    await fill(tmp_path / "state")
    damages = []
    for _ in range(8):
        noise(tmp_path / "state" / DATABASE)
        async with open_store(tmp_path / "state", [SCHEMA]) as store:
            damages.append(Path(store.damage))
    assert [path for path in damages if path.exists()] == damages[-5:]


async def test_what_a_newer_gateway_wrote_is_left_alone(tmp_path: Path) -> None:
    await fill(tmp_path)
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (tmp_path / DATABASE).read_bytes()
    async with open_store(tmp_path, [SCHEMA]) as store:
        assert store.trouble is not None
        assert "newer gateway" in store.trouble.text
        assert not await store.mend()
        for refused in (store.read(numbers), store.write(put(9))):
            with pytest.raises(StoreError, match="newer gateway"):
                await refused
    assert (tmp_path / DATABASE).read_bytes() == before


async def test_a_full_disk_refuses_and_is_tried_again(tmp_path: Path) -> None:
    async with open_store(tmp_path, [SCHEMA]) as store:
        await store.read(lambda connection: void(connection.execute("PRAGMA max_page_count = 8").fetchall()))
        with pytest.raises(StoreError, match="The disk is full"):
            await store.write(put(1, "x" * 50_000))
        assert store.trouble is not None
        assert await store.read(numbers) == []
        with pytest.raises(StoreError, match="free some space"):
            await store.write(put(2))
        assert await store.mend()
        await working(store).write(put(2))


async def test_a_program_that_holds_it_is_named_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_BUSY_S", 0.05)
    async with open_store(tmp_path, [SCHEMA]) as store:
        person = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
        person.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="Another program has"):
            await store.write(put(1))
        assert not await store.mend()
        person.close()
        assert await store.mend()
        await working(store).write(put(1))


@pytest.mark.parametrize("obstacle", ["file", "folder", "link", "pipe"])
async def test_what_is_no_folder_or_no_file_is_said(tmp_path: Path, obstacle: str) -> None:
    folder = tmp_path / "state"
    if obstacle == "file":
        folder.touch()
    else:
        folder.mkdir()
        database = folder / DATABASE
        if obstacle == "folder":
            database.mkdir()
        elif obstacle == "link":
            database.symlink_to(tmp_path / "elsewhere")
        else:
            os.mkfifo(database)
    async with open_store(folder, [SCHEMA]) as store:
        assert store.trouble is not None
        with pytest.raises(StoreError):
            await store.write(put(1))
        with pytest.raises(StoreError):
            await store.read(numbers)
    assert not (tmp_path / "elsewhere").exists()


DISK = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=2m none "$0" && exec "$@"')
"""Runs a command with a small disk of its own in a folder."""


@pytest.fixture
def disk(tmp_path: Path) -> tuple[str, ...]:
    """In front of a command that gets a disk of 2 MB at `tmp_path`, and may mount what it likes."""
    command = (*DISK, str(tmp_path))
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    return command


def test_a_disk_that_fills_up_says_so_and_goes_on_when_there_is_room(tmp_path: Path, disk: tuple[str, ...]) -> None:
    result = run(
        """
async def main():
    async with open_store(folder, [SCHEMA]) as store:
        await store.write(put(0))
        (folder / "ballast").write_bytes(bytes(1_000_000))
        try:
            for value in range(1, 10_000):
                await store.write(put(value, "x" * 3000))
        except StoreError as error:
            print(error)
        kept = await store.read(numbers)
        print(kept == list(range(value)))
        (folder / "ballast").unlink()
        print(await store.mend(), store.trouble, store.damage)
        await store.write(put(-1))
        print(await store.read(numbers) == [-1, *kept])
asyncio.run(main())
""",
        tmp_path,
        disk,
    )
    full = f"The disk is full, {tmp_path / DATABASE} cannot be written: free some space; it is tried again every minute"
    assert result == [full, "True", "True None ", "True"]


def test_a_disk_that_is_full_from_the_start_is_said_and_mended(tmp_path: Path, disk: tuple[str, ...]) -> None:
    result = run(
        """
async def main():
    with (folder / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    async with open_store(folder, [SCHEMA]) as store:
        print(store.trouble.text.partition(",")[0])
        (folder / "ballast").unlink()
        print(await store.mend(), store.trouble, store.damage)
        await store.write(put(1))
        print(await store.read(numbers))
asyncio.run(main())
""",
        tmp_path,
        disk,
    )
    assert result == ["The disk is full", "True None ", "[1]"]


READ_ONLY = """
import subprocess
def mount(how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
"""


def test_a_disk_that_becomes_read_only_can_be_read_and_is_said(tmp_path: Path, disk: tuple[str, ...]) -> None:
    """Linux does that to a card that fails; our file is closed and opened again meanwhile, and a restart reads too."""
    result = run(
        READ_ONLY
        + """
async def read_only():
    async with open_store(folder, [SCHEMA]) as store:
        print(store.trouble.text, await store.read(numbers), await store.mend())
        mount("rw")
        print(await store.mend(), store.trouble, await store.read(numbers))

async def main():
    async with open_store(folder, [SCHEMA]) as store:
        await store.write(put(1))
    mount("ro")
    await read_only()
    async with open_store(folder, [SCHEMA]) as store:
        await store.write(put(2))
    mount("ro")
    await read_only()
asyncio.run(main())
""",
        tmp_path,
        disk,
    )
    said = f"{tmp_path / DATABASE} cannot be written"
    assert result == [
        f"{said} [1] False",
        "True None [1]",
        f"{said} [1, 2] False",
        "True None [1, 2]",
    ]


def test_after_a_power_cut_a_disk_that_is_read_only_is_read_with_its_log(tmp_path: Path, disk: tuple[str, ...]) -> None:
    result = run(
        READ_ONLY
        + """
import os
async def write():
    async with open_store(folder, [SCHEMA]) as store:
        await store.write(put(1))
        await store.write(put(2))
        os._exit(0)

async def read():
    async with open_store(folder, [SCHEMA]) as store:
        print(store.trouble is not None, await store.read(numbers))

if not os.fork():
    asyncio.run(write())
os.wait()
mount("ro")
asyncio.run(read())
""",
        tmp_path,
        disk,
    )
    assert result == ["True [1, 2]"]


@pytest.fixture
def dying() -> tuple[str, ...]:
    """In front of a command whose disk fails every sync after the twelfth."""
    strace = shutil.which("strace")
    command = (strace or "", "-f", "-o", "/dev/null", "-e", "inject=fsync,fdatasync:error=EIO:when=12+")
    if strace is None or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs strace, and the right to trace")
    return command


def test_what_the_disk_did_not_take_is_not_acknowledged(tmp_path: Path, dying: tuple[str, ...]) -> None:
    """It may be there nevertheless: nobody knows what a disk has done that reports a failure."""
    result = run(
        """
async def main():
    async with open_store(folder, [SCHEMA]) as store:
        print(store.trouble)
        try:
            for value in range(100):
                await store.write(put(value))
        except StoreError as error:
            print(error.text)
        kept = await store.read(numbers)
        print(await store.mend(), kept in (list(range(value)), list(range(value + 1))), kept)
asyncio.run(main())
""",
        tmp_path,
        dying,
    )
    assert result[0] == "None"
    assert result[1].startswith("The disk fails")
    assert result[2].startswith("False True")

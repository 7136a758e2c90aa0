"""Files are given to the gateway and followed: one bad one stops no other, and nobody is left in doubt."""

import asyncio
import hashlib
import re
import tracemalloc
from collections.abc import Awaitable
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.live.requests import ErrorCode, RequestError
from gateway.recordings import following
from gateway.recordings.adding import add
from gateway.terminal.errors import CommandError
from gateway.terminal.talk import author
from gateway.uploads.recording import State
from insiders_gateway_client.errors import GatewayError
from tests.recordings.desk import Desk
from tests.terminal.person import person, pipe


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which somebody sits, with three recordings."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.asi", "b.asi", "c.asi"):
        (tmp_path / name).write_bytes(b"ASI" + name.encode() * 100_000)
    return tmp_path


def id_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def paths(*names: str) -> list[Path]:
    return [Path(name) for name in names]


async def test_a_file_gets_there_and_is_followed_to_its_end(folder: Path) -> None:
    desk = Desk()
    async with desk.open() as url:
        talk, out = pipe()
        assert await add(url, talk, paths("a.asi"), tracker="Ada") == 0
    id_, status = id_of(folder / "a.asi"), (folder / "a.asi").stat()
    said = {
        "name": f"{folder.name}/a.asi",
        "tracker": "SIM-0001",
        "author": author(),
        "modified_ms": str(status.st_mtime_ns // 1_000_000),
    }
    assert desk.came == [(said, status.st_size)]
    assert out.getvalue().splitlines() == [
        f"a.asi is in the gateway: {id_}, 500.0 kB, 7 Ada Lindqvist.",
        f"{id_} a.asi: It waits for its turn.",
        f"{id_} a.asi: It is on its way into the cloud.",
        f"{id_} a.asi: The cloud has it and works on it.",
        f"{id_} a.asi: The cloud has it and has finished its work.",
    ]
    assert (folder / "a.asi").exists()


async def test_a_person_sees_bars_and_in_the_end_what_became_of_each(folder: Path) -> None:
    desk = Desk()
    async with desk.open() as url, person() as one:
        assert await add(url, one.talk, paths("a.asi", "b.asi"), tracker="8") == 0
        await one.saw("has finished its work")
    told = without_codes(one.seen)
    assert "1 of 2: a.asi " in told
    assert "━━━━━╌╌╌╌╌╌╌ 250.0 kB of 500.0 kB, 312.0 kB/s, 4:12 left" in told
    assert told.count("has finished") == 2
    assert one.seen.rfind("\x1b[?25h") > one.seen.rfind("\x1b[?25l"), "the cursor is back"


async def test_one_bad_file_stops_no_other(folder: Path) -> None:
    (folder / "folder").mkdir()
    (folder / "notes.asi").write_text("hello")
    desk = Desk()
    async with desk.open() as url:
        talk, out = pipe()
        names = ("gone.asi", "a.asi", "folder", "notes.asi", "b.asi")
        assert await add(url, talk, paths(*names), tracker="Ada", is_followed=False) == 1
    assert out.getvalue().splitlines() == [
        "gone.asi is not there: look at its name.",
        f"a.asi is in the gateway: {id_of(folder / 'a.asi')}, 500.0 kB, 7 Ada Lindqvist.",
        "folder is a folder: name the files in it, folder/*.asi for example.",
        "notes.asi is no .asi recording, which would begin with ASI: name another file.",
        f"b.asi is in the gateway: {id_of(folder / 'b.asi')}, 500.0 kB, 7 Ada Lindqvist.",
        "2 files of 5 in the gateway.",
        f"{id_of(folder / 'a.asi')} a.asi: It waits for its turn.",
        f"{id_of(folder / 'b.asi')} b.asi: It waits for its turn.",
    ]


async def test_what_the_gateway_refuses_is_said_with_the_files_name(folder: Path) -> None:
    desk = Desk(refusals=[RequestError(ErrorCode.NO_ROOM, "There is no room: delete what is not needed.")])
    async with desk.open() as url:
        talk, out = pipe()
        assert await add(url, talk, paths("a.asi", "b.asi"), tracker="Ada") == 1
    assert out.getvalue().splitlines()[0] == "a.asi: There is no room: delete what is not needed."
    assert [size for _, size in desk.came] == [(folder / "b.asi").stat().st_size]


async def test_what_is_larger_than_the_gateway_takes_is_not_even_sent(folder: Path) -> None:
    desk = Desk(told={"max_file_bytes": 1000})
    async with desk.open() as url:
        talk, out = pipe()
        assert await add(url, talk, paths("a.asi")) == 1
    assert out.getvalue().startswith("a.asi has 500.0 kB, and the gateway takes 1.0 kB at most: look whether it is a")
    assert desk.came == []


async def test_a_tracker_that_is_none_or_several_is_said_before_anything_is_sent(folder: Path) -> None:
    desk = Desk()
    async with desk.open() as url:
        talk, _ = pipe()
        for typed, words in {
            "Zed": "No tracker and no athlete is called 'Zed'",
            "SIM": "may be 7 Ada Lindqvist",
        }.items():
            with pytest.raises(CommandError, match=words):
                await add(url, talk, paths("a.asi"), tracker=typed)
    assert desk.came == []


async def test_those_without_a_tracker_are_told_together_with_one_command(folder: Path) -> None:
    desk = Desk()
    async with desk.open() as url:
        talk, out = pipe()
        assert await add(url, talk, paths("a.asi", "b.asi", "c.asi")) == 1
    ids = [id_of(folder / name) for name in ("a.asi", "b.asi", "c.asi")]
    where = url.removeprefix("ws://").partition("/")[0]
    assert out.getvalue().splitlines()[3:] == [
        "Nobody has said which tracker it comes from. Assign it:",
        *(f"  {id_} {name}" for id_, name in zip(ids, ("a.asi", "b.asi", "c.asi"), strict=True)),
        f"  → insiders-gateway recordings assign {' '.join(ids)} TRACKER --url {where}",
    ]


async def test_the_same_bytes_again_are_recognised_and_followed_once(folder: Path) -> None:
    (folder / "copy.asi").write_bytes((folder / "a.asi").read_bytes())
    desk = Desk()
    async with desk.open() as url:
        talk, out = pipe()
        assert await add(url, talk, paths("a.asi", "copy.asi"), tracker="Ada") == 0
    lines = out.getvalue().splitlines()
    assert lines[1].startswith("copy.asi has been there before: ")
    assert sum("has finished" in line for line in lines) == 1


async def test_what_is_another_trackers_already_is_said_to_stay_that(folder: Path) -> None:
    desk = Desk(course=())
    async with desk.open() as url:
        talk, out = pipe()
        assert await add(url, talk, paths("a.asi"), tracker="Ada", is_followed=False) == 0
        assert await add(url, talk, paths("a.asi"), tracker="Bea", is_followed=False) == 0
        desk.recordings[0] = replace(desk.recordings[0], deeds=())
        assert await add(url, talk, paths("a.asi"), tracker="Bea", is_followed=False) == 0
    lines, id_ = out.getvalue().splitlines(), id_of(folder / "a.asi")
    where = url.removeprefix("ws://").partition("/")[0]
    assert lines[2] == (
        f"a.asi has been there before: {id_}, 500.0 kB, 7 Ada Lindqvist. It stays 7 Ada Lindqvist's, and is not "
        f"8 Bea Okafor's: `insiders-gateway recordings assign {id_} TRACKER --url {where}` changes that."
    )
    assert lines[4].endswith("It stays 7 Ada Lindqvist's, and is not 8 Bea Okafor's.")


async def test_while_it_waits_it_is_said_for_what_and_that_one_may_stop_looking(folder: Path) -> None:
    desk = Desk(course=(State.AMBIGUOUS,) * 1000)
    async with desk.open() as url, person() as one, asyncio.TaskGroup() as tasks:
        adding = tasks.create_task(add(url, one.talk, paths("a.asi"), tracker="Ada"))
        await one.saw("answer lost")
        await one.saw("Ctrl-C ends only what is shown here")
        told = without_codes(one.seen)
        assert "answer was lost" in told
        adding.cancel()


async def test_a_failure_in_the_cloud_is_an_exit_status_and_says_what_to_type(folder: Path) -> None:
    desk = Desk(course=(State.SENDING, State.ACCEPTED, State.FAILED))
    async with desk.open() as url, person() as one:
        assert await add(url, one.talk, paths("a.asi"), tracker="Ada") == 1
        await one.saw("recordings discard")
    told = without_codes(one.seen)
    assert "The cloud could not work with it: it has no samples. Ask the vendor about it" in told
    assert f"→ insiders-gateway recordings retry {id_of(folder / 'a.asi')}" in told


async def test_other_bytes_than_were_read_are_noticed(folder: Path) -> None:
    desk = Desk(taken_as="ab" * 32)
    async with desk.open() as url:
        talk, out = pipe()
        assert await add(url, talk, paths("a.asi"), tracker="Ada") == 1
    assert out.getvalue() == (
        "a.asi: what has come to the gateway is something else than what was read here: discard abababab with "
        f"`insiders-gateway recordings discard abababab --url {url.split('/')[2]}`, and add the file again.\n"
    )


async def test_a_gateway_that_ends_in_the_middle_says_how_many_are_left(folder: Path) -> None:
    desk = Desk(pause_s=9.0)
    talk, out = pipe()
    async with asyncio.TaskGroup() as tasks, desk.open() as url:
        adding = tasks.create_task(refusal_of(add(url, talk, paths("a.asi", "b.asi"), tracker="Ada")))
        while desk.begun == 0:
            await asyncio.sleep(0.01)
    assert "2 files of 2 not sent: type the same again when that is over: what the gateway has it reco" in await adding
    assert out.getvalue() == ""
    with pytest.raises(GatewayError, match="start the gateway there"):
        await add(url, talk, paths("a.asi"))


async def test_a_gateway_that_is_silent_meanwhile_is_asked_again(folder: Path) -> None:
    desk = Desk(course=(State.SENDING,) * 1000)
    async with desk.open() as url, person() as one, asyncio.TaskGroup() as tasks:
        adding = tasks.create_task(add(url, one.talk, paths("a.asi"), tracker="Ada"))
        await one.saw("312.0 kB/s")
        desk.told["spool"] = 7
        await one.saw("use the same version here.")
        del desk.told["spool"]
        desk.finish()
        assert await adding == 0


async def test_a_gateway_that_stays_silent_is_not_asked_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PATIENCE_S", 0.1)
    desk = Desk(told_then={"spool": 7})
    async with desk.open() as url:
        talk, _ = pipe()
        said = await refusal_of(add(url, talk, paths("a.asi"), tracker="Ada"))
    assert said.startswith("The gateway has them, but tells nothing any more. ")
    assert said.endswith(f"`insiders-gateway recordings list --url {url.split('/')[2]}` shows how far it is.")


async def test_who_stops_it_is_told_what_is_there_and_that_it_goes_on(folder: Path) -> None:
    desk = Desk(course=(State.SENDING,) * 1000)
    async with desk.open() as url:
        talk, out = pipe()
        async with asyncio.TaskGroup() as tasks:
            adding = tasks.create_task(add(url, talk, paths("a.asi"), tracker="Ada"))
            while "on its way" not in out.getvalue():
                await asyncio.sleep(0.01)
            adding.cancel()
        assert "\nThe gateway goes on by itself: `insiders-gateway recordings list --url" in out.getvalue()

        desk.pause_s = 0.1
        async with asyncio.TaskGroup() as tasks:
            adding = tasks.create_task(add(url, talk, paths("b.asi", "c.asi"), tracker="Ada"))
            while desk.begun == 1:
                await asyncio.sleep(0.01)
            adding.cancel()
        assert out.getvalue().endswith("\nStopped: 2 files not in the gateway.\n")
    assert len(desk.came) == 1


def without_codes(seen: str) -> str:
    """What was on the screen at any time, without what moves the cursor."""
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen).split())


async def refusal_of(work: Awaitable[object]) -> str:
    with pytest.raises(CommandError) as said:
        await work
    return str(said.value)


async def test_a_hundred_megabytes_are_never_in_memory(folder: Path) -> None:
    with (folder / "big.asi").open("wb") as big:
        big.write(b"ASI")
        big.truncate(100_000_000)
    desk = Desk()
    async with desk.open() as url:
        talk, _ = pipe()
        await add(url, talk, paths("a.asi"), tracker="Ada", is_followed=False)
        tracemalloc.start()
        try:
            assert await add(url, talk, paths("big.asi"), tracker="Ada", is_followed=False) == 0
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 5_000_000

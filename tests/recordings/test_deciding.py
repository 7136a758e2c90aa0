"""What a person decides: asked before anything is deleted, and each on its own."""

import pytest

from gateway.live.requests import ErrorCode, RequestError
from gateway.recordings.deciding import assign, discard, rebuild, retry
from gateway.terminal.errors import CommandError
from gateway.terminal.talk import author
from gateway.uploads.recording import State
from tests.recordings.desk import Desk, recording, report
from tests.terminal.person import person, pipe

LOST = report(recording(1111, State.UNASSIGNED, None))
FAILED = report(recording(2222, State.FAILED, error="it has no samples"))
DONE = report(recording(3333, State.DONE))
LEAVES = report(recording(4444, State.SENDING))
DELETED = report(recording(5555, State.DISCARDED, author="kim"))


def desk(**more: object) -> Desk:
    return Desk([LOST, FAILED, DONE, LEAVES], gone=[DELETED], **more)  # type: ignore[arg-type]


async def test_several_are_assigned_to_who_is_called_as_people_call_them() -> None:
    gateway = desk()
    async with gateway.open() as url:
        talk, out = pipe()
        assert await assign(url, talk, ["1111", "2222", "1111"], "bea") == 0
    body = {"tracker": "SIM-0002", "author": author()}
    assert gateway.asked == [("assign", "1111", body), ("assign", "2222", body)]
    assert out.getvalue().splitlines() == [
        f"{LOST.id} rec-1111.asi is 8 Bea Okafor's now (SIM-0002). It waits for its turn.",
        f"{FAILED.id} rec-2222.asi is 8 Bea Okafor's now (SIM-0002). It waits for its turn.",
    ]
    gateway = desk()
    async with gateway.open() as url:
        talk, out = pipe()
        assert await assign(url, talk, ["1111"], "3") == 0
    assert " rec-1111.asi is SIM-0003's now. " in out.getvalue()


async def test_what_is_refused_of_one_holds_up_no_other() -> None:
    gateway = desk(refusals=[RequestError(ErrorCode.NOT_NOW, "It is in the cloud already.")])
    async with gateway.open() as url:
        talk, out = pipe()
        assert await retry(url, talk, ["3333", "2222"]) == 1
        lines = out.getvalue().splitlines()
        gateway.refusals = [RequestError(ErrorCode.NOT_NOW, "It is in the cloud already.")]
        with pytest.raises(CommandError, match="It is in the cloud already"):
            await retry(url, talk, ["3333"])
    assert lines[0] == f"{DONE.id}: It is in the cloud already."
    assert lines[1].startswith(f"{FAILED.id} rec-2222.asi: ")
    assert lines[2] == "1 recording of 2 left as before."


async def test_deleting_is_asked_and_says_of_each_whether_it_is_the_only_copy() -> None:
    gateway = desk()
    async with gateway.open() as url, person({"Delete both for good? [y/N]": b"y\n"}) as one:
        assert await discard(url, one.talk, ["1111", "3333"]) == 0
        await one.saw("has deleted it here.")
    assert one.lines[:7] == [
        f"{LOST.id}, 12.3 MB, rec-1111.asi.",
        "  Nobody has said which tracker it comes from.",
        "  As far as the gateway knows, this is the only copy.",
        f"{DONE.id}, 7 Ada Lindqvist, 12.3 MB, rec-3333.asi.",
        "  The cloud has it and has finished its work.",
        "  So this is not the only copy.",
        "Delete both for good? [y/N] y",
    ]
    assert [(what, id_) for what, id_, _ in gateway.asked] == [("discard", "1111"), ("discard", "3333")]


async def test_what_the_cloud_may_have_is_sent_again_only_if_somebody_agrees() -> None:
    lost, there = report(recording(6666, State.AMBIGUOUS)), report(recording(7777, State.ACCEPTED))
    gateway = Desk([lost, there, FAILED])
    question = "If it is sent again now, the cloud may have it twice. Send? [y/N]"
    async with gateway.open() as url:
        async with person({question: b"n\n"}) as one:
            with pytest.raises(CommandError, match="Left as it was"):
                await retry(url, one.talk, ["6666", "2222"])
        assert "rec-6666.asi" in one.seen
        assert "rec-2222.asi" not in one.seen
        talk, _ = pipe()
        with pytest.raises(CommandError, match="Left as it was: to send both again unasked, add --yes"):
            await retry(url, talk, ["6666", "7777"])
        assert gateway.asked == []
        assert await retry(url, talk, ["6666", "7777"], is_sure=True) == 0
        async with person({question: b"y\n"}) as one:
            assert await retry(url, one.talk, ["7777"]) == 0
        assert await retry(url, talk, ["2222"]) == 0
    assert [id_ for _, id_, _ in gateway.asked] == ["6666", "7777", "7777", "2222"]


@pytest.mark.parametrize("typed", [b"n\n", b"\n", b"yeah\n"])
async def test_whoever_does_not_agree_deletes_nothing(typed: bytes) -> None:
    gateway = desk()
    async with gateway.open() as url, person({"[y/N]": typed}) as one:
        with pytest.raises(CommandError, match="Left as it was"):
            await discard(url, one.talk, ["1111"])
    assert gateway.asked == []


async def test_where_nobody_can_be_asked_it_has_to_be_said_beforehand() -> None:
    gateway = desk()
    async with gateway.open() as url:
        talk, _ = pipe()
        with pytest.raises(CommandError, match="Left as it was: to delete it unasked, add --yes"):
            await discard(url, talk, ["1111"])
        assert gateway.asked == []
        assert await discard(url, talk, ["1111"], is_sure=True) == 0
    assert [what for what, _, _ in gateway.asked] == ["discard"]


@pytest.mark.parametrize(
    ("id_", "words"),
    [
        ("4444", f"{LEAVES.id} cannot be deleted while this is so: It is on its way into the cloud"),
        ("5555", f"{DELETED.id} cannot be deleted while this is so: kim has deleted it here"),
    ],
)
async def test_what_cannot_be_deleted_now_is_said_before_anybody_is_asked(id_: str, words: str) -> None:
    gateway = desk()
    async with gateway.open() as url, person() as one:
        with pytest.raises(CommandError, match=words):
            await discard(url, one.talk, ["1111", id_])
    assert (one.seen, gateway.asked) == ("", [])


async def test_the_queue_is_told_again_from_the_files() -> None:
    gateway = desk()
    async with gateway.open() as url:
        talk, out = pipe()
        await rebuild(url, talk)
    assert gateway.asked == [("rebuild", "", {})]
    assert out.getvalue().splitlines()[-1] == "3 files were read, 1 was recovered."


async def test_a_recording_that_is_not_there_is_said_and_nothing_is_done_to_the_others() -> None:
    gateway = desk()
    async with gateway.open() as url:
        talk, _ = pipe()
        for deed in (retry, discard):
            with pytest.raises(CommandError, match="No recording has an id that begins with 'abcd'"):
                await deed(url, talk, ["1111", "abcd"])
    assert gateway.asked == []

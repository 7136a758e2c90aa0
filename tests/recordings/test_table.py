"""All recordings as a technician reads them."""

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from gateway.recordings.listing import follow_list, list_recordings
from gateway.recordings.table import table, window
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import UNLIMITED
from gateway.uploads.recording import State
from gateway.uploads.report import CountReport, LeftOutReport, RecordingReport, RecordingsReport, TroubleReport
from tests.recordings.desk import NOW_MS, SPOOL, Desk, lying, progress, queue, recording, report
from tests.terminal.person import person, pipe

URL = "ws://127.0.0.1:8770/api/v1/stream"
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
DAY_MS = 86_400_000

LEAVES = report(recording(1234, State.SENDING, "SIM-0002", size=45_600_000), progress=progress(12_345_678))
LOST = [report(recording(number, State.UNASSIGNED, None)) for number in (1111, 2222)]
DOUBTED = report(
    recording(3333, State.QUESTIONED, question="this file is from Tuesday; the tracker was used on Wednesday"),
    made_ms=NOW_MS - 5 * DAY_MS,
)
FAILED = report(recording(4444, State.FAILED, error="it has no samples"), made_ms=NOW_MS - 400 * DAY_MS)
WAITS = report(recording(5555, serial="SIM-0003"), next_s=40.0)
WORKED_ON = report(recording(6666, State.ACCEPTED), job_state="STARTED", made_ms=NOW_MS - 3_600_000)
DONE = report(recording(7777, State.DONE))
TWICE = report(recording(8888, State.DONE, maybe_duplicate=True))
BAD = lying("notes.txt", "not_asi", "It does not begin as a recording does", "remove it")
COMES = lying("SIM-0001/monday.asi", "being_written", "It is still being written", "")

EVERYTHING = queue(LEAVES, DONE, *LOST, WORKED_ON, DOUBTED, WAITS, FAILED, TWICE, inbox=(BAD, COMES))


def drawn(of: RecordingsReport, width: int = 80, height: int = 60, url: str = URL) -> list[str]:
    return table(of, url, NOW, width, height).plain.split("\n")


def test_the_whole_table() -> None:
    """What it looks like: the golden picture of what a technician sees."""
    assert "\n".join(drawn(EVERYTHING)) == GOLDEN.strip("\n")


GOLDEN = f"""
9 recordings, 4 need you; 1 file in the inbox cannot be taken.
{LEAVES.id} 8 Bea Okafor ━━━╌╌╌╌╌╌╌╌╌ 12.3 MB of 45.6 MB, 312.0 kB/s, 4:12 left

Recording Athlete            Size Made         File
Nobody has said which tracker it comes from. Assign it:
  → insiders-gateway recordings assign {LOST[0].id} {LOST[1].id} TRACKER
{LOST[0].id}  —               12.3 MB —            rec-1111.asi
{LOST[1].id}  —               12.3 MB —            rec-2222.asi
Is it from tracker SIM-0001? This file is from Tuesday; the tracker was used on
Wednesday. Assign it to the tracker that it comes from; to the same one if that
is right:
  → insiders-gateway recordings assign {DOUBTED.id} TRACKER
{DOUBTED.id}  7 Ada Lindqvist 12.3 MB 17 Nov 17:00 rec-3333.asi
The cloud could not work with it: it has no samples. Ask the vendor about it,
then retry or discard it:
  → insiders-gateway recordings retry {FAILED.id}
  → insiders-gateway recordings discard {FAILED.id}
{FAILED.id}  7 Ada Lindqvist 12.3 MB 18 Oct 2025  rec-4444.asi
In the inbox. It does not begin as a recording does. Remove it:
(inbox)                    4.1 kB 16:00        notes.txt
The cloud has it, maybe twice, and has finished its work. Look in the cloud
whether it is there twice, and delete one there:
{TWICE.id}  7 Ada Lindqvist 12.3 MB —            rec-8888.asi
The cloud has it and works on it:
{WORKED_ON.id}  7 Ada Lindqvist 12.3 MB 16:00        STARTED  rec-6666.asi
It waits for its turn:
{WAITS.id}  SIM-0003        12.3 MB —            next try in 0:40  rec-5555.asi
In the inbox. It is still being written:
(inbox)                    4.1 kB 16:00        SIM-0001/monday.asi
The cloud has it and has finished its work:
{DONE.id}  7 Ada Lindqvist 12.3 MB —            rec-7777.asi
Kept: 1.2 GB of 8.2 GB, 11.3 GB free on its disk. Inbox: /srv/inbox
"""


@pytest.mark.parametrize(
    ("of", "words"),
    [(queue(), "0 recordings, nothing to do."), (queue(DONE), "1 recording, nothing to do."), (queue(*LOST), "2 need")],
)
def test_the_first_line_says_whether_there_is_anything_to_do(of: RecordingsReport, words: str) -> None:
    assert words in drawn(of)[0]


def test_a_disk_that_fails_stands_above_everything() -> None:
    spool = replace(SPOOL, text="The card is full", action="delete what is not needed there", free_bytes=None)
    lines = drawn(queue(DONE, spool=spool))
    assert lines[1] == "The card is full. Delete what is not needed there."
    assert lines[-1] == "Kept: 1.2 GB of 8.2 GB. Inbox: /srv/inbox"


def test_what_is_wrong_with_the_inbox_stands_above_everything() -> None:
    wrong = TroubleReport(text="The inbox /srv/inbox is no folder", action="move it away")
    assert drawn(queue(DONE, inbox_trouble=wrong))[1] == "The inbox /srv/inbox is no folder. Move it away."


def test_what_is_odd_about_some_is_said_of_them_and_before_what_is_to_be_done() -> None:
    odd = 'No "ASI V2" stands in it'
    lines = drawn(queue(DONE, replace(DONE, sha256="a" * 64, id="a" * 8, warnings=(odd,)), *LOST[:1]))
    assert f"The cloud has it and has finished its work. {odd}:" in lines
    assert "The cloud has it and has finished its work:" in lines
    title = drawn(queue(replace(LOST[0], warnings=(odd,))))[3:5]
    assert " ".join(title) == f"Nobody has said which tracker it comes from. {odd}. Assign it:"


@pytest.mark.parametrize("hours", [-11, 0, 11])
def test_of_a_recording_of_which_only_the_day_is_known_the_day_is_shown_wherever_one_sits(hours: int) -> None:
    midnight = NOW_MS - 5 * DAY_MS - 17 * 3_600_000
    there = NOW.astimezone(timezone(timedelta(hours=hours)))
    for days, shown in ((0, "17 Nov"), (-366, "16 Nov 2025")):
        of = replace(WAITS, made_ms=midnight + days * DAY_MS, made_until_ms=midnight + (days + 1) * DAY_MS)
        assert f" {shown} " in table(queue(of), URL, there, 80).plain
    moment = replace(WAITS, made_ms=midnight, made_until_ms=midnight)
    assert " 17 Nov 00:00 " in table(queue(moment), URL, NOW, 80).plain


def test_many_that_need_the_same_have_one_command_that_stays_on_a_line() -> None:
    lines = drawn(queue(*(report(recording(number, State.UNASSIGNED, None)) for number in range(1000, 1009))))
    assert lines[5] != lines[4] == "  → insiders-gateway recordings assign ID… TRACKER"


def test_commands_ask_the_same_gateway() -> None:
    lines = drawn(queue(DOUBTED), url="wss://pi:8771/api/v1/stream")
    assert f"  → insiders-gateway recordings assign {DOUBTED.id} TRACKER --url pi:8771" in lines


def test_what_has_no_room_is_counted_and_what_needs_you_is_seen_first() -> None:
    many = [report(recording(number, State.DONE)) for number in range(1000, 1040)]
    lines = drawn(queue(*many, *LOST, LEAVES), height=24)
    assert len(lines) <= 24
    assert LOST[0].id in lines[5]
    assert LEAVES.id in lines[1]
    assert lines[-2] == "27 more need nobody: --all lists them"


@given(st.integers(1, 40))
def test_what_needs_somebody_is_never_left_out_of_what_is_printed_once(height: int) -> None:
    needy = [report(recording(number, State.UNASSIGNED, None)) for number in range(1000, 1040)]
    files = [lying(f"{number}.txt", "not_asi", "It is none", "remove it") for number in range(20)]
    lines = drawn(queue(*needy, DONE, TWICE, LEAVES, inbox=tuple(files)), height=height)
    seen = "\n".join(lines)
    assert all(one.id in seen for one in (*needy, TWICE, LEAVES))
    assert all(file.name in seen for file in files)
    assert lines[-2] == "1 more needs nobody: --all lists them"


def test_what_is_drawn_again_counts_what_needs_you_and_has_no_room() -> None:
    needy = [report(recording(number, State.UNASSIGNED, None)) for number in range(1000, 1040)]
    lines = window(queue(*needy, DONE, LEAVES), URL, NOW, 80, 24).plain.split("\n")
    assert len(lines) == 24
    assert lines[-2] == "24 more for you, 1 that need nobody: no room here, leave --follow out"
    assert lines[1].startswith(f"{LEAVES.id} 8 Bea Okafor ━")


@given(
    st.integers(60, 100),
    st.integers(12, 40),
    st.permutations(EVERYTHING.recordings),
    st.text(max_size=40),
    st.sampled_from([URL, "ws://a-gateway-far-away.example.com:8771/api/v1/stream"]),
)
def test_it_fits_any_window_whatever_a_file_is_called(
    width: int, height: int, order: list[RecordingReport], name: str, url: str
) -> None:
    named = [replace(one, name=f"{name}.asi") for one in order]
    lines = window(replace(EVERYTHING, recordings=tuple(named)), url, NOW, width, height).plain.split("\n")
    assert len(lines) <= height
    assert any(line.startswith(LEAVES.id) for line in lines[1:3])
    assert all(cell_len(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)


def test_what_is_being_sent_stands_on_top_before_its_first_byte_has_left() -> None:
    lines = drawn(queue(*LOST, replace(LEAVES, progress=None)))
    assert lines[1] == f"{LEAVES.id} 8 Bea Okafor: It is on its way into the cloud"
    assert sum(LEAVES.id in line for line in lines) == 1


def test_numbers_and_ages_stand_below() -> None:
    days_ago, now = NOW_MS - 4 * DAY_MS - 5, NOW_MS - 12_000
    counts = (
        CountReport(state="queued", recordings=2, bytes=24_000_000, oldest_ms=now),
        CountReport(state="done", recordings=712, bytes=5_000_000_000, oldest_ms=days_ago),
        CountReport(state="failed", recordings=3, bytes=1_200_000, oldest_ms=days_ago),
        CountReport(state="something new", recordings=1, bytes=5, oldest_ms=now),
    )
    assert drawn(queue(DONE, counts=counts))[-3:-1] == [
        "2 waiting (oldest 12 s), 24.0 MB; 712 in the cloud, 5.0 GB; 3 failed (oldest 4",
        "days), 1.2 MB; 1 something new, 5 B.",
    ]


def test_what_the_gateway_does_not_list_is_counted() -> None:
    lines = drawn(queue(*LOST, DONE, left_out=LeftOutReport(needs_person=5, done=500)))
    assert lines[0] == "508 recordings, 7 need you."
    assert lines[-2] == "Older ones are not listed: 5 in need of somebody, 500 done."


def test_a_pipe_gets_no_line_that_is_longer_than_its_words() -> None:
    lines = drawn(EVERYTHING, UNLIMITED)
    assert all(len(line) < 200 and line == line.rstrip() for line in lines)
    assert lines[1] == f"{LEAVES.id} 8 Bea Okafor: 27 %, 12.3 MB of 45.6 MB, 312.0 kB/s, 4:12 left"


async def test_a_list_into_a_pipe_is_whole_and_as_json_it_is_what_the_gateway_says() -> None:
    desk = Desk([DONE, *LOST], gone=[report(recording(9999, State.DISCARDED))])
    async with desk.open() as url:
        talk, out = pipe()
        await list_recordings(url, talk)
        assert DONE.id in out.getvalue()
        assert "9999" not in out.getvalue()
        talk, out = pipe()
        await list_recordings(url, talk, is_json=True, is_all=True)
    assert [one["id"][:4] for one in json.loads(out.getvalue())["recordings"]] == ["7777", "1111", "2222", "9999"]


async def test_in_a_terminal_it_fits_and_with_all_it_is_whole() -> None:
    desk = Desk([report(recording(number, State.DONE)) for number in range(1000, 1040)])
    async with desk.open() as url, person() as one:
        await list_recordings(url, one.talk)
        await one.saw("more need nobody")
        assert len(one.lines) <= 24
        await list_recordings(url, one.talk, is_all=True)
        await one.saw(desk.recordings[-1].id)


async def test_what_follows_is_drawn_again_and_says_when_nobody_tells_any_more() -> None:
    desk = Desk([LEAVES])
    async with desk.open() as url, person() as one, asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow_list(url, one.talk))
        await one.saw("12.3 MB of 45.6 MB")
        desk.recordings[0] = replace(LEAVES, progress=progress(22_000_000))
        await one.saw("22.0 MB of 45.6 MB")
        desk.told["spool"] = 7
        await one.saw("in another form: use the same version here. What follows is old.")
        following.cancel()


async def test_what_follows_needs_a_terminal() -> None:
    talk, _ = pipe()
    with pytest.raises(CommandError, match="takes a terminal: leave it out"):
        await follow_list(URL, talk)

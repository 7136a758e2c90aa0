"""One recording as a technician reads it."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from gateway.recordings.showing import show, shown
from gateway.recordings.words import Names
from gateway.uploads.recording import Source, State, Step, Way
from tests.recordings.desk import NOW_MS, TRACKERS, Desk, progress, recording, report
from tests.terminal.person import pipe

URL = "ws://127.0.0.1:8770/api/v1/stream"
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
NAMES = Names(TRACKERS)

DOUBTED = replace(
    report(recording(3333, State.QUESTIONED, question="this file is from Tuesday", name="SIM-0001/tuesday.asi")),
    made_ms=NOW_MS - 5 * 86_400_000,
)
WORKED_ON = replace(report(recording(6666, State.ACCEPTED, job_id="job-9", tries=2)), job_state="STARTED", next_s=75.0)


def lines_of(one: object, width: int = 80) -> list[str]:
    return [line.plain for line in shown(one, NAMES, URL, NOW, width)]  # type: ignore[arg-type]


def test_what_needs_somebody_stands_first_with_what_to_type() -> None:
    assert "\n".join(lines_of(DOUBTED)) == GOLDEN.strip("\n")


GOLDEN = f"""
{DOUBTED.id}, 7 Ada Lindqvist, 12.3 MB, tuesday.asi: in doubt.
  Is it from tracker SIM-0001? This file is from Tuesday.
  → Assign it to the tracker that it comes from; to the same one if that is
    right.
    insiders-gateway recordings assign {DOUBTED.id} TRACKER
  Athlete    7 Ada Lindqvist
  Tracker    SIM-0001, said by its folder or name
  Made       17 Nov 17:00
  SHA-256    {DOUBTED.sha256}
So far:
  15:00  came in: SIM-0001/tuesday.asi, sent to the gateway
  15:00  waits
  15:01  in doubt
"""


def test_what_is_known_of_its_way_into_the_cloud_is_told() -> None:
    told = lines_of(WORKED_ON)
    assert told[0].endswith("rec-6666.asi: cloud works on it, STARTED.")
    assert "  Tries      2" in told
    assert "  Cloud job  job-9 (STARTED)" in told
    assert "  Next look  in 1:15" in told
    leaves = replace(report(recording(1234, State.SENDING)), progress=progress(1_000_000))
    assert "  Sent       1.0 MB of 12.3 MB, 312.0 kB/s" in lines_of(leaves)
    done = replace(report(recording(1234, State.DONE)), deletes_ms=NOW_MS + 7 * 86_400_000)
    assert "  Kept until 29 Nov 17:00" in lines_of(done)


@given(st.text(max_size=60), st.text(max_size=200), st.integers(40, 100))
def test_no_strangers_words_move_the_cursor_or_the_edge(name: str, words: str, width: int) -> None:
    told = lines_of(replace(WORKED_ON, name=name, text=words, job_state=words, job_id=name), width)
    assert all(line.isprintable() for line in told)
    assert all(cell_len(line) <= width for line in told if "insiders-gateway" not in line)


def test_what_has_happened_stands_in_the_order_of_time_with_who_has_said_it() -> None:
    minutes = [NOW_MS + place * 60_000 for place in range(4)]
    sources = (Source(Way.INBOX, "a.asi", minutes[0]), Source(Way.UPLOAD, "b.asi", minutes[2]))
    trail = (Step(State.UNASSIGNED, minutes[0]), Step(State.QUEUED, minutes[1], "kim"), Step(State.SENDING, minutes[3]))
    told = lines_of(report(recording(1234, State.SENDING, sources=sources, trail=trail)))
    assert told[told.index("So far:") + 1 :] == [
        "  17:00  came in: a.asi, from the inbox",
        "  17:00  no tracker yet",
        "  17:01  waits (said by kim)",
        "  17:02  came in: b.asi, sent to the gateway",
        "  17:03  being sent",
    ]


def test_what_is_odd_is_said_below_how_it_stands() -> None:
    told = lines_of(replace(WORKED_ON, warnings=('No "ASI V2" stands in it',)))
    assert told[1:3] == ["  The cloud has it and works on it.", '  No "ASI V2" stands in it.']


async def test_it_is_found_by_the_beginning_of_its_id_also_when_it_was_deleted_and_told_as_json() -> None:
    deleted = report(recording(5555, State.DISCARDED, author="kim"))
    async with Desk([DOUBTED], gone=[deleted]).open() as url:
        talk, out = pipe()
        await show(url, talk, "5555")
        assert "kim has deleted it here." in out.getvalue()
        talk, out = pipe()
        await show(url, talk, "3333", is_json=True)
    assert json.loads(out.getvalue())["sha256"] == DOUBTED.sha256

"""How fast something goes, and the line that says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from gateway.recordings.bars import RATED_OVER_S, Rate, Standstill, sending, under_way
from gateway.recordings.words import Names, lasting, rounded
from gateway.terminal.layout import UNLIMITED
from gateway.uploads.recording import State
from tests.recordings.desk import TRACKERS, progress, recording, report

NAMES = Names(TRACKERS)


@given(st.lists(st.tuples(st.floats(0.01, 2.0), st.integers(0, 10**7)), min_size=20, max_size=60))
def test_a_rate_is_what_went_in_the_last_seconds(steps: list[tuple[float, int]]) -> None:
    rate, seen = Rate(), [(0.0, 0)]
    rate.saw(0, 0.0)
    for pause_s, more in steps:
        seen.append((seen[-1][0] + pause_s, seen[-1][1] + more))
        rate.saw(seen[-1][1], seen[-1][0])
        now_s, now = seen[-1]
        least = [(at_s, sent) for at_s, sent in seen if now_s - at_s >= RATED_OVER_S][-1:] or seen[:1]
        gone = now - least[0][1]
        expected = gone / (now_s - least[0][0]) if gone else None
        assert rate.bytes_per_s == (None if expected is None else pytest.approx(expected))


def test_what_has_not_begun_has_no_rate() -> None:
    rate = Rate()
    assert rate.bytes_per_s is None
    rate.saw(0, 1.0)
    rate.saw(0, 1.0)
    assert rate.bytes_per_s is None


@given(
    st.integers(0, 10**11),
    st.integers(0, 10**11),
    st.none() | st.floats(0, 10**10),
    st.none() | st.floats(0, 10**9),
    st.integers(80, 100),
)
def test_a_line_is_never_wider_than_the_window(
    sent: int, size: int, bytes_per_s: float | None, left_s: float | None, width: int
) -> None:
    line = sending("a-very-long-name-of-a-file-from-somewhere.asi", progress(sent, bytes_per_s, left_s), size, width)
    assert cell_len(line.plain) <= width


def test_what_a_line_says() -> None:
    line = sending("rec.asi", progress(12_345_678, 312_000.0, 252.4), 45_600_000, 80).plain
    assert line == "rec.asi               ━━━╌╌╌╌╌╌╌╌╌ 12.3 MB of 45.6 MB, 312.0 kB/s, 4:12 left"
    assert sending("rec.asi", progress(0, None, None), 45_600_000, 80).plain.endswith("╌ 0 B of 45.6 MB")
    whole = sending("rec.asi", progress(5, 9.0, 0.0), 5, 80).plain
    assert whole.count("━") == 12
    assert whole.endswith("5 B of 5 B, the answer is awaited")


def test_those_that_move_stand_first_and_those_without_room_are_counted() -> None:
    waiting = [report(recording(number), next_s=65.0) for number in range(1000, 1030)]
    leaving = replace(report(recording(2000, State.SENDING)), progress=progress(1))
    lines = [line.plain for line in under_way([*waiting, leaving], NAMES, 80, 24)]
    assert len(lines) < 24
    assert lines[0].startswith("2000")
    assert lines[1] == f"{waiting[0].id} 7 Ada Lindqvist: It waits for its turn, next try in 1:05"
    assert lines[-1] == "and 10 more."


def test_a_pipe_gets_no_bar_and_no_more_than_the_words() -> None:
    line = sending("rec.asi", progress(12_345_678, 312_000.0, 252.4), 45_600_000, UNLIMITED).plain
    assert line == "rec.asi: 27 %, 12.3 MB of 45.6 MB, 312.0 kB/s, 4:12 left"


def test_what_does_not_move_is_said_to_stand_still_and_for_how_long() -> None:
    standstill = Standstill()
    leaves = report(recording(2000, State.SENDING), progress=progress(5_000_000, 0.0, None))
    assert standstill.saw([leaves], 10.0) == {}
    assert standstill.saw([leaves], 14.9) == {}
    still = standstill.saw([leaves], 22.4)
    assert still == {leaves.sha256: pytest.approx(12.4)}
    assert under_way([leaves], NAMES, 80, 24, still)[0].plain.endswith("5.0 MB of 12.3 MB, stands still for 12 s")
    assert standstill.saw([replace(leaves, progress=progress(5_000_001))], 23.0) == {}
    assert standstill.saw([replace(leaves, progress=progress(5_000_001))], 28.0) == {leaves.sha256: 5.0}
    whole = replace(leaves, progress=progress(leaves.size))
    assert [standstill.saw([whole], at_s) for at_s in (30.0, 90.0)] == [{}, {}], "nothing of it is left to move"


def test_what_it_waits_for_is_read_whole_and_stands_once_above_all_that_wait_for_it() -> None:
    why = "It waits: there is no connection to the cloud, the name api.example.com is not known"
    waiting = [report(recording(number), next_s=3540.0, text=why) for number in (1000, 1001)]
    assert [line.plain for line in under_way(waiting, NAMES, 80, 24)] == [
        "It waits: there is no connection to the cloud, the name api.example.com is not",
        "known:",
        f"  {waiting[0].id} 7 Ada Lindqvist: waits, next try in 59:00",
        f"  {waiting[1].id} 7 Ada Lindqvist: waits, next try in 59:00",
    ]


@pytest.mark.parametrize(
    ("duration_s", "told"),
    [
        (-3, "0 s"),
        (12.9, "12 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 hours"),
        (4e5, "4 days"),
    ],
)
def test_how_long_roughly(duration_s: float, told: str) -> None:
    assert rounded(duration_s) == told


@pytest.mark.parametrize(
    ("duration_s", "told"), [(0, "0:00"), (59.6, "1:00"), (252.4, "4:12"), (3600, "1:00:00"), (90_061, "25:01:01")]
)
def test_how_long(duration_s: float, told: str) -> None:
    assert lasting(duration_s) == told

"""How long a file rests before it is tried, and what is told of those that are not taken."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uploads.taking.settling import MAX_TOLD, QUIET_S, UNSURE_QUIET_S, Reason, Settling
from gateway.uploads.taking.sources import Kind, Look

LOOK = Look("rec.asi", Kind.FILE, 1000, 1, 1, 7, 3)
NOW_MS = 1_795_000_000_000
QUARTER_H = 900.0


def test_a_file_rests_until_it_was_seen_unchanged_for_long_enough() -> None:
    settling = Settling()
    settling.observe([LOOK], 100.0, NOW_MS)
    assert settling.due(100.0 + QUIET_S - 0.001) == []
    assert settling.next_s == 100.0 + QUIET_S
    settling.observe([LOOK], 100.0 + QUIET_S, NOW_MS)
    assert settling.due(100.0 + QUIET_S) == [LOOK]


@pytest.mark.parametrize(
    "changed",
    [
        replace(LOOK, size=9999),
        replace(LOOK, mtime_ns=9999),
        replace(LOOK, ctime_ns=9999),
        replace(LOOK, inode=9999),
        replace(LOOK, device=9999),
    ],
)
def test_any_change_begins_the_rest_anew(changed: Look) -> None:
    settling = Settling()
    settling.observe([LOOK], 0.0, NOW_MS)
    settling.observe([changed], 4.0, NOW_MS)
    settling.observe([changed], 6.0, NOW_MS)
    assert settling.due(6.0) == []
    assert settling.due(9.0) == [changed]


def test_what_comes_back_rests_anew() -> None:
    settling = Settling()
    settling.observe([LOOK], 0.0, NOW_MS)
    settling.observe([], 3.0, NOW_MS)
    settling.observe([LOOK], 6.0, NOW_MS)
    assert settling.due(10.0) == []


def test_what_somebody_writes_is_not_taken_however_long_it_rests() -> None:
    settling = Settling()
    settling.observe([LOOK], 0.0, NOW_MS)
    for at_s in (5.0, 10.0, 10_000.0):
        assert settling.due(at_s) == [LOOK]
        assert not settling.may_take(LOOK, at_s, is_written_to=True)
    assert settling.may_take(LOOK, 10_005.0, is_written_to=False)


def test_where_it_is_not_known_who_writes_it_rests_longer() -> None:
    settling = Settling()
    settling.observe([LOOK], 0.0, NOW_MS)
    assert settling.due(5.0) == [LOOK]
    assert not settling.may_take(LOOK, 5.0, is_written_to=None)
    assert settling.next_s == UNSURE_QUIET_S
    assert settling.due(UNSURE_QUIET_S - 0.001) == []
    assert settling.due(UNSURE_QUIET_S) == [LOOK]
    assert settling.may_take(LOOK, UNSURE_QUIET_S, is_written_to=None)


def test_what_was_written_first_is_tried_first() -> None:
    settling = Settling()
    looks = [replace(LOOK, path=str(number), mtime_ns=9 - number) for number in range(5)]
    settling.observe(looks, 0.0, NOW_MS)
    assert [look.path for look in settling.due(5.0)] == ["4", "3", "2", "1", "0"]


def test_what_is_left_is_tried_again_when_it_is_time_or_when_it_was_changed() -> None:
    settling = Settling()
    settling.observe([LOOK], 0.0, NOW_MS)
    settling.leave(LOOK, Reason("no_room", "There is no room"), 50.0)
    assert settling.due(49.0) == []
    assert settling.due(50.0) == [LOOK]
    settling.leave(LOOK, Reason("not_asi", "It is none"))
    settling.observe([LOOK], 1e9, NOW_MS)
    assert settling.due(1e9) == []
    changed = replace(LOOK, size=1001)
    settling.observe([changed], 1e9, NOW_MS)
    assert settling.due(1e9 + 5) == [changed]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.LINK, "not_a_file"),
        (Kind.PIPE, "not_a_file"),
        (Kind.SOCKET, "not_a_file"),
        (Kind.DEVICE, "not_a_file"),
        (Kind.CLOSED, "unreadable"),
        (Kind.DEEP, "too_deep"),
    ],
)
def test_what_is_no_file_is_told_at_once_with_what_to_do_and_never_tried(kind: Kind, code: str) -> None:
    settling = Settling()
    settling.observe([replace(LOOK, kind=kind)], 0.0, NOW_MS)
    assert settling.due(1e9) == []
    [report] = settling.reports(0.0)
    assert (report.code, report.size) == (code, None)
    assert report.text
    assert report.action


@pytest.mark.parametrize("name", ["a.asi.part", "a.asi~", "a.TMP", "a.asi.crdownload", "x/a.filepart"])
def test_a_name_that_says_not_finished_is_believed_until_it_has_been_so_for_long(name: str) -> None:
    settling = Settling()
    settling.observe([replace(LOOK, path=name)], 0.0, NOW_MS)
    assert settling.due(1e9) == []
    [report] = settling.reports(QUARTER_H - 1)
    assert (report.code, report.action) == ("unfinished", "")
    [report] = settling.reports(QUARTER_H)
    assert "rename" in report.action


def test_a_hidden_file_is_nobody_s_trouble() -> None:
    settling = Settling()
    settling.observe([replace(LOOK, path="stick/._rec.asi")], 0.0, NOW_MS)
    assert settling.due(1e9) == []
    [report] = settling.reports(1e9)
    assert (report.code, report.action) == ("unfinished", "")


def test_a_copier_that_hangs_is_somebody_s_trouble_after_a_while() -> None:
    settling = Settling()
    settling.observe([LOOK], 0.0, NOW_MS)
    settling.may_take(LOOK, 5.0, is_written_to=True)
    assert settling.reports(5.0)[0].action == ""
    assert settling.reports(QUARTER_H)[0].action != ""
    # And stays so while it is tried.
    settling.due(QUARTER_H)
    assert settling.reports(QUARTER_H)[0].action != ""


def test_what_is_told_says_since_when_and_how_large_and_can_be_shown() -> None:
    settling = Settling()
    settling.observe([replace(LOOK, path="a\nb\udcff.asi")], 0.0, NOW_MS)
    settling.observe([replace(LOOK, path="a\nb\udcff.asi")], 9.0, NOW_MS + 9000)
    [report] = settling.reports(9.0)
    assert (report.name, report.size, report.since_ms) == ("a\\x0ab\\xff.asi", 1000, NOW_MS)
    assert report.code == "being_written"
    settling.due(9.0)
    assert settling.reports(9.0)[0].code == "waiting"


def test_what_stays_where_nothing_can_be_removed_is_nobody_s_trouble() -> None:
    settling = Settling()
    settling.observe([LOOK], 0.0, NOW_MS)
    settling.stay(LOOK)
    assert settling.reports(0.0)[0].code == "not_removed"
    assert settling.reports(0.0)[0].action == "delete it here"
    settling.observe([LOOK], 1.0, NOW_MS, read_only={LOOK.device})
    settling.stay(LOOK)
    assert (settling.reports(1.0)[0].code, settling.reports(1.0)[0].action) == ("taken", "")
    assert settling.due(1e9) == []


def test_other_things_on_a_stick_are_nobody_s_trouble_and_bad_recordings_are() -> None:
    settling = Settling()
    looks = [replace(LOOK, path=path) for path in ("stick/photo.jpg", "stick/REC.ASI")]
    settling.observe(looks, 0.0, NOW_MS, read_only={LOOK.device})
    for look in looks:
        settling.leave(look, Reason("not_asi", "It is none", "delete it"))
    assert [(it.name, it.action) for it in settling.reports(0.0)] == [
        ("stick/REC.ASI", "delete it"),
        ("stick/photo.jpg", ""),
    ]


def test_first_is_told_what_needs_somebody_and_last_what_is_taken_and_not_without_end() -> None:
    settling = Settling()
    names = ("a", "b", "c", *(f"x{number}" for number in range(MAX_TOLD)))
    looks = {name: replace(LOOK, path=name) for name in names}
    settling.observe(looks.values(), 0.0, NOW_MS, read_only={LOOK.device})
    settling.stay(looks["a"])
    settling.observe(looks.values(), 0.0, NOW_MS)
    settling.leave(looks["c"], Reason("empty", "It is empty", "delete it"))
    names_told = [report.name for report in settling.reports(0.0)]
    assert names_told[:2] == ["c", "b"]
    assert "a" not in names_told
    assert len(names_told) == MAX_TOLD


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 2)), min_size=1, max_size=30))
def test_nothing_is_due_that_was_changed_in_the_last_seconds(steps: list[tuple[float, int]]) -> None:
    settling, now_s, changed_s, before = Settling(), 0.0, 0.0, -1
    for wait_s, content in steps:
        now_s += wait_s
        if content != before:
            changed_s, before = now_s, content
        settling.observe([replace(LOOK, ctime_ns=content)], now_s, NOW_MS)
        assert bool(settling.due(now_s)) == (now_s >= changed_s + QUIET_S)

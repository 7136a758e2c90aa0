"""What a path says of tracker and time; and that nothing is ever guessed."""

import os
import re
import string
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway.uploads.recording import MAX_NAME, Clue, Span
from gateway.uploads.taking.naming import Known, doubt, printable, span_of, trackers_in

KNOWN = (Known("012345", "864475041000000"), Known("SIM-0002"), Known("abc 9"))
BERLIN = ZoneInfo("Europe/Berlin")
FOUND_MS = 1_795_000_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def said(path: str, pattern: str | None = None) -> set[str]:
    return set(trackers_in(path, KNOWN, pattern))


@pytest.mark.parametrize(
    "path",
    [
        "012345/rec.asi",
        "2026/012345/rec.asi",
        "864475041000000/rec.asi",
        "012345.asi",
        "012345.ASI",
        "monday 012345.asi",
        "monday_012345_am.asi",
        "(012345).asi",
        "012345-2026-11-17.asi",
        "20261117_101500_012345.asi",
        "20261345_012345.asi",
        "20261117_998877 012345.asi",
        "012345",
        "rec.012345",
        "864475041000000 012345.asi",
    ],
)
def test_a_folder_or_a_word_of_the_name_names_the_tracker(path: str) -> None:
    assert said(path) == {"012345"}


@pytest.mark.parametrize(
    "path",
    [
        "rec.asi",
        "12345.asi",
        "0123456.asi",
        "0012345.asi",
        "x012345.asi",
        "012345x.asi",
        "0123/45.asi",
        "my 012345/rec.asi",
        "012345\N{COMBINING DIAERESIS}.asi",
        "é012345.asi",
        "012345\udcff.asi",
        "012345\N{ZERO WIDTH JOINER}.asi",
        "٠١٢٣٤٥.asi",
        "012\u200b345.asi",
        "20261117_012345.asi",
        "20261117012345.asi",
        "2026-11-17T012345.asi",
        "",
    ],
)
def test_what_is_not_that_word_names_none(path: str) -> None:
    assert said(path) == set()


@pytest.mark.parametrize("path", ["sim-0002.asi", "SIM-0002/rec.asi", "Sim-0002/REC.ASI", "x_SIM-0002_y.asi"])
def test_capitals_do_not_matter_and_names_may_have_any_signs(path: str) -> None:
    assert said(path) == {"SIM-0002"}


def test_only_the_letters_a_to_z_have_capitals() -> None:
    known = [Known("ss1"), Known("kelvin")]
    assert trackers_in("ß1.asi", known) == frozenset()
    assert trackers_in("\N{KELVIN SIGN}elvin.asi", known) == frozenset()
    assert trackers_in("SS1.asi", known) == {"ss1"}


@pytest.mark.parametrize("path", ["012345/SIM-0002.asi", "012345 SIM-0002.asi", "SIM-0002/864475041000000/rec.asi"])
def test_two_are_told_as_two(path: str) -> None:
    assert said(path) == {"012345", "SIM-0002"}
    assert doubt(said(path)) == "its folder and name say more than one tracker: 012345, SIM-0002"


def test_one_or_none_is_no_doubt() -> None:
    assert (doubt(frozenset()), doubt(frozenset({"012345"}))) == ("", "")


def test_one_name_of_two_trackers_is_two() -> None:
    assert trackers_in("77.asi", [Known("77"), Known("A", "77")]) == {"77", "A"}


@pytest.mark.parametrize(
    ("pattern", "path", "trackers"),
    [
        ("{tracker}_*", "012345_monday.asi", {"012345"}),
        ("{tracker}_*", "usb/stick/SIM-0002/012345_monday.asi", {"012345"}),
        ("{tracker}_*", "012345/monday.asi", set()),
        ("{tracker}_*", "0123456_monday.asi", set()),
        ("{tracker}/*", "sim-0002/012345.asi", {"SIM-0002"}),
        ("{tracker}/*", "sim-0002/old/012345.asi", set()),
        ("{tracker}/*", "012345.asi", set()),
        ("{tracker}/*/*", "sim-0002/old/012345.asi", {"SIM-0002"}),
        ("t{tracker}.ASI", "T012345.asi", {"012345"}),
        ("T{tracker}.asi", "T012345.asi.asi", set()),
        ("*-{tracker}-*-b.asi", "a-b-012345-b-b-b.asi", {"012345"}),
        ("*-{tracker}-b-*", "012345-b-c", set()),
        ("a*_{tracker}", "a_012345", {"012345"}),
        ("ab*b_{tracker}", "ab_012345", set()),
        ("{tracker}.asi", "864475041000000.asi", {"012345"}),
    ],
)
def test_a_pattern_decides_alone(pattern: str, path: str, trackers: set[str]) -> None:
    assert said(path, pattern) == trackers


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "*", "{tracker}"]), min_size=1, max_size=8).map("".join),
    st.text("ab01", max_size=12),
)
def test_a_pattern_means_what_its_stars_say(pattern: str, name: str) -> None:
    expected = re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\{tracker\}", "01"), name)
    assert trackers_in(name, [Known("01")], pattern) == ({"01"} if expected else frozenset())


def test_no_name_takes_long_whatever_the_pattern() -> None:
    """Half a million signs; what tries again and again would not come to an end within the life of the machine."""
    name = "a-" * 250_000 + "!"
    assert trackers_in(name, [Known("012345")], "*-" * 60 + "{tracker}-" + "*a" * 30) == frozenset()


SIGNS = st.sampled_from(string.ascii_letters + string.digits + "-_. /()é\N{COMBINING DIAERESIS}\udcff\n")
SERIALS = st.text(st.sampled_from(string.ascii_letters + string.digits + "-"), min_size=1, max_size=8)


@given(st.text(SIGNS, max_size=60), st.lists(SERIALS, max_size=4, unique=True))
@example("20261117_012345.asi", ["012345"])
def test_a_tracker_is_named_only_if_its_name_stands_there_as_a_whole(path: str, serials: list[str]) -> None:
    for serial in trackers_in(path, [Known(serial) for serial in serials]):
        *folders, name = path.split("/")
        is_folder = serial.lower() in [folder.lower() for folder in folders]
        is_word = re.search(rf"(?<![^\W_]){re.escape(serial)}(?![^\W_])", name, re.IGNORECASE)
        assert is_folder or is_word


@given(st.text(SIGNS, max_size=20), SERIALS, st.text(SIGNS, max_size=20))
def test_an_alphanumeric_sign_before_or_after_it_makes_it_another_word(before: str, serial: str, after: str) -> None:
    name = f"{before}x{serial}x{after}".replace("/", "")
    others = name.replace(f"x{serial}x", " ")
    assume(serial.lower() not in others.lower())
    assert trackers_in(name, [Known(serial)]) == frozenset() or f"x{serial}x".lower().count(serial.lower()) > 1


@given(
    st.integers(0, 2_600_000_000).map(lambda s: datetime(2015, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
    st.sampled_from(["%Y%m%d_%H%M%S", "%Y%m%d%H%M%S"]),
)
def test_what_reads_as_a_time_is_no_tracker(at: datetime, form: str) -> None:
    name = f"{at:{form}}.asi"
    known = [Known(f"{at:%H%M%S}"), Known(f"{at:%Y%m%d}"), Known(f"{at:%Y%m%d%H%M%S}")]
    assert trackers_in(name, known) == frozenset()


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("20261117_183000.asi", datetime(2026, 11, 17, 18, 30, tzinfo=BERLIN)),
        ("20261117T183000Z.asi", datetime(2026, 11, 17, 18, 30, tzinfo=UTC)),
        ("20261117183000.asi", datetime(2026, 11, 17, 18, 30, tzinfo=BERLIN)),
        ("rec 2026-11-17 18.30.00.asi", datetime(2026, 11, 17, 18, 30, tzinfo=BERLIN)),
        ("rec2026_11_17_18_30_00x.asi", datetime(2026, 11, 17, 18, 30, tzinfo=BERLIN)),
        ("2026-07-17-18-30-00.asi", datetime(2026, 7, 17, 18, 30, tzinfo=BERLIN)),
        ("012345_2026.11.17T18:30:00.asi", datetime(2026, 11, 17, 18, 30, tzinfo=BERLIN)),
    ],
)
def test_a_date_with_a_time_is_that_moment(name: str, start: datetime) -> None:
    at_ms = int(start.timestamp() * 1000)
    assert span_of(name, 0, FOUND_MS, BERLIN) == Span(at_ms, at_ms, Clue.NAME)


@pytest.mark.parametrize(
    "name",
    ["2026-11-17.asi", "x_20261117_y.asi", "20261117_0001.asi", "2026-11-17_18-30.asi", "20261117_256161.asi"],
)
def test_a_date_without_a_whole_time_is_that_local_day(name: str) -> None:
    start_ms = int(datetime(2026, 11, 17, tzinfo=BERLIN).timestamp() * 1000)
    assert span_of(name, 0, FOUND_MS, BERLIN) == Span(start_ms, start_ms + DAY_MS, Clue.NAME)


def test_a_word_after_a_date_that_is_no_time_may_be_a_tracker() -> None:
    assert trackers_in("20261117_998877.asi", [Known("998877")]) == {"998877"}


def test_a_day_may_have_23_hours() -> None:
    span = span_of("2026-03-29.asi", 0, FOUND_MS, BERLIN)
    assert span is not None
    assert span.stop_ms - span.start_ms == 23 * 60 * MINUTE_MS


@pytest.mark.parametrize(
    "name",
    [
        "17.11.2026.asi",
        "11-17-2026.asi",
        "20261317.asi",
        "20260230.asi",
        "120261117.asi",
        "202611171.asi",
        "2026-11_17.asi",
        "19991231.asi",
        "20000101.asi",
        "2026-11-17 or 2026-11-18.asi",
        "20261117_183000 to 20261117_190000.asi",
        "٢٠٢٦١١١٧.asi",
        "rec.asi",
    ],
)
def test_what_is_no_clear_date_says_nothing(name: str) -> None:
    assert span_of(name, 0, FOUND_MS, BERLIN) is None


def test_the_same_date_twice_is_one() -> None:
    assert span_of("2026-11-17 20261117.asi", 0, FOUND_MS, UTC) is not None


def test_without_a_date_the_file_s_own_time_says_when() -> None:
    mtime_ms = FOUND_MS - 3 * DAY_MS
    assert span_of("rec.asi", mtime_ms, FOUND_MS, UTC) == Span(mtime_ms, mtime_ms, Clue.MODIFIED)


@pytest.mark.parametrize("age_ms", [0, 10 * MINUTE_MS - 1, -DAY_MS, FOUND_MS, FOUND_MS - 315_532_800_000])
def test_the_time_of_a_copy_or_of_a_clock_that_nobody_has_set_says_nothing(age_ms: int) -> None:
    assert span_of("rec.asi", FOUND_MS - age_ms, FOUND_MS, UTC) is None


def test_without_a_zone_it_is_that_of_the_machine() -> None:
    span = span_of("20261117_183000.asi", 0, FOUND_MS, None)
    at_ms = round(datetime(2026, 11, 17, 18, 30).astimezone().timestamp() * 1000)
    assert span == Span(at_ms, at_ms, Clue.NAME)


@given(st.text(max_size=80), st.integers(-(2**63) // 10**6, 2**63 // 10**6), st.integers(0, 2**42))
def test_any_name_and_any_time_has_an_answer(name: str, mtime_ms: int, found_ms: int) -> None:
    span = span_of(name, mtime_ms, found_ms, timezone(timedelta(hours=-12)))
    assert span is None or span.start_ms <= span.stop_ms


@given(st.binary(max_size=600))
@example(b"\x1b]0;owned\x07\n\r\x9b31m")
@example("\N{RIGHT-TO-LEFT OVERRIDE}isa.gpj\N{LINE SEPARATOR}\N{ZERO WIDTH SPACE}".encode())
def test_any_name_can_be_shown(name: bytes) -> None:
    shown = printable(os.fsdecode(name))
    assert shown.isprintable()
    assert shown.encode() or not name
    assert len(shown) <= MAX_NAME


@given(st.text(st.characters(categories=["L", "N", "P", "S", "M"]), max_size=MAX_NAME))
def test_what_can_be_shown_is_shown_as_it_is(name: str) -> None:
    assert printable(name) == name


def test_what_cannot_be_shown_stands_there_as_its_number() -> None:
    assert printable("a\nb\x1b[31m\udcff\N{RIGHT-TO-LEFT MARK}.asi") == "a\\x0ab\\x1b[31m\\xff\\u{200f}.asi"


def test_a_long_name_keeps_its_begin_and_its_end() -> None:
    shown = printable("begin" + "x" * 400 + "end.asi")
    assert shown.startswith("begin")
    assert shown.endswith("end.asi")
    assert "…" in shown

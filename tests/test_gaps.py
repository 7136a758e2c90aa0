"""The gaps of a gateway as a technician reads them."""

import io
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway import cli
from gateway.arguments import parser
from gateway.gaps import SHOWN_PER_GROUP, sentence, show_gaps, table
from gateway.live.board import Board
from gateway.live.gaps import ChannelGaps, Gap, GapReport, GapState, Totals
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.telemetry.channel import Channel, Wearer
from insiders_gateway_client.errors import GatewayError
from tests.client.ground import saying
from tests.live.test_gaps import Fleet, _fleet, _url

__all__ = ["_fleet", "_url"]  # the fixtures of the other file

ZONE = timezone(timedelta(hours=2))
NOW = datetime(2026, 7, 4, 14, 30, tzinfo=ZONE)
NOON_MS = round(datetime(2026, 7, 4, 12, tzinfo=ZONE).timestamp() * 1000)
HOUR_MS = 3_600_000

OUTAGE, SILENT, REPAIRED, OPEN = (
    ("upstream_outage", GapState.CLOSED),
    ("device_silent", GapState.CLOSED),
    ("upstream_outage", GapState.REPAIRED),
    ("upstream_outage", GapState.OPEN),
)


def gap(
    kind: tuple[str, GapState] = OUTAGE,
    at_ms: int = 0,
    duration_ms: int = 60_000,
    rows: int = 599,
    repaired: int | None = None,
    *,
    settled: bool = True,
) -> Gap:
    reason, state = kind
    is_open = state is GapState.OPEN
    from_ms = NOON_MS + at_ms
    to_ms, missing = (None, None) if is_open else (from_ms + duration_ms, rows)
    if state is GapState.REPAIRED:
        missing, repaired = 0, rows if repaired is None else repaired
    return Gap(1, from_ms, to_ms, missing, repaired or 0, reason, state, settled=settled)


def report(*gaps: Gap, name: str | None = "Ada", forgotten: int = 0, missing: int = 0) -> GapReport:
    channel = ChannelGaps(1, "SN-1", name, 10, 1000, gaps)
    totals = Totals({}, forgotten, {"upstream_outage": missing, "device_silent": 9999}, 0)
    return GapReport("e", NOON_MS + 2 * HOUR_MS, (channel,), totals)


def drawn(told: GapReport, width: int = 80, most: int | None = None) -> list[str]:
    return table(told, NOW, width, most).plain.splitlines()


def line(one: Gap) -> str:
    """What is said of one gap, without the name."""
    return drawn(report(one))[2].removeprefix("Ada").strip()


def test_a_gap_is_one_line_of_who_when_how_long_why_and_what_came_of_it() -> None:
    told = report(gap(rows=140, repaired=459), name="Ada Lindqvist")
    assert [" ".join(words.split()) for words in drawn(told)] == [
        "Athlete From-to Lasted Why Missing Repaired",
        "Rows missing: 1",
        "Ada Lindqvist 12:00:00-12:01:00 1:00 cloud away 140 459",
        "1 gap: 1 with 140 rows missing.",
    ]


@pytest.mark.parametrize("kind", [OUTAGE, SILENT])
def test_what_history_has_not_settled_is_neither_lost_nor_silent_yet(kind: tuple[str, GapState]) -> None:
    told = drawn(report(gap(kind, rows=140, settled=False)))
    assert told[1] == "To be read from the cloud (asked again within minutes): 1"
    assert told[-1] == "1 gap: 1 with 140 rows to be read."


def test_what_is_missing_stands_first_then_what_is_open_then_silence_and_in_each_the_newest() -> None:
    order = [REPAIRED, SILENT, OUTAGE, OPEN, REPAIRED]
    told = report(*(gap(kind, at_ms=1000 * place) for place, kind in enumerate(order)))
    titles = [words for words in drawn(told) if not words.startswith("Ada")][1:-1]
    assert titles == [
        "Rows missing: 1",
        "Open (nothing comes at present): 1",
        "Silent (the tracker has sent nothing, so nothing is lost): 1",
        "Repaired: 2",
    ]
    assert [words.split()[1][6:8] for words in drawn(told) if words.startswith("Ada")] == ["02", "03", "01", "04", "00"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("upstream_outage", "cloud away"),
        ("upstream_rate_limited", "cloud said wait"),
        ("device_silent", "tracker silent"),
        ("ring_overrun", "memory overrun"),
        ("clock_step", "clock wrong"),
        ("gateway_restart", "gateway restarted"),
        ("of_a_later_version", "of_a_later_version"),
    ],
)
def test_the_reason_is_told_in_words(reason: str, words: str) -> None:
    assert f" {words} " in line(gap((reason, GapState.CLOSED)))


@pytest.mark.parametrize(
    ("at_ms", "duration_ms", "words"),
    [
        (0, 400, "12:00:00-12:00:00 0.4 s"),
        (0, 59_900, "12:00:00-12:00:59 59.9 s"),
        (0, 60_000, "12:00:00-12:01:00 1:00"),
        (0, 11_045_000, "12:00:00-15:04:05 3:04:05"),
        (-24 * HOUR_MS, 60_000, "03 Jul 12:00:00-12:01:00 1:00"),
        (-18 * HOUR_MS, 15 * HOUR_MS, "03 Jul 18:00-09:00:00 15:00:00"),
        (-48 * HOUR_MS, 24 * HOUR_MS, "02 Jul 12:00-03 Jul 12:00 24:00:00"),
        (12 * HOUR_MS, 60_000, "05 Jul 00:00:00-00:01:00 1:00"),
    ],
)
def test_times_are_those_of_the_clock_on_the_wall_with_the_date_where_it_is_not_today(
    at_ms: int, duration_ms: int, words: str
) -> None:
    assert " ".join(line(gap(at_ms=at_ms, duration_ms=duration_ms)).split()).startswith(words)


def test_an_open_gap_lasts_until_now_and_its_rows_are_not_known_yet() -> None:
    assert line(gap(OPEN)).split() == ["12:00:00-now", "2:00:00", "cloud", "away", "—", "0"]


def test_silence_has_no_rows_missing() -> None:
    assert line(gap(SILENT)).split()[-2:] == ["—", "0"]


@pytest.mark.parametrize(
    ("gaps", "words"),
    [
        ([], "No gaps: no row is known to be missing."),
        ([gap()], "1 gap: 1 with 599 rows missing."),
        ([gap(REPAIRED, repaired=0)], "No gaps: no row is known to be missing."),
        ([gap(REPAIRED, repaired=0), gap(rows=1)], "1 gap: 1 with 1 row missing."),
        ([gap(rows=1)], "1 gap: 1 with 1 row missing."),
        (
            [gap(REPAIRED)] * 31 + [gap(SILENT)] * 5 + [gap(rows=70)] * 2,
            "38 gaps: 31 repaired, 5 silent, 2 with 140 rows missing.",
        ),
        ([gap(OPEN), gap(SILENT), gap(rows=12_000)], "3 gaps: 1 silent, 1 open, 1 with 12,000 rows missing."),
        ([gap(("device_silent", GapState.OPEN))], "1 gap: 1 silent."),
        ([gap(("device_silent", GapState.REPAIRED))], "1 gap: 1 repaired."),
    ],
)
def test_the_last_line_sums_up(gaps: list[Gap], words: str) -> None:
    assert sentence(report(*gaps)) == words
    assert drawn(report(*gaps))[-1] == words


def test_gaps_that_the_gateway_has_forgotten_are_counted_with_the_rows_they_miss() -> None:
    for listed, told in ((gap(REPAIRED), "1 gap: 1 repaired."), (gap(REPAIRED, repaired=0), "0 gaps.")):
        words = sentence(report(listed, forgotten=12, missing=5000)).splitlines()
        assert words == [told, "12 older ones are not listed any more; rows missing in all: 5,000."]


KINDS = st.sampled_from([OUTAGE, SILENT, REPAIRED, OPEN, ("gateway_restart", GapState.CLOSED)])


@given(st.lists(st.builds(gap, KINDS, rows=st.integers(1, 10**6)), min_size=1))
def test_every_gap_is_in_the_sum_once(gaps: list[Gap]) -> None:
    words = sentence(report(*gaps)).rstrip(".").split(": ")
    assert int(words[0].split()[0]) == len(gaps) == sum(int(part.split()[0]) for part in words[1].split(", "))


@given(
    st.lists(
        st.builds(
            gap,
            KINDS,
            st.integers(-6 * HOUR_MS, HOUR_MS),
            st.integers(100, 6 * HOUR_MS),
            st.integers(0, 216_000),
        ),
        min_size=1,
        max_size=9,
    ),
    st.text(st.characters(categories=["L", "P", "Zs"]), min_size=1, max_size=60),
)
def test_no_line_is_wider_than_80_columns_whatever_happened(gaps: list[Gap], name: str) -> None:
    text = table(report(*gaps, name=name), NOW, 80, None)
    assert max(part.cell_len for part in text.split("\n")) <= 80


def test_a_gap_in_which_nothing_was_ever_missing_is_not_listed() -> None:
    told = drawn(report(gap(REPAIRED, repaired=0), gap(REPAIRED, repaired=3)))
    assert told[1] == "Repaired: 1"
    assert sum(words.startswith("Ada") for words in told) == 1


def test_a_long_list_is_cut_group_by_group_and_says_by_how_much() -> None:
    told = report(*(gap(kind, at_ms=place) for place in range(30) for kind in (OUTAGE, REPAIRED)))
    lines = drawn(told, most=SHOWN_PER_GROUP)
    assert sum(words.startswith("Ada") for words in lines) == 2 * SHOWN_PER_GROUP
    assert lines.count("and 10 more: --all lists them") == 2
    assert sum(words.startswith("Ada") for words in drawn(told)) == 60


def test_a_name_is_shown_as_it_is_written_and_the_serial_number_where_there_is_none() -> None:
    assert drawn(report(gap(), name="Ada [red]"))[2].startswith("Ada [red] ")
    assert drawn(report(gap(), name=None))[2].startswith("SN-1 ")


async def test_the_gaps_of_a_gateway_are_printed(url: str, fleet: Fleet) -> None:
    out = io.StringIO()
    await show_gaps(url, Console(file=out, width=80))
    assert out.getvalue().splitlines()[-1] == "4 gaps: 1 repaired, 1 open, 2 with 80 rows to be read."
    assert sum(words.startswith("Ada") for words in out.getvalue().splitlines()) == len(fleet.ada.gaps.gaps)


async def test_something_else_at_the_address_is_one_sentence() -> None:
    async with saying() as (url, _):
        with pytest.raises(GatewayError, match=r"\(HTTP 404\): give the address of a gateway of this version$"):
            await show_gaps(url, Console(file=io.StringIO()))


async def test_a_document_that_tells_no_gaps_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def another(_url: str) -> bytes:
        return b'{"op":"hello"}'

    monkeypatch.setattr("gateway.gaps.fetch_gaps", another)
    with pytest.raises(GatewayError, match="give the address of a gateway"):
        await show_gaps("ws://x/", Console(file=io.StringIO()))


async def test_the_command_prints_the_table_or_what_the_gateway_says(
    url: str, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    address = url.removeprefix("ws://").removesuffix("/api/v1/stream")
    options = parser().parse_args(["gaps", address])
    assert await cli._COMMANDS["gaps"](options) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("4 gaps: ")
    assert await cli._COMMANDS["gaps"](parser().parse_args(["gaps", "--json", address])) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["op"], len(told["channels"])) == ("gaps", len(fleet.channels))


async def test_a_gateway_without_gaps_says_so_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    hub = Hub({1: Channel(1, Wearer("SN-1"), 10)}, Board(), "e", "Test", "0.0", 60.0, lambda: 0, lambda: True)
    async with LiveServer(hub, dict, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
        await cli._COMMANDS["gaps"](parser().parse_args(["gaps", f"127.0.0.1:{port}"]))
    assert capsys.readouterr().out == "No gaps: no row is known to be missing.\n"


def test_times_may_lie_in_any_zone() -> None:
    in_utc = table(report(gap()), datetime(2026, 7, 4, 12, 30, tzinfo=UTC), 80, None).plain
    assert "10:00:00-10:01:00" in in_utc

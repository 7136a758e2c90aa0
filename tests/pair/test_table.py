"""All trackers as a technician reads them."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gateway.pair.listing import list_pairings
from gateway.pair.table import table
from gateway.pairing.documents import Sensor, Wish
from gateway.pairing.planning.plan import State
from gateway.pairing.report import PairingReport, PairingsReport
from tests.pair.desk import H9, H10, METER, OFF_AND_ON, SPARE, Desk, condition, fleet, slot, tracker
from tests.terminal.person import person, pipe
from tests.test_scan import NOW_MS

URL = "ws://127.0.0.1:8770/api/v1/stream"
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)

ADA = tracker(1, "Ada Lindqvist", slot("heart_rate", SPARE, SPARE, current=H10), None, "awaiting_device", OFF_AND_ON)
BEA = tracker(2, "Bea Okafor", slot("heart_rate", H9, H9), slot("power", METER, METER))
CAT = tracker(3, "Cat", None, slot("power", Wish.UNMANAGED, METER), "unmanaged", ("Nothing is wanted", ""))
DOT = tracker(4, "Dot", slot("heart_rate", Wish.NONE, H9), None, "backoff", ("It is tried again", "wait a minute"))
EVE = tracker(
    5,
    None,
    slot("heart_rate", H10, H10),
    None,
    conditions=(condition("SensorDelivering", "false", "NoData", "It sends no heart rates", "wet it"),),
)
FAY = tracker(
    6, "Fay", slot("heart_rate", H9), None, "awaiting_device", ("x", "switch SIM-0006 off and on"), generation=2
)


def drawn(report: PairingsReport, width: int = 80, height: int = 24) -> list[str]:
    return table(report, URL, NOW, width, height).plain.split("\n")


def test_the_whole_table() -> None:
    """What it looks like: the golden picture of what a technician sees."""
    report = fleet(BEA, CAT, DOT, ADA, EVE, FAY, paused_by="kim", session_until_ms=NOW_MS + 600_000)
    assert "\n".join(drawn(report)) == GOLDEN.strip("\n")


GOLDEN = """
6 trackers, 2 need you.
kim has stopped all changes: `insiders-gateway pair resume` lets them go on.
Athletes train (until 08:10 at least): changes wait.

 # Athlete       Tracker  Strap               Power meter     State
Switch it off and on (done already? wait, last looked at 0 s ago):
 7 Ada Lindqvist SIM-0001 → Polar H10 8D3E    —               not in tracker
12 Fay           SIM-0006 → Polar H9 0C4FA154 —               not in tracker
With a warning (`insiders-gateway pair explain SIM-0005`):
11 SIM-0005      SIM-0005 Polar H10 AE60D42F  —               no values
Under way, wait:
10 Dot           SIM-0004 → none              —               retrying
In order:
 8 Bea Okafor    SIM-0002 Polar H9 0C4FA154   ASSIOMA17287L   in order
Not managed by this gateway:
 9 Cat           SIM-0003 —                   (ASSIOMA17287L) not managed
→ not in the tracker yet   ( ) not managed
"""


def test_what_is_to_be_done_is_a_heading_for_all_that_need_it_and_commands_stay_as_they_are() -> None:
    claim = ("It belongs to another account", "type `insiders-gateway trackers claim SIM-0003`")
    lines = drawn(fleet(BEA, tracker(3, "Cat", None, None, "unknown", claim), ADA, FAY))
    assert lines[0] == "4 trackers, 3 need you."
    assert lines[3] == "Type `insiders-gateway trackers claim SIM-0003`:"
    assert sum(line.startswith("Switch it off and on (done") for line in lines) == 1


def test_straps_that_are_mixed_up_need_somebody_though_everything_is_as_wanted() -> None:
    action = "exchange the straps of SIM-0001 and SIM-0002"
    mixed = condition("SensorMatched", "false", "OnOtherTracker", "Somebody else wears it", action)
    lines = drawn(fleet(tracker(1, "Ada", conditions=(mixed,)), BEA))
    assert lines[0] == "2 trackers, 1 needs you."
    assert lines[3] == "Exchange the straps of it and 8 Bea Okafor:"


APPROVE = "type `insiders-gateway pair apply --approve {:012}`"


def released_by(number: int, by: int, action: str) -> PairingReport:
    """A tracker that waits until another one has let its sensor go."""
    told = (f"SIM-{by:04} has to let it go first", action)
    waits = condition("Unique", "false", "AwaitingRelease", *told, slot="heart_rate", other=f"SIM-{by:04}")
    return tracker(
        number, f"Athlete {number}", slot("heart_rate", H9), None, "awaiting_release", told, conditions=(waits,)
    )


def test_many_approvals_stand_under_one_command_and_fit_the_window() -> None:
    many = [
        tracker(number, f"Athlete {number}", None, None, "awaiting_approval", ("x", APPROVE.format(number)))
        for number in range(1, 16)
    ]
    lines = drawn(fleet(*many, session_until_ms=NOW_MS), height=23)
    assert lines[0] == "15 trackers, 15 need you."
    assert lines[4] == "Type `insiders-gateway pair apply` (shows them and asks):"
    assert sum("Athlete " in line and "to be approved" in line for line in lines) == 15


def test_a_chain_of_releases_says_once_for_whom_all_wait() -> None:
    last = tracker(1, "Ada", slot("heart_rate", H9, current=H10), None, "awaiting_device", OFF_AND_ON)
    explain = "see `insiders-gateway pair explain SIM-{:04}`".format
    chain = [
        released_by(2, 1, "switch SIM-0001 off and on"),
        *(released_by(n, n - 1, explain(n - 1)) for n in range(3, 16)),
    ]
    lines = drawn(fleet(*reversed(chain), last), height=23)
    assert lines[0] == "15 trackers, 1 needs you."
    assert lines[3].startswith("Switch it off and on (done already?")
    assert lines[5] == "Wait until 7 Ada is switched off and on:"
    assert sum(line.endswith("waits for other") for line in lines) == 14


def test_who_waits_for_a_tracker_that_is_off_waits_until_it_is_on() -> None:
    off = tracker(1, "Ada", slot("heart_rate", H9), None, "awaiting_device", ("x", "switch SIM-0001 on"), read_ms=None)
    lines = drawn(fleet(released_by(2, 1, "switch SIM-0001 off and on"), off))
    assert [line for line in lines if line.endswith(":")] == ["Switch it on:", "Wait until 7 Ada is switched on:"]


def test_in_a_circle_all_are_switched_off_and_on() -> None:
    circle = [released_by(n, n % 15 + 1, f"switch SIM-{n % 15 + 1:04} off and on") for n in range(1, 16)]
    lines = drawn(fleet(*circle), height=23)
    assert lines[0] == "15 trackers, 15 need you."
    assert [line for line in lines if line.endswith(":")] == [
        "Switch it off and on (done already? wait, last looked at 0 s ago):"
    ]


def test_who_waits_for_several_others_stands_under_one_heading() -> None:
    others = [
        tracker(n, f"Athlete {n}", None, None, "awaiting_device", ("x", f"switch SIM-{n:04} off and on"))
        for n in range(1, 6)
    ]
    waiting = [released_by(n + 20, n, f"switch SIM-{n:04} off and on") for n in range(1, 6)]
    lines = drawn(fleet(*others, *waiting))
    assert [line for line in lines if line.endswith(":")][1:] == ["Wait for others of this list:"]


def test_what_is_typed_for_each_of_several_is_one_command_without_its_name() -> None:
    retry = [
        tracker(n, f"Athlete {n}", None, None, "stalled", ("x", f"type `insiders-gateway pair retry SIM-{n:04}`"))
        for n in (1, 2)
    ]
    assert drawn(fleet(*retry))[3] == "Type `insiders-gateway pair retry TRACKER`:"
    assert drawn(fleet(*retry[:1]))[3] == "Type `insiders-gateway pair retry SIM-0001`:"


def test_a_tracker_that_somebody_has_stopped_is_marked() -> None:
    stopped = condition("Suspended", "true", "OperatorSuspend", "It was stopped", "type `… resume SIM-0002`")
    lines = drawn(fleet(msgspec.structs.replace(BEA, conditions=(stopped,)), CAT))
    assert lines[0] == "2 trackers, nothing to do."
    assert lines[3] == "Stopped until `insiders-gateway pair resume SIM-0002`:"
    assert lines[4].endswith("stopped")


def test_commands_in_headings_name_the_gateway_if_it_is_another_one() -> None:
    lines = table(fleet(EVE, paused_by="kim"), "ws://127.0.0.1:9000/api/v1/stream", NOW, 80).plain.split("\n")
    assert lines[1].startswith("kim has stopped all changes: `insiders-gateway pair resume --url 127.0.0.1:9000`")
    assert lines[5] == "With a warning (`insiders-gateway pair explain SIM-0005 --url 127.0.0.1:9000`):"


def test_what_has_no_room_is_counted_and_those_that_need_somebody_come_first() -> None:
    many = [tracker(number, f"Athlete {number}") for number in range(10, 40)]
    lines = drawn(fleet(*many, ADA), height=12)
    assert len(lines) == 12
    assert "Switch it off and on" in lines[3]
    assert lines[-2] == "26 more trackers need nobody: --all lists them"
    assert (
        drawn(fleet(*many, *([FAY] * 9)), height=8)[-2]
        == "7 more need you, 30 more trackers need nobody: --all lists them"
    )
    assert len(drawn(fleet(*many), height=100)) == 2 + 1 + 1 + 30


@pytest.mark.parametrize("width", [40, 60, 79, 80, 100])
def test_no_line_is_wider_than_the_window(width: int) -> None:
    wide = tracker(9, "心" * 30, slot("heart_rate", Sensor("a0:9e:1a:00:4f:2c", "Polar H10 " + "心" * 20)))
    lines = drawn(fleet(ADA, wide, BEA, paused_by="kim"), width)
    assert max(map(cell_len, lines)) <= width
    assert any("Ada" in line for line in lines)


_NAMES = st.text(max_size=30)
_SENSORS = st.builds(Sensor, _NAMES, _NAMES)


@given(
    st.lists(
        st.builds(
            tracker,
            st.integers(0, 9999),
            st.none() | _NAMES,
            st.builds(slot, st.just("heart_rate"), _SENSORS | st.sampled_from(Wish), st.none() | _SENSORS),
            st.none(),
            st.sampled_from(State).map(str),
            st.tuples(_NAMES, _NAMES),
        ),
        max_size=8,
        unique_by=lambda one: one.serial_number,
    ),
    st.integers(20, 120),
    st.integers(8, 30),
)
def test_whatever_is_told_fits_the_window_and_nobody_is_lost(
    trackers: list[PairingReport], width: int, height: int
) -> None:
    lines = drawn(fleet(*trackers), width, height)
    assert max(map(cell_len, lines)) <= width
    assert len(drawn(fleet(*trackers), width, 200)) >= 2 + len(trackers)


async def served(desk: Desk, *, is_all: bool = False) -> str:
    talk, out = pipe()
    async with desk.open() as url:
        await list_pairings(url, talk, is_all=is_all)
    return out.getvalue()


async def test_into_a_pipe_nothing_is_cut_or_coloured_and_every_serial_number_stands_there() -> None:
    long = Sensor("a0:9e:1a:00:4f:2d", "A strap with a name that is much longer than any column of a terminal")
    names = ["Ada", *("Somebody with a very long name indeed" for _ in range(40))]
    told = await served(
        Desk([tracker(number, name, slot("heart_rate", long)) for number, name in enumerate(names, start=1)])
    )
    assert told.count(long.name) == 41
    assert "SIM-0041" in told
    assert "\x1b" not in told


async def test_in_a_terminal_it_fits_the_window_unless_all_are_asked_for() -> None:
    desk = Desk([tracker(number, f"Athlete {number}") for number in range(1, 41)])
    for is_all, count in ((False, 23), (True, 44)):
        async with desk.open() as url, person() as one:
            await list_pairings(url, one.talk, is_all=is_all)
            await one.saw("Athlete 40" if is_all else "--all lists them")
        assert len(one.lines) == count


async def test_as_json_it_is_one_document_as_the_gateway_says_it() -> None:
    talk, out = pipe()
    desk = Desk([ADA, BEA])
    async with desk.open() as url:
        await list_pairings(url, talk, is_json=True)
    assert msgspec.json.decode(out.getvalue(), type=PairingsReport) == desk.report()
    assert out.getvalue().count("\n") == 1

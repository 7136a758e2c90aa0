"""The sensors in the air as a technician reads them."""

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.report import RadioReport, SensorReport, SensorsReport, TrackerReport
from gateway.scan.screen import scan, scan_json, scan_once
from gateway.scan.table import table
from insiders_gateway_client.errors import GatewayError

NOW_MS = 1_800_000_000_000
LISTENING = RadioReport(
    state="listening", adapter="hci0", text="Bluetooth listens with adapter hci0", action="", notes=()
)
OFF = RadioReport(
    state="powered_off",
    adapter="hci0",
    text="Bluetooth adapter hci0 is switched off",
    action="switch it on with `bluetoothctl power on`",
    notes=(),
)
ADA = TrackerReport(serial_number="SIM-0001", name="Ada Lindqvist", number=10, slot="heart_rate", is_applied=True)
HALF = "It sits on the right and may send the right leg's power only, about half: pair the left one instead"
PUT_IT_ON = ("Not seen yet: probably not worn", "put it on: wet a strap's electrodes")


def sensor(
    name: str | None = "Polar H10 AE60D42F", advice: tuple[str, str] = ("Visible and free", ""), **more: Any
) -> SensorReport:
    text, action = advice
    known: dict[str, Any] = {
        "id": (name or "a0-9e-1a-00-4f-2a").lower().replace(" ", "-"),
        "kind": "heart_rate",
        "name": name,
        "model": "Polar H10",
        "address": "a0:9e:1a:00:4f:2a",
        "address_kind": "public",
        "presence": "seen",
        "rssi_dbm": -61,
        "bars": 3,
        "interval_ms": 1000,
        "first_seen_ms": NOW_MS - 60_000,
        "last_seen_ms": NOW_MS - 2_400,
        "battery_percent": 80,
        "heart_rate_bpm": 71,
        "is_contact": True,
        "tracker": None,
        "holder": "free",
        "warnings": (),
        "inspection": None,
        "inspected_ms": None,
    }
    return SensorReport(**(known | more), text=text, action=action)


def report(*sensors: SensorReport, radio: RadioReport = LISTENING, others: int = 0) -> SensorsReport:
    return SensorsReport(utc_ms=NOW_MS, radio=radio, others=others, sensors=sensors)


def drawn(told: SensorsReport, height: int = 24, trouble: str = "", width: int = 80) -> list[str]:
    """The lines as they are to be seen."""
    return table(told, width, height, trouble).plain.split("\n")


MISSING: dict[str, Any] = {
    "presence": "unknown",
    "holder": "not_worn",
    "last_seen_ms": None,
    "rssi_dbm": None,
    "heart_rate_bpm": None,
    "battery_percent": None,
}


def the_air() -> SensorsReport:
    bea = TrackerReport(serial_number="SIM-0002", name="Bea", number=None, slot="heart_rate", is_applied=True)
    return report(
        sensor(tracker=ADA, holder="tracker", presence="gone", heart_rate_bpm=None, last_seen_ms=NOW_MS - 240_000),
        sensor("TICKR 5D1B", PUT_IT_ON, **MISSING, tracker=bea),
        sensor("Polar H9 0B1C2D3E"),
        sensor("ASSIOMA17287R", kind="power", heart_rate_bpm=None, rssi_dbm=-78, bars=2, warnings=(HALF,)),
        sensor("HRM-Dual:123456", PUT_IT_ON, **MISSING),
        sensor(None, kind="unknown", model=None, heart_rate_bpm=None, battery_percent=None, rssi_dbm=-101, bars=0),
        others=14,
    )


def test_the_whole_table() -> None:
    """What it looks like: the golden picture of what a technician sees."""
    assert "\n".join(drawn(the_air())) == GOLDEN.strip("\n")


GOLDEN = """
Bluetooth listens with adapter hci0. 5 sensors, 3 need you.

Sensor                 Kind  Signal    Batt bpm Athlete        State        Seen
Not seen yet: probably not worn. Put it on: wet a strap's electrodes.
TICKR 5D1B             heart —            —   — Bea            not worn    never
HRM-Dual:123456        heart —            —   —                not worn    never
With a warning:
ASSIOMA17287R          power ■■··  -78  80%   —                free          2 s
  ! It sits on the right and may send the right leg's power only, about half:
    pair the left one instead.
Nothing to do:
Polar H10 AE60D42F     heart —          80%   — 10 Ada Lindqv… in use          —
Polar H9 0B1C2D3E      heart ■■■·  -61  80%  71                free          2 s
Perhaps not sensors:
a0-9e-1a-00-4f-2a      ?     ···· -101    —   —                              2 s
and 14 other devices
"""


def test_in_half_the_window_there_still_are_name_state_and_athlete() -> None:
    assert "\n".join(drawn(the_air(), 12, width=40)) == GOLDEN_NARROW.strip("\n")


GOLDEN_NARROW = """
Bluetooth listens with adapter hci0. 5
sensors, 3 need you.

Sensor             Athlete    State
Not seen yet: probably not worn. Put it
on: wet a strap's electrodes.
TICKR 5D1B         Bea        not worn
HRM-Dual:123456               not worn
With a warning:
ASSIOMA17287R                 free
2 more sensors: make the window
taller, and 15 other devices
"""


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (120, "Sensor Kind Signal Batt bpm Athlete State Seen"),
        (80, "Sensor Kind Signal Batt bpm Athlete State Seen"),
        (79, "Sensor Signal Batt bpm Athlete State Seen"),
        (73, "Sensor Signal bpm Athlete State Seen"),
        (68, "Sensor Signal Athlete State Seen"),
        (64, "Sensor Signal Athlete State"),
        (57, "Sensor Athlete State"),
        (36, "Sensor Athlete State"),
    ],
)
def test_a_narrower_window_does_without_what_is_needed_least(width: int, heads: str) -> None:
    assert any(" ".join(line.split()) == heads for line in drawn(report(sensor()), width=width))


async def test_a_wider_window_gives_its_room_to_names_up_to_100_columns() -> None:
    out = io.StringIO()
    tracker = msgspec.structs.replace(ADA, name="Ada Wilhelmina Lindqvist")
    told = report(sensor("Polar Verity Sense 0B1C2D3E", tracker=tracker))
    await scan_once(Told(told), Console(file=out, width=200))
    line = out.getvalue().splitlines()[4]
    assert "Polar Verity Sense 0B1C2D3E " in line
    assert "10 Ada Wilhelmina Lindq… " in line
    assert len(line) == 100


def row(told: SensorsReport) -> str:
    """The first sensor's line."""
    lines = drawn(told)
    return lines[next(number for number, line in enumerate(lines) if line.startswith("Sensor ")) + 2]


def test_what_is_to_be_done_stands_above_what_is_well_however_strong_that_is() -> None:
    told = report(sensor("Strap A", rssi_dbm=-30), sensor("Strap B", ("Asleep", "turn the cranks"), rssi_dbm=-90))
    lines = [line for line in drawn(told) if line.startswith("Strap") or line.endswith((".", ":"))]
    assert [line[:7] for line in lines] == ["Bluetoo", "Asleep.", "Strap B", "Nothing", "Strap A"]
    assert lines[0].endswith("2 sensors, 1 needs you.")


def test_with_nothing_to_do_it_says_so_once() -> None:
    lines = drawn(report(sensor()))
    assert lines[0] == "Bluetooth listens with adapter hci0. 1 sensor, nothing to do."
    assert lines[3] == "Nothing to do:"


def test_what_only_takes_time_needs_nobody() -> None:
    waiting = ("In the air; its tracker may be about to take it", "wait half a minute")
    lines = drawn(report(sensor("A", waiting, holder="unknown"), sensor("B")))
    assert lines[0] == "Bluetooth listens with adapter hci0. 2 sensors, nothing to do."
    assert lines[3] == "Not known yet, wait half a minute:"
    assert "in the air" in lines[4]
    assert lines[5] == "Nothing to do:"


def test_the_trouble_of_the_radio_stands_on_top_with_its_action_and_only_there() -> None:
    unknown: dict[str, Any] = {"presence": "unknown", "holder": "unknown"}
    told = report(sensor("A", ("Unknown: the radio is off", OFF.action), **unknown), sensor("B", **unknown), radio=OFF)
    lines = drawn(told)
    assert lines[:2] == ["Bluetooth adapter hci0 is switched off. Switch it on with `bluetoothctl power", "on`."]
    assert lines[4] == "Not known now:"
    assert sum("bluetoothctl" in line for line in lines) == 1


def test_the_notes_of_the_radio_are_told() -> None:
    radio = msgspec.structs.replace(LISTENING, notes=("It is the radio on board, which hears badly",))
    assert drawn(report(radio=radio))[1] == "It is the radio on board, which hears badly."


def test_what_was_told_before_stays_and_says_how_old_it_is() -> None:
    lines = drawn(report(sensor()), trouble="Nothing answers. What follows is 12 s old.")
    assert lines[0] == "Nothing answers. What follows is 12 s old."
    assert row(report(sensor())) in lines


def test_an_empty_air_is_no_error() -> None:
    assert drawn(report())[0] == "Bluetooth listens with adapter hci0. 0 sensors, nothing to do."


@pytest.mark.parametrize("presence", ["gone", "unknown"])
def test_a_strength_of_before_is_not_shown_as_one_of_now(presence: str) -> None:
    assert "-61" not in row(report(sensor(presence=presence)))
    assert "-61" in row(report(sensor(presence="quiet")))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Polar Verity Sense 0B1C2D3E", "Polar Verity… 0B1C2D3E"),
        ("[bold red]x[/]", "[bold red]x[/]"),
        ("a\x1b[2Jb\nc\u202ed", "a[2Jbcd"),
        ("\x00\x1b", "Polar H10"),
        ("心" * 40, "心心心心心心"),
        ("́" * 200 + "x", "́"),
    ],
)
def test_a_strangers_name_stays_in_its_column_and_a_number_at_its_end_stays(name: str, shown: str) -> None:
    line = row(report(sensor(name)))
    assert line.startswith(shown)
    assert "\x1b" not in line
    assert line.endswith("free          2 s")
    assert cell_len(line) == 80


@given(
    st.text(max_size=60),
    st.text(max_size=60),
    st.text(max_size=200),
    st.text(max_size=90),
    st.integers(30, 120),
    st.integers(6, 40),
)
def test_whatever_strangers_write_and_however_small_the_window_it_fits(
    name: str, athlete: str, words: str, trouble: str, width: int, height: int
) -> None:
    tracker = msgspec.structs.replace(ADA, name=athlete)
    radio = msgspec.structs.replace(LISTENING, notes=(words, "It hears badly"))
    told = report(
        sensor(name, (words, words), tracker=tracker, kind=words[:9], holder=athlete),
        sensor(athlete, warnings=(words, name)),
        radio=radio,
    )
    lines = drawn(told, height, trouble, width)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    assert all(character.isprintable() for line in lines for character in line)
    assert cell_len(row(report(sensor(name, tracker=tracker)))) == 80


@pytest.mark.parametrize("width", range(30, 121))
def test_in_every_window_it_fits_and_counts_what_it_leaves_out(width: int) -> None:
    radio = msgspec.structs.replace(LISTENING, notes=("It is the radio on board, which hears badly",))
    well = [sensor(f"W{place}", tracker=ADA) for place in range(10)]
    told = report(sensor("N", PUT_IT_ON, **MISSING), sensor("N1", warnings=(HALF,)), *well, radio=radio, others=3)
    for height in range(6, 41):
        trouble = "Nothing answers at 8797. What follows is 12 s old." if height % 2 else ""
        lines = drawn(msgspec.structs.replace(told, radio=OFF if height % 3 else radio), height, trouble, width)
        assert len(lines) <= height
        assert all(len(line) <= width for line in lines)
        shown = sum(line.startswith(("N ", "N1 ", "W")) and not line.startswith("With") for line in lines)
        needing = max(0, 2 - shown)
        quiet = 12 - shown - needing
        left = [f"{needing} more need{'s' if needing == 1 else ''} you"] if needing else []
        left += [f"{quiet} more sensor{'s' if quiet > 1 else ''}"] if quiet else []
        footer = f"{', '.join(left)}: make the window taller, and 3 other devices" if left else "and 3 other devices"
        assert " ".join(lines).endswith(footer)


def test_two_sensors_of_the_same_name_are_told_apart_by_their_addresses() -> None:
    lines = drawn(report(sensor("TICKR"), sensor("TICKR", address="a0:9e:1a:00:77:01")))
    assert [line[:11] for line in lines if line.startswith("TICKR")] == ["TICKR 4f:2a", "TICKR 77:01"]


def test_a_device_of_unknown_kind_that_a_tracker_needs_is_a_sensor() -> None:
    assert "Nothing to do:" in drawn(report(sensor("WHOOP", kind="unknown", tracker=ADA)))


@pytest.mark.parametrize("height", range(8, 40))
def test_it_never_is_taller_than_the_window_and_counts_what_it_leaves_out(height: int) -> None:
    needing = [sensor(f"N{place}", PUT_IT_ON, warnings=("Low battery",) * (place % 2)) for place in range(6)]
    well = [sensor(f"W{place}") for place in range(20)]
    unknown = [sensor(f"U{place}", kind="unknown") for place in range(5)]
    lines = drawn(report(*needing, *well, *unknown, others=3), height)
    assert len(lines) <= height
    shown = {kind: sum(line[:1] == kind and line[1:2].isdigit() for line in lines) for kind in "NWU"}
    lacking, quiet, devices = 6 - shown["N"], 20 - shown["W"], 8 - shown["U"]
    left = [f"{lacking} more need{'s' if lacking == 1 else ''} you"] if lacking else []
    left += [f"{quiet} more sensor{'s' if quiet > 1 else ''}"] if quiet else []
    taller = f"{', '.join(left)}: make the window taller, " if left else ""
    assert lines[-1] == f"{taller}and {devices} other devices"
    assert shown["N"] == 6 or shown["W"] == 0
    is_room_for_a_heading_only = len(lines) == height - 1 and shown == {"N": 6, "W": 0, "U": 0}
    assert len(lines) == height or quiet == 0 or is_room_for_a_heading_only


def test_what_has_no_room_is_told_with_what_needs_somebody_first() -> None:
    needing = [sensor(f"N{place}", PUT_IT_ON, **MISSING) for place in range(3)]
    lines = drawn(report(*needing, *(sensor(f"W{place}") for place in range(17))), 7)
    assert lines[-2:] == [
        "N1                     heart —            —   —                not worn    never",
        "1 more needs you, 17 more sensors: make the window taller",
    ]


def test_the_last_line_with_room_is_filled_though_not_all_of_a_warning_fits() -> None:
    lines = drawn(report(sensor("A", warnings=(HALF,))), 7)
    assert lines[4].startswith("A ")
    assert lines[5].endswith("about half:…")
    assert len(drawn(report(sensor("A", warnings=(HALF,))), 6)) == 6


def test_without_sensors_there_is_no_empty_table() -> None:
    assert drawn(report(radio=OFF)) == [
        "Bluetooth adapter hci0 is switched off. Switch it on with `bluetoothctl power",
        "on`.",
        "",
        "",
    ]
    assert not any(line.startswith("Sensor") for line in drawn(report(others=3)))


@pytest.mark.parametrize(
    ("more", "seen"),
    [
        ({"presence": "unknown", "last_seen_ms": None, "holder": "tracker"}, "—"),
        ({"presence": "gone", "holder": "tracker"}, "—"),
        ({"presence": "seen", "holder": "tracker"}, "2 s"),
        ({"presence": "unknown", "last_seen_ms": None, "holder": "not_worn"}, "never"),
    ],
)
def test_that_a_sensor_in_use_is_not_heard_does_not_read_like_a_fault(more: dict[str, Any], seen: str) -> None:
    assert row(report(sensor(**more))).endswith(f" {seen}")


@pytest.mark.parametrize(
    ("age_ms", "shown"),
    [
        (-5_000, "0 s"),
        (999, "0 s"),
        (99_999, "99 s"),
        (100_000, "1 min"),
        (5_999_000, "99 min"),
        (6_000_000, "1 h"),
        (172_800_000, "2 d"),
    ],
)
def test_how_long_ago_is_told_in_one_unit(age_ms: int, shown: str) -> None:
    assert row(report(sensor(last_seen_ms=NOW_MS - age_ms))).endswith(f" {shown}")


@pytest.mark.parametrize(
    ("advice", "more", "style"),
    [
        (("Visible and free", ""), {}, ""),
        (("In use", ""), {"presence": "gone", "holder": "tracker"}, "dim"),
        (("In the air", ""), {"kind": "unknown"}, "dim"),
        (PUT_IT_ON, {"presence": "gone", "holder": "not_worn"}, "bold"),
        (PUT_IT_ON, {"presence": "seen"}, "bold"),
        (("Visible and free", ""), {"presence": "gone", "warnings": (HALF,)}, "bold"),
    ],
)
def test_what_needs_somebody_stands_out_and_what_is_well_and_not_heard_is_dim(
    advice: tuple[str, str], more: dict[str, Any], style: str
) -> None:
    told = table(report(sensor(None, advice, **more)), 80)
    at = told.plain.index("Polar H10")
    assert {str(span.style) for span in told.spans if span.start <= at < span.end} - {""} == ({style} - {""})


class Told:
    """A source that tells a list of reports, then goes away."""

    def __init__(self, *answers: SensorsReport | Exception, then: Callable[[], None] = lambda: None) -> None:
        self.answers, self.then = list(answers), then

    async def report(self) -> SensorsReport:
        answer = self.answers.pop(0)
        if not self.answers:
            self.then()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def settle(self) -> None:
        pass

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        raise NotImplementedError


@pytest.mark.looptime
async def test_it_asks_every_second_and_goes_on_when_an_answer_fails() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True)
    source = Told(report(), GatewayError("Nothing answers"), report(sensor("Back again")), RuntimeError("enough"))
    with pytest.raises(RuntimeError, match="enough"):
        await scan(source, console)
    assert "Nothing answers. What follows is" in out.getvalue()
    assert "Back again" in out.getvalue()


@pytest.mark.looptime
async def test_what_a_gateway_said_long_ago_is_no_heart_rate_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr("gateway.scan.screen._now_s", loop.time)
    for silent_s, is_shown in ((8, True), (12, False)):
        out = io.StringIO()
        source = Told(report(sensor()), *[GatewayError("Gone")] * silent_s, RuntimeError("enough"))
        with pytest.raises(RuntimeError, match="enough"):
            await scan(source, Console(file=out, width=80, height=24, force_terminal=True))
        last = out.getvalue().rpartition("Gone.")[2]
        assert ("71" in last) is is_shown
        assert ("-61" in last) is is_shown


async def test_a_first_question_without_answer_is_an_error() -> None:
    with pytest.raises(GatewayError):
        await scan(Told(GatewayError("Nothing answers")), Console(file=io.StringIO(), width=80))


@pytest.mark.looptime
async def test_a_window_that_is_too_small_never_ends_in_dots() -> None:
    """Rich puts three dots where there are too many lines, as there are if it wraps some."""
    out = io.StringIO()
    many = report(*(sensor(f"N{place}", PUT_IT_ON, warnings=(HALF,)) for place in range(30)))
    for width, height in ((40, 2), (40, 6), (40, 12), (15, 12), (3, 12)):
        console = Console(file=out, width=width, height=height, force_terminal=True)
        with pytest.raises(RuntimeError):
            await scan(Told(many, RuntimeError("enough")), console)
    assert "..." not in out.getvalue()


async def test_into_a_pipe_the_whole_table_is_printed_once_and_plain() -> None:
    out = io.StringIO()
    many = report(*(sensor(f"W{place}") for place in range(60)), others=2)
    await scan_once(Told(many), Console(file=out, width=80, height=5))
    lines = out.getvalue().splitlines()
    assert lines == drawn(many, 1000)
    assert len(lines) == 65
    assert "\x1b" not in out.getvalue()
    await scan_once(Told(report(sensor())), Console(file=out, width=80))
    assert out.getvalue().endswith(" 2 s\n")


async def test_as_json_it_is_one_document() -> None:
    out = io.StringIO()
    told = report(sensor(tracker=ADA), others=2)
    await scan_json(Told(told), out)
    assert out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue())["op"] == "sensors"
    assert msgspec.json.decode(out.getvalue(), type=SensorsReport) == told

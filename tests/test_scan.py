"""The sensors in the air as a technician reads them."""

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
from gateway.live.client import StreamError
from gateway.scan.screen import scan, scan_json
from gateway.scan.table import table

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


def drawn(told: SensorsReport, height: int = 24, trouble: str = "") -> list[str]:
    """The lines as a terminal of 80 columns shows them."""
    out = io.StringIO()
    Console(file=out, width=80).print(table(told, height, trouble))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_whole_table() -> None:
    """What it looks like: the golden picture of what a technician sees."""
    missing = {
        "presence": "unknown",
        "holder": "not_worn",
        "last_seen_ms": None,
        "rssi_dbm": None,
        "heart_rate_bpm": None,
    }
    bea = TrackerReport(serial_number="SIM-0002", name="Bea", number=None, slot="heart_rate", is_applied=True)
    told = report(
        sensor(tracker=ADA, holder="tracker", presence="gone", heart_rate_bpm=None, last_seen_ms=NOW_MS - 240_000),
        sensor("TICKR 5D1B", PUT_IT_ON, **missing, battery_percent=None, tracker=bea),
        sensor("Polar H9 0B1C2D3E"),
        sensor("ASSIOMA17287R", kind="power", heart_rate_bpm=None, rssi_dbm=-78, bars=2, warnings=(HALF,)),
        sensor("HRM-Dual:123456", PUT_IT_ON, **missing, battery_percent=None),
        sensor(None, kind="unknown", model=None, heart_rate_bpm=None, battery_percent=None, rssi_dbm=-101, bars=0),
        others=14,
    )
    assert "\n".join(drawn(told)) == GOLDEN.strip("\n")


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
Polar H10 AE60D42F     heart —          80%   — 10 Ada Lindqv… in use      4 min
Polar H9 0B1C2D3E      heart ■■■·  -61  80%  71                free          2 s
Perhaps no sensors:
a0-9e-1a-00-4f-2a      ?     ···· -101    —   —                              2 s
and 14 other devices
"""


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


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_whatever_strangers_write_no_line_is_wider_than_the_screen(name: str, athlete: str, warning: str) -> None:
    tracker = msgspec.structs.replace(ADA, name=athlete)
    told = table(report(sensor(name, tracker=tracker, warnings=(warning,))), 24)
    assert all(character.isprintable() or character == "\n" for character in told.plain)
    assert all(cell_len(line) <= 80 or cell_len(line) > len(line) for line in told.plain.splitlines())
    assert cell_len(row(report(sensor(name, tracker=tracker)))) == 80


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
    sensors, devices = 26 - shown["N"] - shown["W"], 5 - shown["U"] + 3
    left = f"{sensors} more sensors: make the window taller, and " if sensors > 1 else ""
    left = "1 more sensor: make the window taller, and " if sensors == 1 else left
    assert lines[-1] == f"and {left}{devices} other devices"
    assert shown["N"] == 6 or shown["W"] == 0


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
    ("more", "style"),
    [
        ({}, ""),
        ({"presence": "gone", "holder": "tracker"}, ""),
        ({"presence": "gone", "holder": "elsewhere"}, "dim"),
        ({"presence": "quiet"}, "dim"),
        ({"kind": "unknown"}, "dim"),
    ],
)
def test_what_is_not_there_is_dim_but_not_what_is_in_use(more: dict[str, Any], style: str) -> None:
    told = table(report(sensor(**more)), 24)
    at = told.plain.index("Polar H10 AE60D42F")
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
    source = Told(report(), StreamError("Nothing answers"), report(sensor("Back again")), RuntimeError("enough"))
    with pytest.raises(RuntimeError, match="enough"):
        await scan(source, console)
    assert "Nothing answers. What follows is" in out.getvalue()
    assert "Back again" in out.getvalue()


async def test_a_first_question_without_answer_is_an_error() -> None:
    with pytest.raises(StreamError):
        await scan(Told(StreamError("Nothing answers")), Console(file=io.StringIO(), width=80))


async def test_as_json_it_is_one_document() -> None:
    out = io.StringIO()
    told = report(sensor(tracker=ADA), others=2)
    await scan_json(Told(told), out)
    assert out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue())["op"] == "sensors"
    assert msgspec.json.decode(out.getvalue(), type=SensorsReport) == told

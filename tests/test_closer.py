"""A closer look at one sensor, from the terminal."""

import asyncio
import io
import os
import pty
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from gateway.bluetooth.inspection import Ending, HeartRateStream, Inspection, PowerStream, Unread
from gateway.bluetooth.report import SensorReport, SensorsReport, TrackerReport
from gateway.live.requests import ErrorCode
from gateway.scan.closer import find, look_closer
from gateway.scan.findings import block
from gateway.terminal.errors import CommandError, RefusedError
from tests.test_scan import ADA, report, sensor

WARNING = "It may have one link only, and for half a minute SIM-0001 could not have it."

LINK_NEEDED = RefusedError(ErrorCode.LINK_NEEDED, WARNING)


def inspection(**found: Any) -> Inspection:
    nothing: dict[str, Any] = dict.fromkeys(Inspection.__struct_fields__) | {"unread": {}, "warnings": ()}
    return Inspection(**(nothing | found))


FOUND = inspection(
    battery_percent=80,
    manufacturer="Polar Electro Oy",
    model="H10",
    body_location="chest",
    heart_rate=HeartRateStream(Ending.COMPLETE, 10, 0, 71, 68, 75, is_contact=True, rr_intervals=12),
    unread={"serial_number": Unread.ABSENT, "firmware": Unread.NO_ANSWER},
    warnings=("No skin contact: wet the strap and put it on",),
)


class Air:
    """A source with some sensors; looking at them needs their link, or fails as it is told to."""

    def __init__(self, *sensors: SensorReport, refusal: RefusedError | None = None, lasts_s: float = 0.0) -> None:
        self.sensors, self.refusal, self.lasts_s = sensors, refusal, lasts_s
        self.found = FOUND
        self.asked: list[tuple[str, bool]] = []

    async def report(self) -> SensorsReport:
        return report(*self.sensors)

    async def settle(self) -> None:
        pass

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        self.asked.append((sensor_id, take_link))
        if self.refusal is not None and not (take_link and self.refusal.code == ErrorCode.LINK_NEEDED):
            raise self.refusal
        await asyncio.sleep(self.lasts_s)
        return self.found


class Person(io.StringIO):
    """Who sits at a terminal: reads what is printed, and answers the question once it is there."""

    def __init__(self, keyboard: io.RawIOBase | None = None, answer: bytes = b"") -> None:
        super().__init__()
        self.keyboard, self.answer = keyboard, answer

    def write(self, text: str) -> int:
        if self.keyboard is not None and "[y/N]" in text:
            self.keyboard.write(self.answer)
        return super().write(text)


@contextmanager
def terminal(answer: bytes = b"", *, early: bytes = b"") -> Iterator[tuple[TextIO, Console, Person]]:
    """What a program reads from a terminal, where it prints, and the person who types there, perhaps too early."""
    other, side = pty.openpty()
    with os.fdopen(side, encoding="utf-8") as answers, os.fdopen(other, "wb", buffering=0) as keyboard:
        person = Person(keyboard, answer)
        if early:
            keyboard.write(early)
            assert select.select([answers], [], [], 10)[0]
        yield answers, Console(file=person, width=80, force_terminal=True, color_system=None), person


def console(*, is_terminal: bool, width: int = 80) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, force_terminal=is_terminal, color_system=None), out


def told(found: Inspection, seen: SensorReport | None = None, width: int = 80) -> list[str]:
    return block(seen or sensor(), found, width).plain.splitlines()


def test_what_was_found_is_a_short_block() -> None:
    assert told(FOUND) == [
        "Polar H10 AE60D42F, heart, a0:9e:1a:00:4f:2a",
        "  Battery     80 %",
        "  Made by     Polar Electro Oy",
        "  Model       H10",
        "  Worn on     chest",
        "  Heart rate  71 bpm (68 to 75), 10 measurements, skin contact, 12 beats timed",
        "  Not known   serial number (not offered), firmware (no answer)",
        "! No skin contact: wet the strap and put it on.",
    ]


@pytest.mark.parametrize(
    ("stream", "line"),
    [
        (PowerStream(Ending.COMPLETE, 10, 0, 243, 92), "243 W, 10 measurements, 92 rpm"),
        (PowerStream(Ending.SILENT, 3, 2, -5, None), "-5 W, 3 measurements, 2 not readable, then silence"),
        (PowerStream(Ending.LOST, 1, 0, None, None), "1 measurement, then the link was lost"),
        (PowerStream(Ending.REFUSED, 0, 0, None, None), "0 measurements, it sends none"),
    ],
)
def test_power_is_one_line_with_how_it_ended(stream: PowerStream, line: str) -> None:
    assert told(inspection(power=stream))[1] == f"  Power  {line}"


def test_a_heart_rate_that_never_came_is_no_number() -> None:
    nothing = HeartRateStream(Ending.SILENT, 2, 0, None, None, None, is_contact=None, rr_intervals=0)
    assert told(inspection(heart_rate=nothing))[1] == "  Heart rate  2 measurements, 0 beats timed, then silence"


def test_what_a_device_says_of_itself_cannot_move_the_cursor_and_is_wrapped() -> None:
    lines = told(inspection(model="H\x1b[2J10\n\u202e", power_features=tuple(f"feature {n}" for n in range(20))))
    assert lines[1] == "  Model   H[2J10"
    assert all(len(line) <= 80 for line in lines)
    assert lines[3].startswith("          feature")


@pytest.mark.parametrize("width", [30, 40, 120])
def test_what_was_found_is_wrapped_at_words_at_the_width_of_the_window(width: int) -> None:
    lines = told(FOUND, sensor("心" * 30, tracker=ADA), width)
    assert all(cell_len(line) <= width for line in lines)
    assert "Not known serial number (not offered), firmware (no answer)" in " ".join(" ".join(lines).split())
    assert " ".join(" ".join(lines).split()).endswith("! No skin contact: wet the strap and put it on.")


def test_what_was_found_says_whose_it_is_and_that_it_may_be_no_sensor() -> None:
    assert told(FOUND, sensor(tracker=ADA))[0] == "Polar H10 AE60D42F (10 Ada Lindqvist), heart, a0:9e:1a:00:4f:2a"
    device = sensor("Speaker", kind="unknown")
    assert told(inspection(), device) == ["Speaker (perhaps not a sensor), a0:9e:1a:00:4f:2a"]
    assert told(FOUND, device)[0] == "Speaker, heart, a0:9e:1a:00:4f:2a"
    power = PowerStream(Ending.COMPLETE, 10, 0, 243, 92)
    assert told(inspection(power=power), device)[0] == "Speaker, power, a0:9e:1a:00:4f:2a"


BEA = TrackerReport(serial_number="SIM-0003B", name="Bea Okafor", number=2, slot="heart_rate", is_applied=True)
AIR = (
    sensor("Polar H10 AE60D42F"),
    sensor("Polar H10 0B1C2D3E", address="a0:9e:1a:11:22:33"),
    sensor("Polar H10 0B1C2D3E5", address="a0:9e:1a:11:22:34"),
    sensor(None, address="c0:ff:ee:11:22:33", id="c0-ff-ee-11-22-33"),
    sensor("Polar H9 0C4FA154", address="a0:9e:1a:11:22:35", tracker=BEA),
    sensor("Zed's Okafor strap", address="a0:9e:1a:11:22:36"),
    sensor("TICKR", address="d4:3a:2e:6a:3e:6e", id="tickr-1"),
    sensor("TICKR", address="d4:3a:2e:6a:77:01", id="tickr-2"),
)


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("polar-h10-ae60d42f", 0),
        ("AE60", 0),
        ("h10 ae", 0),
        ("A0:9E:1A:11:22:33", 1),
        ("Polar H10 0b1c2d3e", 1),  # the whole name of one and a part of another's
        ("2d3e5", 2),
        (" c0:ff ", 3),
        ("Bea Okafor", 4),
        ("2 bea okafor", 4),
        ("sim-0003b", 4),
        ("bea", 4),
        ("tickr 77:01", 7),  # as the table tells two of a name apart
    ],
)
def test_a_sensor_is_found_by_any_part_that_only_it_has(wanted: str, place: int) -> None:
    assert find(AIR, wanted) is AIR[place]


@pytest.mark.parametrize("wanted", ["Stages", "\x1b[2J"])
def test_what_nobody_is_called_is_said_to_be_nobody(wanted: str) -> None:
    with pytest.raises(CommandError, match="No sensor and no athlete is called") as refused:
        find(AIR, wanted)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("wanted", ["", "  ", "\x1b"])
def test_where_nothing_is_given_it_says_what_to_give(wanted: str) -> None:
    with pytest.raises(CommandError, match="Say which sensor: a name, an athlete, an id or an address"):
        find(AIR, wanted)


def test_what_several_are_called_is_a_choice_of_names_as_in_the_table() -> None:
    with pytest.raises(CommandError, match=r"'AE60' may be S1 or S2: give one of these\."):
        find([sensor("S1", id="S1-ae60"), sensor("S2", id="S2-ae60"), *AIR[1:]], "AE60")
    with pytest.raises(CommandError, match="may be S0, S1, S2, S3 or others: "):
        find([sensor(f"S{number}") for number in range(5)], "S")
    with pytest.raises(CommandError, match="'TICKR' may be TICKR 3e:6e or TICKR 77:01: "):
        find(AIR, "TICKR")


def test_an_athlete_with_two_sensors_is_a_choice_between_them() -> None:
    both = [sensor("Polar H9 0C4FA154", tracker=BEA), sensor("ASSIOMA17287L", kind="power", tracker=BEA)]
    with pytest.raises(CommandError, match="'Bea Okafor' may be Polar H9 0C4FA154 or ASSIOMA17287L: "):
        find([*both, *AIR[:4]], "Bea Okafor")


async def test_without_a_terminal_it_looks_and_prints_and_asks_nothing() -> None:
    air, (screen, out) = Air(sensor()), console(is_terminal=False)
    await look_closer(air, "AE60", screen)
    assert air.asked == [("polar-h10-ae60d42f", False)]
    assert out.getvalue().splitlines() == told(FOUND)


@pytest.mark.parametrize("is_terminal", [False, True])
async def test_the_only_link_is_not_taken_where_nobody_can_be_asked(*, is_terminal: bool) -> None:
    """Neither with the output nor with the input in a pipe."""
    air, (screen, _) = Air(sensor(), refusal=LINK_NEEDED), console(is_terminal=is_terminal)
    with terminal(early=b"y\n") as (answers, _, _), pytest.raises(CommandError, match="SIM-0001 could not have it"):
        await look_closer(air, "AE60", screen, io.StringIO("y\n") if is_terminal else answers)
    assert air.asked == [("polar-h10-ae60d42f", False)]


@pytest.mark.parametrize(
    ("typed", "is_taken"), [(b"y\n", True), (b"Yes\n", True), (b"\n", False), (b"n\n", False), (b"x\n", False)]
)
async def test_in_a_terminal_it_asks_and_takes_no_for_the_usual_answer(typed: bytes, *, is_taken: bool) -> None:
    air = Air(sensor(tracker=ADA), refusal=LINK_NEEDED)
    with terminal(typed) as (answers, screen, person):
        await look_closer(air, "AE60", screen, answers)
    assert [taken for _, taken in air.asked] == [False, True][: 1 + is_taken]
    asked = f"Polar H10 AE60D42F (10 Ada Lindqvist): {WARNING} Take it anyway? [y/N] "
    assert " ".join(person.getvalue().splitlines()).startswith(asked)
    assert ("Battery" in person.getvalue()) is is_taken


async def test_what_was_typed_before_the_question_is_no_answer_to_it() -> None:
    air = Air(sensor(), refusal=LINK_NEEDED)
    with terminal(b"n\n", early=b"y\n") as (answers, screen, _):
        await look_closer(air, "AE60", screen, answers)
    assert [taken for _, taken in air.asked] == [False]


async def test_the_question_can_be_left_with_ctrl_c() -> None:
    """The program is cancelled while it waits: it neither hangs on the terminal nor looks."""
    air = Air(sensor(), refusal=LINK_NEEDED)
    with terminal() as (answers, screen, _), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await look_closer(air, "AE60", screen, answers)
    assert [taken for _, taken in air.asked] == [False]


@pytest.mark.looptime
@pytest.mark.parametrize(("lasts_s", "is_said"), [(0.5, False), (20.0, True)])
async def test_that_it_takes_a_while_is_said_if_it_does(lasts_s: float, *, is_said: bool) -> None:
    air, (screen, out) = Air(sensor(tracker=ADA), lasts_s=lasts_s), console(is_terminal=True)
    await look_closer(air, "AE60", screen)
    patience = "Looking closer at Polar H10 AE60D42F (10 Ada Lindqvist), which takes up to half a minute."
    assert " ".join(out.getvalue().split()).startswith(patience) is is_said
    assert out.getvalue().count("Looking closer") == is_said


@pytest.mark.looptime
async def test_what_is_no_answer_for_a_person_says_nothing_meanwhile() -> None:
    """Neither into a pipe nor as JSON; and nothing is said of a look that was refused, however late it ends."""
    for is_terminal, is_json in ((False, False), (True, True)):
        screen, out = console(is_terminal=is_terminal)
        await look_closer(Air(sensor(), lasts_s=20.0), "AE60", screen, is_json=is_json)
        assert "Looking closer" not in out.getvalue()
    screen, out = console(is_terminal=True)
    with pytest.raises(CommandError):
        await look_closer(Air(sensor(), refusal=RefusedError(ErrorCode.INSPECTION_RUNNING, "Busy.")), "AE60", screen)
    await asyncio.sleep(30)
    assert not out.getvalue()


async def test_as_json_what_was_found_is_one_document_and_nothing_is_asked() -> None:
    """In a terminal too, with what a device says of itself as it says it."""
    air, (screen, out) = Air(sensor()), console(is_terminal=True)
    air.found = inspection(model="[bold]H10[/] :smile:" * 9)
    await look_closer(air, "AE60", screen, is_json=True)
    assert msgspec.json.decode(out.getvalue(), type=Inspection) == air.found
    assert out.getvalue().count("\n") == 1
    air.refusal = RefusedError(ErrorCode.LINK_NEEDED, WARNING)
    with terminal(early=b"y\n") as (answers, _, _), pytest.raises(CommandError, match="SIM-0001 could not have it"):
        await look_closer(air, "AE60", screen, answers, is_json=True)


@pytest.mark.parametrize(
    ("seen", "who"),
    [
        (sensor(), "Polar H10 AE60D42F: "),
        (sensor(tracker=ADA), "Polar H10 AE60D42F (10 Ada Lindqvist): "),
        (sensor(kind="unknown"), "Polar H10 AE60D42F (perhaps not a sensor): "),
    ],
)
async def test_a_refusal_says_of_whom_in_the_words_of_who_refuses(seen: SensorReport, who: str) -> None:
    refusal = RefusedError(ErrorCode.SENSOR_NOT_IN_THE_AIR, "It is not in the air: put it on.")
    with pytest.raises(CommandError) as refused:
        await look_closer(Air(seen, refusal=refusal), "AE60", console(is_terminal=False)[0])
    assert str(refused.value) == f"{who}It is not in the air: put it on."


def test_an_inspection_survives_its_way_as_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(FOUND), type=Inspection) == FOUND

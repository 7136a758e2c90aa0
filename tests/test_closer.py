"""A closer look at one sensor, from the terminal."""

import asyncio
import io
import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import msgspec
import pytest
from rich.console import Console

from gateway.bluetooth.inspection import Ending, HeartRateStream, Inspection, PowerStream, Unread
from gateway.bluetooth.report import SensorReport, SensorsReport
from gateway.live.requests import ErrorCode, RequestError
from gateway.scan.closer import ScanError, block, closer, find
from tests.test_scan import report, sensor

WARNING = "It may have one link only, and SIM-0001 would get nothing from it for half a minute."


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

    def __init__(self, *sensors: SensorReport, refusal: RequestError | None = None) -> None:
        self.sensors, self.refusal = sensors, refusal
        self.found = FOUND
        self.asked: list[tuple[str, bool]] = []

    async def report(self) -> SensorsReport:
        return report(*self.sensors)

    async def settle(self) -> None:
        pass

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        self.asked.append((sensor_id, take_link))
        if self.refusal is not None and not (take_link and self.refusal.code is ErrorCode.LINK_NEEDED):
            raise self.refusal
        return self.found


@contextmanager
def terminal(typed: bytes = b"") -> Iterator[TextIO]:
    """What a program reads from a terminal at which somebody types."""
    other, side = pty.openpty()
    with os.fdopen(side, encoding="utf-8") as answers, os.fdopen(other, "wb", buffering=0) as keyboard:
        keyboard.write(typed)
        yield answers


def console(*, is_terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=80, force_terminal=is_terminal, color_system=None), out


def told(found: Inspection) -> list[str]:
    return block(sensor(), found).plain.splitlines()


def test_what_was_found_is_a_short_block() -> None:
    assert told(FOUND) == [
        "Polar H10 AE60D42F (heart, a0:9e:1a:00:4f:2a)",
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


AIR = (
    sensor("Polar H10 AE60D42F"),
    sensor("Polar H10 0B1C2D3E", address="a0:9e:1a:11:22:33"),
    sensor("Polar H10 0B1C2D3E5", address="a0:9e:1a:11:22:34"),
    sensor(None, address="c0:ff:ee:11:22:33", id="c0-ff-ee-11-22-33"),
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
    ],
)
def test_a_sensor_is_found_by_any_part_that_only_it_has(wanted: str, place: int) -> None:
    assert find(AIR, wanted) is AIR[place]


@pytest.mark.parametrize("wanted", ["", "  ", "TICKR", "\x1b[2J"])
def test_what_nobody_is_called_is_said_to_be_nobody(wanted: str) -> None:
    with pytest.raises(ScanError, match="No sensor is called") as refused:
        find(AIR, wanted)
    assert "\x1b" not in str(refused.value)


def test_what_several_are_called_names_them() -> None:
    with pytest.raises(ScanError, match=r"'AE60' may be S1-ae60 or S2-ae60: give one of these\."):
        find([sensor("S1", id="S1-ae60"), sensor("S2", id="S2-ae60"), *AIR[1:]], "AE60")
    with pytest.raises(ScanError, match="may be s0, s1, s2, s3 or others: "):
        find([sensor(f"S{number}") for number in range(5)], "S")


async def test_without_a_terminal_it_looks_and_prints_and_asks_nothing() -> None:
    air, (screen, out) = Air(sensor()), console(is_terminal=False)
    await closer(air, "AE60", screen)
    assert air.asked == [("polar-h10-ae60d42f", False)]
    assert out.getvalue().splitlines() == told(FOUND)


@pytest.mark.parametrize("is_terminal", [False, True])
async def test_the_only_link_is_not_taken_where_nobody_can_be_asked(*, is_terminal: bool) -> None:
    """Neither with the output nor with the input in a pipe."""
    air, (screen, _) = (
        Air(sensor(), refusal=RequestError(ErrorCode.LINK_NEEDED, WARNING)),
        console(is_terminal=is_terminal),
    )
    with terminal(b"y\n") as answers, pytest.raises(ScanError, match="SIM-0001 would get nothing"):
        await closer(air, "AE60", screen, io.StringIO("y\n") if is_terminal else answers)
    assert air.asked == [("polar-h10-ae60d42f", False)]


@pytest.mark.parametrize(
    ("typed", "is_taken"), [(b"y\n", True), (b"Yes\n", True), (b"\n", False), (b"n\n", False), (b"x\n", False)]
)
async def test_in_a_terminal_it_asks_and_takes_no_for_the_usual_answer(typed: bytes, *, is_taken: bool) -> None:
    air, (screen, out) = Air(sensor(), refusal=RequestError(ErrorCode.LINK_NEEDED, WARNING)), console(is_terminal=True)
    with terminal(typed) as answers:
        await closer(air, "AE60", screen, answers)
    assert [taken for _, taken in air.asked] == [False, True][: 1 + is_taken]
    assert WARNING in " ".join(out.getvalue().split())
    assert "[y/N]" in out.getvalue()
    assert ("Battery" in out.getvalue()) is is_taken


async def test_the_question_can_be_left_with_ctrl_c() -> None:
    """The program is cancelled while it waits: it neither hangs on the terminal nor looks."""
    air, (screen, _) = Air(sensor(), refusal=RequestError(ErrorCode.LINK_NEEDED, WARNING)), console(is_terminal=True)
    with terminal() as answers, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await closer(air, "AE60", screen, answers)
    assert [taken for _, taken in air.asked] == [False]


async def test_as_json_what_was_found_is_one_document_and_nothing_is_asked() -> None:
    """In a terminal too, with what a device says of itself as it says it."""
    air, (screen, out) = Air(sensor()), console(is_terminal=True)
    air.found = inspection(model="[bold]H10[/] :smile:" * 9)
    await closer(air, "AE60", screen, is_json=True)
    assert msgspec.json.decode(out.getvalue(), type=Inspection) == air.found
    assert out.getvalue().count("\n") == 1
    air.refusal = RequestError(ErrorCode.LINK_NEEDED, WARNING)
    with terminal(b"y\n") as answers, pytest.raises(ScanError, match="SIM-0001 would get nothing"):
        await closer(air, "AE60", screen, answers, is_json=True)


async def test_a_refusal_is_told_in_the_words_of_who_refuses() -> None:
    refusal = RequestError(ErrorCode.SENSOR_NOT_IN_THE_AIR, "It is not in the air: put it on.")
    with pytest.raises(ScanError, match=r"It is not in the air: put it on\."):
        await closer(Air(sensor(), refusal=refusal), "AE60", console(is_terminal=False)[0])


def test_an_inspection_survives_its_way_as_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(FOUND), type=Inspection) == FOUND

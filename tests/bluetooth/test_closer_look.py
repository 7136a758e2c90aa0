"""Looking closer at a sensor, over links that answer, refuse, garble, hang and end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bluetooth.closer_look import READ_TIMEOUT_S, READS_TIMEOUT_S, SILENCE_S, look_closer
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.inspection import Ending, HeartRateStream, Inspection, PowerStream, Unread
from gateway.bluetooth.link import LinkError
from insiders_codecs import gatt

pytestmark = pytest.mark.looptime

_T = TypeVar("_T")

STRAP = {
    gatt.BATTERY_LEVEL: b"\x50",
    gatt.MANUFACTURER_NAME: b"Polar Electro Oy\0",
    gatt.MODEL_NUMBER: b"H10",
    gatt.SERIAL_NUMBER: b"AE60D42F",
    gatt.FIRMWARE_REVISION: b"3.3.1",
    gatt.HARDWARE_REVISION: b"00760690.03",
    gatt.SOFTWARE_REVISION: b"3.2.0",
    gatt.BODY_SENSOR_LOCATION: b"\x01",
}
PEDAL = {
    gatt.BATTERY_LEVEL: b"\x5a",
    gatt.SENSOR_LOCATION: b"\x08",
    gatt.CYCLING_POWER_FEATURE: (1 << 3 | 1 << 9 | 2 << 20).to_bytes(4, "little"),
}


@dataclass
class ScriptedLink:
    """A link that says what it is told to.

    Attributes:
        values: Of the characteristics that can be read; an error is raised, None hangs.
        notified: Values by characteristic, each after a pause in seconds; the link ends where the pause is None.
        refused: Characteristics that cannot be subscribed to.
        is_farewell_hanging: Whether the end of a subscription is never confirmed.
    """

    values: dict[str, bytes | Exception | None] = field(default_factory=dict)
    notified: dict[str, list[tuple[float | None, bytes]]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    is_farewell_hanging: bool = False
    subscribed: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def has(self, uuid: str) -> bool:
        return uuid in {*self.values, *self.notified}

    async def read(self, uuid: str) -> bytes | None:
        if uuid not in self.values:
            return None
        await asyncio.sleep(0)  # an answer takes a turn, so that a time limit that is over ends it
        value = self.values[uuid]
        if value is None:
            await asyncio.Event().wait()
        if isinstance(value, Exception):
            raise value
        return value

    @asynccontextmanager
    async def notifications(self, uuid: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if uuid in self.refused or uuid not in self.notified:
            raise LinkError("NOT_PERMITTED")
        self.subscribed.append(uuid)
        try:
            yield self._values(uuid)
        finally:
            if self.is_farewell_hanging:
                await asyncio.Event().wait()
            self.ended.append(uuid)

    async def _values(self, uuid: str) -> AsyncIterator[bytes]:
        for pause_s, value in self.notified[uuid]:
            if pause_s is None:
                return
            await asyncio.sleep(pause_s)
            yield value
        await asyncio.Event().wait()


def beats(*values: bytes, every_s: float = 1.0) -> list[tuple[float | None, bytes]]:
    return [(every_s, value) for value in values]


def known(value: _T | None) -> _T:
    assert value is not None
    return value


async def heart_rate(link: ScriptedLink) -> HeartRateStream:
    return known((await look_closer(link, SensorKind.HEART_RATE)).heart_rate)


async def power(link: ScriptedLink) -> PowerStream:
    return known((await look_closer(link, SensorKind.POWER)).power)


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def test_a_strap_tells_all_of_itself_and_ten_seconds_of_its_heart() -> None:
    notified = beats(*(bytes([0x16, bpm, 0x61, 0x03]) for bpm in (70, 71, 72, 75, 68, 71, 71, 70, 72, 73, 99)))
    link = ScriptedLink({**STRAP}, {gatt.HEART_RATE_MEASUREMENT: notified})
    began_s = now_s()
    assert await look_closer(link, SensorKind.HEART_RATE) == Inspection(
        battery_percent=80,
        manufacturer="Polar Electro Oy",
        model="H10",
        serial_number="AE60D42F",
        firmware="3.3.1",
        hardware="00760690.03",
        software="3.2.0",
        body_location="chest",
        sensor_location=None,
        power_features=None,
        heart_rate=HeartRateStream(Ending.COMPLETE, 9, 0, 71, 68, 75, is_contact=True, rr_intervals=9),
        power=None,
        unread={},
        warnings=(),
    )
    assert now_s() - began_s == pytest.approx(10)
    assert link.subscribed == link.ended == [gatt.HEART_RATE_MEASUREMENT]


async def test_a_pedal_tells_where_it_sits_what_it_can_do_and_how_fast_it_turns() -> None:
    notified = beats(
        *(
            (0x20).to_bytes(2, "little")
            + (240 + second).to_bytes(2, "little", signed=True)
            + (second * 3 // 2 + 100).to_bytes(2, "little")
            + (((second * 3 // 2) * 683 + 64_000) % 65_536).to_bytes(2, "little")
            for second in range(11)
        )
    )
    link = ScriptedLink({**PEDAL}, {gatt.CYCLING_POWER_MEASUREMENT: notified})
    found = await look_closer(link, SensorKind.POWER, name="Pedal R")
    assert found.sensor_location == "right pedal"
    assert found.power_features == ("crank revolutions", "offset compensation")
    assert found.power == PowerStream(Ending.COMPLETE, 9, 0, 244, 90)
    assert found.heart_rate is None
    assert found.warnings == (
        "It sits on the right and sends the right leg's power only, about half: pair the left one instead",
    )


async def test_what_a_sensor_offers_is_looked_at_though_it_was_not_known() -> None:
    notified = {gatt.HEART_RATE_MEASUREMENT: beats(b"\0\x4b"), gatt.CYCLING_POWER_MEASUREMENT: beats(b"\0\0\xfb\xff")}
    link = ScriptedLink({}, notified)
    began_s = now_s()
    found = await look_closer(link, SensorKind.UNKNOWN)
    assert known(found.heart_rate).median_bpm == 75
    assert known(found.power).mean_w == -5
    assert now_s() - began_s < 10, "one after the other would hold the link twice as long"


async def test_a_device_that_measures_nothing_is_not_listened_to() -> None:
    found = await look_closer(ScriptedLink({gatt.BATTERY_LEVEL: b"\x32"}), SensorKind.UNKNOWN)
    assert (found.battery_percent, found.heart_rate, found.power) == (50, None, None)
    assert "body_location" not in found.unread
    assert "sensor_location" not in found.unread


async def test_each_value_that_is_not_to_be_had_is_noted_and_the_others_are_read() -> None:
    values: dict[str, bytes | Exception | None] = {
        **STRAP,
        gatt.BATTERY_LEVEL: b"\xff",
        gatt.MODEL_NUMBER: LinkError("READ_NOT_PERMITTED"),
        gatt.SERIAL_NUMBER: None,
        gatt.BODY_SENSOR_LOCATION: b"\x09",
        gatt.SOFTWARE_REVISION: b"",
    }
    del values[gatt.HARDWARE_REVISION]
    found = await look_closer(ScriptedLink(values), SensorKind.HEART_RATE)
    assert found.unread == {
        "battery_percent": Unread.GARBLED,
        "body_location": Unread.GARBLED,
        "model": Unread.REFUSED,
        "serial_number": Unread.NO_ANSWER,
        "hardware": Unread.ABSENT,
        "software": Unread.GARBLED,
    }
    assert (found.manufacturer, found.firmware) == ("Polar Electro Oy", "3.3.1")
    assert [getattr(found, name) for name in found.unread] == [None] * 6


async def test_two_values_that_are_never_answered_leave_time_for_the_others() -> None:
    link = ScriptedLink(STRAP | {gatt.BATTERY_LEVEL: None, gatt.BODY_SENSOR_LOCATION: None})
    found = await look_closer(link, SensorKind.UNKNOWN, stream_s=1.0)
    assert found.unread == {"battery_percent": Unread.NO_ANSWER}
    found = await look_closer(link, SensorKind.HEART_RATE, stream_s=1.0)
    assert found.unread == {"battery_percent": Unread.NO_ANSWER, "body_location": Unread.NO_ANSWER}
    assert (found.manufacturer, found.software) == ("Polar Electro Oy", "3.2.0")


async def test_a_sensor_that_answers_nothing_is_let_go_after_a_time() -> None:
    link = ScriptedLink(dict.fromkeys(STRAP), {gatt.HEART_RATE_MEASUREMENT: []})
    began_s = now_s()
    found = await look_closer(link, SensorKind.HEART_RATE)
    assert set(found.unread.values()) == {Unread.NO_ANSWER}
    assert known(found.heart_rate).ending is Ending.SILENT
    assert now_s() - began_s == pytest.approx(READS_TIMEOUT_S + SILENCE_S)
    assert len(STRAP) * READ_TIMEOUT_S > READS_TIMEOUT_S


async def test_a_stream_that_falls_silent_ends_and_says_so() -> None:
    link = ScriptedLink({}, {gatt.HEART_RATE_MEASUREMENT: beats(b"\x04\x4b", b"\x06\x4c")})
    began_s = now_s()
    assert await heart_rate(link) == HeartRateStream(Ending.SILENT, 2, 0, 76, 75, 76, is_contact=True, rr_intervals=0)
    assert now_s() - began_s == pytest.approx(2 + SILENCE_S)
    assert link.ended == [gatt.HEART_RATE_MEASUREMENT]


async def test_silence_just_before_the_end_is_no_fault() -> None:
    link = ScriptedLink({}, {gatt.HEART_RATE_MEASUREMENT: beats(b"\0\x4b", b"\0\x4b", every_s=3.5)})
    assert (await heart_rate(link)).ending is Ending.COMPLETE


async def test_a_link_that_ends_is_told_with_what_came_before() -> None:
    link = ScriptedLink({}, {gatt.HEART_RATE_MEASUREMENT: [*beats(b"\0\x4b"), (None, b"")]})
    assert await heart_rate(link) == HeartRateStream(Ending.LOST, 1, 0, 75, 75, 75, is_contact=None, rr_intervals=0)


@pytest.mark.parametrize("refused", [{gatt.HEART_RATE_MEASUREMENT}, set()])
async def test_a_stream_that_is_refused_or_not_offered_is_told_as_such(refused: set[str]) -> None:
    assert (await heart_rate(ScriptedLink({}, {}, refused))).ending is Ending.REFUSED


async def test_garbled_measurements_are_counted_and_the_rest_is_taken() -> None:
    link = ScriptedLink({}, {gatt.HEART_RATE_MEASUREMENT: beats(b"", b"\x01\x4b", b"\0\x4b")})
    found = await heart_rate(link)
    assert (found.measurements, found.garbled, found.median_bpm) == (1, 2, 75)


async def test_a_strap_that_has_not_found_the_heart_has_no_heart_rate() -> None:
    link = ScriptedLink({}, {gatt.HEART_RATE_MEASUREMENT: beats(b"\x04\0", b"\x04\0")})
    found = await look_closer(link, SensorKind.HEART_RATE)
    assert known(found.heart_rate).median_bpm is None
    assert known(found.heart_rate).measurements == 2
    assert found.warnings == ("No skin contact: wet the strap and put it on",)


async def test_a_farewell_that_is_never_confirmed_does_not_hold_us() -> None:
    link = ScriptedLink({}, {gatt.HEART_RATE_MEASUREMENT: beats(b"\0\x4b")}, is_farewell_hanging=True)
    began_s = now_s()
    assert (await heart_rate(link)).measurements == 1
    assert now_s() - began_s <= 15


async def test_who_does_not_want_to_know_any_more_stops_it_at_once() -> None:
    link = ScriptedLink({}, {gatt.HEART_RATE_MEASUREMENT: beats(*[b"\0\x4b"] * 20)})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3.5):
            await look_closer(link, SensorKind.HEART_RATE)
    assert link.ended == [gatt.HEART_RATE_MEASUREMENT]


@pytest.mark.parametrize(
    ("battery", "location", "warnings"),
    [
        (20, 1, ("The battery has 20 % left: change it before the session",)),
        (21, 1, ()),
        (0, 1, ("The battery has 0 % left: change it before the session",)),
        (100, 2, ("It sits on the wrist and follows sprints badly: use a chest strap for those",)),
    ],
)
async def test_what_a_person_should_know_is_a_warning(battery: int, location: int, warnings: tuple[str, ...]) -> None:
    link = ScriptedLink({gatt.BATTERY_LEVEL: bytes([battery]), gatt.BODY_SENSOR_LOCATION: bytes([location])})
    assert (await look_closer(link, SensorKind.HEART_RATE)).warnings == warnings


@pytest.mark.looptime(False)
@given(
    st.dictionaries(st.sampled_from([*STRAP, *PEDAL]), st.binary(max_size=30)),
    st.lists(st.binary(max_size=30), max_size=12),
)
def test_whatever_a_sensor_says_there_is_a_result(values: dict[str, bytes], notified: list[bytes]) -> None:
    both = {
        uuid: [*beats(*notified, every_s=0), (None, b"")]
        for uuid in (gatt.HEART_RATE_MEASUREMENT, gatt.CYCLING_POWER_MEASUREMENT)
    }
    with asyncio.Runner() as runner:
        found = runner.run(look_closer(ScriptedLink({**values}, both), SensorKind.BOTH))
    assert known(found.heart_rate).measurements + known(found.heart_rate).garbled == len(notified)
    assert known(found.power).measurements + known(found.power).garbled == len(notified)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Inspection) == found

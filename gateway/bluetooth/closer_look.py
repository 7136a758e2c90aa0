"""Looking closer at one sensor: what it says of itself, and some seconds of what it measures."""

import asyncio
from collections.abc import Callable
from statistics import fmean, median
from typing import TypeVar

from gateway.bluetooth.cautions import half_power_warning, inspection_warnings
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.inspection import Ending, HeartRateStream, Inspection, PowerStream, Unread
from gateway.bluetooth.link import Link, LinkError
from insiders_codecs import gatt
from insiders_codecs.cycling_power import (
    CyclingPowerFeature,
    SensorLocation,
    crank_rate,
    decode_cycling_power_feature,
    decode_cycling_power_measurement,
    decode_sensor_location,
)
from insiders_codecs.device_info import decode_battery_level, decode_text
from insiders_codecs.errors import DecodeError
from insiders_codecs.heart_rate import (
    BodySensorLocation,
    decode_body_sensor_location,
    decode_heart_rate_measurement,
)

STREAM_S = 10.0
"""Ten measurements: enough for a median, and no longer than a person likes to wait."""

SILENCE_S = 4.0
"""A sensor notifies once a second. A link whose Bluetooth service was killed says nothing, not even that it is gone."""

READ_TIMEOUT_S = 4.0
"""A sensor answers within a second, also over a slow link; one that does not would hold up the others."""

READS_TIMEOUT_S = 15.0
"""For all reads together: a sensor's only link is not to be held longer than a person waits."""

_CLOSE_TIMEOUT_S = 5.0

_T = TypeVar("_T")


async def look_closer(
    link: Link, kind: SensorKind, *, name: str | None = None, stream_s: float = STREAM_S, is_measured: bool = True
) -> Inspection:
    """Read what a sensor says of itself, then listen to what it measures; holds the link for 30 s at most.

    Whatever the sensor does not say, refuses or garbles is left out and noted.

    Args:
        link: An open link.
        kind: What it is taken for; what it offers beyond that is looked at too.
        name: As it advertises itself.
        stream_s: How long to listen.
        is_measured: Whether to listen at all: not to a heart that nobody may be told of.
    """
    reader = _Reader(link)
    has_heart_rate = kind.measures_heart_rate or link.has(gatt.HEART_RATE_MEASUREMENT)
    has_power = kind.measures_power or link.has(gatt.CYCLING_POWER_MEASUREMENT)
    battery_percent = await reader.read("battery_percent", gatt.BATTERY_LEVEL, decode_battery_level)
    body = location = features = None
    if has_heart_rate:
        body = await reader.read("body_location", gatt.BODY_SENSOR_LOCATION, decode_body_sensor_location)
    if has_power:
        location = await reader.read("sensor_location", gatt.SENSOR_LOCATION, decode_sensor_location)
        features = await reader.read("power_features", gatt.CYCLING_POWER_FEATURE, decode_cycling_power_feature)
    texts = {field: await reader.read(field, uuid, _text) for field, uuid in _TEXTS.items()}
    async with asyncio.TaskGroup() as tasks:
        heart_rate = tasks.create_task(_heart_rate(link, stream_s)) if has_heart_rate and is_measured else None
        power = tasks.create_task(_power(link, stream_s)) if has_power and is_measured else None
    heart_rate_found = None if heart_rate is None else heart_rate.result()
    return Inspection(
        battery_percent=battery_percent,
        body_location=_words(body),
        sensor_location=_words(location),
        power_features=None if features is None else tuple(str(_words(feature)) for feature in features),
        heart_rate=heart_rate_found,
        power=None if power is None else power.result(),
        unread=reader.unread,
        warnings=inspection_warnings(
            battery_percent,
            body,
            half_power_warning(name, location, features),
            is_contact=None if heart_rate_found is None else heart_rate_found.is_contact,
        ),
        **texts,
    )


_TEXTS = {
    "manufacturer": gatt.MANUFACTURER_NAME,
    "model": gatt.MODEL_NUMBER,
    "serial_number": gatt.SERIAL_NUMBER,
    "firmware": gatt.FIRMWARE_REVISION,
    "hardware": gatt.HARDWARE_REVISION,
    "software": gatt.SOFTWARE_REVISION,
}


class _Reader:
    """Reads one value after the other, and notes why one is not known."""

    def __init__(self, link: Link) -> None:
        self.unread: dict[str, Unread] = {}
        self._link = link
        self._deadline_s = asyncio.get_running_loop().time() + READS_TIMEOUT_S

    async def read(self, field: str, uuid: str, decode: Callable[[bytes], _T | None]) -> _T | None:
        """One value; None if it is not to be had."""
        until_s = min(self._deadline_s, asyncio.get_running_loop().time() + READ_TIMEOUT_S)
        reason = Unread.ABSENT
        try:
            async with asyncio.timeout_at(until_s):
                data = await self._link.read(uuid)
            if data is not None:
                reason = Unread.GARBLED
                value = decode(data)
                if value is not None:
                    return value
        except TimeoutError:
            reason = Unread.NO_ANSWER
        except LinkError:
            reason = Unread.REFUSED
        except DecodeError:
            reason = Unread.GARBLED
        self.unread[field] = reason
        return None


async def _heart_rate(link: Link, stream_s: float) -> HeartRateStream:
    rates: list[int] = []
    contact: bool | None = None
    rr_intervals = 0

    def take(data: bytes) -> None:
        nonlocal contact, rr_intervals
        measurement = decode_heart_rate_measurement(data)
        contact = measurement.is_contact
        rr_intervals += len(measurement.rr_intervals)
        if measurement.heart_rate_bpm:  # a strap that has not found the heart yet says 0
            rates.append(measurement.heart_rate_bpm)

    ending, measurements, garbled = await _listen(link, gatt.HEART_RATE_MEASUREMENT, stream_s, take)
    return HeartRateStream(
        ending=ending,
        measurements=measurements,
        garbled=garbled,
        median_bpm=round(median(rates)) if rates else None,
        lowest_bpm=min(rates, default=None),
        highest_bpm=max(rates, default=None),
        is_contact=contact,
        rr_intervals=rr_intervals,
    )


async def _power(link: Link, stream_s: float) -> PowerStream:
    powers_w: list[int] = []
    rate = crank_rate()
    cadence_rpm: float | None = None
    now = asyncio.get_running_loop().time

    def take(data: bytes) -> None:
        nonlocal cadence_rpm
        measurement = decode_cycling_power_measurement(data)
        powers_w.append(measurement.power_w)
        if measurement.crank is not None:
            rate.update(measurement.crank, now())
            cadence_rpm = rate.rpm(now())

    ending, measurements, garbled = await _listen(link, gatt.CYCLING_POWER_MEASUREMENT, stream_s, take)
    return PowerStream(
        ending=ending,
        measurements=measurements,
        garbled=garbled,
        mean_w=round(fmean(powers_w)) if powers_w else None,
        cadence_rpm=None if cadence_rpm is None else round(cadence_rpm),
    )


async def _listen(link: Link, uuid: str, stream_s: float, take: Callable[[bytes], None]) -> tuple[Ending, int, int]:
    """Take in what a sensor notifies for a while: how it ended, how many were good, how many garbled."""
    good = garbled = 0
    now = asyncio.get_running_loop().time
    until_s = now() + stream_s
    try:
        # The outer limit holds for the farewell too, which a dead Bluetooth service would never answer.
        async with (
            asyncio.timeout_at(until_s + _CLOSE_TIMEOUT_S),
            asyncio.timeout(SILENCE_S) as patience,
            link.notifications(uuid) as values,
        ):
            async for data in values:
                patience.reschedule(min(until_s, now() + SILENCE_S))
                try:
                    take(data)
                    good += 1
                except DecodeError:
                    garbled += 1
            return Ending.LOST, good, garbled
    except TimeoutError:
        return (Ending.COMPLETE if now() >= until_s else Ending.SILENT), good, garbled
    except LinkError:
        return (Ending.LOST if good + garbled else Ending.REFUSED), good, garbled


def _text(data: bytes) -> str | None:
    return decode_text(data) or None


def _words(value: BodySensorLocation | SensorLocation | CyclingPowerFeature | None) -> str | None:
    """The name of a value of a closed set as people write it."""
    return None if value is None or value.name is None else value.name.lower().replace("_", " ")

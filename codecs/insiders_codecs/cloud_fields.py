"""What counts as a time and as a measurement, alike for the cloud's REST rows and its websocket messages."""

import json
import math
from typing import Annotated, Any, NoReturn

import numpy as np
from msgspec import Meta

from insiders_codecs.errors import DecodeError
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

LATEST_T_MS = 1 << 45
"""No timestamp lies after this (year 3084): a larger number is no time."""

Time = Annotated[int, Meta(ge=0, lt=LATEST_T_MS)]
"""A time for a typed decoder, epoch milliseconds."""

_LATITUDE, _LONGITUDE, _HEART_RATE = int(Column.LATITUDE), int(Column.LONGITUDE), int(Column.HEART_RATE)


def in_range(column: Column) -> Any:
    """What a typed decoder takes in place of a measurement: what `measurement` takes, but for 0.0 as a heart rate."""
    lowest, highest = QUANTITIES[column].lowest, QUANTITIES[column].highest
    value: Any = Annotated[float, Meta(ge=lowest, le=highest)] | None
    if column is Column.HEART_RATE:
        return value | Annotated[int, Meta(ge=0, le=int(highest))]
    return value | bool if column is Column.STANDSTILL else value


def parse(text: bytes | str) -> object:
    """Any JSON text to plain objects.

    Raises:
        DecodeError: If it is no JSON, holds NaN or Infinity, or is nested too deeply.
    """
    try:
        return json.loads(text.decode("utf-8") if isinstance(text, bytes) else text, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise DecodeError("the answer is not UTF-8") from None
    except RecursionError:
        raise DecodeError("the answer is nested too deeply") from None
    except ValueError:  # malformed JSON, NaN, an integer of thousands of digits
        raise DecodeError("the answer is not JSON") from None


def time_ms(value: object) -> int | None:
    """The value as epoch milliseconds, None if it is no time."""
    # 1e12 and 1000000000000 are the same JSON number to many writers.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < LATEST_T_MS else None


def measurement(value: object, column: Column) -> tuple[float, bool]:
    """The value as a measurement (NaN where it is none), and whether something had to be rejected."""
    if value is None:
        return math.nan, False
    if column is Column.STANDSTILL and isinstance(value, bool):
        return float(value), False
    quantity = QUANTITIES[column]
    if type(value) in {int, float} and quantity.lowest <= value <= quantity.highest:  # type: ignore[operator]
        return float(value), False  # type: ignore[arg-type]
    is_absence = column is Column.HEART_RATE and type(value) in {int, float} and value == 0
    return math.nan, not is_absence


def tidy(block: SampleBlock) -> SampleBlock:
    """The block ascending by time, one row per instant, without zeros that mean "not measured".

    Args:
        block: What was decoded; its values may be changed.
    """
    # Counting non-zeros is the cheapest look at a short column that numpy has.
    # No heart beats 0 times a minute: it is how a sender may say that no sensor is connected.
    heart_rate = block.values[_HEART_RATE]
    if np.count_nonzero(heart_rate) < len(heart_rate):
        heart_rate[heart_rate == 0] = math.nan
    # A receiver without a fix may report 0, 0, a point in the Gulf of Guinea.
    latitude = block.values[_LATITUDE]
    if np.count_nonzero(latitude) < len(latitude):
        longitude = block.values[_LONGITUDE]
        nowhere = (latitude == 0) & (longitude == 0)
        latitude[nowhere] = longitude[nowhere] = math.nan
    if np.count_nonzero(block.t_ms[1:] > block.t_ms[:-1]) == len(block) - 1:
        return block
    return block.ascending()


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)

"""Messages of the Insiders live websocket to sample blocks."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.rows import Form, Missing, rest_rows, websocket_update
from gateway.simulator.world import World
from insiders_codecs.cloud import DecodedRows, decode_rows
from insiders_codecs.cloud_fields import LATEST_T_MS
from insiders_codecs.cloud_updates import decode_update
from insiders_codecs.errors import DecodeError
from insiders_codecs.samples import COLUMN_NAMES, QUANTITIES, Column

T0 = 1_700_000_000_597

# Groups, keys, list or scalar, the phase of 97 ms, an altitude that stands still, zero power and the times of the
# readings as in the vendor's published message (Insiders API 1.22, "Get device raw data"); the numbers are our own.
PUBLISHED: dict[str, Any] = {
    "gnss": {
        "timestamp": [T0 + 100 * i for i in range(10)],
        "longitude": [6.6322734 + i * 1e-6 for i in range(10)],
        "latitude": [46.5196535 - i * 1e-6 for i in range(10)],
        "speed": [3.417, 3.42, 3.431, 3.44, 3.452, 3.46, 3.471, 3.48, 3.492, 3.5],
        "altitude": [495.2] * 10,
    },
    "ecg": {"timestamp": T0, "hr": 151},
    "pwr": {"timestamp": T0, "pwr_cadence": 0, "pwr_instantpower": 0},
    "device": {"timestamp": T0, "standstill": 0, "Bat_lvl": 90},
}


def update(**groups: Any) -> DecodedRows:
    return decode_update(json.dumps(groups))


def gnss(*times: Any, **columns: Any) -> dict[str, Any]:
    return {"timestamp": list(times), **columns}


def measured(rows: DecodedRows) -> dict[int, dict[str, float]]:
    """Time -> the columns that have a value."""
    return {
        t_ms: {name: value for name, value in zip(COLUMN_NAMES, values, strict=True) if not math.isnan(value)}
        for t_ms, values in zip(rows.block.t_ms.tolist(), rows.block.values.T.tolist(), strict=True)
    }


@pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])
def test_the_published_message_becomes_ten_rows_and_its_readings_stand_in_the_first(form: Any) -> None:
    rows = decode_update(form(json.dumps(PUBLISHED)))
    assert rows.block.t_ms.tolist() == PUBLISHED["gnss"]["timestamp"]
    for column in (Column.LONGITUDE, Column.LATITUDE, Column.SPEED, Column.ALTITUDE):
        assert rows.block.column(column).tolist() == PUBLISHED["gnss"][column.name.lower()]
    first, *others = (values[Column.HEART_RATE :].tolist() for values in rows.block.values.T)
    assert first == [151, 0, 0, 90, 0]
    assert np.isnan(others).all()
    assert (rows.rows_rejected, rows.fields_rejected) == (0, 0)


@pytest.mark.parametrize(
    ("t_ms", "row"), [(1000, 1000), (1099, 1000), (1100, 1100), (1150, 1100), (99_999, 1200), (999, 999)]
)
@pytest.mark.parametrize("written", [lambda v: v, lambda v: [v]], ids=["scalar", "list"])
def test_a_reading_belongs_to_the_newest_position_that_is_not_younger(t_ms: int, row: int, written: Any) -> None:
    rows = update(gnss=gnss(1000, 1100, 1200, speed=[1, 2, 3]), ecg={"timestamp": written(t_ms), "hr": written(60)})
    assert [t for t, values in measured(rows).items() if "heart_rate" in values] == [row]
    assert rows.block.t_ms.tolist() == sorted({1000, 1100, 1200, row})


def test_two_beats_in_a_second_stand_where_they_were_measured() -> None:
    rows = update(gnss=gnss(*(1000 + 100 * i for i in range(10))), ecg={"timestamp": [1000, 1480], "hr": [150, 152]})
    assert {t: v for t, v in measured(rows).items() if v} == {1000: {"heart_rate": 150}, 1400: {"heart_rate": 152}}


def test_without_positions_every_instant_with_a_reading_is_a_row() -> None:
    rows = update(
        ecg={"timestamp": [2000, 3000], "hr": [150, 152]},
        device={"timestamp": 2000, "Bat_lvl": 80, "standstill": 1},
        pwr={"timestamp": 1000, "pwr_instantpower": 200},
    )
    assert measured(rows) == {
        1000: {"power": 200},
        2000: {"heart_rate": 150, "battery": 80, "standstill": 1},
        3000: {"heart_rate": 152},
    }


def test_a_reading_without_a_time_belongs_to_the_first_position() -> None:
    rows = update(gnss=gnss(1100, 1000, speed=[2, 1]), ecg={"hr": 60}, device={"timestamp": None, "Bat_lvl": 7})
    assert measured(rows) == {1000: {"speed": 1, "heart_rate": 60, "battery": 7}, 1100: {"speed": 2}}
    assert rows.rows_rejected == 0


@pytest.mark.parametrize("groups", [{"ecg": {"hr": 60}}, {"gnss": gnss(), "ecg": {"timestamp": None, "hr": [60]}}])
def test_a_reading_without_a_time_or_a_position_is_counted(groups: dict[str, Any]) -> None:
    rows = update(**groups)
    assert (len(rows.block), rows.rows_rejected) == (0, 1)


@pytest.mark.parametrize("time", ["noon", -1, 7.5, True, [1000, [2]], LATEST_T_MS, 2**64])
def test_a_reading_whose_time_is_none_is_counted_not_guessed(time: Any) -> None:
    rows = update(gnss=gnss(1000), ecg={"timestamp": time, "hr": 60 if not isinstance(time, list) else [None, 60]})
    assert measured(rows) == {1000: {}}
    assert rows.rows_rejected == 1


def test_of_two_readings_in_one_place_the_first_stays_and_the_other_is_counted() -> None:
    rows = update(gnss=gnss(1000), ecg={"timestamp": [1000, 1020, 1040], "hr": [60, 61, None]})
    assert measured(rows) == {1000: {"heart_rate": 60}}
    assert rows.fields_rejected == 1


def test_positions_in_any_order_come_out_ascending_and_once() -> None:
    rows = update(gnss=gnss(1200, 1000, 1200, 1100, speed=[3, 1, 9, 2]))
    assert measured(rows) == {1000: {"speed": 1}, 1100: {"speed": 2}, 1200: {"speed": 3}}


def test_a_position_may_be_written_without_lists() -> None:
    rows = update(gnss={"timestamp": 1000, "latitude": 46.5, "longitude": 6.6, "speed": None})
    assert measured(rows) == {1000: {"latitude": 46.5, "longitude": 6.6}}


@pytest.mark.parametrize("altitude", [None, []], ids=["null", "empty"])
def test_a_column_may_be_missing(altitude: Any) -> None:
    rows = update(gnss=gnss(1000, 1100, speed=[1, None], altitude=altitude))
    assert measured(rows) == {1000: {"speed": 1}, 1100: {}}
    assert (rows.rows_rejected, rows.fields_rejected) == (0, 0)


@pytest.mark.parametrize(
    ("groups", "rejected"),
    [
        ({"gnss": gnss(1000, 1100, speed=[1, 2, 3])}, 3),
        ({"gnss": gnss(1000, 1100, speed=[1])}, 2),
        ({"gnss": gnss(1000, 1100, speed=1)}, 2),
        ({"ecg": {"timestamp": 1000, "hr": [60, 61]}}, 2),
        ({"gnss": gnss(speed=[1, 2, 3, 4])}, 4),
        ({"gnss": 7, "ecg": "none", "device": [1]}, 3),
    ],
)
def test_a_group_whose_columns_do_not_fit_is_rejected_whole_and_the_others_kept(
    groups: dict[str, Any], rejected: int
) -> None:
    rows = update(**groups, pwr={"timestamp": 5, "pwr_instantpower": 1})
    assert measured(rows) == {5: {"power": 1}}
    assert rows.rows_rejected == rejected


@pytest.mark.parametrize("message", ["{}", '{"message": "Authorized"}', '{"imu": {"timestamp": [1]}}'])
def test_a_message_without_known_groups_has_no_rows(message: str) -> None:
    rows = decode_update(message)
    assert (len(rows.block), rows.rows_rejected, rows.fields_rejected) == (0, 0, 0)
    assert rows.block.values.shape == (len(QUANTITIES), 0)


@pytest.mark.parametrize("empty", [None, {}, {"timestamp": None}, {"timestamp": [], "hr": []}])
def test_groups_may_be_empty(empty: Any) -> None:
    rows = update(gnss=empty, ecg=empty, pwr=empty, device={"timestamp": 5, "Bat_lvl": 9})
    assert measured(rows) == {5: {"battery": 9}}
    assert rows.rows_rejected == 0


def test_unknown_groups_and_keys_are_ignored() -> None:
    message = {**PUBLISHED, "imu": {"gyro": [[1]]}, "gnss": {**PUBLISHED["gnss"], "heading": [1]}, "v": 2}
    np.testing.assert_array_equal(
        decode_update(json.dumps(message)).block.values, decode_update(json.dumps(PUBLISHED)).block.values
    )


@pytest.mark.parametrize("odd", ['"61"', "true", "1e400", "-1", "18446744073709551616", "{}", "401", "0.5"])
def test_a_field_that_is_no_measurement_is_counted_and_its_row_kept(odd: str) -> None:
    message = '{"gnss": {"timestamp": [7, 8], "speed": [1, 2]}, "ecg": {"timestamp": 7, "hr": ODD}}'
    rows = decode_update(message.replace("ODD", odd))
    assert measured(rows) == {7: {"speed": 1}, 8: {"speed": 2}}
    assert rows.fields_rejected == 1


@pytest.mark.parametrize("zero", ["0", "0.0", "-0"])
def test_a_heart_rate_of_zero_is_no_sensor_and_no_fault(zero: str) -> None:
    rows = decode_update('{"gnss": {"timestamp": [7]}, "ecg": {"timestamp": 7, "hr": ZERO}}'.replace("ZERO", zero))
    assert measured(rows) == {7: {}}
    assert rows.fields_rejected == 0


def test_the_point_in_the_gulf_of_guinea_is_no_fix_but_the_equator_is_a_place() -> None:
    rows = update(gnss=gnss(1, 2, latitude=[0, 0], longitude=[0, 32.5]))
    assert measured(rows) == {1: {}, 2: {"latitude": 0, "longitude": 32.5}}


@pytest.mark.parametrize(("written", "read"), [("true", 1), ("false", 0), ("1", 1), ("0", 0)])
def test_a_flag_may_be_written_as_a_truth_value_or_as_a_number(written: str, read: float) -> None:
    message = '{"gnss": {"timestamp": [7]}, "device": {"timestamp": 7, "standstill": WRITTEN}}'
    rows = decode_update(message.replace("WRITTEN", written))
    assert measured(rows) == {7: {"standstill": read}}


def test_of_two_groups_with_the_same_name_the_last_counts() -> None:
    assert measured(decode_update('{"gnss": {"timestamp": [1]}, "gnss": {"timestamp": [2], "timestamp": [3]}}')) == {
        3: {}
    }


HOSTILE = {
    "empty": b"",
    "truncated": b'{"gnss": {"timestamp": [1',
    "trailing": b"{} x",
    "NaN": b'{"gnss": {"timestamp": [1], "speed": [NaN]}}',
    "Infinity": b'{"ecg": {"timestamp": 1, "hr": -Infinity}}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "HTML": b"<html>login</html>",
    "a list": b"[]",
    "a number": b"1",
    "nested without end": b"[" * 100_000,
    "nested in a group": b'{"gnss":' * 100_000,
    "nested in an unknown group": b'{"gnss": {"timestamp": [1]}, "x": ' + b"[" * 100_000,
    "endless integer": b'{"ecg": {"timestamp": ' + b"9" * 5000 + b"}}",
    "not UTF-8": b'{"ecg": {"timestamp": 1, "hr": "\xff"}}',
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_message_that_is_not_what_was_promised_is_a_decode_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_update(payload)


@pytest.mark.parametrize("payload", [text for name, text in HOSTILE.items() if name != "not UTF-8"])
def test_so_is_a_text(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_update(payload.decode())


def test_half_a_character_in_a_text_is_survived() -> None:
    assert measured(decode_update('{"gnss": {"timestamp": [1]}, "\udce9": 2}')) == {1: {}}


def test_errors_never_quote_the_message() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_update(b'{"gnss": {"latitude": [47.3769], NaN')
    assert "47" not in str(caught.value)


# --- against an oracle -----------------------------------------------------------------------------------------------

READINGS = {
    "ecg": {"hr": "heart_rate"},
    "pwr": {"pwr_instantpower": "power", "pwr_cadence": "cadence"},
    "device": {"Bat_lvl": "battery", "standstill": "standstill"},
}


def told(message: dict[str, Any]) -> dict[int, dict[str, float]]:
    """What a message says, group by group and reading by reading; every value in it is a measurement."""
    said: dict[int, dict[str, float]] = {}
    positions = message.get("gnss") or {}
    for place, t_ms in enumerate(positions.get("timestamp", [])):
        values = {key: positions[key][place] for key in positions if key != "timestamp"}
        said.setdefault(t_ms, {key: value for key, value in values.items() if value is not None})
    seen = list(said)
    for name, keys in READINGS.items():
        group = {key: value if isinstance(value, list) else [value] for key, value in message.get(name, {}).items()}
        for place, t_ms in enumerate(group.get("timestamp", [])):
            row = said.setdefault(max((t for t in seen if t <= t_ms), default=t_ms), {})
            for key, column in keys.items():
                if key in group and group[key][place] is not None:
                    row.setdefault(column, group[key][place])
    return said


instants = st.integers(T0, T0 + 3000)


def value_of(column: str) -> st.SearchStrategy[float | None]:
    quantity = QUANTITIES[COLUMN_NAMES.index(column)]
    if not quantity.unit:
        return st.sampled_from([None, 0, 1])
    # Zeros that mean "not measured" have tests of their own.
    return st.none() | st.floats(quantity.lowest, quantity.highest).filter(bool)


@st.composite
def positions(draw: st.DrawFn) -> dict[str, Any]:
    times = draw(st.lists(instants, max_size=12))
    if draw(st.booleans()):
        times = sorted(set(times))
    keys = draw(st.sets(st.sampled_from(["latitude", "longitude", "altitude", "speed"])))
    return {
        "timestamp": times,
        **{key: draw(st.lists(value_of(key), min_size=len(times), max_size=len(times))) for key in keys},
    }


@st.composite
def readings(draw: st.DrawFn, keys: dict[str, str]) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"timestamp": draw(instants), **{key: draw(value_of(column)) for key, column in keys.items()}}
    times = draw(st.lists(instants, min_size=1, max_size=3))
    values = {key: draw(st.lists(value_of(c), min_size=len(times), max_size=len(times))) for key, c in keys.items()}
    return {"timestamp": times, **values}


messages = st.fixed_dictionaries(
    {}, optional={"gnss": positions(), **{name: readings(keys) for name, keys in READINGS.items()}}
)


@given(messages)
def test_a_message_is_read_as_a_naive_reader_would(message: dict[str, Any]) -> None:
    rows = decode_update(json.dumps(message))
    assert rows.rows_rejected == 0
    assert measured(rows) == told(message)
    assert rows.block.t_ms.tolist() == sorted(told(message))


@given(messages)
def test_the_quick_and_the_thorough_reading_agree(message: dict[str, Any]) -> None:
    """One odd group makes the decoder read the whole message the thorough way: the rest must come out the same."""
    message = {name: group for name, group in message.items() if name != "pwr"}
    quick, thorough = update(**message), update(**message, pwr="odd")
    np.testing.assert_array_equal(quick.block.t_ms, thorough.block.t_ms)
    np.testing.assert_array_equal(quick.block.values, thorough.block.values)
    assert thorough.rows_rejected == quick.rows_rejected + 1
    assert thorough.fields_rejected == quick.fields_rejected


@pytest.fixture(scope="module")
def world() -> World:
    return World(4, 7)


@given(
    tracker=st.integers(0, 3),
    second=st.integers(0, 59),
    first_ms=st.integers(T0, T0 + 999),
    missing=st.sampled_from(["absent", "null"]),
    form=st.sampled_from(["scalars", "lists"]),
)
def test_a_second_reads_the_same_whichever_way_it_comes(
    world: World, tracker: int, second: int, first_ms: int, missing: Missing, form: Form
) -> None:
    measurements = world.second(tracker, second)
    rest = decode_rows(json.dumps(rest_rows(measurements, first_ms, missing, fix=True)[::-1]).encode())
    live = update(**websocket_update(measurements, first_ms, missing, form, fix=True))
    np.testing.assert_array_equal(live.block.t_ms, rest.block.t_ms)
    np.testing.assert_array_equal(live.block.values, rest.block.values)
    assert live.rows_rejected == rest.rows_rejected == live.fields_rejected == rest.fields_rejected == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
KEYS = ["timestamp", "latitude", "longitude", "speed", "altitude", "hr", "pwr_cadence", "Bat_lvl", "standstill", "x"]
groups_like = st.dictionaries(
    st.sampled_from(["gnss", "ecg", "pwr", "device", "imu"]),
    st.dictionaries(st.sampled_from(KEYS), st.lists(st.integers(-5, 2**50) | json_values, max_size=3) | json_values)
    | json_values,
)


@given(st.binary(max_size=200) | st.text() | (json_values | groups_like).map(json.dumps))
def test_anything_gives_a_value_or_the_documented_error(message: bytes | str) -> None:
    try:
        rows = decode_update(message)
    except DecodeError:
        return
    assert (np.diff(rows.block.t_ms) > 0).all()
    for quantity, column in zip(QUANTITIES, rows.block.values, strict=True):
        measurements = column[~np.isnan(column)]
        assert ((quantity.lowest <= measurements) & (measurements <= quantity.highest)).all()

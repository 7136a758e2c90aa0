"""Rows of the Insiders REST API to sample blocks."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insiders_codecs.cloud import decode_rows, decode_rows_page
from insiders_codecs.cloud_fields import LATEST_T_MS
from insiders_codecs.errors import DecodeError
from insiders_codecs.samples import QUANTITIES, Column

T0 = 1_700_000_000_597

# Keys and units as the vendor's reference shows them (Insiders API 1.22, "latest preprocessed data"); the row's power
# and device keys are the websocket's groups flattened.
FULL_ROW = {
    "gnss.timestamp": T0,
    "gnss.latitude": 46.5196535,
    "gnss.longitude": 6.6322734,
    "gnss.altitude": 495.2,
    "gnss.speed": 3.417,
    "ecg.timestamp": T0,
    "ecg.hr": 151,
    "pwr.timestamp": T0,
    "pwr.pwr_instantpower": 243,
    "pwr.pwr_cadence": 92,
    "device.timestamp": T0,
    "device.Bat_lvl": 90,
    "device.standstill": 0,
}


def body(*rows: Any) -> bytes:
    return json.dumps(rows).encode()


def test_a_full_row_becomes_one_sample_with_every_column() -> None:
    rows = decode_rows(body(FULL_ROW))
    assert rows.block.t_ms.tolist() == [T0]
    assert rows.block.values[:, 0].tolist() == [46.5196535, 6.6322734, 495.2, 3.417, 151, 243, 92, 90, 0]
    assert (rows.rows_rejected, rows.fields_rejected) == (0, 0)


def test_newest_first_comes_out_ascending() -> None:
    rows = decode_rows(body(*({"gnss.timestamp": T0 - 100 * i, "gnss.speed": i} for i in range(5))))
    assert rows.block.t_ms.tolist() == [T0 - 400, T0 - 300, T0 - 200, T0 - 100, T0]
    assert rows.block.column(Column.SPEED).tolist() == [4, 3, 2, 1, 0]


def test_any_order_and_repeats_come_out_ascending_and_unique() -> None:
    rows = decode_rows(body(*({"gnss.timestamp": t} for t in (500, 100, 300, 100, 500, 200))))
    assert rows.block.t_ms.tolist() == [100, 200, 300, 500]


def test_of_two_rows_with_the_same_time_the_older_in_a_newest_first_answer_stays() -> None:
    rows = decode_rows(body(*({"gnss.timestamp": T0, "gnss.speed": speed} for speed in (1, 2, 3))))
    assert rows.block.column(Column.SPEED).tolist() == [3]


@pytest.mark.parametrize("absent", [{}, {"ecg.hr": None}, {"ecg.hr": 0}], ids=["no key", "null", "zero"])
def test_a_heart_rate_that_was_not_measured_is_missing_however_the_cloud_says_so(absent: dict[str, Any]) -> None:
    rows = decode_rows(body({"gnss.timestamp": T0, **absent}))
    assert math.isnan(rows.block.column(Column.HEART_RATE)[0])
    assert rows.fields_rejected == 0


def test_zero_power_cadence_speed_and_standstill_are_measurements() -> None:
    row = {"gnss.timestamp": T0, "pwr.pwr_instantpower": 0, "pwr.pwr_cadence": 0, "gnss.speed": 0}
    values = decode_rows(body(row)).block.values[:, 0]
    assert values[[Column.POWER, Column.CADENCE, Column.SPEED]].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("written", "read"), [("true", 1), ("false", 0), ("1", 1), ("0", 0)])
def test_a_flag_may_be_written_as_a_truth_value_or_as_a_number(written: str, read: float) -> None:
    rows = decode_rows(b'[{"gnss.timestamp": 7, "device.standstill": %s}]' % written.encode())
    assert rows.block.column(Column.STANDSTILL).tolist() == [read]
    assert rows.fields_rejected == 0


def test_the_point_in_the_gulf_of_guinea_is_no_fix_but_the_equator_is_a_place() -> None:
    rows = decode_rows(
        body(
            {"gnss.timestamp": 1, "gnss.latitude": 0, "gnss.longitude": 0, "gnss.speed": 0},
            {"gnss.timestamp": 2, "gnss.latitude": 0, "gnss.longitude": 32.5},
        )
    )
    assert np.isnan(rows.block.values[:2, 0]).all()
    assert rows.block.values[:2, 1].tolist() == [0, 32.5]


@pytest.mark.parametrize("odd", ['"61"', "true", "1e400", "-1", "18446744073709551616", "[61]", "{}", "401"])
def test_a_field_that_is_no_measurement_is_counted_and_the_sample_kept(odd: str) -> None:
    rows = decode_rows(b'[{"gnss.timestamp": 7, "gnss.speed": 2.5, "ecg.hr": %s}]' % odd.encode())
    assert rows.block.t_ms.tolist() == [7]
    assert rows.block.column(Column.SPEED)[0] == 2.5
    assert math.isnan(rows.block.column(Column.HEART_RATE)[0])
    assert rows.fields_rejected == 1


@pytest.mark.parametrize("time", ["null", '"7"', "true", "-1", "7.5", str(LATEST_T_MS), "1e400"])
def test_a_row_without_a_usable_time_is_counted_and_the_others_kept(time: str) -> None:
    rows = decode_rows(b'[{"gnss.timestamp": %s}, {"gnss.timestamp": 8}, {"ecg.hr": 60}, 3]' % time.encode())
    assert rows.block.t_ms.tolist() == [8]
    assert rows.rows_rejected == 3


def test_a_whole_number_written_as_a_float_is_a_time() -> None:
    assert decode_rows(b'[{"gnss.timestamp": 1700000000597.0}]').block.t_ms.tolist() == [T0]


def test_unknown_fields_and_duplicate_keys_are_survived() -> None:
    rows = decode_rows(b'[{"gnss.timestamp": 1, "gnss.timestamp": 2, "gnss.hdop": 0.9, "x": {"y": [1]}}]')
    assert rows.block.t_ms.tolist() == [2]


def test_an_empty_answer_is_an_empty_block() -> None:
    assert len(decode_rows(b"[]").block) == 0
    assert decode_rows(b"[]").block.values.shape == (len(QUANTITIES), 0)


HOSTILE = {
    "empty": b"",
    "truncated": b'[{"gnss.timestamp": 1',
    "trailing": b"[] x",
    "NaN": b'[{"gnss.timestamp": 1, "ecg.hr": NaN}]',
    "Infinity": b'[{"gnss.timestamp": 1, "ecg.hr": -Infinity}]',
    "byte order mark": b"\xef\xbb\xbf[]",
    "HTML": b"<html>login</html>",
    "an object": b"{}",
    "a number": b"1",
    "nested without end": b"[" * 100_000,
    "nested in a row": b'[{"a":' * 100_000,
    "endless integer": b'[{"gnss.timestamp": ' + b"9" * 5000 + b"}]",
    "not UTF-8": b'[{"gnss.timestamp": 1, "ecg.hr": "\xff"}]',
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_body_that_is_not_what_was_promised_is_a_decode_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_rows(payload)
    with pytest.raises(DecodeError):
        decode_rows_page(payload)


def test_errors_never_quote_the_body() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_rows(b'[{"gnss.latitude": 47.3769, NaN')
    assert "47" not in str(caught.value)


def test_a_page_tells_where_it_stands() -> None:
    page = decode_rows_page(
        json.dumps({"count": 3, "page": 1, "next": 2, "previous": None, "results": [FULL_ROW], "new": 1}).encode()
    )
    assert (page.count, page.page, page.next_page) == (3, 1, 2)
    assert page.rows.block.t_ms.tolist() == [T0]


def test_a_page_with_an_odd_field_keeps_the_rest() -> None:
    odd = {**FULL_ROW, "ecg.hr": "fast"}
    page = decode_rows_page(json.dumps({"count": 1, "page": 1, "next": None, "results": [odd]}).encode())
    assert page.next_page is None
    assert (len(page.rows.block), page.rows.fields_rejected) == (1, 1)


@pytest.mark.parametrize("broken", [{"count": "1"}, {"page": None}, {"next": "2"}, {"results": {}}])
def test_a_page_that_does_not_say_where_it_stands_is_a_decode_error(broken: dict[str, Any]) -> None:
    page = {"count": 1, "page": 1, "next": None, "results": [FULL_ROW, {"ecg.hr": "odd"}], **broken}
    with pytest.raises(DecodeError):
        decode_rows_page(json.dumps(page).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
rows_like = st.lists(
    st.dictionaries(st.sampled_from([*FULL_ROW, "unknown"]), st.integers(-5, 2**50) | json_values, max_size=8),
    max_size=6,
)


@given(st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode()) | rows_like.map(lambda v: body(*v)))
def test_any_bytes_give_a_value_or_the_documented_error(payload: bytes) -> None:
    for decode in (decode_rows, decode_rows_page):
        try:
            result = decode(payload)
        except DecodeError:
            continue
        block = result.block if hasattr(result, "block") else result.rows.block
        assert (np.diff(block.t_ms) > 0).all()
        for quantity, column in zip(QUANTITIES, block.values, strict=True):
            measured = column[~np.isnan(column)]
            assert ((quantity.lowest <= measured) & (measured <= quantity.highest)).all()


plausible_rows = st.lists(
    st.fixed_dictionaries(
        {"gnss.timestamp": st.integers(0, LATEST_T_MS - 1)},
        optional={
            "gnss.speed": st.floats(0, 65) | st.none(),
            "ecg.hr": st.integers(1, 400) | st.none(),
            "pwr.pwr_instantpower": st.integers(-3000, 3200),
        },
    ),
    max_size=20,
    unique_by=lambda row: row["gnss.timestamp"],
)


@given(plausible_rows)
def test_the_quick_and_the_thorough_reading_agree(rows: list[dict[str, Any]]) -> None:
    """One odd row makes the decoder read the whole body the thorough way: the others must come out the same."""
    quick = decode_rows(body(*rows))
    thorough = decode_rows(body(*rows, {"gnss.timestamp": "odd"}))
    np.testing.assert_array_equal(quick.block.t_ms, thorough.block.t_ms)
    np.testing.assert_array_equal(quick.block.values, thorough.block.values)
    assert thorough.rows_rejected == 1

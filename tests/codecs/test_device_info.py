"""Battery, texts and numbers of the Device Information Service."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insiders_codecs.device_info import (
    MAX_TEXT_CHARS,
    PnpId,
    SystemId,
    VendorSource,
    decode_battery_level,
    decode_pnp_id,
    decode_system_id,
    decode_text,
    printable,
)
from insiders_codecs.errors import DecodeError

UINT16 = st.integers(0, 0xFFFF)
ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of what a terminal may act on, or show as nothing at all."""


def assert_is_fit_for_a_terminal(text: str) -> None:
    assert len(text) <= MAX_TEXT_CHARS
    assert {unicodedata.category(c) for c in text} & ACTING == set()
    assert text == text.strip()
    assert {c for c in text if c.isspace()} <= {" "}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"Polar Electro Oy", "Polar Electro Oy", id="a manufacturer"),
        pytest.param(b"AE60D42F\0", "AE60D42F", id="closed by a zero byte"),
        pytest.param(b"3.3.1\0\0\0\0garbage", "3.3.1", id="filled up with zero bytes"),
        pytest.param(b"", "", id="empty"),
        pytest.param(b"\0", "", id="a zero byte only"),
        pytest.param("Größe 5".encode(), "Größe 5", id="UTF-8"),
        pytest.param(b"ST\xe4GES", "ST\ufffdGES", id="not UTF-8"),
        pytest.param(b"  model \r\n  X\t1 ", "model X 1", id="white space"),
        pytest.param(b"\x1b[2J\x1b]0;owned\x07H10", "\ufffd[2J\ufffd]0;owned\ufffdH10", id="escape sequences"),
        pytest.param("a\u202eb\u200bc\u2028d\x9be".encode(), "a\ufffdb\ufffdc d\ufffde", id="invisible characters"),
        pytest.param(b"x" * 600, "x" * 64, id="too long"),
    ],
)
def test_a_text_is_read(data: bytes, text: str) -> None:
    assert decode_text(data) == text


@given(st.binary(max_size=700))
@example(b"\xff" * 600)
@example(b"\x1b" * 600)
@example(b"a" + b" " * 511 + b"b")
@example(b"x" * 63 + b" y")
def test_any_bytes_are_a_text_fit_for_a_terminal(data: bytes) -> None:
    assert_is_fit_for_a_terminal(decode_text(data))


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=100))
@example("\ud800")
@example("\0\x1b[31mred")
def test_any_text_is_made_fit_for_a_terminal_once_and_for_all(text: str) -> None:
    line = printable(text)
    assert_is_fit_for_a_terminal(line)
    assert printable(line) == line


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=MAX_TEXT_CHARS))
def test_a_harmless_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert decode_text(text.encode()) == text


@given(st.binary(max_size=3))
def test_a_battery_level_is_a_percentage_or_refused(data: bytes) -> None:
    if data and data[0] <= 100:
        assert decode_battery_level(data) == data[0]
    else:
        with pytest.raises(DecodeError):
            decode_battery_level(data)


@pytest.mark.parametrize(("data", "percent"), [(b"\x00", 0), (b"\x50", 80), (b"\x64", 100), (b"\x50\xff", 80)])
def test_a_battery_level_is_its_first_byte(data: bytes, percent: int) -> None:
    assert decode_battery_level(data) == percent


@pytest.mark.parametrize("data", [b"", b"\x65", b"\xff"])
def test_a_battery_level_that_means_nothing_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_battery_level(data)


@given(st.integers(0, 255), UINT16, UINT16, UINT16, st.binary(max_size=4))
@example(1, 0x006B, 0x0013, 0x0331, b"")
def test_a_pnp_id_is_read_and_trailing_bytes_are_ignored(
    source: int, vendor_id: int, product_id: int, product_version: int, trailing: bytes
) -> None:
    data = bytes([source]) + b"".join(
        number.to_bytes(2, "little") for number in (vendor_id, product_id, product_version)
    )
    vendor_source = {1: VendorSource.BLUETOOTH_SIG, 2: VendorSource.USB_FORUM}.get(source)
    assert decode_pnp_id(data + trailing) == PnpId(vendor_source, vendor_id, product_id, product_version)


def test_a_system_id_reads_as_the_example_in_the_gatt_specifications_xml() -> None:
    """0x123456FFFE9ABCDE, made of the address 12:34:56:9A:BC:DE."""
    system_id = decode_system_id(0x123456FFFE9ABCDE.to_bytes(8, "little"))
    assert system_id == SystemId(manufacturer_identifier=0xFFFE9ABCDE, organization_identifier=0x123456)


@given(st.integers(0, 2**40 - 1), st.integers(0, 2**24 - 1), st.binary(max_size=4))
def test_a_system_id_is_read_and_trailing_bytes_are_ignored(
    manufacturer: int, organization: int, trailing: bytes
) -> None:
    data = manufacturer.to_bytes(5, "little") + organization.to_bytes(3, "little")
    assert decode_system_id(data + trailing) == SystemId(manufacturer, organization)


@given(st.binary(max_size=12))
def test_ids_that_are_cut_off_are_refused(data: bytes) -> None:
    for decode, size in ((decode_pnp_id, 7), (decode_system_id, 8)):
        if len(data) < size:
            with pytest.raises(DecodeError):
                decode(data)
        else:
            decode(data)

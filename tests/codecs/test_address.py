"""Bluetooth addresses: one form, and their kinds."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insiders_codecs.address import AddressKind, address_kind, normal_form
from insiders_codecs.errors import DecodeError

OCTETS = st.binary(min_size=6, max_size=6)


@given(OCTETS, st.sampled_from([":", "-", ""]), st.booleans())
def test_an_address_has_one_normal_form(octets: bytes, separator: str, is_upper: bool) -> None:
    text = separator.join(f"{octet:02x}" for octet in octets)
    normal = ":".join(f"{octet:02x}" for octet in octets)
    assert normal_form(text.upper() if is_upper else text) == normal
    assert normal_form(normal) == normal


def test_bluez_and_the_cloud_write_one_address_in_two_ways() -> None:
    assert normal_form("A0:9E:1A:12:34:56") == normal_form("a0:9e:1a:12:34:56") == "a0:9e:1a:12:34:56"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a0:9e:1a:12:34",
        "a0:9e:1a:12:34:56:78",
        "a0:9e:1a-12-34-56",
        "a09e1a:123456",
        "a0 9e 1a 12 34 56",
        " a0:9e:1a:12:34:56",
        "a0:9e:1a:12:34:56\n",
        "g0:9e:1a:12:34:56",
        "\N{ARABIC-INDIC DIGIT ZERO}0:9e:1a:12:34:56",
        "\N{FULLWIDTH LATIN SMALL LETTER A}0:9e:1a:12:34:56",
        "a:9e:1a:12:34:56",
        "0xa09e1a123456",
    ],
)
def test_what_is_no_address_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(DecodeError) as error:
        normal_form(text)
    assert not text.strip() or text.strip() not in str(error.value)
    with pytest.raises(DecodeError):
        address_kind(text, is_random=False)


@given(st.text(max_size=20) | st.from_regex(r"[0-9A-Fa-f:\-]{10,18}", fullmatch=True))
@example("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}0:9e:1a:12:34:56")
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with suppress(DecodeError):
        assert normal_form(normal_form(text)) == normal_form(text)


@pytest.mark.parametrize(
    ("first_octet", "kind"),
    [
        ("00", AddressKind.NON_RESOLVABLE),
        ("3f", AddressKind.NON_RESOLVABLE),
        ("40", AddressKind.RESOLVABLE),
        ("7F", AddressKind.RESOLVABLE),
        ("80", AddressKind.RESERVED),
        ("bf", AddressKind.RESERVED),
        ("C0", AddressKind.STATIC),
        ("ff", AddressKind.STATIC),
    ],
)
def test_the_two_top_bits_of_a_random_address_are_its_kind(first_octet: str, kind: AddressKind) -> None:
    """Core Specification, Vol 6 Part B 1.3.2: the address is written with the most significant octet first."""
    assert address_kind(f"{first_octet}:22:33:44:55:66", is_random=True) is kind


@given(OCTETS)
def test_a_public_address_has_any_bits(octets: bytes) -> None:
    assert address_kind(octets.hex(), is_random=False) is AddressKind.PUBLIC


def test_only_public_and_static_addresses_find_a_device_again() -> None:
    assert {kind for kind in AddressKind if kind.is_stable} == {AddressKind.PUBLIC, AddressKind.STATIC}


def test_kinds_are_written_as_clients_read_them() -> None:
    assert list(AddressKind) == ["public", "static", "resolvable", "non_resolvable", "reserved"]

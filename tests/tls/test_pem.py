"""Whatever stands in a file: either a certificate that can be served, or one clause that says why not."""

import ssl
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tls.errors import CertificateError
from gateway.tls.issuing import make_authority, make_leaf
from gateway.tls.pem import put_into, read_authority, read_leaf, server_context
from tests.tls.ground import HERE, moment

AUTHORITY = make_authority("FC Test", HERE, moment())
LEAF = make_leaf(AUTHORITY, HERE, moment())


def test_what_was_made_is_what_is_read() -> None:
    assert read_leaf(LEAF.pem, AUTHORITY) == read_leaf(LEAF.pem) == LEAF
    assert read_authority(AUTHORITY.pem) == AUTHORITY
    assert (LEAF.places, LEAF.not_before_ms, LEAF.not_after_ms) == (HERE, moment(days=-1).ms, moment(days=365).ms)


def test_whether_it_is_time_is_nothing_that_is_read() -> None:
    for days in (-3000, 3000):
        assert make_leaf(AUTHORITY, HERE, moment(days=days)).places == HERE


def test_a_certificate_of_another_authority_is_none_of_ours() -> None:
    with pytest.raises(CertificateError, match="a client would not accept it"):
        read_leaf(LEAF.pem, make_authority("FC Test", HERE, moment()))


@given(
    st.sampled_from([LEAF.pem, AUTHORITY.pem]),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.integers(0, 2000),
)
def test_a_damaged_file_is_never_worse_than_an_error(pem: bytes, changes: list[tuple[int, int]], length: int) -> None:
    content = bytearray(pem[:length])
    for place, octet in changes:
        if place < len(content):
            content[place] = octet
    for read in (read_leaf, read_authority):
        try:
            read(bytes(content))
        except CertificateError as error:
            text = str(error)
            assert text[0].islower()
            assert not text.endswith(".")


@given(st.binary(max_size=300))
def test_any_bytes_between_the_lines_are_never_worse_than_an_error(body: bytes) -> None:
    key = b"-----BEGIN PRIVATE KEY-----\n" + body + b"\n-----END PRIVATE KEY-----\n"
    pem = b"-----BEGIN CERTIFICATE-----\n" + body + b"\n-----END CERTIFICATE-----\n"
    for read in (read_leaf, read_authority):
        with pytest.raises(CertificateError):
            read(pem + key)


def test_what_is_spoken_is_no_older_than_tls_1_2_whatever_the_system_would_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python begins at 1.2, and the configuration of OpenSSL may say otherwise."""

    def allowing(protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        return context

    monkeypatch.setattr("gateway.tls.pem.ssl", SimpleNamespace(**{**vars(ssl), "SSLContext": allowing}))
    assert server_context().minimum_version is ssl.TLSVersion.TLSv1_2


def test_what_cannot_be_served_is_not_taken() -> None:
    with pytest.raises(CertificateError, match="it is damaged"):
        put_into(server_context(), b"nothing")

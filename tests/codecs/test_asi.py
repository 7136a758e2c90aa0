"""Upload bodies of recordings: the documented prefix, and the same document however the file is cut."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insiders_codecs.asi import BLOCK_BYTES, HEAD_BYTES, AsiBody, body_size, check_header
from insiders_codecs.errors import DecodeError

DOCUMENTED = "QVNJAAAAEAQEBkFTSSBWMgAAAQUACAcIBwgHCAcIAhoAEAAQAA"
"""How the sample of the API's documentation begins; 50 characters, cut within a group of four."""

PREFIX = base64.b64decode(DOCUMENTED[:48])


def body(blocks: list[bytes]) -> bytes:
    made = AsiBody()
    return b"".join([made.head(), *(made.feed(block) for block in blocks), made.end()])


def document(asi: bytes) -> bytes:
    return json.dumps({"asi_b64": base64.b64encode(asi).decode()}, separators=(",", ":")).encode()


def test_the_documented_sample_is_a_recording() -> None:
    assert check_header(PREFIX[:HEAD_BYTES])
    assert check_header(PREFIX)


def test_the_documented_sample_is_sent_as_it_is_documented() -> None:
    assert body([PREFIX]).startswith(b'{"asi_b64":"' + DOCUMENTED[:48].encode())


@pytest.mark.parametrize("head", [b"ASI", b"ASI V1 and more", PREFIX[:15], bytes(PREFIX[:10]) + b"ASI V3" + bytes(9)])
def test_a_recording_of_another_version_is_taken_and_told(head: bytes) -> None:
    assert not check_header(head)


def test_the_version_counts_within_the_first_sixteen_bytes_only() -> None:
    assert not check_header(b"ASI" + bytes(8) + b"ASI V2")


@pytest.mark.parametrize("head", [b"", b"AS", b"asi", b" ASI V2", b"PK\x03\x04", b"\x00ASI"])
def test_what_does_not_begin_as_every_recording_is_none(head: bytes) -> None:
    with pytest.raises(DecodeError, match="begins with"):
        check_header(head)


@given(st.lists(st.binary(max_size=40)))
def test_however_a_file_is_cut_its_body_is_the_same_document(blocks: list[bytes]) -> None:
    asi = b"".join(blocks)
    made = body(blocks)
    assert made == document(asi)
    assert len(made) == body_size(len(asi))


@given(st.lists(st.binary(max_size=40)))
def test_nothing_but_all_of_it_is_a_document(blocks: list[bytes]) -> None:
    made = AsiBody()
    sent = b"".join([made.head(), *(made.feed(block) for block in blocks)])
    with pytest.raises(json.JSONDecodeError):
        json.loads(sent)


def test_a_block_of_the_usual_length_leaves_nothing_for_the_next() -> None:
    made = AsiBody()
    assert len(made.feed(bytes(BLOCK_BYTES))) == BLOCK_BYTES * 4 // 3
    assert made.end() == b'"}'


@pytest.mark.parametrize("size", [0, 1, 2, 3, BLOCK_BYTES - 1, BLOCK_BYTES, 104_857_600])
def test_the_size_of_a_body_is_known_before_it_is_made(size: int) -> None:
    assert body_size(size) == len('{"asi_b64":""}') + len(base64.b64encode(bytes(size)))

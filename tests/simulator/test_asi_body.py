"""The body of an upload, decoded as it arrives."""

import base64
import hashlib
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.asi_body import AsiBody, AsiFile
from gateway.simulator.errors import Refusal
from gateway.simulator.synthetic_asi import MAGIC, SMALLEST, synthetic_asi


def read(body: bytes, cuts: list[int] | None = None) -> AsiFile:
    """A body that arrives in pieces."""
    reader = AsiBody()
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts or []), len(body)]
    for start, stop in pairwise(edges):
        reader.feed(body[start:stop])
    return reader.end()


def refusal(body: bytes, cuts: list[int] | None = None) -> tuple[int, object]:
    with pytest.raises(Refusal) as caught:
        read(body, cuts)
    return caught.value.status, caught.value.body


CUTS = st.lists(st.integers(0, 500), max_size=8)


@given(content=st.binary(max_size=200), cuts=CUTS, indent=st.sampled_from([None, 0, 3]))
def test_whatever_the_pieces_the_file_is_known(content: bytes, cuts: list[int], indent: int | None) -> None:
    body = json.dumps({"asi_b64": base64.b64encode(content).decode()}, indent=indent).encode()
    assert read(body, cuts) == AsiFile(hashlib.sha256(content).hexdigest(), len(content), content[:16])


@given(content=st.binary(max_size=60), cuts=CUTS, data=st.data())
def test_a_body_without_its_end_is_no_upload(content: bytes, cuts: list[int], data: st.DataObject) -> None:
    body = json.dumps({"asi_b64": base64.b64encode(content).decode()}).encode()
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    assert refusal(cut, cuts) == (400, {"detail": "JSON parse error."})


@given(
    content=st.binary(min_size=1, max_size=60), place=st.integers(0, 10_000), odd=st.sampled_from('\n\r \\"=-_*é{}\0')
)
def test_a_slip_in_the_text_is_never_overlooked(content: bytes, place: int, odd: str) -> None:
    """Line breaks, other alphabets, escapes, padding in the middle; a quotation mark ends the text early."""
    text = base64.b64encode(content).decode()
    place %= len(text)
    body = f'{{"asi_b64": "{text[:place]}{odd}{text[place:]}"}}'.encode()
    assert refusal(body, [place + 13])[0] == 400


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", {"detail": "JSON parse error."}),
        (b"\xef\xbb\xbf" + b'{"asi_b64": "QVNJ"}', {"non_field_errors": ["Expected asi_b64 and nothing else."]}),
        (b'{"asi_b64": "QVNJ"} {', {"detail": "JSON parse error."}),
        (b'{"asi_b64": "QVNJ"}' + b" " * 5000 + b"x", {"non_field_errors": ["Expected asi_b64 and nothing else."]}),
        (b" " * 5000 + b'{"asi_b64": "QVNJ"}', {"detail": "JSON parse error."}),
        (b"[]", {"non_field_errors": ["Invalid data. Expected a dictionary."]}),
        (b"{}", {"asi_b64": ["This field is required."]}),
        (b'{"asi_b64": null}', {"asi_b64": ["This field is required."]}),
        (b'{"asi": "QVNJ"}', {"asi_b64": ["This field is required."]}),
        (b'{"asi_b64": "QVNJ", "name": "a"}', {"non_field_errors": ["Expected asi_b64 and nothing else."]}),
        (b'{"name": "a", "asi_b64": "QVNJ"}', {"non_field_errors": ["Expected asi_b64 and nothing else."]}),
        (b'{"asi_b64": "QVN"}', {"asi_b64": ["Not valid base64."]}),
        (b'{"asi_b64": "QVNJQ==="}', {"asi_b64": ["Not valid base64."]}),
        (b'{"asi_b64": "QQ==QVNJ"}', {"asi_b64": ["Not valid base64."]}),
        (b'{"asi_b64": "QR=="}', {"asi_b64": ["Not valid base64."]}),
    ],
)
def test_what_is_wrong_is_said(body: bytes, told: object) -> None:
    assert refusal(body) == (400, told)
    assert refusal(body, list(range(1, len(body), 2))) == (400, told)


@pytest.mark.parametrize("size", [SMALLEST, SMALLEST + 1, 65_536 + SMALLEST, 200_000])
def test_a_synthetic_recording_says_so_and_is_what_was_asked_for(size: int) -> None:
    content = b"".join(synthetic_asi(size, 3))
    assert len(content) == size
    assert content.startswith(MAGIC)
    assert b"SYNTHETIC" in content
    assert content == b"".join(synthetic_asi(size, 3))
    assert size < SMALLEST + 9 or content != b"".join(synthetic_asi(size, 4))


def test_what_cannot_say_so_is_not_made() -> None:
    with pytest.raises(ValueError, match=str(SMALLEST)):
        synthetic_asi(SMALLEST - 1, 3)

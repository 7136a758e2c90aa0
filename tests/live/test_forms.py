"""What is said about a message that has not its form: which field, and what may stand there, in a person's words."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.requests import ErrorCode, Inspect, RequestError, Sub, Unsub, parse_body, parse_query, parse_sub
from gateway.pairing import requests as pairing
from gateway.uploads import requests as uploads

NAME = "a name on one line, 80 characters at most, without control characters"


def refused(form: type, body: object) -> str:
    with pytest.raises(RequestError) as caught:
        parse_body(msgspec.json.encode(body), form)
    assert caught.value.code is ErrorCode.BAD_MESSAGE
    return str(caught.value)


@pytest.mark.parametrize(
    ("form", "body", "text"),
    [
        (uploads.AssignRequest, {"traker": "5"}, 'There is no field "traker" here; fields are tracker, author.'),
        (uploads.AssignRequest, {}, "The field tracker is missing; fields are tracker, author."),
        (uploads.AssignRequest, {"tracker": ""}, "tracker: expected a text of 1 to 200 characters."),
        (uploads.AssignRequest, {"tracker": 5}, "tracker: expected a text of 1 to 200 characters."),
        (uploads.PersonRequest, {"author": "a\nb"}, f"author: expected {NAME}."),
        (uploads.PersonRequest, {"author": "x" * 81}, f"author: expected {NAME}."),
        (pairing.PersonRequest, {"author": "\x7f"}, f"author: expected {NAME}."),
        (
            pairing.PersonRequest,
            {"reason": "\t"},
            "reason: expected a text on one line, 200 characters at most, without control characters.",
        ),
        (pairing.SetRequest, {"generation": -1}, "generation: expected a whole number, 0 or more."),
        (pairing.SetRequest, {"immediate": "yes"}, "immediate: expected true or false."),
        (
            pairing.SetRequest,
            {"heart_rate": "polar"},
            'heart_rate: expected "none" or "unmanaged" or an object with address, name.',
        ),
        (
            pairing.SetRequest,
            {"heart_rate": {"mac": ""}},
            'There is no field "mac" in heart_rate; fields are address, name.',
        ),
        (pairing.SetRequest, {"power": {"name": 7}}, "power.name: expected a text."),
        (
            pairing.ImportRequest,
            {"trackers": [{"serial_number": "1", "heart_rate": "none"}]},
            "The field trackers[0].power is missing; fields are serial_number, heart_rate, power, generation.",
        ),
        (pairing.ImportRequest, {"trackers": {}}, "trackers: expected a list."),
        (Inspect, {"take_link": None}, "take_link: expected true or false."),
        (Unsub, {"sub": 1 << 31}, "sub: expected a whole number from 0 to 2147483647."),
        (Sub, {"sub": 1, "mode": "some"}, 'mode: expected "all" or "latest".'),
        (Sub, {"sub": 1, "devices": 7}, 'devices: expected "*" or a list.'),
        (Sub, {"sub": 1, "columns": [7]}, "columns[0]: expected a text."),
        (Sub, {"sub": 1, "max_hz": 0}, "max_hz: expected a number above 0, 10 at most."),
        (Sub, {"sub": 1, "from": 7}, "from: expected an object with last_s, epoch, cursors."),
        (Sub, {"sub": 1, "from": {"last_s": "10"}}, "from.last_s: expected a number from 0 to 86400."),
        (Sub, {"sub": 1, "from": {"cursors": [[1]]}}, "from.cursors[0]: expected a list of 2 items."),
        (Sub, {"sub": 1, "from": {"cursors": [[1, -1]]}}, "from.cursors[0][1]: expected a whole number, 0 or more."),
    ],
)
def test_a_body_is_refused_by_the_name_of_the_field_and_what_is_allowed(form: type, body: object, text: str) -> None:
    assert refused(form, body) == text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"traker": "5"}, 'There is no field "traker" here; fields are name, tracker, author, modified_ms, sha256.'),
        ({"sha256": "xyz"}, "sha256: expected 64 of the digits 0 to 9 and a to f, in lower case."),
        ({"modified_ms": "now"}, "modified_ms: expected a whole number or null."),
        ({"name": "x" * 5000}, "name: expected a text of 4096 characters at most."),
        ({"author": "a\nb"}, f"author: expected {NAME}."),
    ],
)
def test_so_is_what_stands_behind_an_address(query: dict[str, str], text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_query(query, uploads.AddRequest)
    assert str(caught.value) == text


def test_a_subscription_without_its_number_is_told_so() -> None:
    with pytest.raises(RequestError, match=r"^The field sub is missing; fields are sub, devices, columns, mode, "):
        parse_sub({"op": "sub"})


FORMS = [
    Sub,
    Unsub,
    Inspect,
    *(form for module in (pairing, uploads) for name, form in vars(module).items() if name.endswith("Request")),
]

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)


@given(st.sampled_from(FORMS), st.data())
def test_whatever_is_sent_the_sentence_can_be_shown_and_has_no_words_of_the_library(form: type, data: Any) -> None:
    names = [field.encode_name for field in msgspec.structs.fields(form)]
    body = data.draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=60), _VALUES, max_size=4))
    try:
        parse_body(msgspec.json.encode(body), form)
    except RequestError as error:
        text = str(error)
        assert text.isprintable()
        assert len(text) < 300
        assert text.endswith(".")
        assert not text.startswith("The message")
        assert "Expected" not in text

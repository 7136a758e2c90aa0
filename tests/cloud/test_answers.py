"""What an answer means: one row for every status and content type."""

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.answers import MAX_TEXT, Answer, body_of, decode, server_text
from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    Forbidden,
    LoginRefused,
    NetworkLoginNeeded,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    TlsFailed,
    Unauthorized,
    Unreachable,
)
from gateway.cloud.models import Device, decode_bluetooth, decoder, page_decoder
from gateway.secret import Secret
from insiders_codecs.cloud import decode_rows, decode_rows_page

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}


def refused(
    status: int, body: bytes = b"{}", headers: dict[str, str] | None = None, operation: str = "devices"
) -> CloudError:
    with pytest.raises(CloudError) as caught:
        body_of(Answer(status, JSON if headers is None else headers, body), operation, "devices/")
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "is_transient"),
    [
        (401, b'{"detail": "no"}', JSON, Unauthorized, False),
        (403, b'{"detail": "no"}', JSON, Forbidden, False),
        (403, b"<html>blocked</html>", HTML, Forbidden, False),
        (404, b'{"detail": "Not found"}', JSON, NotFound, False),
        (404, b"<html>", HTML, NotFound, False),
        (400, b'{"message": "no"}', JSON, Rejected, False),
        (405, b"", {}, Rejected, False),
        (409, b"{}", JSON, Rejected, False),
        (413, b"<html>", HTML, Rejected, False),
        (422, b'{"name": ["no"]}', JSON, Rejected, False),
        (429, b"", {"Retry-After": "3"}, Throttled, True),
        (500, b"<html>", HTML, ServerFailed, True),
        (503, b"{}", JSON, ServerFailed, True),
        (511, b"<html>", HTML, NetworkLoginNeeded, False),
        (301, b"", {"Location": "https://api.example/devices/"}, NetworkLoginNeeded, False),
        (302, b"", {"Location": "http://portal.example/login?mac=aa"}, NetworkLoginNeeded, False),
        (304, b"", {}, NetworkLoginNeeded, False),
        (200, b"<html>", HTML, NetworkLoginNeeded, False),
        (200, b"[]", {"Content-Type": "text/plain"}, BadAnswer, True),
        (200, b"[]", {}, BadAnswer, True),
        (199, b"", {}, BadAnswer, True),
        (999, b"", {}, BadAnswer, True),
    ],
)
def test_every_status_has_its_error(
    status: int, body: bytes, headers: dict[str, str], kind: type[CloudError], is_transient: bool
) -> None:
    error = refused(status, body, headers)
    assert type(error) is kind
    assert error.is_transient is is_transient


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/hal+json"]
)
def test_a_json_success_gives_its_body(content_type: str) -> None:
    assert body_of(Answer(200, {"Content-Type": content_type}, b"[]"), "devices", "devices/") == b"[]"


def test_a_success_without_content_needs_no_type() -> None:
    assert body_of(Answer(204, {}, b""), "release_ownership", "") == b""


def test_a_404_that_is_not_the_apis_own_names_the_path_and_where_to_correct_it() -> None:
    error = refused(404, b"<h1>Not Found</h1>", HTML)
    assert isinstance(error, NotFound)
    assert error.is_path_unknown
    for part in ("devices/", "correct api_url in [cloud], or devices in [cloud.paths]"):
        assert part in str(error)


def test_a_404_of_the_api_is_about_the_thing() -> None:
    error = refused(404, b'{"detail": "Not found"}')
    assert isinstance(error, NotFound)
    assert not error.is_path_unknown
    assert "[cloud.paths]" not in str(error)


def test_a_redirect_names_the_host_alone() -> None:
    error = refused(302, b"", {"Location": "http://portal.example/login?client=aa:bb:cc"})
    assert "Network login needed" in str(error)
    assert "portal.example" in str(error)
    assert "aa:bb" not in str(error)


def test_field_errors_are_attributes() -> None:
    error = refused(400, b'{"serial_number": ["too long", "no digits"], "device_name": ["missing"], "count": 3}')
    assert isinstance(error, Rejected)
    assert error.fields == {"serial_number": ("too long", "no digits"), "device_name": ("missing",)}
    assert "serial_number: too long no digits; device_name: missing" in str(error)


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "reason"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "wrong"}', JSON, LoginRefused, "invalid_grant"),
        (401, b'{"error": "invalid_client"}', JSON, LoginRefused, "invalid_client"),
        (403, b'{"detail": "no"}', JSON, LoginRefused, ""),
        (400, b'{"error": "<script>"}', JSON, LoginRefused, ""),
        (403, b"<html>blocked</html>", HTML, Rejected, None),
        (500, b"{}", JSON, ServerFailed, None),
    ],
)
def test_only_the_token_endpoints_own_word_is_a_refused_login(
    status: int, body: bytes, headers: dict[str, str], kind: type[CloudError], reason: str | None
) -> None:
    error = refused(status, body, headers, "token")
    assert type(error) is kind
    assert getattr(error, "reason", None) == reason


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"message": "second", "detail": "first", "error": "last"}', "first"),
        (b'{"message": "Device has never been activated.", "x": ["y"]}', "Device has never been activated."),
        (b'{"x": ["y"], "error": "z"}', "x: y"),
        (b'{"error": "invalid_grant", "error_description": "Wrong."}', "Wrong."),
        (b'{"error": "invalid_grant"}', "invalid_grant"),
        (b'{"detail": ["a", "b"]}', "a b"),
        (b'{"detail": {"a": 1}}', '{"detail": {"a": 1}}'),
        (b"<h1>Bad\r\n gateway</h1>", "<h1>Bad gateway</h1>"),
        (b"\x1b[31mred\x00\xff", "\\x1b[31mred\\x00\ufffd"),
        ('{"detail": "\u202eevil"}'.encode(), "\\u202eevil"),
        (b"", ""),
        (b"[" * 100_000, "[" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_the_servers_words_are_found_escaped_and_cut(body: bytes, text: str) -> None:
    assert server_text(Answer(400, JSON, body)) == text


@given(st.binary(max_size=2000) | st.text().map(lambda text: msgspec.json.encode({"detail": text})))
def test_whatever_a_server_says_is_one_printable_line(body: bytes) -> None:
    text = server_text(Answer(400, JSON, body))
    assert len(text) <= MAX_TEXT
    assert text.isprintable()


@pytest.mark.parametrize("body", [b'{"detail": "a hunter2!"}', b'{"hunter2": ["hunter2"]}', b"<pre>hunter2</pre>"])
def test_a_secret_that_the_server_repeats_is_struck_out(body: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        body_of(Answer(400, JSON, body), "devices", "devices/", [Secret("hunter2")])
    assert "hunter2" not in f"{caught.value} {caught.value.fields} {caught.value!r}"
    assert "***" in str(caught.value)


EVERY_ERROR = [
    *(Unreachable("devices", reason) for reason in Broken),
    TlsFailed("devices", "certificate is not yet valid"),
    NetworkLoginNeeded("devices"),
    NetworkLoginNeeded("devices", "portal.example"),
    Unauthorized("devices"),
    LoginRefused("token", "invalid_grant", "Invalid credentials given."),
    LoginRefused("token", "unheard_of"),
    Forbidden("devices"),
    NotFound("devices", "devices/", is_path_unknown=True),
    NotFound("devices", "devices/", is_path_unknown=False),
    Rejected("devices", 400, "no"),
    Throttled("devices", 5),
    ServerFailed("devices", 503),
    *(BadAnswer("devices", fault) for fault in Fault),
]


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_every_error_is_one_sentence_with_a_next_action(error: CloudError) -> None:
    sentence = str(error)
    assert sentence[0].isupper()
    assert sentence.endswith(f": {error.action}.")
    assert len(error.action) > 20
    assert "\n" not in sentence
    assert error.server_text not in error.text or not error.server_text


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = {type(error) for error in EVERY_ERROR}
    assert len({kind.code for kind in kinds}) == len(kinds) == len(CloudError.__subclasses__())


DECODERS: dict[str, Callable[[bytes], object]] = {
    "device": decoder(Device),
    "devices": page_decoder(Device),
    "bluetooth": decode_bluetooth,
    "rows": decode_rows,
    "page": decode_rows_page,
}


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b'"x"',
        b'{"id": NaN}',
        b'{"id": 1, "results": [], "count": 0, "data": {}, "page": 1, "next": null} x',
        b'\xef\xbb\xbf{"id": 1}',
        b"[" * 200_000,
        b'{"id": 1, "count": 0, "page": 1, "next": null, "results": [], "data": {}, "z": ' + b"[" * 200_000,
        b"[1" + b"0" * 5000 + b"]",
        b'{"id": "' + b"9" * 5000 + b'"}',
        b'{"id": 1e400, "count": 1e400}',
        b"<html></html>",
        b"\xff\xfe",
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_no_body_gets_past_a_decoder_as_anything_but_a_bad_answer(
    decoder: Callable[[bytes], object], body: bytes
) -> None:
    with pytest.raises(BadAnswer) as caught:
        decode(body, decoder, "devices")
    assert str(caught.value)


@given(st.binary(max_size=300))
def test_random_bytes_decode_to_a_value_or_the_documented_error(body: bytes) -> None:
    for decoder_ in DECODERS.values():
        with suppress(BadAnswer):
            decode(body, decoder_, "devices")


def test_decoding_errors_do_not_quote_the_body() -> None:
    with pytest.raises(BadAnswer) as caught:
        decode(b'{"id": 1, "serial_number": {"canary": "canary"}}', decoder(Device), "device")
    assert "canary" not in str(caught.value)
    assert caught.value.fault is Fault.WRONG_SHAPE


class Coloured(msgspec.Struct):
    colour: Literal["red"]


@pytest.mark.parametrize("value", ["canary", "it's a ' canary", "two\\nlines, canary"])
def test_a_value_that_does_not_fit_is_not_quoted(value: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        decode(f'{{"colour": "{value}"}}'.encode(), msgspec.json.Decoder(Coloured).decode, "devices")
    assert caught.value.detail == "Invalid enum value - at `$.colour`"
    assert "canary" not in str(caught.value)

"""What an HTTP answer means: the body of a success, or the error it stands for."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from gateway.cloud.errors import (
    BadAnswer,
    CloudError,
    Fault,
    Forbidden,
    LoginRefused,
    NetworkLoginNeeded,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    Unauthorized,
)
from gateway.cloud.retry import retry_after_s
from gateway.secret import Secret
from insiders_codecs.errors import DecodeError

T = TypeVar("T")

MAX_TEXT = 200
"""Characters of the server's own words that are kept: two sentences."""

MAX_FIELDS = 20
"""No operation has more fields that could be wrong."""

_QUOTED = re.compile(r""" (['"]).*\1(?= - at `)""", re.DOTALL)
"""A value that msgspec quotes: "Invalid enum value 'x' - at `$.y`"."""

_JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole.

    Attributes:
        status: HTTP status.
        headers: Case-insensitive.
        body: Decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Content type without parameters, in lower case, "" if there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether the answer calls itself JSON."""
        return bool(_JSON_TYPE.fullmatch(self.media_type))


def body_of(answer: Answer, operation: str, path: str, secrets: Sequence[Secret] = ()) -> bytes:
    """The body of a success.

    Args:
        answer: What came.
        operation: What was asked for.
        path: The path it was asked at, below its base URL.
        secrets: What must not appear in an error, should the server repeat it.

    Raises:
        CloudError: The leaf that the status or the content type stands for.
    """
    if error := _error_of(answer, operation, path, secrets):
        raise error
    if not answer.body or answer.is_json:
        return answer.body
    if answer.media_type in {"text/html", "application/xhtml+xml"}:
        raise NetworkLoginNeeded(operation)
    raise BadAnswer(operation, Fault.NOT_JSON, "wrong content type" if answer.media_type else "no content type")


def decode(body: bytes, decoder: Callable[[bytes], T], operation: str) -> T:
    """Decode a body; whatever the decoder finds wrong becomes `BadAnswer`."""
    try:
        return decoder(body)
    except RecursionError:
        raise BadAnswer(operation, Fault.NOT_JSON, "nested too deeply") from None
    except (msgspec.ValidationError, DecodeError) as error:
        raise BadAnswer(operation, Fault.WRONG_SHAPE, _printable(_QUOTED.sub("", str(error)))) from None
    except ValueError as error:  # malformed JSON, not UTF-8, an integer of thousands of digits
        raise BadAnswer(operation, Fault.NOT_JSON, _printable(str(error))) from None


def server_text(answer: Answer, secrets: Sequence[Secret] = ()) -> str:
    """What the server says: ``detail``, else ``message``, else field errors, else an OAuth2 error, else raw text."""
    document = _document(answer.body)
    if not isinstance(document, dict):
        return _clean(answer.body.decode("utf-8", "replace"), secrets)
    for key in ("detail", "message"):
        if words := " ".join(_sentences(document.get(key))):
            return _clean(words, secrets)
    if fields := _fields(document, secrets):
        return _printable("; ".join(f"{name}: {' '.join(texts)}" for name, texts in fields.items()))
    for key in ("error_description", "error"):
        if words := " ".join(_sentences(document.get(key))):
            return _clean(words, secrets)
    return _clean(answer.body.decode("utf-8", "replace"), secrets)


def _error_of(answer: Answer, operation: str, path: str, secrets: Sequence[Secret]) -> CloudError | None:
    match answer.status:
        case 400 | 401 | 403 if operation == "token":
            return _refusal(answer, operation, secrets)
        case 401:
            return Unauthorized(operation, server_text(answer, secrets))
        case 403:
            return Forbidden(operation, server_text(answer, secrets))
        case 404:
            is_ours = isinstance(_document(answer.body), dict)
            said = server_text(answer, secrets) if is_ours else ""
            return NotFound(operation, path, is_path_unknown=not is_ours, server_text=said)
        case 429:
            wait_s = retry_after_s(answer.headers.get("Retry-After"), answer.headers.get("Date"))
            return Throttled(operation, wait_s)
        case 511:  # RFC 6585: Network Authentication Required
            return NetworkLoginNeeded(operation)
        case status if 200 <= status < 300:
            return None
        case status if 300 <= status < 400:
            return NetworkLoginNeeded(operation, _host(answer.headers.get("Location", "")))
        case status if 400 <= status < 500:
            document = _document(answer.body)
            fields = _fields(document, secrets) if isinstance(document, dict) else {}
            return Rejected(operation, status, server_text(answer, secrets), fields)
        case status if 500 <= status < 600:
            return ServerFailed(operation, status, server_text(answer, secrets))
        case _:
            return BadAnswer(operation, Fault.NOT_HTTP, "no such status")


def _refusal(answer: Answer, operation: str, secrets: Sequence[Secret]) -> CloudError:
    document = _document(answer.body)
    said = server_text(answer, secrets)
    if not isinstance(document, dict):  # a proxy, and no verdict on our credentials
        return Rejected(operation, answer.status, said)
    code = document.get("error")
    is_code = isinstance(code, str) and re.fullmatch(r"\w{1,40}", code, re.ASCII)
    return LoginRefused(operation, str(code) if is_code else "", said)


def _document(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _fields(document: Mapping[str, object], secrets: Sequence[Secret]) -> dict[str, tuple[str, ...]]:
    # Only lists: that is how field errors differ from whatever else an object may hold.
    lists = ((name, _sentences(value)) for name, value in document.items() if isinstance(value, list))
    wrong = islice(((name, texts) for name, texts in lists if texts), MAX_FIELDS)
    return {_clean(name, secrets): tuple(_clean(text, secrets) for text in texts) for name, texts in wrong}


def _sentences(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list):
        return [text for text in value[:MAX_FIELDS] if isinstance(text, str) and text.strip()]
    return []


def _clean(text: str, secrets: Iterable[Secret]) -> str:
    for secret in secrets:
        if value := secret.reveal():
            text = text.replace(value, "***")
    return _printable(text)


def _printable(text: str) -> str:
    text = " ".join(text[: 8 * MAX_TEXT].split())
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _host(location: str) -> str:
    # The rest of a login page's URL often names the machine that was sent there.
    try:
        return _printable(urlsplit(location).hostname or "")
    except ValueError:
        return ""

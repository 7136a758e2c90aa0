"""The body of an upload as it arrives: JSON with a file in base64, of which nothing is kept but what it is known by."""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass

from gateway.simulator.errors import Refusal, invalid

FIELD = "asi_b64"
HEAD_BYTES = 16

_WHITE = rb"[ \t\r\n]{0,100}"
_BEFORE = re.compile(rb'%b\{%b"%b"%b:%b"' % (_WHITE, _WHITE, FIELD.encode(), _WHITE, _WHITE))
_AFTER = re.compile(rb"%b\}%b" % (_WHITE, _WHITE))
_AROUND_BYTES = 1024  # more than the white space that is allowed around the text


@dataclass(frozen=True, slots=True)
class AsiFile:
    """What is known of a file that came whole.

    Attributes:
        sha256: Of its bytes, hexadecimal.
        size: Bytes.
        head: Its first 16 bytes.
    """

    sha256: str
    size: int
    head: bytes


class AsiBody:
    """Takes a body block by block and decodes it on the way.

    It is stricter than JSON and base64 are: one field and no other, no escapes, no line breaks, and padding where it
    belongs.
    """

    def __init__(self) -> None:
        self._before = b""
        self._after = b""
        self._is_inside = self._is_behind = False
        self._text = _Base64()

    def feed(self, block: bytes) -> None:
        """The next bytes of the body; what is wrong with them is said by `end`."""
        if not self._is_inside:
            self._before += block
            opening = _BEFORE.match(self._before)
            if opening is None:
                self._before = self._before[:_AROUND_BYTES]
                return
            self._is_inside, block = True, self._before[opening.end() :]
        if not self._is_behind:
            text, quote, block = block.partition(b'"')
            self._text.feed(text)
            self._is_behind = bool(quote)
        self._after = (self._after + block)[:_AROUND_BYTES]

    def end(self) -> AsiFile:
        """What came, now that all has come.

        Raises:
            Refusal: 400 if that was not a JSON object with the one field, or its text is not base64.
        """
        if not self._is_inside:
            raise _beside(self._before)
        if not _AFTER.fullmatch(self._after):
            raise _beside(b'{"asi_b64": ""' + self._after)
        file = self._text.end()
        if file is None:
            raise invalid(FIELD, "Not valid base64.")
        return file


class _Base64:
    """Base64 in pieces of any length."""

    def __init__(self) -> None:
        self._carry = b""
        self._last = b"", b""
        self._is_right = True
        self._digest = hashlib.sha256()
        self._size = 0
        self._head = b""

    def feed(self, text: bytes) -> None:
        text = self._carry + text
        whole = len(text) & ~3
        self._carry = text[whole:]
        if not whole or not self._is_right:
            return
        if self._last[0].endswith(b"="):  # nothing comes after padding
            self._is_right = False
            return
        try:
            content = binascii.a2b_base64(text[:whole], strict_mode=True)
        except binascii.Error:
            self._is_right = False
            return
        self._digest.update(content)
        self._size += len(content)
        self._head += content[: HEAD_BYTES - len(self._head)]
        quad = text[whole - 4 : whole]
        self._last = quad, content[(len(content) - 1) // 3 * 3 :]

    def end(self) -> AsiFile | None:
        """None if it was not base64, or a file of nothing was written in another way than as nothing."""
        quad, content = self._last
        if not self._is_right or self._carry or base64.b64encode(content) != quad:
            return None
        return AsiFile(self._digest.hexdigest(), self._size, self._head)


def _beside(content: bytes) -> Refusal:
    """What is wrong with a body that is not as it should be around its text."""
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError):
        return Refusal(400, {"detail": "JSON parse error."})
    if not isinstance(document, dict):
        return invalid("non_field_errors", "Invalid data. Expected a dictionary.")
    if not isinstance(document.get(FIELD), str):
        return invalid(FIELD, "This field is required.")
    return invalid("non_field_errors", f"Expected {FIELD} and nothing else.")

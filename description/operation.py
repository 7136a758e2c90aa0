"""What is asked with one method at one address, and every way in which it can be refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from msgspec import Struct

from gateway.live.door.gate import STATUSES
from gateway.live.requests import ErrorCode

JSON, MSGPACK, BYTES = "application/json", "application/msgpack", "application/octet-stream"

Content = Mapping[str, object]
"""Media type -> the type that becomes, or comes of, that; None for what is not described further."""

EVERYWHERE = frozenset(
    {
        ErrorCode.BAD_REQUEST,
        ErrorCode.TOKEN_IN_URL,
        ErrorCode.BAD_HOST,
        ErrorCode.BAD_ORIGIN,
        ErrorCode.TOO_MANY_CLIENTS,
        ErrorCode.INTERNAL_ERROR,
    }
)
"""Refusals at every address."""

_WITH_CREDENTIAL = frozenset(
    {ErrorCode.UNAUTHORIZED, ErrorCode.FORBIDDEN, ErrorCode.TOO_MANY_ATTEMPTS, ErrorCode.STORE_FAILED}
)
_WITH_BODY = frozenset({ErrorCode.BAD_MESSAGE, ErrorCode.MESSAGE_TOO_BIG, ErrorCode.BODY_TOO_SLOW})
_WITH_FIELDS = frozenset({ErrorCode.BAD_MESSAGE, ErrorCode.UNSUPPORTED_OPTION})

_STATUSES = {str(code): status for code, status in STATUSES.items()} | {
    str(ErrorCode.INTERNAL_ERROR): HTTPStatus.INTERNAL_SERVER_ERROR
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What is asked.

    Attributes:
        summary: What for, one sentence without full stop.
        answer: What comes back where nothing is wrong; None for nothing.
        status: With which status.
        query: What may stand behind the "?" of the address.
        body: What is sent; None for nothing.
        codes: With which it can be refused, besides those of all that is asked in this way.
        unchanged: What it means that the answer is 304, where it may be.
    """

    summary: str
    answer: Content | None = None
    status: int = HTTPStatus.OK
    query: type[Struct] | None = None
    body: Content | None = None
    codes: frozenset[str] = frozenset()
    unchanged: str = ""

    @property
    def said(self) -> list[object]:
        """The types that are answered."""
        return [form for form in (self.answer or {}).values() if form is not None]

    @property
    def heard(self) -> list[object]:
        """The types that are asked with."""
        return [form for form in (self.query, *(self.body or {}).values()) if form is not None]

    def refusals(self, *, is_open: bool) -> dict[int, list[str]]:
        """Every code with which it can be refused, by status.

        Args:
            is_open: Whether no credential is needed for it.
        """
        codes: set[str] = {*EVERYWHERE, *self.codes}
        if not is_open:
            codes |= _WITH_CREDENTIAL
        if self.body is not None:
            codes |= _WITH_BODY
        if (self.body is not None and JSON in self.body) or self.query is not None:
            codes |= _WITH_FIELDS
        # By itself, aiohttp refuses what it does not expect with a status of its own.
        refusals: dict[int, list[str]] = {int(HTTPStatus.EXPECTATION_FAILED): [str(ErrorCode.BAD_REQUEST)]}
        for code in sorted(codes):
            refusals.setdefault(_STATUSES.get(code, HTTPStatus.BAD_REQUEST), []).append(str(code))
        return dict(sorted(refusals.items()))


def json(form: object) -> Content:
    """Content that is JSON."""
    return {JSON: form}


def codes(*codes: str) -> frozenset[str]:
    """Refusals."""
    return frozenset(codes)

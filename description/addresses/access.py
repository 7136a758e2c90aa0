"""Who is let in, and what they have done."""

from http import HTTPStatus

from description.answers import Done, Me, Paired
from description.operation import Operation, codes, json
from gateway.access.documents import (
    AccessReport,
    AuditReport,
    CodeReport,
    GrantedReport,
    GrantForm,
    GrantReport,
    PairForm,
    SquadsReport,
)
from gateway.live.door.guard import Route
from gateway.live.requests import ErrorCode
from gateway.live.routes.people import AuditQuery

_ROOT = "/api/v1/access"

OPERATIONS = {
    Route("POST", "/api/v1/pair"): Operation(
        summary="A one-time code for a token, or for the cookie of a page of the gateway",
        answer=json(Paired),
        body=json(PairForm),
        codes=codes(ErrorCode.UNKNOWN_CODE, ErrorCode.TOO_MANY_ATTEMPTS, ErrorCode.STORE_FAILED),
    ),
    Route("GET", "/api/v1/me"): Operation(summary="Who you are", answer=json(Me)),
    Route("DELETE", "/api/v1/me"): Operation(
        summary="Sign out: your token is worth nothing from then on",
        answer=json(Done),
        codes=codes(ErrorCode.NOTHING_TO_DO, ErrorCode.UNKNOWN_GRANT),
    ),
    Route("GET", _ROOT): Operation(summary="Every device that is let in", answer=json(AccessReport)),
    Route("POST", _ROOT): Operation(
        summary="Let a device in", answer=json(GrantedReport), status=HTTPStatus.CREATED, body=json(GrantForm)
    ),
    Route("DELETE", f"{_ROOT}/{{id}}"): Operation(
        summary="Throw a device out", answer=json(GrantReport), codes=codes(ErrorCode.UNKNOWN_GRANT)
    ),
    Route("GET", f"{_ROOT}/squads"): Operation(
        summary="The squads to which a viewer can be limited", answer=json(SquadsReport)
    ),
    Route("POST", f"{_ROOT}/codes"): Operation(
        summary="A one-time code that lets a device in; from an admin only, if not for a viewer",
        answer=json(CodeReport),
        status=HTTPStatus.CREATED,
        body=json(GrantForm),
    ),
    Route("GET", "/api/v1/audit"): Operation(
        summary="Who has done what, newest first", answer=json(AuditReport), query=AuditQuery
    ),
}

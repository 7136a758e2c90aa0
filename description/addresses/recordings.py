"""Recordings on their way into the cloud."""

from http import HTTPStatus

from description.operation import BYTES, Operation, codes, json
from gateway.live.door.guard import Route
from gateway.live.requests import ErrorCode
from gateway.live.routes.recordings import ACTIONS, ListQuery
from gateway.uploads.report import RebuiltReport, RecordingReport, RecordingsReport
from gateway.uploads.requests import AddRequest, AssignRequest, PersonRequest

_ROOT = "/api/v1/recordings"

_DECIDING = codes(ErrorCode.UNKNOWN_RECORDING, ErrorCode.NOT_NOW, ErrorCode.DISK_FAILED)
_ACTIONS = {
    "assign": (
        "Say which tracker a recording comes from",
        AssignRequest,
        _DECIDING | codes(ErrorCode.UNKNOWN_TRACKER),
    ),
    "retry": ("Let a recording be sent again", PersonRequest, _DECIDING),
    "discard": ("Delete a recording here", PersonRequest, _DECIDING),
}

OPERATIONS = {
    Route("GET", _ROOT): Operation(
        summary="All recordings that somebody has to know of",
        answer=json(RecordingsReport),
        query=ListQuery,
        unchanged="Nothing but times has changed since the answer whose `ETag` was sent as `If-None-Match`.",
    ),
    Route("POST", _ROOT): Operation(
        summary="Take a recording over: its file as the body, which is on the disk when this is answered",
        answer=json(RecordingReport),
        status=HTTPStatus.CREATED,
        query=AddRequest,
        body={BYTES: None},
        codes=codes(
            ErrorCode.UNKNOWN_TRACKER,
            ErrorCode.NOT_ASI,
            ErrorCode.EMPTY,
            ErrorCode.TOO_LARGE,
            ErrorCode.CUT_OFF,
            ErrorCode.NO_ROOM,
            ErrorCode.DISK_FAILED,
        ),
    ),
    Route("POST", f"{_ROOT}/rebuild"): Operation(
        summary="Read every file that is kept, and set right what is not as it was written down",
        answer=json(RebuiltReport),
        codes=codes(ErrorCode.DISK_FAILED),
    ),
    Route("GET", f"{_ROOT}/{{id}}"): Operation(
        summary="One recording", answer=json(RecordingReport), codes=codes(ErrorCode.UNKNOWN_RECORDING)
    ),
    **{
        Route("POST", f"{_ROOT}/{{id}}/{action}"): Operation(
            summary=summary, answer=json(RecordingReport), body=json(form), codes=refusals
        )
        for action, (summary, form, refusals) in ((action, _ACTIONS[action]) for action in ACTIONS)
    },
}

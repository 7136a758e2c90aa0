"""Which sensors the trackers shall listen to."""

from description.operation import Operation, codes, json
from gateway.live.door.guard import Route
from gateway.live.requests import ErrorCode
from gateway.live.routes.pairings import ACTIONS
from gateway.pairing.report import PairingReport, PairingsReport, PlanReport, TeamReport
from gateway.pairing.requests import ApplyRequest, ImportRequest, PersonRequest, SetRequest

_ROOT = "/api/v1/pairings"
_TRACKER = f"{_ROOT}/trackers/{{serial_number}}"

_UNKNOWN = codes(ErrorCode.UNKNOWN_TRACKER)
_WANTING = _UNKNOWN | codes(
    ErrorCode.FILE_MANAGED,
    ErrorCode.SUSPENDED,
    ErrorCode.SESSION_RUNNING,
    ErrorCode.SENSOR_TAKEN,
    ErrorCode.INVALID_SENSOR,
    ErrorCode.GENERATION_CHANGED,
)
_ACTIONS = {
    "adopt": (
        "Want what the cloud has",
        codes(ErrorCode.FILE_MANAGED, ErrorCode.NOT_READ_YET, ErrorCode.NOTHING_TO_DO, ErrorCode.SENSOR_TAKEN),
    ),
    "suspend": ("Write nothing any more", codes(ErrorCode.NOTHING_TO_DO)),
    "resume": ("Write again", codes(ErrorCode.NOTHING_TO_DO, ErrorCode.SUSPENDED)),
    "retry": ("Try now what waits after failures", codes(ErrorCode.SUSPENDED)),
}

OPERATIONS = {
    Route("GET", _ROOT): Operation(summary="How each tracker stands", answer=json(PairingsReport)),
    Route("GET", f"{_ROOT}/plan"): Operation(summary="What is to change", answer=json(PlanReport)),
    Route("GET", f"{_ROOT}/team"): Operation(summary="What is wanted of all trackers", answer=json(TeamReport)),
    Route("PUT", f"{_ROOT}/team"): Operation(
        summary="Want something of several trackers, all of it or nothing",
        answer=json(PlanReport),
        body=json(ImportRequest),
        codes=_WANTING,
    ),
    Route("POST", f"{_ROOT}/apply"): Operation(
        summary="Approve changes",
        answer=json(PlanReport),
        body=json(ApplyRequest),
        codes=codes(ErrorCode.PLAN_CHANGED, ErrorCode.SUSPENDED, ErrorCode.SESSION_RUNNING),
    ),
    Route("GET", _TRACKER): Operation(
        summary="How one tracker stands, and what has happened to it", answer=json(PairingReport), codes=_UNKNOWN
    ),
    Route("PATCH", _TRACKER): Operation(
        summary="Want something of one tracker",
        answer=json(PairingReport),
        body=json(SetRequest),
        codes=_WANTING | codes(ErrorCode.NOTHING_TO_DO),
    ),
    **{
        Route("POST", f"{_ROOT}/{action}"): Operation(
            summary=f"{_ACTIONS[action][0]}: of all trackers",
            answer=json(PairingsReport),
            body=json(PersonRequest),
            codes=_ACTIONS[action][1],
        )
        for action in ACTIONS
    },
    **{
        Route("POST", f"{_TRACKER}/{action}"): Operation(
            summary=f"{_ACTIONS[action][0]}: of one tracker",
            answer=json(PairingReport),
            body=json(PersonRequest),
            codes=_ACTIONS[action][1] | _UNKNOWN,
        )
        for action in ACTIONS
    },
}

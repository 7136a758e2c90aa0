"""Which athletes may be shown."""

from description.operation import Operation, codes, json
from gateway.access.release import ReleasesReport
from gateway.live.door.guard import Route
from gateway.live.requests import ErrorCode
from gateway.live.routes.releases import GiveForm, WithdrawForm

_ROOT = "/api/v1/releases"

OPERATIONS = {
    Route("GET", _ROOT): Operation(summary="Which athletes may be shown", answer=json(ReleasesReport)),
    Route("PUT", _ROOT): Operation(
        summary="Give releases",
        answer=json(ReleasesReport),
        body=json(GiveForm),
        codes=codes(ErrorCode.UNKNOWN_ATHLETE),
    ),
    Route("POST", f"{_ROOT}/withdraw"): Operation(
        summary="Take releases back",
        answer=json(ReleasesReport),
        body=json(WithdrawForm),
        codes=codes(ErrorCode.UNKNOWN_ATHLETE, ErrorCode.RELEASES_OFF),
    ),
}

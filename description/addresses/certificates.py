"""What the gateway proves itself with."""

from description.operation import Operation, codes, json
from gateway.live.door.guard import Route
from gateway.live.requests import ErrorCode
from gateway.live.routes.certificates import AuthorityQuery
from gateway.tls.report import AuthorityRequest, ExportReport, TlsReport

_ROOT = "/api/v1/tls"

OPERATIONS = {
    Route("GET", _ROOT): Operation(summary="How the certificates stand", answer=json(TlsReport)),
    Route("POST", _ROOT): Operation(
        summary="Go on with another authority",
        answer=json(TlsReport),
        body=json(AuthorityRequest),
        codes=codes(ErrorCode.BAD_AUTHORITY, ErrorCode.NOT_NOW, ErrorCode.DISK_FAILED),
    ),
    Route("GET", f"{_ROOT}/authority"): Operation(
        summary="The club's authority; with its key on the gateway's local socket only",
        answer=json(ExportReport),
        query=AuthorityQuery,
        codes=codes(ErrorCode.NO_AUTHORITY),
    ),
}

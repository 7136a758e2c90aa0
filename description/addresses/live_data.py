"""The live data: who this is, the stream, recent rows, gaps, numbers for engineers."""

from http import HTTPStatus
from typing import Any

from description.answers import GapsQuery, HelloAnswer, History, HistoryQuery, PackedHistory
from description.operation import JSON, MSGPACK, Operation, codes, json
from gateway.live.door.guard import Route
from gateway.live.gaps import GapReport
from gateway.live.requests import ErrorCode

OPERATIONS = {
    Route("GET", "/api/v1/hello"): Operation(summary="Who the gateway is", answer=json(HelloAnswer)),
    Route("GET", "/api/v1/stream"): Operation(
        summary="Open the websocket that asyncapi.json describes; a credential may be shown on it afterwards",
        status=HTTPStatus.SWITCHING_PROTOCOLS,
        codes=codes("bad_subprotocol"),
    ),
    Route("GET", "/api/v1/history"): Operation(
        summary="Rows of one tracker that are still remembered, 10,000 at most; in msgpack for who accepts that",
        answer={JSON: History, MSGPACK: PackedHistory},
        query=HistoryQuery,
        codes=codes(ErrorCode.UNKNOWN_DEVICE, ErrorCode.UNKNOWN_COLUMN),
    ),
    Route("GET", "/api/v1/gaps"): Operation(
        summary="Every gap that is remembered",
        answer=json(GapReport),
        query=GapsQuery,
        codes=codes(ErrorCode.UNKNOWN_DEVICE),
    ),
    Route("GET", "/api/v1/counters"): Operation(
        summary="Numbers for engineers; not part of the protocol: they come and go", answer=json(dict[str, Any])
    ),
}

"""The sensors in the air."""

from description.operation import Operation, codes, json
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.report import SensorsReport
from gateway.bluetooth.sensors import Refusal
from gateway.live.door.guard import Route
from gateway.live.requests import Inspect

OPERATIONS = {
    Route("GET", "/api/v1/sensors"): Operation(summary="The sensors in the air", answer=json(SensorsReport)),
    Route("POST", "/api/v1/sensors/{id}/inspect"): Operation(
        summary="Look closer at a sensor, for a minute at most",
        answer=json(Inspection),
        body=json(Inspect),
        codes=codes(*Refusal),
    ),
}

"""The gateway's own pages, and what they consist of."""

from description.operation import Operation
from gateway.live.door.guard import Route
from gateway.live.routes.page import PAGE

OPERATIONS = {
    Route("GET", address): Operation(summary=f"The file {name}", answer={form: None})
    for address, (name, form) in PAGE.items()
}

"""What every operation of the REST API has in common: the request without its transport, lists and their limits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.simulator.accounts import Manager
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.devices import Device
from gateway.simulator.errors import Refusal, forbidden, invalid, not_found
from gateway.simulator.faults import Faults

LIST_DEFAULT, LIST_MAXIMUM = 150, 3000


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised request.

    Attributes:
        manager: Who asks.
        path: The path's parameters.
        query: The query's parameters, percent-decoded.
        body: The decoded JSON body, None without one.
    """

    manager: Manager
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: object


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer; without `body` nothing is sent."""

    body: object = None
    status: int = 200


Handler = Callable[[SimulatedCloud, Call], Reply]


def document(call: Call) -> dict[str, object]:
    """The body as an object; raises the 400 if it is none."""
    if not isinstance(call.body, dict):
        raise invalid("non_field_errors", "Invalid data. Expected a dictionary.")
    return call.body


def text(body: Mapping[str, object], field: str) -> str:
    """A required text of the body."""
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise invalid(field, "This field is required.")
    return value


def addressed(cloud: SimulatedCloud, call: Call) -> Device:
    """The device in the path; raises the 404 if there is none."""
    return cloud.device(number(call.path["device"]))


def owned(cloud: SimulatedCloud, call: Call) -> Device:
    """The device in the path; raises the 403 if the caller is not its owner now."""
    device = addressed(cloud, call)
    if not cloud.ownerships.owns(call.manager.manager_id, device.device_id):
        raise forbidden()
    return device


def number(value: str) -> int:
    """An identifier in a path; raises the 404 if it is no number."""
    if not (value.isascii() and value.isdecimal() and len(value) < 16):
        raise not_found()
    return int(value)


def bounded(call: Call, field: str, default: int, maximum: int, faults: Faults) -> int:
    """`limit` or `size`: at least 1, lowered to the maximum or refused above it by knob."""
    value = positive(call, field, default)
    if value > maximum and faults.over_limit == "refuse":
        raise invalid(field, f"Ensure this value is less than or equal to {maximum}.")
    return min(value, maximum)


def positive(call: Call, field: str, default: int) -> int:
    """A positive whole number of the query."""
    value = call.query.get(field, str(default))
    if not (value.isascii() and value.isdecimal() and len(value) < 16) or int(value) < 1:
        raise invalid(field, "A valid positive integer is required.")
    return int(value)


def switch(call: Call, field: str) -> bool:
    """A true or false of the query, false unless given."""
    value = call.query.get(field, "false").lower()
    if value not in {"true", "1", "false", "0"}:
        raise invalid(field, "Must be a valid boolean.")
    return value in {"true", "1"}


def listed(cloud: SimulatedCloud, call: Call, items: Sequence[object]) -> Reply:
    """One page of a list."""
    limit = bounded(call, "limit", LIST_DEFAULT, LIST_MAXIMUM, cloud.faults)
    page = positive(call, "page", 1)
    return envelope(len(items), page, limit, items[(page - 1) * limit : page * limit])


def envelope(count: int, page: int, limit: int, results: Sequence[object]) -> Reply:
    """The pagination envelope; next and previous are page numbers. A page past the end is a 404."""
    if page > 1 and (page - 1) * limit >= count:
        raise Refusal(404, {"detail": "Invalid page."})
    following = page + 1 if page * limit < count else None
    previous = page - 1 if page > 1 else None
    body = {"count": count, "page": page, "next": following, "previous": previous, "results": results}
    return Reply(body)

"""Operations on devices and their ownership."""

import re
from collections.abc import Callable, Mapping

from gateway.simulator.api import Call, Handler, Reply, addressed, document, listed, number, owned, switch, text
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.devices import Device
from gateway.simulator.errors import Refusal, forbidden, invalid, not_found
from gateway.simulator.ownership import Ownership
from gateway.simulator.times import parse

_CUSTOM_NAME = re.compile(r"[\w .\-]{1,60}")
_ORDERINGS: Mapping[str, Callable[[Device], str | int]] = {
    "device_name": lambda device: device.device_name,
    "custom_name": lambda device: device.custom_name or "",
    "serial_number": lambda device: device.serial_number,
    "device_type": lambda device: device.device_type,
    "activation_time": lambda device: device.activation_ms or 0,
}


def devices(cloud: SimulatedCloud, call: Call) -> Reply:
    """The devices the caller owns now (`current`) or ever owned."""
    register, caller = cloud.ownerships, call.manager.manager_id
    ever = {row.device_id for row in register.of_manager(caller)}
    mine = [device for device in cloud.devices if device.device_id in ever]
    if switch(call, "current"):
        mine = [device for device in mine if register.owns(caller, device.device_id)]
    mine = [device for device in mine if _matches(device, call)]
    ordering = call.query.get("ordering", "")
    if ordering:
        key = _ORDERINGS.get(ordering.removeprefix("-"))
        if key is None:
            raise invalid("ordering", "Select a valid choice.")
        mine.sort(key=key, reverse=ordering.startswith("-"))
    return listed(cloud, call, [device.as_json() for device in mine])


def device(cloud: SimulatedCloud, call: Call) -> Reply:
    """One device the caller owns or once owned."""
    return Reply(_known(cloud, call).as_json())


def set_custom_name(cloud: SimulatedCloud, call: Call) -> Reply:
    """Name a device the caller owns."""
    found = owned(cloud, call)
    name = text(document(call), "custom_name")
    if not _CUSTOM_NAME.fullmatch(name):
        raise invalid("custom_name", "Enter a valid value.")
    found.custom_name = name
    return Reply(found.as_json())


def take_ownership(cloud: SimulatedCloud, call: Call) -> Reply:
    """Claim a device by serial number, device name or both."""
    body, now_ms = document(call), cloud.now_ms()
    named = {key: body[key] for key in ("serial_number", "device_name") if body.get(key)}
    if not named:
        raise Refusal(400, {"message": "Either serial_number or device_name is required."})
    found = next((d for d in cloud.devices if all(getattr(d, key) == value for key, value in named.items())), None)
    if found is None:
        raise not_found()
    current = cloud.ownerships.current(found.device_id)
    if current is not None and current.manager_id != call.manager.manager_id:
        raise forbidden()
    if current is not None and cloud.faults.reclaim == "refuse":
        raise Refusal(400, {"message": "The device has an ongoing ownership."})
    if current is None or cloud.faults.reclaim == "new_row":
        cloud.ownerships.take(call.manager.manager_id, found.device_id, now_ms)
    if found.activation_ms is None:
        found.activation_ms = now_ms
    return Reply(found.as_json(), 201)


def release_ownership(cloud: SimulatedCloud, call: Call) -> Reply:
    """End the caller's ownership."""
    if addressed(cloud, call).activation_ms is None:
        raise Refusal(400, {"message": "Device has never been activated."})
    found = owned(cloud, call)
    cloud.ownerships.end(found.device_id, cloud.now_ms())
    return Reply(None, 204) if cloud.faults.release_status == 204 else Reply(found.as_json())


def device_ownerships(cloud: SimulatedCloud, call: Call) -> Reply:
    """The caller's ownerships, past and present."""
    rows = [row for row in cloud.ownerships.of_manager(call.manager.manager_id) if _fits(cloud, row, call)]
    return listed(cloud, call, [_details(cloud, row) for row in rows])


def device_ownership(cloud: SimulatedCloud, call: Call) -> Reply:
    """One ownership of the caller."""
    row = cloud.ownerships.row(number(call.path["device_ownership"]))
    if row is None:
        raise not_found()
    if row.manager_id != call.manager.manager_id:
        raise forbidden()
    return Reply(_details(cloud, row))


HANDLERS: Mapping[str, Handler] = {
    "devices": devices,
    "device": device,
    "set_custom_name": set_custom_name,
    "take_ownership": take_ownership,
    "release_ownership": release_ownership,
    "device_ownerships": device_ownerships,
    "device_ownership": device_ownership,
}


def _known(cloud: SimulatedCloud, call: Call) -> Device:
    found = addressed(cloud, call)
    if not cloud.ownerships.spans(call.manager.manager_id, found.device_id):
        raise forbidden()
    return found


def _matches(device: Device, call: Call) -> bool:
    query = call.query
    contained = {
        "serial_number": device.serial_number,
        "device_name": device.device_name,
        "custom_name": device.custom_name or "",
        "search": f"{device.serial_number}\n{device.device_name}\n{device.custom_name or ''}",
    }
    return (
        all(query.get(key, "").lower() in value.lower() for key, value in contained.items())
        and query.get("device_type", device.device_type) == device.device_type
        and _between(device.activation_ms or 0, call, "activation_time")
        and "activity" not in query  # there are no activities, so none has any device
    )


def _fits(cloud: SimulatedCloud, row: Ownership, call: Call) -> bool:
    name = cloud.device(row.device_id).device_name
    return (
        call.query.get("device", str(row.device_id)) == str(row.device_id)
        and call.query.get("device_name", name) == name
        and _between(row.start_ms, call, "start_time")
        and _between(row.end_ms, call, "end_time")
    )


def _between(at_ms: int, call: Call, field: str) -> bool:
    low, high = call.query.get(f"{field}_from"), call.query.get(f"{field}_to")
    return (low is None or at_ms >= parse(f"{field}_from", low)) and (
        high is None or at_ms <= parse(f"{field}_to", high)
    )


def _details(cloud: SimulatedCloud, row: Ownership) -> dict[str, object]:
    return row.as_json(cloud.device(row.device_id).as_json())

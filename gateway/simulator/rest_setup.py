"""Operations on a device's Bluetooth sensors and recordings."""

import base64
import binascii
from collections.abc import Mapping

from gateway.simulator.api import Call, Handler, Reply, document, owned, switch, text
from gateway.simulator.bluetooth import BluetoothConfig, Pairings, served
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import Refusal, invalid, not_found

ASI_MAGIC = b"ASI"


def bluetooth_config(cloud: SimulatedCloud, call: Call) -> Reply:
    """What the device uses and what it is to use."""
    config = cloud.bluetooth(owned(cloud, call).device_id)
    config.reads += 1
    return _documents(cloud, config, config.shown_target(cloud.now_ms()))


def set_bluetooth_config(cloud: SimulatedCloud, call: Call) -> Reply:
    """Change what the device is to use from its next start, or at once if it is online and `immediate_sending`."""
    device_id, is_us = owned(cloud, call).device_id, call.manager.manager_id == cloud.accounts.ours.manager_id
    immediately = switch(call, "immediate_sending")
    cloud.change_pairings(device_id, call.body, "us" if is_us else "other", immediate_sending=immediately)
    config = cloud.bluetooth(device_id)
    return _documents(cloud, config, config.target)


def load_asi(cloud: SimulatedCloud, call: Call) -> Reply:
    """Accept a recording and start its job."""
    device = owned(cloud, call)
    try:
        content = base64.b64decode(text(document(call), "asi_b64"), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("asi_b64", "Not valid base64.") from None
    if len(content) > cloud.faults.upload_limit_bytes:
        raise Refusal(413, {"detail": "Request body exceeded the allowed size."})
    if not content.startswith(ASI_MAGIC):
        raise Refusal(400, {"message": "Not an ASI file."})
    now_ms = cloud.now_ms()
    job = cloud.jobs.add(call.manager.manager_id, device.device_id, content, now_ms, cloud.faults)
    return Reply(job.as_json(now_ms))


def job(cloud: SimulatedCloud, call: Call) -> Reply:
    """State of a job the caller started."""
    found = cloud.jobs.find(call.path["job"])
    if found is None or found.manager_id != call.manager.manager_id:
        raise not_found()
    return Reply(found.as_json(cloud.now_ms()))


HANDLERS: Mapping[str, Handler] = {
    "bluetooth_config": bluetooth_config,
    "set_bluetooth_config": set_bluetooth_config,
    "load_asi": load_asi,
    "job": job,
}


def _documents(cloud: SimulatedCloud, config: BluetoothConfig, target: Pairings) -> Reply:
    faults = cloud.faults
    current = served(config.current(cloud.now_ms()), faults, has_names=faults.bluetooth_current_names)
    data = {"current": current, "target": served(target, faults)}
    return Reply({"status": faults.bluetooth_status, "data": data})

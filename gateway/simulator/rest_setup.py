"""Operations on a device's Bluetooth sensors."""

from collections.abc import Mapping

from gateway.simulator.api import Call, Handler, Reply, owned, switch
from gateway.simulator.bluetooth import BluetoothConfig, Pairings, served
from gateway.simulator.cloud import SimulatedCloud


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


HANDLERS: Mapping[str, Handler] = {
    "bluetooth_config": bluetooth_config,
    "set_bluetooth_config": set_bluetooth_config,
}


def _documents(cloud: SimulatedCloud, config: BluetoothConfig, target: Pairings) -> Reply:
    faults = cloud.faults
    current = served(config.current(cloud.now_ms()), faults, has_names=faults.bluetooth_current_names)
    data = {"current": current, "target": served(target, faults)}
    return Reply({"status": faults.bluetooth_status, "data": data})

"""Links that nobody uses any more: BlueZ keeps a link when the program that made it is killed."""

from collections.abc import Mapping
from typing import Any

from insiders_codecs.gatt import CYCLING_POWER_SERVICE, HEART_RATE_SERVICE

_DEVICE = "org.bluez.Device1"
_CHARACTERISTIC = "org.bluez.GattCharacteristic1"
_SERVICES = frozenset({HEART_RATE_SERVICE, CYCLING_POWER_SERVICE})
_KEPT_FOR_SOMEBODY = ("Paired", "Bonded", "Trusted")


def stray_links(objects: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[str, ...]:
    """The sensors that are linked with this machine although nobody listens to them.

    Such a sensor does not advertise, so nobody finds it until it is taken off. BlueZ does not tell who made a link,
    but who is subscribed to a device, and it forgets subscriptions with the program that had them: a sensor that
    notifies somebody belongs to a program that lives. One that is paired or trusted belongs to a person. Left is the
    program that has just connected and is not yet subscribed: it loses the link and has to connect again.

    Args:
        objects: All that the Bluetooth service shows (`GetManagedObjects`): path -> interface -> property -> value.

    Returns:
        The paths of the devices.
    """
    in_use = tuple(path for path, interfaces in objects.items() if _notifies(interfaces.get(_CHARACTERISTIC, {})))
    return tuple(
        path
        for path, interfaces in objects.items()
        if _is_linked_sensor(interfaces.get(_DEVICE, {})) and not any(other.startswith(f"{path}/") for other in in_use)
    )


def _is_linked_sensor(device: Mapping[str, Any]) -> bool:
    return (
        bool(device.get("Connected"))
        and not _SERVICES.isdisjoint(device.get("UUIDs", ()))
        and not any(device.get(name) for name in _KEPT_FOR_SOMEBODY)
    )


def _notifies(characteristic: Mapping[str, Any]) -> bool:
    return bool(characteristic.get("Notifying") or characteristic.get("NotifyAcquired"))

"""The objects that a service shows on the bus: their properties, and the signals that tell of every change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dbus_fast import Message, MessageType, Variant

from gateway.simulator.bluez.calls import (
    UNKNOWN_INTERFACE,
    UNKNOWN_METHOD,
    UNKNOWN_OBJECT,
    UNKNOWN_PROPERTY,
    Call,
    Handler,
    Send,
)

OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"

Properties = dict[str, Variant]
Setter = Callable[[Call, object], None]
"""Answers a call that sets a property to the value."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One object: properties by interface, and what can be called and set, by interface and name."""

    interfaces: Mapping[str, Properties]
    methods: Mapping[tuple[str, str], Handler] = field(default_factory=dict)
    setters: Mapping[tuple[str, str], Setter] = field(default_factory=dict)


class Objects:
    """All objects by path. Every change is told to whoever listens on the bus, in the order in which it happens."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._objects: dict[str, Exported] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    def add(self, path: str, exported: Exported) -> None:
        """Show an object."""
        self._objects[path] = exported
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, dict(exported.interfaces)])

    def remove(self, path: str) -> None:
        """Take an object away."""
        exported = self._objects.pop(path)
        self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, list(exported.interfaces)])

    def change(self, path: str, interface: str, changed: Properties, invalidated: Sequence[str] = ()) -> None:
        """New values of properties, and properties that an object has no longer."""
        properties = self._objects[path].interfaces[interface]
        properties.update(changed)
        for name in invalidated:
            properties.pop(name, None)
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, list(invalidated)])

    def handle(self, path: str, interface: str, member: str, call: Call) -> None:
        """Answer a call to the object at `path`."""
        if path == "/" and (interface, member) == (OBJECT_MANAGER, "GetManagedObjects"):
            managed = {path: dict(exported.interfaces) for path, exported in self._objects.items()}
            call.answer("a{oa{sa{sv}}}", managed)
            return
        exported = self._objects.get(path)
        if exported is None:
            call.refuse(UNKNOWN_OBJECT)
        elif interface == PROPERTIES:
            _handle_properties(exported, member, call)
        elif (method := exported.methods.get((interface, member))) is not None:
            method(call)
        else:
            call.refuse(UNKNOWN_METHOD)

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[object]) -> None:
        self._send(
            Message(
                path=path,
                interface=interface,
                member=member,
                message_type=MessageType.SIGNAL,
                signature=signature,
                body=body,
                validate=False,  # three hundred a second, and all names are constants
            )
        )


def _handle_properties(exported: Exported, member: str, call: Call) -> None:
    interface = str(call.body[0]) if call.body else ""
    properties = exported.interfaces.get(interface)
    if properties is None:
        call.refuse(UNKNOWN_INTERFACE)
    elif member == "GetAll":
        call.answer("a{sv}", properties)
    elif member not in {"Get", "Set"}:
        call.refuse(UNKNOWN_METHOD)
    elif (name := str(call.body[1])) not in properties:
        call.refuse(UNKNOWN_PROPERTY)
    elif member == "Get":
        call.answer("v", properties[name])
    elif (setter := exported.setters.get((interface, name))) is not None:
        value = call.body[2]
        setter(call, value.value if isinstance(value, Variant) else value)
    else:
        call.refuse(UNKNOWN_PROPERTY)

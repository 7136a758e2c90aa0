"""A method call that waits for its answer, and the ways in which bluetoothd says no."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbus_fast import Message

Send = Callable[[Message], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A D-Bus error: its name, and the text that comes with it."""

    name: str
    text: str


BLOCKED = Refusal("org.bluez.Error.Blocked", "Blocked through rfkill")
DOES_NOT_EXIST = Refusal("org.bluez.Error.DoesNotExist", "Does Not Exist")
IN_PROGRESS = Refusal("org.bluez.Error.InProgress", "Operation already in progress")
NO_DISCOVERY = Refusal("org.bluez.Error.Failed", "No discovery started")
NOT_CONNECTED = Refusal("org.bluez.Error.Failed", "Not connected")
NOT_READY = Refusal("org.bluez.Error.NotReady", "Resource Not Ready")
NOT_SUPPORTED = Refusal("org.bluez.Error.NotSupported", "Operation is not supported")
NOTIFY_ACQUIRED = Refusal("org.bluez.Error.NotPermitted", "Notify acquired")
ALREADY_CONNECTED = Refusal("org.bluez.Error.AlreadyConnected", "Already Connected")
CONNECTION_ABORTED = Refusal("org.bluez.Error.Failed", "le-connection-abort-by-local")
READ_NOT_PERMITTED = Refusal("org.bluez.Error.NotPermitted", "Read not permitted")
WRITE_NOT_PERMITTED = Refusal("org.bluez.Error.NotPermitted", "Write not permitted")
UNKNOWN_INTERFACE = Refusal("org.freedesktop.DBus.Error.UnknownInterface", "No such interface")
UNKNOWN_METHOD = Refusal("org.freedesktop.DBus.Error.UnknownMethod", "No such method")
UNKNOWN_OBJECT = Refusal("org.freedesktop.DBus.Error.UnknownObject", "No such object")
UNKNOWN_PROPERTY = Refusal("org.freedesktop.DBus.Error.InvalidArgs", "No such property")


class Call:
    """One method call of a client. It is answered once, now or later, or never."""

    __slots__ = ("_message", "_send")

    def __init__(self, message: Message, send: Send) -> None:
        self._message = message
        self._send = send

    @property
    def sender(self) -> str:
        """The unique name of the client's connection."""
        return self._message.sender or ""

    @property
    def body(self) -> list[object]:
        """The arguments."""
        return self._message.body

    def answer(self, signature: str = "", *body: object, unix_fds: Sequence[int] = ()) -> None:
        """Say yes, with these values."""
        self._send(Message.new_method_return(self._message, signature, list(body), list(unix_fds)))

    def refuse(self, refusal: Refusal) -> None:
        """Say no."""
        self._send(Message.new_error(self._message, refusal.name, refusal.text))


Handler = Callable[[Call], None]
"""Answers a call, or keeps it and answers later."""

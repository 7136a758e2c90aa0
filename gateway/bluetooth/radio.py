"""The state of the radio in words a technician can act on, and which adapter to use when there are several."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

BUSY_RETRY_S = 1.0
RETRY_BASE_S = 0.25
RETRY_CAP_S = 3.0


class RadioState(StrEnum):
    """Whether sensors can be heard, and if not, why."""

    STARTING = "starting"
    LISTENING = "listening"
    SILENT = "silent"
    """It seems to listen, but nothing at all was heard for long, so that "not heard" proves nothing."""
    DISABLED = "disabled"
    UNSUPPORTED = "unsupported"
    NO_BUS = "no_bus"
    NO_SERVICE = "no_service"
    NO_ADAPTER = "no_adapter"
    NO_CENTRAL = "no_central"
    BLOCKED = "blocked"
    POWERED_OFF = "powered_off"
    DENIED = "denied"
    BUSY = "busy"
    """An earlier scan has not ended, ours or another program's."""
    FAILED = "failed"


class RadioError(Exception):
    """Listening or linking is not possible; says why.

    Attributes:
        state: Why.
        detail: What the Bluetooth service said, without the address of a device; may be empty.
    """

    def __init__(self, state: RadioState, detail: str = "") -> None:
        super().__init__(f"{state}: {detail}" if detail else str(state))
        self.state = state
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Adapter:
    """One radio as the Bluetooth service describes it.

    Attributes:
        name: Its name, "hci0".
        is_powered: Whether it is switched on.
        is_blocked: Whether rfkill keeps it off.
        is_central: Whether it can listen to and link with Bluetooth LE devices.
        is_discovering: Whether it scans, for whomever.
        is_on_board: Whether it is soldered to the computer; None if nobody can tell.
    """

    name: str
    is_powered: bool
    is_blocked: bool = False
    is_central: bool = True
    is_discovering: bool = False
    is_on_board: bool | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a scan can be started."""
        return self.is_powered and self.is_central and not self.is_blocked


@dataclass(frozen=True, slots=True)
class Radio:
    """What is known of the radio now.

    Attributes:
        state: Whether sensors can be heard, and if not, why.
        adapter: The adapter in use, or the one that would be; None if there is none to name.
        is_on_board: Whether that one is soldered to the computer; None if nobody can tell.
        listening_since_s: Monotonic time from which on silence of a sensor proves something; None while it does not.
        present: The adapters that there are, where the wanted one is missing.
        detail: What the Bluetooth service said, or which setting leads to no bus, where the state says too little.
    """

    state: RadioState
    adapter: str | None = None
    is_on_board: bool | None = None
    listening_since_s: float | None = None
    present: tuple[str, ...] = ()
    detail: str = ""

    @property
    def is_listening(self) -> bool:
        """Whether a sensor that is not heard is not there."""
        return self.state is RadioState.LISTENING

    @property
    def text(self) -> str:
        """One clause: how it is."""
        match self.state:
            case RadioState.LISTENING:
                return f"Bluetooth listens with adapter {self.adapter}"
            case RadioState.NO_ADAPTER if self.adapter:
                found = f"only {' and '.join(self.present)} found" if self.present else "no other found"
                return f"Bluetooth adapter {self.adapter} is missing, {found}"
            case RadioState.NO_CENTRAL | RadioState.BLOCKED | RadioState.POWERED_OFF if self.adapter:
                return f"Bluetooth adapter {self.adapter} {_TEXTS[self.state]}"
            case RadioState.NO_CENTRAL | RadioState.BLOCKED | RadioState.POWERED_OFF:
                return f"The Bluetooth adapter {_TEXTS[self.state]}"
            case RadioState.NO_BUS if self.detail:
                return f"No D-Bus answers where {self.detail} says that it is"
            case RadioState.FAILED if self.detail:
                return f"{_TEXTS[self.state]}: {self.detail}"
            case _:
                return _TEXTS[self.state]

    @property
    def action(self) -> str:
        """One clause: what a technician would do next; empty if nothing."""
        if self.state is RadioState.NO_ADAPTER and self.adapter:
            return "plug it in, or name another one as adapter in [bluetooth]"
        if self.state is RadioState.NO_BUS and self.detail:
            return f"unset {self.detail}, or start what it names"
        return _ACTIONS[self.state]

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is worth knowing, one clause each."""
        if self.is_on_board:
            return (f"{self.adapter} is the on-board radio: a USB Bluetooth adapter on a cable hears farther",)
        return ()


_TEXTS = {
    RadioState.STARTING: "Bluetooth is starting",
    RadioState.SILENT: "Bluetooth has heard no device at all for a while",
    RadioState.DISABLED: "Bluetooth is switched off in the configuration",
    RadioState.UNSUPPORTED: "Bluetooth is supported on Linux only",
    RadioState.NO_BUS: "The D-Bus system bus does not answer",
    RadioState.NO_SERVICE: "The Bluetooth service is not running",
    RadioState.NO_ADAPTER: "There is no Bluetooth adapter",
    RadioState.NO_CENTRAL: "cannot listen to Bluetooth LE devices",
    RadioState.BLOCKED: "is blocked by rfkill",
    RadioState.POWERED_OFF: "is switched off",
    RadioState.DENIED: "This user may not use Bluetooth",
    RadioState.BUSY: "An earlier Bluetooth scan has not ended yet",
    RadioState.FAILED: "The Bluetooth service does not do what it is asked",
}

_ACTIONS = {
    RadioState.STARTING: "",
    RadioState.LISTENING: "",
    RadioState.SILENT: "hold a phone or a worn strap near the adapter; if nothing changes, unplug and replug it",
    RadioState.DISABLED: "set enabled = true in [bluetooth]",
    RadioState.UNSUPPORTED: "run the gateway on a Raspberry Pi or another Linux computer",
    RadioState.NO_BUS: "run `sudo systemctl start dbus`, or reboot",
    RadioState.NO_SERVICE: "run `sudo systemctl start bluetooth`",
    RadioState.NO_ADAPTER: "plug in a USB Bluetooth adapter",
    RadioState.NO_CENTRAL: "plug in a USB adapter for Bluetooth 4.0 or newer",
    RadioState.BLOCKED: "run `sudo rfkill unblock bluetooth`",
    RadioState.POWERED_OFF: "run `bluetoothctl power on`",
    RadioState.DENIED: "give the service SupplementaryGroups=bluetooth, or your user the group bluetooth",
    RadioState.BUSY: "wait ten seconds; if nothing changes, run `sudo systemctl restart bluetooth`",
    RadioState.FAILED: "run `sudo systemctl restart bluetooth`",
}


def choose_adapter(adapters: Sequence[Adapter], wanted: str | None) -> Adapter | None:
    """The adapter to listen with.

    Args:
        adapters: Those that there are.
        wanted: The configured one. Without one, an adapter that can be used goes first, then one that is not on
            board, then the lowest number.

    Returns:
        None if there is none, or not the wanted one.
    """
    if wanted is not None:
        return next((adapter for adapter in adapters if adapter.name == wanted), None)
    return min(adapters, key=_preference, default=None)


def outlook(adapters: Sequence[Adapter], wanted: str | None) -> Radio:
    """What can be expected of the adapters: `RadioState.STARTING` if a scan can be started, else why not."""
    adapter = choose_adapter(adapters, wanted)
    if adapter is None:
        return Radio(RadioState.NO_ADAPTER, wanted, present=tuple(sorted(adapter.name for adapter in adapters)))
    if adapter.is_ready:
        state = RadioState.STARTING
    elif not adapter.is_central:
        state = RadioState.NO_CENTRAL
    else:
        state = RadioState.BLOCKED if adapter.is_blocked else RadioState.POWERED_OFF
    return Radio(state, adapter.name, adapter.is_on_board)


def state_of_error(name: str) -> RadioState:
    """What the name of a D-Bus error says of the radio."""
    if name.startswith("org.freedesktop.DBus.Error.Spawn."):
        return RadioState.NO_SERVICE  # who would have started it on demand could not
    return _ERRORS.get(name, RadioState.FAILED)


_ERRORS = {
    "org.bluez.Error.InProgress": RadioState.BUSY,
    "org.bluez.Error.NotAuthorized": RadioState.DENIED,
    "org.bluez.Error.NotPermitted": RadioState.DENIED,
    "org.bluez.Error.NotReady": RadioState.POWERED_OFF,
    "org.freedesktop.DBus.Error.AccessDenied": RadioState.DENIED,
    "org.freedesktop.DBus.Error.Disconnected": RadioState.NO_BUS,
    "org.freedesktop.DBus.Error.NameHasNoOwner": RadioState.NO_SERVICE,
    "org.freedesktop.DBus.Error.NoReply": RadioState.NO_SERVICE,
    "org.freedesktop.DBus.Error.ServiceUnknown": RadioState.NO_SERVICE,
    "org.freedesktop.DBus.Error.UnknownObject": RadioState.NO_ADAPTER,
}


class Backoff:
    """How long to wait before the next attempt."""

    def __init__(self) -> None:
        self._failures = 0

    def failed(self, state: RadioState) -> float:
        """Seconds to wait after one more failure, doubling from 0.25 s to 3 s.

        What is busy is tried every second: the kernel ends a scan that outlived its bluetoothd after ten seconds, and
        that is the moment to catch.
        """
        if state is RadioState.BUSY:
            return BUSY_RETRY_S
        self._failures += 1
        return min(RETRY_CAP_S, RETRY_BASE_S * 2.0 ** min(self._failures - 1, 16))

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0


def _preference(adapter: Adapter) -> tuple[bool, bool, bool, int, str]:
    number = adapter.name.removeprefix("hci")
    return (
        not adapter.is_central,
        not adapter.is_ready,
        adapter.is_on_board is True,
        int(number) if number.isdecimal() else 0,
        adapter.name,
    )

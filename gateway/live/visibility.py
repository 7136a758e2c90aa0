"""What of the team somebody may see: which channels, which columns, which messages.

What no rule names is for nobody but technicians. It is asked before anything is encoded: what somebody may not see
never comes near their socket.
"""

from collections.abc import Collection
from dataclasses import dataclass

from gateway.access.caller import Caller, Scope
from gateway.access.roles import Action, Role, may
from gateway.live.source import Channels, ChannelView
from insiders_codecs.live import Message
from insiders_codecs.samples import COLUMN_NAMES, Column

GNSS_COLUMNS = (
    Column.LATITUDE,
    Column.LONGITUDE,
    Column.ALTITUDE,
    Column.SPEED,
    Column.BATTERY,
    Column.STANDSTILL,
)
"""What is left of a row for those who may see neither heart rate nor what else a body tells."""

_ACTIONS = {
    "sensor": Action.SEE_SENSORS,
    "bluetooth": Action.SEE_SENSORS,
    "pairings": Action.SEE_PAIRINGS,
    "pairing": Action.SEE_PAIRINGS,
    "recording": Action.SEE_RECORDINGS,
}
"""What one has to be allowed to for states whose key begins so."""

_OTHERWISE = Action.SEE_COUNTERS
"""For all others: technicians."""

VIEWERS_PROBLEMS = frozenset(
    {
        "cloud_bad_answer",
        "cloud_credentials",
        "cloud_failed",
        "cloud_failing",
        "cloud_forbidden",
        "cloud_not_found",
        "cloud_rejected",
        "cloud_throttled",
        "cloud_tls",
        "cloud_unauthorized",
        "cloud_unreachable",
        "insecure_lan",
        "network_login",
        "tracker_clock",
        "tracker_foreign",
    }
)
"""Problems that tell viewers why rows are missing or wrong, or who reads along; of a tracker if they see it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A pure view of the team; equal for all who see the same.

    Attributes:
        role: Of who looks.
        scope: Of whom they may see anything.
    """

    role: Role
    scope: Scope

    @classmethod
    def of(cls, caller: Caller) -> "Sight":
        """What somebody sees."""
        return cls(caller.role, caller.scope)

    @property
    def columns(self) -> tuple[int, ...]:
        """Indices of the columns there are for them, in the order of all."""
        return tuple(sorted(GNSS_COLUMNS)) if self.scope.is_gnss_only else tuple(range(len(COLUMN_NAMES)))

    @property
    def column_names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(COLUMN_NAMES[column] for column in self.columns)

    def sees(self, channel: ChannelView) -> bool:
        """Whether there is a channel for them."""
        return self._is_of_squads(channel.wearer.squads)

    def channels(self, channels: Channels) -> Channels:
        """Those that there are for them."""
        if self.scope.squads is None:
            return channels
        return {ch: channel for ch, channel in channels.items() if self.sees(channel)}

    def hears(self, message: Message, channels: Channels) -> bool:
        """Whether a message of the board is for them.

        Args:
            message: With its `op`, and its `key` where it is a state.
            channels: All of them.
        """
        if "ch" in message:
            channel = channels.get(message["ch"])
            return channel is not None and self.sees(channel)
        kind, _, rest = message.get("key", "").partition("/")
        if kind == "problem":
            code, _, subject = rest.partition("/")
            return self._hears_problem(code, subject, channels)
        return may(self.role, _ACTIONS.get(kind, _OTHERWISE))

    def _hears_problem(self, code: str, subject: str, channels: Channels) -> bool:
        if may(self.role, _OTHERWISE):
            return True
        if code not in VIEWERS_PROBLEMS:
            return False
        serials = (channel.wearer.serial_number for channel in channels.values() if self.sees(channel))
        return not subject or subject in serials

    def _is_of_squads(self, squads: Collection[str]) -> bool:
        return self.scope.squads is None or not self.scope.squads.isdisjoint(squads)

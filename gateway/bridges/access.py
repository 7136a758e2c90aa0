"""Access and the rest of the gateway: what it takes note of besides what people ask, and what is wrong with it."""

import asyncio
from collections.abc import AsyncIterator, Callable

from gateway.access.audit import Audit
from gateway.access.caller import Caller
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.roles import Role
from gateway.cloud.models import Device
from gateway.fleet.claim import Ownerships
from gateway.problems import Problems

CLAIMED = "claimed"

_ITSELF = Caller("the gateway", "", Role.ADMIN)
_UNSAVED, _DAMAGED = "access_unsaved", "access_damaged"
_TURN_S = 1.0


class NotedOwnerships:
    """The cloud's trackers, with a line in the audit log for each that is made ours."""

    def __init__(self, cloud: Ownerships, audit: Audit) -> None:
        self._cloud = cloud
        self._audit = audit

    def devices(self, *, current: bool | None = None) -> AsyncIterator[Device]:
        """Devices we own now (`current`), or ever owned."""
        return self._cloud.devices(current=current)

    async def take_ownership(self, serial_number: str, device_name: str) -> Device:
        """Claim a device."""
        device = await self._cloud.take_ownership(serial_number, device_name)
        self._audit.note(_ITSELF, CLAIMED, serial_number)
        return device


async def tell_access(doorkeeper: Doorkeeper, problems: Problems, beat: Callable[[], None]) -> None:
    """Say what is wrong with who is let in, until cancelled."""
    while True:
        trouble = doorkeeper.trouble
        if trouble is None:
            problems.resolve(_UNSAVED)
        else:
            text = "Who is let in cannot be written down: nobody new comes in"
            if doorkeeper.is_forgetful:
                text += ", and a restart lets in who was thrown out"
            problems.report(_UNSAVED, text, trouble.action)
        if doorkeeper.rejected:
            number = doorkeeper.rejected
            text = f"What lets {number} device{'' if number == 1 else 's'} in was damaged, and lets nobody in"
            problems.report(_DAMAGED, text, "let them in again with `insiders-gateway access code`")
        beat()
        await asyncio.sleep(_TURN_S)

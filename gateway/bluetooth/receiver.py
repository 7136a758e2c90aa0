"""What listens for sensors: this machine's radio, or nothing where there is none to listen with."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.bluetooth.advertisement import Advertisement
from gateway.bluetooth.link import Link
from gateway.bluetooth.radio import Radio, RadioError, RadioState


class Receiver(Protocol):
    """A radio that is kept listening."""

    @property
    def radio(self) -> Radio:
        """How it stands."""

    async def run(self) -> None:
        """Keep it listening until cancelled."""

    def connected(self, address: str, timeout_s: float) -> AbstractAsyncContextManager[Link]:
        """A link with a device in the air, for the length of the block; raises `RadioError` and `LinkError`."""


class NoReceiver:
    """Hears nothing, and says why."""

    def __init__(self, state: RadioState) -> None:
        self.radio = Radio(state)

    async def run(self) -> None:
        """Do nothing."""
        await asyncio.Event().wait()

    def connected(self, address: str, timeout_s: float) -> AbstractAsyncContextManager[Link]:
        """Refuse with `RadioError`."""
        del address, timeout_s
        raise RadioError(self.radio.state)


def local_receiver(
    on_advertisement: Callable[[Advertisement, float], None], adapter: str | None, *, is_enabled: bool
) -> Receiver:
    """What this machine listens with.

    Args:
        on_advertisement: Called with each advertisement and the event loop's time.
        adapter: The adapter to use, "hci0"; None for the best one.
        is_enabled: Whether it shall listen at all.
    """
    if not is_enabled:
        return NoReceiver(RadioState.DISABLED)
    if sys.platform != "linux":
        return NoReceiver(RadioState.UNSUPPORTED)
    # Some megabytes that nobody pays for who does not listen, and D-Bus, which other systems do not have.
    from gateway.bluetooth.supervisor import Supervisor

    return Supervisor(on_advertisement, adapter)

"""Keeps the radio listening, whatever happens to it, and says how it stands."""

import asyncio
import contextlib
import logging
import math
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from gateway.bluetooth.adapters import Adapters
from gateway.bluetooth.advertisement import Advertisement
from gateway.bluetooth.link import Link
from gateway.bluetooth.links import Links
from gateway.bluetooth.radio import Adapter, Backoff, Radio, RadioError, RadioState, outlook
from gateway.bluetooth.scanner import Scanner

LOOK_S = 2.0
"""Signals tell of most changes at once; this is for what they leave out."""

LEAST_WAIT_S = 0.01
CONFIRM_S = 2.0
"""How long a scan that was accepted may take to show."""

STEADY_S = 10.0
"""A scan that lasted so long worked: if it ends, the next one is tried at once."""

SILENT_S = 90.0
"""Where sensors are used there are phones and watches too, and not one of them is quiet for so long."""

_BUS_SETTING = "DBUS_SYSTEM_BUS_ADDRESS"

_LOG = logging.getLogger(__name__)


class Supervisor:
    """Listens for ever: looks every two seconds and with every change whether the adapter scans, and makes it.

    BlueZ ends scans without a word to who began them: when the adapter is switched off or unplugged, and when the
    service itself ends. A scan that runs and hears nothing at all for long is begun anew too, and until something is
    heard nothing counts as listening, because a deaf radio looks the same.

    Attributes:
        radio: How the radio stands.
    """

    def __init__(self, on_advertisement: Callable[[Advertisement, float], None], adapter: str | None = None) -> None:
        """Creates it without a connection.

        Args:
            on_advertisement: Called with each advertisement and the event loop's time.
            adapter: The adapter to use, "hci0"; None for the best one.
        """
        self.radio = Radio(RadioState.STARTING, adapter)
        self._wanted = adapter
        self._on_advertisement = on_advertisement
        self._changed = asyncio.Event()
        self._adapters = Adapters(self._changed)
        self._scanner = Scanner(self._hear, self._adapters.let_go)
        self._backoff = Backoff()
        self._retry_s = -math.inf
        self._is_ready = False
        self._is_deaf = False
        self._scan: _Scan | None = None
        self._links = Links(self._scanner.connected)

    async def run(self) -> None:
        """Listen for ever; ends by cancellation, and leaves neither a scan nor a link behind."""
        try:
            async with self._links.owned():
                while True:
                    await self._look_safely()
                    await self._pause()
        finally:
            await self._scanner.stop()
            await self._adapters.close()

    @contextlib.asynccontextmanager
    async def connected(self, address: str, timeout_s: float) -> AsyncIterator[Link]:
        """A link with a device in the air, for the length of the block; one at a time, others wait.

        The link belongs to `run` and not to the caller: however the caller ends, the device is let go in order.

        Args:
            address: In normal form.
            timeout_s: How long connecting may take.

        Raises:
            RadioError: The radio does not listen.
            LinkError: There is no link.
        """
        if not (self._links.are_possible and self.radio.is_listening):
            raise RadioError(self.radio.state, self.radio.detail)
        async with self._links.held(address, timeout_s) as link:
            yield link

    async def _look_safely(self) -> None:
        try:
            await self._look()
        except Exception:  # noqa: BLE001 - the edge of a task: without Bluetooth the gateway goes on
            _LOG.exception("Unexpected failure of Bluetooth, it goes on")
            await self._links.end()
            self._scanner.abandon()
            self._rest(Radio(RadioState.FAILED, self._wanted))

    async def _look(self) -> None:
        """Compare what is with what shall be, and begin a scan if there is none."""
        try:
            adapters = await self._read()
        except RadioError as error:
            radio = _failed(Radio(error.state, self._wanted), error)
            if error.state is RadioState.FAILED:
                self._say(radio)  # it hangs; if it recovers, the scan may still be there
            else:
                # Nobody is there who could be asked to stop the scan.
                self._scanner.abandon()
                self._rest(radio)
            return
        radio = outlook(adapters, self._wanted)
        name = radio.adapter
        if radio.state is not RadioState.STARTING or name is None:
            self._rest(radio)  # said first: the end of a scan may take long where nobody answers
            await self._scanner.stop()
            return
        if not self._is_ready:
            self._is_ready = True
            self._backoff.succeeded()
            self._retry_s = -math.inf
        if self._scan is not None:
            if not self._is_lost(self._scan, adapters, name):
                if not self._scan.is_silent(_now_s()):
                    self._say_listening(radio)
                    return
                self._is_deaf = True
            await self._give_up(self._scan, radio)
        if _now_s() >= self._retry_s:
            await self._begin_scan(radio, name)

    async def _read(self) -> Sequence[Adapter]:
        # Cleared first: what changes from here on is looked at next time.
        self._changed.clear()
        return await self._adapters.read()

    def _rest(self, radio: Radio) -> None:
        """There is nothing to scan with."""
        self._scan = None
        self._is_ready = False
        self._is_deaf = False
        self._say(radio)

    def _is_lost(self, scan: "_Scan", adapters: Sequence[Adapter], name: str) -> bool:
        """Whether a scan has ended, or runs on another adapter than it shall."""
        adapter = _named(adapters, scan.adapter)
        is_there = adapter is not None and adapter.is_discovering
        return not is_there or scan.adapter != name or scan.losses != self._adapters.losses(name)

    async def _give_up(self, scan: "_Scan", radio: Radio) -> None:
        """A scan has ended, or is of no use; links are not to be lost with what is left of it."""
        now_s = _now_s()
        if now_s - scan.since_s >= STEADY_S:
            self._backoff.succeeded()
        else:
            self._retry_s = now_s + self._backoff.failed(RadioState.FAILED)
        self._scan = None
        self._say(replace(radio, state=RadioState.SILENT) if self._is_deaf else radio)
        await self._links.end()

    async def _begin_scan(self, radio: Radio, name: str) -> None:
        await self._scanner.stop()  # ours may have ended without our knowing, or not at all
        try:
            await self._scanner.start(name)
            await self._confirm(name)
        except RadioError as error:
            await self._scanner.stop()
            self._retry_s = _now_s() + self._backoff.failed(error.state)
            self._say(_failed(radio, error))
            return
        now_s = _now_s()
        self._scan = _Scan(name, self._adapters.losses(name), now_s, now_s)
        self._say_listening(radio)

    async def _confirm(self, name: str) -> None:
        """Wait until an adapter says that it scans; BlueZ says so a moment after it accepted to."""
        try:
            async with asyncio.timeout(CONFIRM_S):
                while (adapter := _named(await self._read(), name)) is None or not adapter.is_discovering:
                    await self._changed.wait()
        except TimeoutError:
            raise RadioError(RadioState.FAILED, "the adapter does not scan") from None

    async def _pause(self) -> None:
        """Wait for a change, the next look, or the next attempt."""
        wait_s = LOOK_S
        if self._is_ready and self._scan is None:
            # A timer may be a little early; without a least wait there would be a rush of looks until it is time.
            wait_s = min(wait_s, max(self._retry_s - _now_s(), LEAST_WAIT_S))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._changed.wait()

    def _hear(self, advertisement: Advertisement, now_s: float) -> None:
        if self._scan is not None:
            self._scan.heard_s = now_s
            if self._is_deaf:
                self._is_deaf = False
                self._say_listening(self.radio)
        self._on_advertisement(advertisement, now_s)

    def _say_listening(self, radio: Radio) -> None:
        """A scan runs; whether it hears is not certain after one that did not."""
        if self._is_deaf:
            self._say(replace(radio, state=RadioState.SILENT))
        elif not self.radio.is_listening:
            self._say(replace(radio, state=RadioState.LISTENING, listening_since_s=_now_s()))

    def _say(self, radio: Radio) -> None:
        if radio.state is not self.radio.state:
            _LOG.debug("The radio is %(state)s", {"state": radio.state})
        self.radio = radio


@dataclass(slots=True)
class _Scan:
    """A scan that was seen to run.

    Attributes:
        adapter: The adapter that does it.
        losses: Of that adapter, when it was seen.
        since_s: When that was.
        heard_s: When something was last heard, or else when it began.
    """

    adapter: str
    losses: int
    since_s: float
    heard_s: float

    def is_silent(self, now_s: float) -> bool:
        """Whether it has heard nothing for too long to be true."""
        return now_s - self.heard_s >= SILENT_S


def _failed(radio: Radio, error: RadioError) -> Radio:
    """What is said when something could not be done; most states say enough by themselves."""
    detail = error.detail if error.state is RadioState.FAILED else ""
    if error.state is RadioState.NO_BUS and _BUS_SETTING in os.environ:
        detail = _BUS_SETTING  # somebody has been trying something; a reboot would not help
    return replace(radio, state=error.state, detail=detail)


def _named(adapters: Sequence[Adapter], name: str | None) -> Adapter | None:
    return next((adapter for adapter in adapters if adapter.name == name), None)


def _now_s() -> float:
    return asyncio.get_running_loop().time()

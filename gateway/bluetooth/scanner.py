"""Listening and linking through bleak: what it raises and what it keeps to itself are dealt with here.

Active scanning, since a passive scan tells little of a device whose signal is steady; not filtered by service, since
some straps do not advertise theirs.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from bleak import BleakClient, BleakScanner
from bleak.backends.bluezdbus import manager
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
)

from gateway.bluetooth.advertisement import Advertisement, EchoFilter
from gateway.bluetooth.link import Link, LinkError
from gateway.bluetooth.notifications import Notifications
from gateway.bluetooth.radio import RadioError, RadioState, state_of_error
from insiders_codecs.address import address_kind, normal_form

CALL_TIMEOUT_S = 5.0
"""BlueZ answers at once, and a sensor within a second; what takes longer hangs."""

GRACE_S = 2.0
"""How long bleak may clean up after it was interrupted, until that is interrupted too."""

_LOG = logging.getLogger(__name__)


class Scanner:
    """One active scan at a time, and links with what it has found.

    bleak has one connection with D-Bus for a whole event loop, and BlueZ one scan for a connection: there must not be
    a second scanner in the process.
    """

    def __init__(
        self,
        on_advertisement: Callable[[Advertisement, float], None],
        let_go: Callable[[str], Awaitable[None]],
    ) -> None:
        """Creates it without scanning.

        Args:
            on_advertisement: Called with each advertisement and the event loop's time.
            let_go: Makes BlueZ end its link with the device of an object path, if there is one; does not fail.
        """
        self._on_advertisement = on_advertisement
        self._let_go = let_go
        self._echoes = EchoFilter()
        self._scan: BleakScanner | None = None
        self._has_failed = False

    async def start(self, adapter: str) -> None:
        """Scan with an adapter.

        Raises:
            RadioError: It cannot be; nothing is left of the attempt.
        """
        scan = BleakScanner(self._take_safely, bluez={"adapter": adapter})
        self._has_failed = False
        try:
            async with _within(CALL_TIMEOUT_S):
                await scan.start()
        except Exception as error:
            trouble = _radio_error(error)
            if isinstance(error, TimeoutError) or trouble.state is RadioState.NO_ADAPTER:
                # The answer may still come, and the scan with it; or bleak has missed that an adapter has come.
                self.abandon()
            raise trouble from error
        except asyncio.CancelledError:
            self.abandon()
            raise
        self._scan = scan

    async def stop(self) -> None:
        """End the scan, if there is one, for certain."""
        scan, self._scan = self._scan, None
        if scan is None:
            return
        known = manager._global_instances.get(asyncio.get_running_loop())  # noqa: SLF001
        if known is None or known._bus is None or not known._bus.connected:  # noqa: SLF001
            self.abandon()  # BlueZ has ended the scan of a connection that is gone, and bleak has not noticed
            return
        try:
            async with _within(CALL_TIMEOUT_S):
                await scan.stop()
        except Exception as error:  # noqa: BLE001 - the scan of a radio that was switched off cannot be stopped, and more
            _LOG.debug("The scan could not be stopped in order: %(error)s", {"error": error})
            self.abandon()
        except asyncio.CancelledError:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Give up bleak's connection with D-Bus, and with it the scan and what bleak remembers; links count as lost.

        For when nobody is there to be asked to stop, or the answer did not come: BlueZ ends the scan of a connection
        that is gone, but not its links. The next start opens another one.
        """
        self._scan = None
        # bleak itself would keep the callbacks of this scan for the next connection, and call all of them.
        known = manager._global_instances.pop(asyncio.get_running_loop(), None)  # noqa: SLF001
        if known is not None and known._bus is not None:  # noqa: SLF001
            known._bus.disconnect()  # noqa: SLF001

    @contextlib.asynccontextmanager
    async def connected(self, address: str, timeout_s: float) -> AsyncIterator[Link]:
        """A link with a device that has been heard, for the length of the block.

        Args:
            address: In normal form.
            timeout_s: How long connecting may take, reading what the device offers included.

        Raises:
            LinkError: There is no link.
        """
        device = self._device(address)
        link = _BleakLink()
        client = BleakClient(device, lambda _: link.ended(), timeout=timeout_s)
        try:
            try:
                async with _within(timeout_s):
                    await client.connect()
            except Exception as error:
                raise LinkError(_words(error)) from error
            link.began(client)
            yield link
        finally:
            link.ended()
            try:
                await _disconnect(client)
            finally:
                # bleak takes a link for lost with its connection to D-Bus, and does not ask BlueZ to end it.
                await self._let_go(device.details["path"])

    def _device(self, address: str) -> BLEDevice:
        heard = self._scan.discovered_devices_and_advertisement_data if self._scan else {}
        try:
            return heard[address.upper()][0]
        except KeyError:
            raise LinkError("not in the air") from None

    def _take_safely(self, device: BLEDevice, data: AdvertisementData) -> None:
        try:
            self._take(device, data)
        except Exception:  # noqa: BLE001 - the edge of a callback, whose caller would log it
            # Said once for each scan: below us each advertisement would be a traceback, with whatever it quotes.
            if not self._has_failed:
                _LOG.exception("Unexpected failure with what a device advertises, it goes on")
            self._has_failed = True

    def _take(self, device: BLEDevice, data: AdvertisementData) -> None:
        """Pass on what is an advertisement; bleak calls with every change of what BlueZ knows of a device."""
        _, properties = data.platform_data  # what `device` has is of the first time
        now_s = asyncio.get_running_loop().time()
        is_linked = bool(properties.get("Connected") or properties.get("ServicesResolved"))
        address = normal_form(device.address)
        if not self._echoes.is_heard(address, data.rssi, is_linked=is_linked, now_s=now_s):
            return
        self._on_advertisement(
            Advertisement(
                address=address,
                address_kind=address_kind(address, is_random=properties.get("AddressType") == "random"),
                name=data.local_name,
                rssi_dbm=data.rssi,
                services=frozenset(data.service_uuids),
                manufacturer_data=data.manufacturer_data,
                appearance=properties.get("Appearance"),
            ),
            now_s,
        )


class _BleakLink:
    """A link with one device."""

    def __init__(self) -> None:
        self._client: BleakClient | None = None
        self._characteristics = dict[str, BleakGATTCharacteristic]()
        self._streams = set[Notifications]()

    def began(self, client: BleakClient) -> None:
        """Take what the device offers. Of several characteristics alike the first one on the device counts."""
        if not client.is_connected:
            raise LinkError("the link was lost")
        for _, characteristic in sorted(client.services.characteristics.items()):  # by handle; bleak has them anyhow
            self._characteristics.setdefault(characteristic.uuid, characteristic)
        self._client = client

    def ended(self) -> None:
        """The link is lost, or to be closed."""
        self._client = None
        for stream in self._streams:
            stream.end()

    def has(self, uuid: str) -> bool:
        """Whether the device offers a characteristic."""
        return uuid in self._characteristics

    async def read(self, uuid: str) -> bytes | None:
        """The value of a characteristic, None if it is not offered.

        Raises:
            LinkError: The device refused, did not answer, or the link is lost.
        """
        characteristic = self._characteristics.get(uuid)
        if characteristic is None:
            return None
        with _as_link_error():
            # bleak asks again without end while BlueZ is busy with another operation.
            async with _within(CALL_TIMEOUT_S):
                return bytes(await self._open().read_gatt_char(characteristic))

    @contextlib.asynccontextmanager
    async def notifications(self, uuid: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """What the device notifies, for the length of the block; the iterator ends with the link.

        Raises:
            LinkError: The device does not offer this, refused, did not answer, or the link is lost.
        """
        characteristic = self._characteristics.get(uuid)
        if characteristic is None:
            raise LinkError("not offered")
        stream = Notifications()
        self._streams.add(stream)
        try:
            with _as_link_error():
                async with _within(CALL_TIMEOUT_S):
                    await self._open().start_notify(characteristic, lambda _, value: stream.put(bytes(value)))
            yield stream
        finally:
            self._streams.discard(stream)
            stream.end()
            if self._client is not None:
                with contextlib.suppress(Exception):  # the link is lost, or ends in a moment
                    async with _within(CALL_TIMEOUT_S):
                        await self._client.stop_notify(characteristic)

    def _open(self) -> BleakClient:
        if self._client is None:
            raise LinkError("the link was lost")
        return self._client


@contextlib.asynccontextmanager
async def _within(timeout_s: float) -> AsyncIterator[None]:
    """A time limit that also holds for the cleaning up after it, which in bleak waits for answers too."""
    async with asyncio.timeout(timeout_s + GRACE_S), asyncio.timeout(timeout_s):
        yield


@contextlib.contextmanager
def _as_link_error() -> Iterator[None]:
    try:
        yield
    except LinkError:
        raise
    except Exception as error:
        raise LinkError(_words(error)) from error


async def _disconnect(client: BleakClient) -> None:
    try:
        async with _within(CALL_TIMEOUT_S):
            await client.disconnect()
    except Exception as error:  # noqa: BLE001 - whatever it is, the device is let go without bleak too
        _LOG.debug("bleak could not let a sensor go: %(error)s", {"error": error})


def _radio_error(error: Exception) -> RadioError:
    match error:
        case BleakBluetoothNotAvailableError():
            return RadioError(_REASONS.get(error.reason, RadioState.FAILED), error.reason.name)
        case BleakDBusError():
            return RadioError(state_of_error(error.dbus_error), error.dbus_error)
        case BleakError():
            return RadioError(RadioState.NO_ADAPTER)  # the only thing without a name that is checked before a scan
        case TimeoutError():
            return RadioError(RadioState.FAILED, _words(error))
        case PermissionError():
            return RadioError(RadioState.DENIED, _words(error))
        case OSError() | EOFError():
            return RadioError(RadioState.NO_BUS, _words(error))
        case _:
            return RadioError(RadioState.FAILED, _words(error))


_REASONS = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: RadioState.NO_ADAPTER,
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: RadioState.NO_CENTRAL,
    BleakBluetoothNotAvailableReason.POWERED_OFF: RadioState.POWERED_OFF,
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: RadioState.DENIED,
}


def _words(error: Exception) -> str:
    """What went wrong, without the text of others: it may hold the address of a device."""
    match error:
        case BleakDBusError():
            return error.dbus_error
        case BleakGATTProtocolError():
            return error.code.name
        case TimeoutError():
            return "no answer in time"
        case _:
            return type(error).__name__

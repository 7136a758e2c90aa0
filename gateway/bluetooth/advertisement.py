"""What a device said into the air, and which of the Bluetooth service's news are no such thing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from insiders_codecs.address import AddressKind

UNKNOWN_RSSI_DBM = -127
"""What the radio's library says where BlueZ knows no RSSI: nothing was received."""

AFTER_LINK_S = 1.0
"""How long after a link has ended nothing counts as heard: its end alone changes several properties."""

KEPT_LINKS = 64
"""Devices of which it is remembered that they had a link; more than a radio can have links at a time."""


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One advertisement, with what the device has said in earlier ones.

    Attributes:
        address: In normal form.
        address_kind: What the address promises.
        name: None if the device tells none.
        rssi_dbm: How strongly it was received.
        services: 128-bit UUIDs in lower case.
        manufacturer_data: Company identifier -> payload.
        appearance: What the device calls itself (Assigned Numbers 2.6); None if it does not.
    """

    address: str
    address_kind: AddressKind
    name: str | None
    rssi_dbm: int
    services: frozenset[str]
    manufacturer_data: Mapping[int, bytes]
    appearance: int | None


class EchoFilter:
    """Tells advertisements from other changes of what the Bluetooth service knows of a device.

    BlueZ reports every change of a device alike, each with the RSSI of the last advertisement: that a link was made,
    that its services are known, that it ended, that the radio was switched off. Those would make a device seem heard
    that is silent. A device that is linked with us is never heard; it counts again a moment after the link's end.
    """

    def __init__(self) -> None:
        # When a device that had a link counts again, infinite while it has one. Others are not remembered, and of those
        # that are never heard again the one that told of a link longest ago gives way.
        self._counts_from_s: dict[str, float] = {}

    def is_heard(self, address: str, rssi_dbm: int, *, is_linked: bool, now_s: float) -> bool:
        """Whether a change of a device is an advertisement.

        Args:
            address: Which device.
            rssi_dbm: Its present RSSI.
            is_linked: Whether it is connected, or its services are known, which both end with the link.
            now_s: The monotonic time.
        """
        if is_linked:
            self._counts_from_s.pop(address, None)
            self._counts_from_s[address] = math.inf
            if len(self._counts_from_s) > KEPT_LINKS:
                del self._counts_from_s[next(iter(self._counts_from_s))]
            return False
        counts_from_s = self._counts_from_s.get(address)
        if counts_from_s is not None:
            if counts_from_s == math.inf:
                counts_from_s = self._counts_from_s[address] = now_s + AFTER_LINK_S
            if now_s < counts_from_s:
                return False
            del self._counts_from_s[address]
        return rssi_dbm > UNKNOWN_RSSI_DBM

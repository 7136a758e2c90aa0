"""What the pairings need to know of the rest of the gateway: the radio, the live data, the strap's own words."""

from collections.abc import Collection, Mapping
from typing import Protocol

from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.observation import Air, Delivery, Ears, Match, Outage


class Evidence(Protocol):
    """Asked once a second, so answered at once."""

    def outage(self) -> Outage | None:
        """Why the cloud answers nobody, live data included; None while it does."""

    def ears(self) -> Ears:
        """How the radio is."""

    def air(self, sensors: Collection[Sensor]) -> Mapping[str, Air]:
        """What the radio knows of these sensors, by address."""

    def delivery(self, serial_number: str, slot: Slot) -> Delivery:
        """Whether what the sensor in a slot measures comes from the tracker."""

    def contact_s(self, serial_number: str) -> float | None:
        """When the tracker last brought something newer than before, monotonic seconds; None if it never did."""

    def session_until_s(self) -> float | None:
        """Until when athletes are taken to train, monotonic seconds; None if they do not."""

    def matches(self) -> Mapping[str, Match]:
        """Where the heart rate that straps broadcast is found, by the address of the strap."""

"""The one table of Insiders API endpoints, shared by the client and the simulator.

Paths are relative to one of three independent bases, because the vendor's hosts do not differ only by name:
the legacy host serves ``/api/v1/`` and ``/ws/v1/`` where the current one serves ``/v1/`` and ``/v1/ws/``.
Every path ends in a slash, and the slash is not optional.

`find_asi` is no operation that the vendor documents; nobody asks it unless the configuration says that it exists.

Source: Insiders API 1.22. The paths of `devices`, `preprocessed_ranges`, `preprocessed_data`, `token` and
`live_data` are confirmed by working clients; the others are inferred or our default, so any of them can be replaced by
``[cloud.paths]`` in the configuration.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Base(StrEnum):
    """Which configured base URL a path belongs to."""

    API = "api_url"
    TOKEN = "token_url"  # noqa: S105 - the name of a setting
    WEBSOCKET = "websocket_url"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of the API.

    Attributes:
        method: HTTP method in capitals.
        path: Path below the base, without leading slash, with ``{device}``-like placeholders.
        base: The base URL it is relative to.
    """

    method: str
    path: str
    base: Base = Base.API

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of the path parameters."""
        return frozenset(re.findall(r"{(\w+)}", self.path))


EndpointTable = Mapping[str, Endpoint]

ENDPOINTS: EndpointTable = MappingProxyType(
    {
        "account": Endpoint("GET", "account/"),
        "create_manager": Endpoint("POST", "managers/"),
        "manager_by_external_id": Endpoint("GET", "managers/by-external-id/"),
        "manager": Endpoint("GET", "managers/{manager}/"),
        "update_manager": Endpoint("PUT", "managers/{manager}/"),
        "change_password": Endpoint("PUT", "managers/{manager}/password/"),
        "devices": Endpoint("GET", "devices/"),
        "take_ownership": Endpoint("POST", "devices/take-ownership/"),
        "device": Endpoint("GET", "devices/{device}/"),
        "set_custom_name": Endpoint("PUT", "devices/{device}/set-custom-name/"),
        "release_ownership": Endpoint("POST", "devices/{device}/release-ownership/"),
        "load_asi": Endpoint("POST", "devices/{device}/asi/"),
        "find_asi": Endpoint("GET", "devices/{device}/asi/"),
        "bluetooth_config": Endpoint("GET", "devices/{device}/bluetooth-config/"),
        "set_bluetooth_config": Endpoint("PATCH", "devices/{device}/bluetooth-config/"),
        "device_ownerships": Endpoint("GET", "device-ownerships/"),
        "device_ownership": Endpoint("GET", "device-ownerships/{device_ownership}/"),
        "latest_timestamp": Endpoint("GET", "devices/{device}/latest-timestamp/"),
        "latest_data": Endpoint("GET", "devices/{device}/latest-preprocessed-data/"),
        "preprocessed_ranges": Endpoint("GET", "devices/{device}/preprocessed-ranges/"),
        "preprocessed_data": Endpoint("GET", "devices/{device}/preprocessed/"),
        "job": Endpoint("GET", "jobs/{job}/"),
        "token": Endpoint("POST", "oauth2/token/", Base.TOKEN),
        "live_data": Endpoint("GET", "preprocessed-data/{device}/", Base.WEBSOCKET),
    }
)


def override(name: str, text: str) -> Endpoint:
    """Replace one endpoint by what the configuration says.

    Args:
        name: An operation of `ENDPOINTS`.
        text: ``"path/{device}/"`` or ``"METHOD path/{device}/"``.

    Returns:
        The endpoint with the new path, and the new method where one is given.

    Raises:
        ValueError: If the method is unknown, or the path lacks its final slash, starts with one, or has other
            placeholders than the operation needs.
    """
    known = ENDPOINTS[name]
    method, _, path = text.rpartition(" ")
    method = method or known.method
    if method not in METHODS:
        raise ValueError(f"the method must be one of {', '.join(METHODS)}")
    if path.startswith("/") or not path.endswith("/") or "://" in path:
        raise ValueError("a path is relative to its base and ends in a slash, for example devices/{device}/asi/")
    replaced = Endpoint(method, path, known.base)
    if replaced.placeholders != known.placeholders:
        needed = ", ".join(f"{{{p}}}" for p in sorted(known.placeholders)) or "no placeholder"
        raise ValueError(f"the path must contain {needed} and no other")
    return replaced


def table(overrides: Mapping[str, str]) -> EndpointTable:
    """The endpoint table with the overrides of ``[cloud.paths]`` applied; raises what `override` raises."""
    return MappingProxyType({**ENDPOINTS, **{name: override(name, text) for name, text in overrides.items()}})

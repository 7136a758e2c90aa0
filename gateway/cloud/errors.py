"""Everything that can go wrong between us and the cloud, as one tree of causes.

``text`` says what is wrong, ``action`` what a person does next; neither holds anything the server wrote, so both may
be logged. The server's own words are kept apart in ``server_text`` and appear in ``str(error)`` only.
"""
# ruff: noqa: N818 - the leaves are named after their cause

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from gateway.cloud.endpoints import ENDPOINTS


class CloudError(Exception):
    """A request that did not give what was asked for.

    Attributes:
        code: Stable identifier of the cause, for programs and counters.
        action: What a person does next, an imperative clause without full stop.
        operation: Name of the operation in the table of endpoints.
        server_text: What the server said about it: bounded, escaped, free of our secrets; "" if it said nothing.
    """

    code = "cloud_failed"
    action = "look into the log of the gateway"

    def __init__(self, operation: str, server_text: str = "") -> None:
        super().__init__(operation)
        self.operation = operation
        self.server_text = server_text

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed a little later without anybody doing anything."""
        return False

    @property
    def text(self) -> str:
        """What is wrong, a clause without full stop and without anything the server wrote."""
        return f"The cloud request {self.operation} failed"

    def __str__(self) -> str:
        said = f' (it says "{self.server_text}")' if self.server_text else ""
        return f"{self.text}{said}: {self.action}."


class Broken(Enum):
    """Where the way to the cloud ends."""

    NAME = "its name is not found"
    CONNECT = "no connection"
    TIMEOUT = "no answer in time"
    CUT = "the connection broke off"


_WHERE_TO_LOOK = {
    Broken.NAME: "check the internet connection of this gateway and its DNS server, and the addresses in [cloud]",
    Broken.CONNECT: "check the internet connection of this gateway and its firewall, and the addresses in [cloud]",
    Broken.TIMEOUT: "check the internet connection of this gateway; if other sites answer, wait for the cloud",
    Broken.CUT: "check what lies between this gateway and the cloud: a weak radio link, a proxy, a firewall",
}


class Unreachable(CloudError, ConnectionError):
    """No whole answer arrived: name resolution, connecting, waiting or reading failed.

    Attributes:
        reason: Where the way ends.
        authority: Host and port that were tried; "" if they are not known.
    """

    code = "cloud_unreachable"

    def __init__(self, operation: str, reason: Broken, authority: str = "") -> None:
        super().__init__(operation)
        self.action = _WHERE_TO_LOOK[reason]
        self.reason = reason
        self.authority = authority

    @property
    def is_transient(self) -> bool:
        """Networks come back."""
        return True

    @property
    def text(self) -> str:
        """Names the place where the way ends."""
        place = f" at {self.authority}" if self.authority else ""
        return f"The cloud cannot be reached{place}, {self.reason.value}"


class TlsFailed(CloudError):
    """The server did not prove who it is; nothing was sent to it.

    Attributes:
        reason: The TLS library's own words, for example "certificate is not yet valid".
    """

    code = "cloud_tls"
    action = "check clock or certificate: the date of this gateway, and whether this network intercepts connections"

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(operation)
        self.reason = reason

    @property
    def text(self) -> str:
        """Names the check that failed."""
        return f"The cloud could not prove its identity for {self.operation}, {self.reason}"


class NetworkLoginNeeded(CloudError):
    """Something else than the cloud answered: a redirect or a web page, as networks with a login page do.

    Attributes:
        host: Where the redirect points to, "" if it was a page.
    """

    code = "network_login"
    action = "log this network in with a browser, or correct the URLs of [cloud] if there is no such login"

    def __init__(self, operation: str, host: str = "") -> None:
        super().__init__(operation)
        self.host = host

    @property
    def text(self) -> str:
        """Names the host of the redirect: it is often the login page."""
        found = f"a redirect to {self.host}" if self.host else "a web page"
        return f"Network login needed: {found} came instead of the cloud's answer to {self.operation}"


class Unauthorized(CloudError, PermissionError):
    """The access token was refused, and so was a new one."""

    code = "cloud_unauthorized"
    action = "check that api_url and token_url in [cloud] belong to the same cloud"

    @property
    def text(self) -> str:
        """Names the operation."""
        return f"The cloud does not accept its own new access token for {self.operation}"


class LoginRefused(CloudError, PermissionError):
    """The cloud does not take our credentials; after three times nobody asks again for long, to save the account.

    Attributes:
        reason: The OAuth2 error code, for example ``invalid_grant``.
    """

    code = "cloud_credentials"
    action = "check username and client_id in [cloud], INSIDERS_PASSWORD and INSIDERS_CLIENT_SECRET, then start again"

    def __init__(self, operation: str, reason: str, server_text: str = "") -> None:
        super().__init__(operation, server_text)
        self.reason = reason

    @property
    def text(self) -> str:
        """Tells a wrong password from a wrong client."""
        return f"The cloud refused the login, {_LOGIN_REASONS.get(self.reason, 'it needs other credentials')}"


_LOGIN_REASONS = {
    "invalid_grant": "user name or password is wrong",
    "invalid_client": "client id or client secret is wrong",
    "unauthorized_client": "the vendor has not allowed this client the password grant",
    "unsupported_grant_type": "the vendor has not allowed this client the password grant",
}


class Forbidden(CloudError, PermissionError):
    """The account has no right to it; for a device: somebody else owns it now."""

    code = "cloud_forbidden"
    action = "check that this account owns the tracker now"

    @property
    def text(self) -> str:
        """Names the operation."""
        return f"The cloud account has no right to {self.operation}"


class NotFound(CloudError, LookupError):
    """No such thing, or no such path.

    Attributes:
        path: The path asked for, below its base URL.
        is_path_unknown: The answer was not the API's own, so the path and not the thing is what is missing.
    """

    code = "cloud_not_found"

    def __init__(self, operation: str, path: str, *, is_path_unknown: bool, server_text: str = "") -> None:
        super().__init__(operation, server_text)
        self.path = path
        self.is_path_unknown = is_path_unknown
        self.action = "check the serial number or id"
        if is_path_unknown:
            base = ENDPOINTS[operation].base if operation in ENDPOINTS else "the base URL"
            self.action = f"correct {base} in [cloud], or {operation} in [cloud.paths]"

    @property
    def text(self) -> str:
        """Names the path where it is the path that is unknown."""
        if self.is_path_unknown:
            return f"The cloud has no path {self.path} for {self.operation}"
        return f"The cloud does not know what {self.operation} asks for"


class Rejected(CloudError, ValueError):
    """The cloud understood the request and declined it.

    Attributes:
        status: HTTP status, 4xx.
        fields: What it said about single fields; names and sentences bounded and escaped.
    """

    code = "cloud_rejected"
    action = "correct what the cloud names"

    def __init__(
        self,
        operation: str,
        status: int,
        server_text: str = "",
        fields: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        super().__init__(operation, server_text)
        self.status = status
        self.fields = fields

    @property
    def text(self) -> str:
        """Names the status."""
        return f"The cloud declined {self.operation} with status {self.status}"


class Throttled(CloudError):
    """Too many requests; every request waits until the cloud allows the next.

    Attributes:
        retry_after_s: Seconds to wait, already clamped.
    """

    code = "cloud_throttled"
    action = "wait; if it lasts, ask the vendor for a higher limit"

    def __init__(self, operation: str, retry_after_s: float) -> None:
        super().__init__(operation)
        self.retry_after_s = retry_after_s

    @property
    def is_transient(self) -> bool:
        """The wait has an end."""
        return True

    @property
    def text(self) -> str:
        """Names the wait."""
        return f"The cloud asks for a pause of {self.retry_after_s:.0f} s before {self.operation}"


class ServerFailed(CloudError):
    """The cloud itself failed.

    Attributes:
        status: HTTP status, 5xx.
    """

    code = "cloud_failing"
    action = "wait; if it lasts, ask the vendor"

    def __init__(self, operation: str, status: int, server_text: str = "") -> None:
        super().__init__(operation, server_text)
        self.status = status

    @property
    def is_transient(self) -> bool:
        """Servers are repaired."""
        return True

    @property
    def text(self) -> str:
        """Names the status."""
        return f"The cloud failed with status {self.status} on {self.operation}"


class Fault(Enum):
    """What is wrong with an answer."""

    TOO_LARGE = "is larger than any right answer"
    NOT_HTTP = "is not HTTP"
    NOT_JSON = "is not JSON"
    WRONG_SHAPE = "does not have the promised form"


class BadAnswer(CloudError, ValueError):
    """An answer that is not what the API promises.

    Attributes:
        fault: What is wrong with it.
        detail: Where, in our decoder's words; never the content.
    """

    code = "cloud_bad_answer"
    action = "if it lasts, ask the vendor whether the API has changed"

    def __init__(self, operation: str, fault: Fault, detail: str = "") -> None:
        super().__init__(operation)
        self.fault = fault
        self.detail = detail

    @property
    def is_transient(self) -> bool:
        """Broken bytes may arrive whole next time; a wrong form or size will not change."""
        return self.fault in {Fault.NOT_HTTP, Fault.NOT_JSON}

    @property
    def text(self) -> str:
        """Names the fault and its place."""
        return f"The cloud's answer to {self.operation} {self.fault.value}{f' ({self.detail})' if self.detail else ''}"

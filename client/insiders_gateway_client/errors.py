"""What can go wrong between a program and a gateway, as sentences for the person who has to do something."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class GatewayError(Exception):
    """A gateway gives no answer that can be used; its text, without full stop, says what is wrong and what to do."""


class AddressError(GatewayError):
    """What was given is no address of a gateway."""


class NobodyThereError(GatewayError):
    """Nothing listens at the address."""


class UnknownNameError(NobodyThereError):
    """Nobody here knows which machine the address means."""


class UntrustedError(GatewayError):
    """Whoever answers at the address shows a certificate that says nothing here."""


class NotAdmittedError(GatewayError):
    """The gateway does not know us, or not any more: a new code, or another token, is needed."""


class RefusalError(Exception):
    """The gateway has understood a request and does not do it; its text says why, in the gateway's words.

    Attributes:
        code: Why: one of the codes of the protocol.
        facts: What else it tells a program.
        retry_after_s: After which pause it may be asked again; None if it names none.
    """

    def __init__(
        self,
        code: str,
        text: str,
        facts: Mapping[str, Any] = MappingProxyType({}),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.facts = facts
        self.retry_after_s = retry_after_s

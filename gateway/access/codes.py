"""One-time codes: what somebody opens to let a device of theirs in. In memory only, for five minutes, once."""

import secrets
from dataclasses import dataclass

from gateway.access.caller import Caller
from gateway.access.grants import NewGrant, digest_of
from gateway.secret import Secret

LASTS_S = 300.0
MAX_OPEN = 10
"""Codes of one maker that wait at once: whoever makes them without end must leave others theirs."""

_BYTES = 16


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code that was made just now.

    Attributes:
        code: To be shown to whom it is for.
        lasts_s: How long it can be used, once, in seconds.
    """

    code: Secret
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Offer:
    """What a code stands for.

    Attributes:
        new: What its user is given.
        by: Who has made it.
        until_s: Until when it can be used, monotonic, in seconds.
    """

    new: NewGrant
    by: Caller
    until_s: float


class Codes:
    """The codes that nobody has used yet, by their hash."""

    def __init__(self) -> None:
        self._offers: dict[bytes, Offer] = {}

    def __len__(self) -> int:
        return len(self._offers)

    def make(self, new: NewGrant, by: Caller, now_s: float) -> Invitation | None:
        """A new code; None if too many of theirs are open."""
        self._expire(now_s)
        if sum(_maker(offer.by) == _maker(by) for offer in self._offers.values()) >= MAX_OPEN:
            return None
        code = Secret(secrets.token_urlsafe(_BYTES))
        self._offers[digest_of(code)] = Offer(new, by, now_s + LASTS_S)
        return Invitation(code, LASTS_S)

    def take(self, digest: bytes, now_s: float) -> Offer | None:
        """What the code with a hash stands for, which nobody gets again; None if there is none (any more)."""
        self._expire(now_s)
        return self._offers.pop(digest, None)

    def put_back(self, digest: bytes, offer: Offer) -> None:
        """Let a code be used after all, for what is left of its time."""
        self._offers[digest] = offer

    def _expire(self, now_s: float) -> None:
        for digest in [digest for digest, offer in self._offers.items() if offer.until_s <= now_s]:
            del self._offers[digest]


def _maker(by: Caller) -> tuple[str | None, str]:
    return by.grant, by.person

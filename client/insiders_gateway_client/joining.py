"""Letting this machine in: the code of a link, shown once, becomes a token that is kept."""

import json
import platform
from dataclasses import dataclass
from urllib.parse import parse_qs

from insiders_gateway_client.address import Address, parse
from insiders_gateway_client.asking import ask
from insiders_gateway_client.errors import AddressError, GatewayError, RefusalError
from insiders_gateway_client.keys import Key, Keys
from insiders_gateway_client.transport import Transport

_PAGE = "/pair"
_FINGERPRINT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Membership:
    """As whom a gateway has let this machine in.

    Attributes:
        address: Of the gateway.
        person: Whose device this is now.
        device: What it is called there.
        role: What they may do.
        expires_ms: When that ends, epoch ms; None if it does not.
    """

    address: Address
    person: str
    device: str
    role: str
    expires_ms: int | None


async def join(link: str, device: str | None = None, keys: Keys | None = None) -> Membership:
    """Let this machine in, and keep what shows that it is.

    At the first contact the gateway's certificate is known by its fingerprint, which is part of the link; from then on
    by the club's authority, which the gateway hands over.

    Args:
        link: What the code stands in, `https://HOST/pair#code=…&fp=…`.
        device: What this machine is called in the gateway's list; None for its host name.
        keys: Where to keep it; None for the usual place.

    Raises:
        RefusalError: If the code is wrong or has expired.
        GatewayError: If the gateway cannot be reached, or is not the one that the link is of.
    """
    address, code, fingerprint = _parts(link)
    transport = Transport(address, fingerprint=fingerprint)
    form = {"code": code, "device": device or platform.node() or "a computer", "as": "token"}
    answer = await ask(transport, "POST", "pair", json=form)
    try:
        told = json.loads(answer)
        key = Key(str(told["token"]), told["authority"])
        membership = Membership(address, told["person"], told["device"], told["role"], told["expires_ms"])
    except (ValueError, KeyError, TypeError):
        raise GatewayError(f"{address.where} answers in another form: use the version of the gateway here") from None
    (Keys() if keys is None else keys).keep(address, key)
    return membership


async def leave(address: str, keys: Keys | None = None) -> None:
    """Give up what lets this machine in; raises `GatewayError` if the gateway cannot be told, and forgets it anyway."""
    left, kept = parse(address), Keys() if keys is None else keys
    key = kept.of(left)
    try:
        await ask(Transport(left, key.token, key.authority), "DELETE", "me")
    except RefusalError as refusal:
        raise GatewayError(str(refusal).rstrip(".")) from None
    finally:
        kept.forget(left)


def _parts(link: str) -> tuple[Address, str, bytes | None]:
    """Address, code and fingerprint of a link; raises `AddressError`, which tells no code."""
    where, _, fragment = link.partition("#")
    told = parse_qs(fragment)
    address = parse(where.rstrip("/").removesuffix(_PAGE))
    try:
        (code,) = told["code"]
        fingerprint = bytes.fromhex(told["fp"][0]) if "fp" in told else None
    except (KeyError, ValueError):
        raise AddressError(f"The link to {address.where} has no code: put it between quotes, as a whole") from None
    if fingerprint is not None and len(fingerprint) != _FINGERPRINT_BYTES:
        raise AddressError(f"The link to {address.where} is cut short: put it between quotes, as a whole")
    return address, code, fingerprint if address.is_secure else None

"""Letting this machine in: the code of a link, shown once, becomes a token that is kept."""

import json
import platform
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs

from insiders_gateway_client.address import Address, parse, such_as
from insiders_gateway_client.asking import ask
from insiders_gateway_client.errors import (
    AddressError,
    GatewayError,
    NotAdmittedError,
    RefusalError,
    UnknownNameError,
    UntrustedError,
)
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
    try:
        answer = await ask(transport, "POST", "pair", json=form)
    except UnknownNameError:
        host = address.root.host
        text = f"The name {host} is not known here: put the gateway's IP address into the link in place of it"
        raise UnknownNameError(text) from None
    except UntrustedError:
        raise _cut(address) from None  # a shell ends a word at "&", and behind that the fingerprint stands
    try:
        told = json.loads(answer)
        key = Key(str(told["token"]), told["authority"])
        membership = Membership(address, told["person"], told["device"], told["role"], told["expires_ms"])
    except (ValueError, KeyError, TypeError):
        raise GatewayError(f"{address.where} answers in another form: use the version of the gateway here") from None
    kept = Keys() if keys is None else keys
    former = kept.kept(address)
    kept.keep(address, key)
    if former.token is not None:
        with suppress(GatewayError, RefusalError):  # it is worth nothing already, or ends by itself
            await ask(Transport(address, former.token, key.authority), "DELETE", "me")
    return membership


async def leave(address: str, keys: Keys | None = None) -> None:
    """Give up what is kept to let this machine in.

    Raises:
        NotAdmittedError: If nothing is kept for that gateway.
        GatewayError: If it cannot be told; what was kept is forgotten anyway.
    """
    left, kept = parse(address), Keys() if keys is None else keys
    key = kept.kept(left)
    if key.token is None:
        others = such_as(kept.others(left))
        next_step = f"name the gateway that is meant{others}" if others else "there is nothing to give up"
        raise NotAdmittedError(f"Nothing is kept here that lets this machine in at {left.where}: {next_step}")
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
        raise _cut(address) from None
    if fingerprint is not None and len(fingerprint) != _FINGERPRINT_BYTES:
        raise _cut(address)
    return address, code, fingerprint if address.is_secure else None


def _cut(address: Address) -> AddressError:
    return AddressError(f"The link to {address.where} was cut: put it between quotes, as a whole")

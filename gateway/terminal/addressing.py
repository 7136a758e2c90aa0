"""Commands that a person is told to type, so that they ask the same gateway when they are typed as they stand."""

import re
from functools import cache

from insiders_gateway_client.address import Address, parse
from insiders_gateway_client.local import usual

_NAMES_URL = re.compile(r"`(insiders-gateway (?:pair|recordings|release|access|tls) (?:(?! --url )[^`])*)`")
_SCAN = "`insiders-gateway scan`"
"""Commands that ask a gateway, and do not say which."""


def gateway_url(typed: str | None) -> str:
    """The address of a gateway from what a person types, None for nothing; raises `AddressError` if it is none."""
    return str(usual() if typed is None else parse(typed))


def command(arguments: str, url: str) -> str:
    """What to type for a command to the same gateway, for example of the arguments "pair list"."""
    return addressed(f"`insiders-gateway {arguments}`", url).strip("`")


def addressed(text: str, url: str) -> str:
    """What is told, with commands between backticks that ask the same gateway."""
    address = parse(url)
    if address == _usual():
        return text
    text = text.replace(_SCAN, f"`insiders-gateway scan {address.typed}`")
    return _NAMES_URL.sub(lambda found: f"`{found[1]} --url {address.typed}`", text)


@cache
def _usual() -> Address:
    """The gateway that is asked if none is named: looked for once, not for every sentence."""
    return usual()

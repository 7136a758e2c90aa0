"""Commands that a person is told to type, so that they ask the same gateway when they are typed as they stand."""

import re
from urllib.parse import urlsplit

from gateway.live.client import DEFAULT_PORT, stream_url

_USUAL = stream_url(str(DEFAULT_PORT))
_NAMES_URL = re.compile(r"`(insiders-gateway (?:pair|recordings) (?:(?! --url )[^`])*)`")
_SCAN = "`insiders-gateway scan`"
"""Commands that ask a gateway, and do not say which."""


def command(arguments: str, url: str) -> str:
    """What to type for a command to the same gateway, for example of the arguments "pair list"."""
    return addressed(f"`insiders-gateway {arguments}`", url).strip("`")


def addressed(text: str, url: str) -> str:
    """What is told, with commands between backticks that ask the same gateway."""
    if url == _USUAL:
        return text
    parts = urlsplit(url)
    where = parts.netloc if stream_url(parts.netloc) == url else url
    text = text.replace(_SCAN, f"`insiders-gateway scan {where}`")
    return _NAMES_URL.sub(lambda found: f"`{found[1]} --url {where}`", text)

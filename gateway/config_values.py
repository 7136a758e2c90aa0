"""What a single value of the configuration may be, and the words that say so to a person."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

FOLDER = "an absolute folder, or one below the home folder (~/…), in quotes"
TRACKER_PATTERN = 'a path in quotes with {tracker} in it and no * beside that, such as "{tracker}_*" or "{tracker}/*"'
HOST = "an address of this machine in quotes: 127.0.0.1 for programs on it, 0.0.0.0 for laptops, too"
HOST_NAME = 'names in quotes without port, such as "gateway.example.org"'
PEM = "the absolute path of a PEM file, in quotes"

_MAX_TEXT = 200

_is_host_name = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*").fullmatch


def is_loopback(host: str) -> bool:
    """Whether `host` can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _base_url(url: str, secure: str, plain: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises where it is not a number
    except ValueError:
        raise ValueError(f"a URL such as {secure}://example.org/") from None
    if "@" in parts.netloc:
        raise ValueError("no user name or password in it")
    if not host or parts.query or parts.fragment:
        raise ValueError(f"a URL such as {secure}://example.org/, without ? and #")
    if parts.scheme != secure and not (parts.scheme == plain and is_loopback(host)):
        raise ValueError(f"{secure}://…, or a loopback host for {plain}://")
    return url if url.endswith("/") else url + "/"


def _listening_host(host: str) -> str:
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(HOST) from None
    return host


def _host_name(name: str) -> str:
    if not _is_host_name(name):
        raise ValueError(HOST_NAME)
    return name.lower()


def _short(text: str) -> str:
    if len(text) > _MAX_TEXT:
        raise ValueError(f"at most {_MAX_TEXT} characters")
    return text


def _absolute_folder(path: Path) -> Path:
    # Only "~/": the home folder of a user that does not exist has no place.
    path = path.expanduser() if path.parts[:1] == ("~",) else path
    if not path.is_absolute():
        raise ValueError(FOLDER)
    return path


def _tracker_pattern(text: str) -> str:
    before, tracker, after = text.partition("{tracker}")
    is_clear = (
        tracker and not before.endswith("*") and not after.startswith("*") and not set("{}") & set(before + after)
    )
    if not is_clear or "" in text.split("/") or len(text) > _MAX_TEXT:
        raise ValueError(TRACKER_PATTERN)
    return text


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(PEM)
    return path


HttpUrl = Annotated[str, AfterValidator(lambda url: _base_url(url, "https", "http"))]
WebsocketUrl = Annotated[str, AfterValidator(lambda url: _base_url(url, "wss", "ws"))]
ListeningHost = Annotated[str, AfterValidator(_listening_host)]
HostName = Annotated[str, AfterValidator(_host_name)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_short)]
Folder = Annotated[Path, Field(strict=False), AfterValidator(_absolute_folder)]
PemFile = Annotated[Path, Field(strict=False), AfterValidator(_absolute)]
TrackerPattern = Annotated[str, AfterValidator(_tracker_pattern)]

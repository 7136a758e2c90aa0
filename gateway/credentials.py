"""The two secrets of the cloud account, found where secrets may be: never in the configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.mistakes import ConfigError, Mistake
from gateway.secret import Secret

SECRETS = {"password": "INSIDERS_PASSWORD", "client_secret": "INSIDERS_CLIENT_SECRET"}
"""What each is called outside of this program, by its name in here."""


class CredentialsError(ConfigError):
    """A secret is in neither of the two places where it may be."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The two secrets of the cloud account; `repr` and `str` show asterisks."""

    password: Secret
    client_secret: Secret


def load_credentials(environ: Mapping[str, str]) -> Credentials:
    """Find the two secrets: an environment variable, else a file of its name in ``$CREDENTIALS_DIRECTORY``.

    Raises:
        CredentialsError: If one is missing, empty or unreadable; it names both places.
    """
    found = {name: _secret(variable, environ) for name, variable in SECRETS.items()}
    missing = tuple(
        Mistake(variable, "nothing", "the environment variable or a file of this name in $CREDENTIALS_DIRECTORY")
        for name, variable in SECRETS.items()
        if not found[name]
    )
    if missing:
        raise CredentialsError(missing)
    return Credentials(**{name: Secret(value) for name, value in found.items()})


def _secret(variable: str, environ: Mapping[str, str]) -> str:
    if environ.get(variable):
        return environ[variable]
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return ""
    try:
        return (Path(folder) / variable).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return ""

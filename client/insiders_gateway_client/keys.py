"""What lets us in, kept per gateway in a file that only its owner can read."""

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from insiders_gateway_client.address import Address, parse
from insiders_gateway_client.errors import GatewayError

TOKEN_VARIABLE = "INSIDERS_GATEWAY_TOKEN"  # noqa: S105 - its name is no secret
"""Environment variable of a token that is shown instead of the one that is kept."""

_READABLE_BY_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Key:
    """What one gateway has given us.

    Attributes:
        token: Lets us in.
        authority: PEM of the authority that its certificate is of; None for those that this machine trusts.
    """

    token: str | None = field(default=None, repr=False)
    authority: str | None = field(default=None, repr=False)


def usual_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where keys are kept."""
    config = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "insiders-gateway" / "gateways.json"


class Keys:
    """The file of keys.

    Everything raises `GatewayError` if it cannot be read or written.
    """

    def __init__(self, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        """Open nothing yet.

        Args:
            file: Where they are; None for the usual place.
            environ: Where a token may stand instead.
        """
        self._file = usual_file(environ) if file is None else file
        self._given = environ.get(TOKEN_VARIABLE) or None

    def of(self, address: Address) -> Key:
        """What there is for a gateway. On a local socket nothing is shown: whoever may open it is let in."""
        if address.socket is not None:
            return Key()
        kept = self.kept(address)
        return Key(self._given or kept.token, kept.authority)

    def kept(self, address: Address) -> Key:
        """What is kept for a gateway, whatever else may be shown to it."""
        kept = self._read().get(str(address), {})
        return Key(kept.get("token"), kept.get("authority"))

    def others(self, address: Address) -> list[Address]:
        """The other gateways that something is kept for: one of them may be meant."""
        return [] if address.socket is not None else [parse(text) for text in self._read() if text != str(address)]

    def keep(self, address: Address, key: Key) -> None:
        """Keep what a gateway has given us, instead of what it gave before."""
        self._write({**self._read(), str(address): {"token": key.token, "authority": key.authority}})

    def forget(self, address: Address) -> None:
        """Keep nothing of a gateway any more."""
        kept = self._read()
        if kept.pop(str(address), None) is not None:
            self._write(kept)

    def _read(self) -> dict[str, dict[str, str | None]]:
        try:
            with self._file.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & _READABLE_BY_OTHERS:
                    raise GatewayError(f"{self._file} can be read by others: chmod 600 {self._file}")
                kept = json.load(file)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise GatewayError(f"{self._file} cannot be read ({error.strerror}): see who owns it") from None
        except ValueError:
            kept = None
        if not isinstance(kept, dict) or not all(isinstance(entry, dict) for entry in kept.values()):
            raise GatewayError(f"{self._file} is damaged: delete it, and join the gateways again")
        return kept

    def _write(self, kept: Mapping[str, Mapping[str, str | None]]) -> None:
        """Replace the file as a whole, so that it is never half written, and never readable by others."""
        folder = self._file.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=folder, prefix=f".{self._file.name}.")  # 0600
            try:
                with os.fdopen(number, "w", encoding="utf-8") as file:
                    json.dump(kept, file, indent=1)
                Path(name).replace(self._file)
            except BaseException:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            raise GatewayError(
                f"{self._file} cannot be written ({error.strerror}): make room, or see who owns it"
            ) from None

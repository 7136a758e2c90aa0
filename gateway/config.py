"""TOML -> frozen, validated settings, and every mistake of a file at once.

A field's `description` says what is allowed there and is what a person reads after a mistake, so that a rule and its
explanation cannot drift apart. Secrets never stand in the file; `gateway.credentials` finds them elsewhere.
"""

import os
import platform
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.cloud.endpoints import ENDPOINTS, override
from gateway.config_values import (
    FOLDER,
    HOST,
    HOST_NAME,
    PEM,
    TRACKER_PATTERN,
    Folder,
    HostName,
    HttpUrl,
    ListeningHost,
    PemFile,
    Text,
    TrackerPattern,
    WebsocketUrl,
    is_loopback,
)
from gateway.credentials import SECRETS
from gateway.mistakes import ConfigError, Mistake, as_written, describe, mistakes_of, nearest, shown
from insiders_codecs.address import normal_form
from insiders_codecs.errors import DecodeError

__all__ = [
    "EXIT_CONFIG",
    "AccessSettings",
    "BluetoothSettings",
    "CloudSettings",
    "ConfigError",
    "GatewaySettings",
    "LiveSettings",
    "Mistake",
    "PairingSettings",
    "RecordingsSettings",
    "SensorSettings",
    "Settings",
    "TelemetrySettings",
    "TrackerSettings",
    "describe",
    "is_loopback",
    "load",
]

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h; the systemd unit does not restart after it, because only a person can mend the file."""


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, str_strip_whitespace=True, hide_input_in_errors=True
    )


def _default_state_dir() -> Path:
    # systemd lists every StateDirectory= of the unit here, separated by colons; ours has one.
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else Path.home() / ".local/state/insiders-gateway"


class GatewaySettings(_Section):
    """``[gateway]``: this machine."""

    site: Text = Field(
        default_factory=lambda: platform.node() or "gateway",
        description="the name of the place, as people shall read it, in quotes",
    )
    state_dir: Folder = Field(default_factory=_default_state_dir, description=FOLDER)


class CloudSettings(_Section):
    """``[cloud]``: where the Insiders cloud is and who we are there."""

    api_url: HttpUrl = Field(default="https://api.insiders.live/v1/", description="an https:// URL in quotes")
    websocket_url: WebsocketUrl = Field(default="wss://api.insiders.live/v1/ws/", description="a wss:// URL in quotes")
    token_url: HttpUrl = Field(default="https://account.insiders.live/", description="an https:// URL in quotes")
    username: Text = Field(description="the user name of the cloud account, in quotes")
    client_id: Text = Field(description="the OAuth2 client id the vendor gave you, in quotes")
    paths: dict[str, str] = Field(default={}, description='lines such as devices = "devices/"')

    @field_validator("paths", mode="before")
    @classmethod
    def _overrides(cls, paths: object) -> object:
        if isinstance(paths, dict):
            mistakes = tuple(_path_mistakes(paths))
            if mistakes:
                raise ConfigError(mistakes)
        return paths


class TelemetrySettings(_Section):
    """``[telemetry]``: where live data come from, and how much of the past is kept in memory."""

    source: Literal["auto", "poll", "websocket"] = Field(
        default="auto", description='"auto", "poll" or "websocket", in quotes'
    )
    # Two hours of thirty trackers are 70 MB, and twice that for a while after a repair of all of it.
    ring_minutes: int = Field(default=30, ge=1, le=120, description="whole minutes from 1 to 120")
    refill_minutes: int = Field(default=30, ge=0, le=120, description="whole minutes from 0 (nothing) to 120")


class BluetoothSettings(_Section):
    """``[bluetooth]``: the radio that hears straps and power meters."""

    enabled: bool = Field(default=True, description="true or false, without quotes")
    adapter: str | None = Field(
        default=None,
        pattern=r"^hci(0|[1-9][0-9]{0,2})$",
        description='the name of an adapter in quotes, such as "hci0"',
    )


class PairingSettings(_Section):
    """``[pairing]``: how the trackers are made to listen to the right sensors."""

    mode: Literal["observe", "propose", "enforce"] = Field(
        default="propose", description='"observe", "propose" or "enforce", in quotes'
    )
    clear_form: Literal["null", "empty_object", "empty_strings"] = Field(
        default="null", description='"null", "empty_object" or "empty_strings", in quotes'
    )


class RecordingsSettings(_Section):
    """``[recordings]``: .asi files on their way into the cloud."""

    inbox: Folder | None = Field(default=None, description=FOLDER)
    tracker_pattern: TrackerPattern | None = Field(default=None, description=TRACKER_PATTERN)
    max_file_mb: int = Field(default=1024, ge=1, le=2000, description="whole megabytes from 1 to 2000")
    spool_max_mb: int = Field(default=8192, ge=1, le=1_000_000, description="whole megabytes from 1 to 1000000")
    keep_days: int = Field(default=7, ge=0, le=30, description="whole days from 0 to 30")
    max_kbit_per_s: int | None = Field(default=None, ge=64, le=1_000_000, description="a whole number, 64 or more")
    lookup: bool = Field(default=False, description="true or false, without quotes")


class LiveSettings(_Section):
    """``[live]``: where laptops connect."""

    host: ListeningHost = Field(default="127.0.0.1", description=HOST)
    port: int = Field(default=8770, ge=0, le=65535, description="a whole number from 0 (any free port) to 65535")
    names: Annotated[tuple[HostName, ...], Field(strict=False)] = Field(default=(), description=HOST_NAME)
    certificate: PemFile | None = Field(default=None, description=PEM)
    private_key: PemFile | None = Field(default=None, description=PEM)

    @property
    def elsewhere(self) -> tuple[Path, Path] | None:
        """Certificate and private key that somebody else looks after."""
        if self.certificate is None or self.private_key is None:
            return None
        return self.certificate, self.private_key


class AccessSettings(_Section):
    """``[access]``: who is let in, and who is shown."""

    open_on_loopback: bool = Field(default=False, description="true or false, without quotes")
    require_release: bool = Field(default=True, description="true or false, without quotes")


class SensorSettings(_Section):
    """One strap or power meter.

    Attributes:
        address: Lower case with colons.
        name: As it advertises itself.
    """

    address: str
    name: Text


_SENSOR = '"none", or { address = "a0:9e:1a:12:34:56", name = "Polar H10 1A2B3C4D" }'


class TrackerSettings(_Section):
    """One ``[[trackers]]``: a tracker, who wears it, and which sensors it listens to."""

    serial_number: Text = Field(description="the serial number on the tracker's label, in quotes")
    device_name: Text | None = Field(default=None, description="the device name on the tracker's label, in quotes")
    athlete: Text | None = Field(default=None, description="the name of who wears it, in quotes")
    number: int | None = Field(default=None, ge=0, le=9999, description="a whole number from 0 to 9999, without quotes")
    squads: Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        default=(), description='names in quotes, such as ["First team", "U19"]'
    )
    heart_rate_sensor: SensorSettings | Literal["none"] | None = Field(default=None, description=_SENSOR)
    power_meter: SensorSettings | Literal["none"] | None = Field(default=None, description=_SENSOR)

    @field_validator("serial_number", "number")
    @classmethod
    def _own(cls, value: str | int | None, info: ValidationInfo) -> str | int | None:
        # `load` hands in what the trackers before this one have used.
        if value is not None and isinstance(info.context, dict):
            seen = info.context.setdefault(info.field_name, set())
            if value in seen:
                raise ValueError("one that no other tracker has")
            seen.add(value)
        return value

    @field_validator("heart_rate_sensor", "power_meter", mode="before")
    @classmethod
    def _sensor(cls, value: object, info: ValidationInfo) -> object:
        # Not left to the union, whose mistakes nobody understands.
        if value is None or value == "none" or isinstance(value, SensorSettings):
            return value
        if not isinstance(value, dict) or value.keys() != {"address", "name"}:
            raise ValueError(_SENSOR)
        try:
            sensor = SensorSettings.model_validate(value)
            address = normal_form(sensor.address)
        except ValidationError:
            raise ValueError("address and name as texts in quotes, the name not empty") from None
        except DecodeError:
            raise ValueError('an address of six octets such as "a0:9e:1a:12:34:56"') from None
        if isinstance(info.context, dict):
            seen = info.context.setdefault("sensors", set())
            if address in seen:
                raise ValueError("a sensor that no other tracker has")
            seen.add(address)
        return sensor.model_copy(update={"address": address})


class Settings(_Section):
    """The whole file."""

    gateway: GatewaySettings = Field(default_factory=GatewaySettings, description="a section [gateway]")
    cloud: CloudSettings = Field(description="a section [cloud]")
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings, description="a section [telemetry]")
    bluetooth: BluetoothSettings = Field(default_factory=BluetoothSettings, description="a section [bluetooth]")
    pairing: PairingSettings = Field(default_factory=PairingSettings, description="a section [pairing]")
    recordings: RecordingsSettings = Field(default_factory=RecordingsSettings, description="a section [recordings]")
    live: LiveSettings = Field(default_factory=LiveSettings, description="a section [live]")
    access: AccessSettings = Field(default_factory=AccessSettings, description="a section [access]")
    trackers: Annotated[tuple[TrackerSettings, ...], Field(strict=False)] = Field(
        default=(), description="sections [[trackers]], with double brackets"
    )

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if (self.live.certificate is None) != (self.live.private_key is None):
            missing = "certificate" if self.live.certificate is None else "private_key"
            raise ConfigError((Mistake(f"live.{missing}", "nothing", f"{PEM}: certificate and private_key together"),))
        return self

    @model_validator(mode="after")
    def _inbox_apart(self) -> Self:
        # What has been taken over would be found there, and taken over again.
        if self.recordings.inbox is not None:
            own = Path(os.path.realpath(self.gateway.state_dir / "recordings"))
            inbox = Path(os.path.realpath(self.recordings.inbox))
            if inbox.is_relative_to(own) or own.is_relative_to(inbox):
                found = shown(str(self.recordings.inbox))
                allowed = f"a folder neither above nor in {own}, where the gateway keeps what it has taken over"
                raise ConfigError((Mistake("recordings.inbox", found, allowed),))
        return self


def load(path: Path) -> Settings:
    """Read and check a configuration file.

    Raises:
        ConfigError: With every mistake of the file; where it cannot be read or is no TOML, with that one.
    """
    # An empty [cloud] stands for a missing one, so that the missing keys are named and not only the section.
    raw = {"cloud": {}, **_read(path)}
    try:
        return Settings.model_validate(raw, context={})
    except ValidationError as error:
        raise ConfigError(mistakes_of(error, Settings, SECRETS)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        # Editors on Windows put a byte order mark first, which TOML does not know.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        mistake = Mistake(str(path), "no such file", "a copy of config.example.toml there, or another --config")
    except OSError as error:
        mistake = Mistake(str(path), f"an error ({error.strerror})", "a file this user can read")
    except UnicodeDecodeError as error:
        mistake = Mistake(str(path), f"a byte that is no UTF-8 at offset {error.start}", "UTF-8 text")
    except RecursionError:
        mistake = Mistake(str(path), "brackets nested without end", "TOML")
    except tomllib.TOMLDecodeError as error:
        mistake = Mistake(str(path), _syntax(str(error)), 'TOML such as key = "value"')
    raise ConfigError((mistake,))


def _syntax(text: str) -> str:
    """`tomllib`'s message without what it quotes from the file, which may be part of a secret."""
    place = re.search(r"\((at [^()]+)\)$", text)
    what = "a key that stands twice" if text.startswith("Cannot overwrite a value") else "a syntax error"
    return f"{what} {place.group(1)}" if place else what


def _path_mistakes(paths: Mapping[str, object]) -> Iterator[Mistake]:
    for name, text in paths.items():
        key = f"cloud.paths.{as_written(name)}"
        if name not in ENDPOINTS:
            yield Mistake(key, "an unknown operation", nearest(name, ENDPOINTS))
        elif not isinstance(text, str):
            yield Mistake(key, shown(text, key), '"path/" or "METHOD path/"')
        else:
            try:
                override(name, text)
            except ValueError as error:
                yield Mistake(key, shown(text, key), f'"path/" or "METHOD path/": {error}')

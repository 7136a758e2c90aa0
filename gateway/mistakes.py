"""What is wrong with a configuration, as the person who wrote it reads it."""

import json
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_SHOWN_CHARACTERS = 40

_WITH_URLS = "cloud"
"""The section of addresses, which may carry a secret."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to mend.

    Attributes:
        key: The key as it reads in the file, ``trackers[2].number``; the first ``[[trackers]]`` is number 1.
        found: What stands there, never a secret.
        allowed: What may stand there.
    """

    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.key}: found {self.found}, expected {self.allowed}"


class ConfigError(ValueError):
    """The configuration cannot be used; `mistakes` holds everything that is wrong with it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        return describe(self)


def describe(error: ConfigError) -> str:
    """One line per mistake: key, what was found, what is expected."""
    return "\n".join(str(mistake) for mistake in error.mistakes)


def mistakes_of(error: ValidationError, root: type[BaseModel], secrets: Mapping[str, str]) -> Iterator[Mistake]:
    """Put pydantic's errors into the file's own terms.

    Args:
        error: What validating the parsed file as `root` has raised. A validator may itself raise `ConfigError`, whose
            mistakes are taken as they are.
        root: The model of the whole file; what is allowed is said by the `description` of its fields.
        secrets: Key that someone may write into the file although it is secret -> where it belongs instead.
    """
    for details in error.errors():
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            yield from cause.mistakes
        else:
            yield _mistake(details, cause, root, secrets)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, else all of them."""
    known = list(known)
    near = get_close_matches(name, known, n=1)
    return near[0] if near else f"one of {', '.join(known)}"


def as_written(name: str) -> str:
    """A key as TOML wants it: bare where it can be, else quoted."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def shown(value: object, key: str = "") -> str:
    """A value as it reads in TOML, on one line and cut short, without what a URL may carry of secrets.

    Args:
        value: Any.
        key: Where in the configuration it stands, if it does.
    """
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list"
    if not isinstance(value, bool | str):
        return str(value)[:_SHOWN_CHARACTERS]
    if isinstance(value, str) and key.partition(".")[0] == _WITH_URLS and re.search("[@?#]", value):
        return "a text with @, ? or # in it"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 2] + '…"'


def _mistake(
    details: ErrorDetails, cause: Exception | None, root: type[BaseModel], secrets: Mapping[str, str]
) -> Mistake:
    section, name, allowed = root, "", "a TOML table"
    key = ""
    for part in details["loc"]:
        if isinstance(part, int):
            key += f"[{part + 1}]"
            continue
        section = (_section_of(section, name) or section) if name else section
        name = part
        key += f".{as_written(part)}" if key else as_written(part)
        if name in section.model_fields:
            allowed = section.model_fields[name].description or allowed
    if details["type"] == "extra_forbidden":
        return _unknown(key, name, section, root, secrets)
    if details["type"] == "missing":
        return Mistake(key, "nothing", allowed)
    return Mistake(key, shown(details["input"], key), str(cause) if cause else allowed)


def _section_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The section that a field holds, or whose repetitions it holds."""
    annotation = model.model_fields[name].annotation
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _unknown(
    key: str, name: str, section: type[BaseModel], root: type[BaseModel], secrets: Mapping[str, str]
) -> Mistake:
    for secret, place in secrets.items():
        if name.lower() in {secret, place.lower()}:
            return Mistake(key, "a secret", f"it in {place}, a variable or a file in $CREDENTIALS_DIRECTORY")
    for home in root.model_fields:
        model = _section_of(root, home)
        if model is not None and model is not section and name in model.model_fields:
            return Mistake(key, "an unknown key", f"{home}.{name}")
    return Mistake(key, "an unknown key", nearest(name, section.model_fields))

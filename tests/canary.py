"""The canary of the whole run: what is logged and refused while tests run is kept, and searched when they are over.

Kept are log records of every logger at every level that a test switches on, as our formatters tell them; what Python
programs that tests start write to stderr; and what the live server answers to whom it refuses, over HTTP and on a
websocket, with its counters. Searched for are every `Secret` that was made, tokens, names of the athletes of fixtures
and demo, their coordinates and heart rates. One hit fails the run, and says what kind of value it was, in which test
and where, without the value.
"""

import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from aiohttp import WSMsgType, web
from hypothesis import currently_in_test_context

from gateway.live.stream.wire import Wire
from gateway.log import told
from gateway.secret import MASK, Secret
from insiders_codecs.live import Codec, decode

_SITE = Path(__file__).parent / "canary_site"
_SHORTEST_SECRET = 12  # a shorter one may be a word

# The athletes of the demo, and those of fixtures.
_NAMES = (
    "Abebe|Ada|Aydin|Baumann|Bea|Bob|Castillo|Cleo|Dana|Dijk|Duarte|Elif|Fay|Gwen|Haddad|Hana|Ines|Jimenez|Jule|Keane|"
    "Kira|Kowalski|Lena|Lindqvist|Lombardi|Lovelace|Marchetti|Miller|Mina|Nora|Novak|Nyberg|O'Brien|Okafor|Orla|Petrov|"
    "Pia|Quinn|Rosa|Sara|Sorensen|Tanaka|Tess"
)

_KINDS = {
    "a token": re.compile(r"igw_[\w-]{20,}|\bBearer\s+[\w.~+/-]{8,}"),
    "a name": re.compile(rf"(?<!\w)(?:{_NAMES})(?!\w)"),
    # Around the pitch and the loop of the simulator, in degrees and in units of 1e-7 degrees.
    "a coordinate": re.compile(
        r"(?<![\d.])(?:44\.9|45\.[01]|29\.9|30\.[01])\d{3,}|(?<!\d)(?:449|45[01]|299|30[01])\d{6}(?!\d)"
    ),
    "a heart rate": re.compile(r"heart.?rate\W{1,4}\d|\bhr\W{1,3}\d|\d ?bpm\b", re.IGNORECASE),
}

_REFUSAL = re.compile(rb"error|bye")
_OP_WITHIN = 16
"""Bytes of a message, in which its `op` stands: rows, of which there are many more, need not be decoded."""

_FOR_PEOPLE = re.compile(
    r"stderr of .*(?:-m gateway|insiders-gateway) (?:access|gaps|pair|recordings|release|scan|tls|trackers|watch)\b"
    r"|the answer 409 "
)
"""Whoever types a command, or asks for what stands in the way of something, is told of athletes by their names."""

_SOURCE_LINE = re.compile(r'(?m)^(\W*File ".*)\n(?: {4,}| +\| +).*$')
"""A traceback shows the line of the program; that of a test may well hold a name."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A value where it may not be; `line` has asterisks instead."""

    kind: str
    test: str
    place: str
    line: str


class Canary:
    """Keeps and searches.

    Attributes:
        hits: What was found when the run was over.
    """

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self._folder = tempfile.TemporaryDirectory(prefix="canary-", ignore_cleanup_errors=True)
        self._file = (Path(self._folder.name) / "kept").open("w", encoding="utf-8", errors="backslashreplace")
        self._known: set[int] = set()
        self._secrets: set[str] = set()
        self._hooks = ExitStack()

    def pytest_configure(self) -> None:
        """Listen."""
        made, make = logging.getLogRecordFactory(), self._record
        logging.setLogRecordFactory(lambda *about, **more: make(made(*about, **more)))
        self._hooks.callback(logging.setLogRecordFactory, made)
        for owner, name, hook in (
            (Secret, "__init__", self._secret),
            (subprocess.Popen, "__init__", self._started),
            (web.Response, "prepare", self._answered),
            (Wire, "send", self._sent),
        ):
            self._hooks.enter_context(mock.patch.object(owner, name, hook(getattr(owner, name))))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Search."""
        self._hooks.close()
        self._file.close()
        first: dict[tuple[str, str, str], Hit] = {}
        for hit in self._searched():
            first.setdefault((hit.kind, hit.place, hit.line), hit)
        self.hits = list(first.values())
        if self.hits:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found."""
        if self.hits:
            terminalreporter.section("what may not be shown was shown", red=True)
        for hit in self.hits:
            terminalreporter.line(f"CANARY {hit.kind} in {hit.place}, first in {hit.test}: {hit.line}")

    def pytest_unconfigure(self) -> None:
        """Leave nothing."""
        self._folder.cleanup()

    def keep(self, place: str, text: str) -> None:
        """Keep what somebody could read."""
        key = hash((place, text))
        if key not in self._known:
            self._known.add(key)
            test = os.environ.get("PYTEST_CURRENT_TEST", "between tests")
            self._file.write(f"{test}\x1f{place}\x1f{text}\x1e")

    def _record(self, record: logging.LogRecord) -> logging.LogRecord:
        self.keep(f"the log of {record.name}", told(record))
        return record

    def _secret(self, original: Any) -> Any:
        def init(secret: Secret, text: str) -> None:
            original(secret, text)
            # Hypothesis also draws texts that it finds in our sources.
            if len(text) >= _SHORTEST_SECRET and not currently_in_test_context():
                self._secrets.add(text)

        return init

    def _started(self, original: Any) -> Any:
        def init(process: Any, *arguments: Any, env: Any = None, **more: Any) -> None:
            env = dict(os.environ if env is None else env)
            path = [str(_SITE), *filter(None, [env.get("PYTHONPATH")])]
            original(
                process,
                *arguments,
                env=env | {"PYTHONPATH": os.pathsep.join(path), "INSIDERS_CANARY": self._folder.name},
                **more,
            )

        return init

    def _answered(self, original: Any) -> Any:
        async def prepare(response: web.Response, request: web.BaseRequest) -> Any:
            is_ours = type(request.protocol).__module__.startswith("gateway.")
            if is_ours and (response.status >= 400 or request.path.endswith("/counters")):
                body = response.body if isinstance(response.body, bytes) else b""
                place = f"the answer {response.status} to {request.method} {request.path}"
                self.keep(place, body.decode("utf-8", "replace"))
            return await original(response, request)

        return prepare

    def _sent(self, original: Any) -> Any:
        def send(wire: Wire, now_s: float, *parts: bytes) -> None:
            op = _REFUSAL.search(parts[0][:_OP_WITHIN])
            if op is not None:
                message = decode(b"".join(parts), Codec.JSON if wire._kind is WSMsgType.TEXT else Codec.MSGPACK)
                self.keep(f"the {op[0].decode()} on a websocket", message["text"])
            original(wire, now_s, *parts)

        return send

    def _kept(self) -> Iterator[tuple[str, str, str]]:
        """Test, place and text."""
        for part in Path(self._file.name).read_text(encoding="utf-8").split("\x1e")[:-1]:
            test, place, text = part.split("\x1f", 2)
            yield test, place, text
        for file in Path(self._folder.name).glob("*.stderr"):
            test, command, text = file.read_text(encoding="utf-8").split("\n", 2)
            yield test, f"stderr of {command[:120]}", text

    def _searched(self) -> Iterator[Hit]:
        secrets = _Secrets(self._secrets)
        for test, place, text in self._kept():
            is_for_people = _FOR_PEOPLE.search(place) is not None
            for line in _SOURCE_LINE.sub(r"\1", text).splitlines():
                found = {kind for kind, form in _KINDS.items() if form.search(line)}
                if is_for_people:
                    found.discard("a name")
                if secrets.within(line):
                    found.add("a secret")
                for kind in sorted(found):
                    yield Hit(kind, test, _masked(place, secrets), _masked(line, secrets)[:300])


class _Secrets:
    """Thousands of texts that are looked for at once, by their first letters."""

    def __init__(self, secrets: set[str]) -> None:
        self._by_start: dict[str, list[str]] = {}
        for secret in secrets:
            self._by_start.setdefault(secret[:_SHORTEST_SECRET], []).append(secret)

    def within(self, line: str) -> list[str]:
        """Those that stand in a line."""
        return [
            secret
            for at in range(len(line) - _SHORTEST_SECRET + 1)
            for secret in self._by_start.get(line[at : at + _SHORTEST_SECRET], ())
            if line.startswith(secret, at)
        ]


def _masked(line: str, secrets: _Secrets) -> str:
    for value in secrets.within(line):
        line = line.replace(value, MASK)
    for form in _KINDS.values():
        line = form.sub(MASK, line)
    return line

"""The witness of the whole run: whatever live servers say while tests run has to stand in the documents.

Each message of a websocket and each answer over HTTP is held against the forms of which docs/asyncapi.json and
docs/openapi.json are made. A field, word, status or code too much, or too little, fails the run.
"""

import os
from collections.abc import Hashable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import pytest
from aiohttp import WSMsgType, web

from gateway.live.stream.wire import Wire
from insiders_codecs.live import Codec, decode
from tests.description.conformance import faults_of_answer, faults_of_message

_MADE_UP = ("tests/live/", "tests/recordings/")
"""Where the features behind the server are stand-ins, which answer whatever a test is about."""

_BEHIND = ("/api/v1/sensors", "/api/v1/pairings", "/api/v1/recordings")


class Witness:
    """Listens.

    Attributes:
        faults: What was said and stands in no document, and the first test in which it was.
    """

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        self._hooks = ExitStack()
        self._known: set[int] = set()

    def pytest_configure(self) -> None:
        """Listen."""
        for owner, name, hook in ((Wire, "send", self._sent), (web.Response, "prepare", self._answered)):
            self._hooks.enter_context(mock.patch.object(owner, name, hook(getattr(owner, name))))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge."""
        self._hooks.close()
        if self.faults:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found."""
        if self.faults:
            terminalreporter.section("what was said stands in no document: see the package description", red=True)
        for fault, test in self.faults.items():
            terminalreporter.line(f"WITNESS {fault}, first in {test}")

    def _sent(self, original: Any) -> Any:
        def send(wire: Wire, now_s: float, *parts: bytes) -> None:
            codec = Codec.JSON if wire._kind is WSMsgType.TEXT else Codec.MSGPACK
            message = decode(b"".join(parts), codec)
            shape = hash((codec, _shape(message)))
            if shape not in self._known:  # samples have the same one thousands of times
                self._known.add(shape)
                self._note(faults_of_message(message, codec))
            original(wire, now_s, *parts)

        return send

    def _answered(self, original: Any) -> Any:
        async def prepare(response: web.Response, request: web.BaseRequest) -> Any:
            # What port 80 gets, which sends browsers on, are no requests of an application.
            is_ours = type(request.protocol).__module__.startswith("gateway.live.") and isinstance(request, web.Request)
            if is_ours and not (request.path.startswith(_BEHIND) and _test().startswith(_MADE_UP)):
                body = response.body if isinstance(response.body, bytes) else b""
                told = faults_of_answer(request.method, request.path, response.status, response.content_type, body)
                self._note(told)
            return await original(response, request)

        return prepare

    def _note(self, faults: list[str]) -> None:
        for fault in faults:
            self.faults.setdefault(fault, _test())


def _shape(value: Any) -> Hashable:
    """The same for values that have a form or have not in the same way: whatever their numbers are."""
    if isinstance(value, dict):
        return tuple((name, _shape(it)) for name, it in value.items())
    if isinstance(value, list):
        kinds = set(map(type, value))
        return frozenset(map(_shape, value)) if kinds & {dict, list, str} else frozenset(kinds)
    return value if isinstance(value, str) else hash(type(value))


def _test() -> str:
    return os.environ.get("PYTEST_CURRENT_TEST", "between tests")

"""Logging: what a terminal and the journal receive, and that no line says more than it may."""

import ast
import logging
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.log import FIELDS, told

ROOT = Path(__file__).parent.parent

SAY = """
import logging, os, sys
if "--journal" in sys.argv:
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
from gateway import log
log.configure(verbose="--verbose" in sys.argv, is_daemon="--person" not in sys.argv)
log.configure(verbose="--verbose" in sys.argv, is_daemon="--person" not in sys.argv)
ours, theirs = logging.getLogger("gateway.x"), logging.getLogger("aiohttp")
for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
    ours.log(level, "%(state)s", {"state": logging.getLevelName(level).lower()})
    theirs.log(level, logging.getLevelName(level).lower() + " of %s", "somebody")
try:
    raise ValueError("cause")
except ValueError:
    ours.exception("two\\nlines")
ours.critical("end")
"""


def said(*arguments: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", SAY, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert result.stdout == ""
    return result.stderr.splitlines()


def test_the_journal_gets_a_priority_before_every_line() -> None:
    lines = said("--journal", "--verbose")
    assert lines[:6] == [
        "<7>gateway.x: debug",
        "<6>gateway.x: info",
        "<4>gateway.x: warning",
        "<4>aiohttp: warning of *** (<string>:12)",
        "<3>gateway.x: error",
        "<3>aiohttp: error of *** (<string>:12)",
    ]
    assert lines[6:8] == ["<3>gateway.x: two", "<3>lines"]
    assert all(line.startswith("<3>") for line in lines[6:-1])
    assert lines[-1] == "<2>gateway.x: end"


def test_a_terminal_gets_times_and_levels() -> None:
    assert said()[0].endswith("INFO    gateway.x: info")
    assert not any(line.startswith("<") for line in said())


def test_quiet_leaves_out_debug() -> None:
    assert not any("debug" in line for line in said())


def test_libraries_never_say_more_than_warnings() -> None:
    assert [line.split()[3] for line in said("--verbose") if "aiohttp" in line] == ["warning", "error"]


def test_a_terminal_that_inherited_the_journal_is_still_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert not any(line.startswith("<") for line in said())


def test_a_person_at_a_terminal_is_told_of_trouble_only() -> None:
    assert [line.split(": ")[1].split()[0] for line in said("--person")[:4]] == ["warning", "warning", "error", "error"]


SECRETIVE = """
import logging, threading
from gateway import log
log.configure(verbose=True)
bleak, asyncio, ours = (logging.getLogger(name) for name in ("bleak", "asyncio", "gateway.bluetooth.sightings"))
class Lost:
    def __del__(self):
        fail()
def fail():
    raise LookupError("Bob Miller")
lost = threading.Thread(target=fail, name="Bob Miller")
lost.start()
lost.join()
Lost()
bleak.warning("not told")
bleak.error("Failed to cancel connection (%s): %s", "/org/bluez/hci0/dev_A0_9E_1A_00_11_22/service0010", "why")
bleak.error("a0:9e:1a:00:11:22, A0-9E-1A-00-11-22; " + "and more")
asyncio.error("Task exception was never retrieved\\nfuture: <Task exception=ValueError('Bob Miller')>")
try:
    try:
        raise KeyError("sensor-a09e1a001122")
    except KeyError as error:
        raise ExceptionGroup("Bob Miller's", [ValueError("Bob Miller"), OSError(28, "no room", "/Bob.asi")]) from error
except ExceptionGroup as group:
    group.add_note("Bob Miller's iPhone")
    ours.exception("a surprise")
    asyncio.error("Exception in callback <Bob Miller>", exc_info=True)
    raise
"""


def test_of_exceptions_and_libraries_there_is_the_place_and_never_the_words() -> None:
    result = subprocess.run(
        [sys.executable, "-c", SECRETIVE], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert result.returncode == 1
    said = [line.partition("bleak: ")[2] for line in result.stderr.splitlines() if "bleak" in line]
    assert said == ["Failed to cancel connection (***): *** (<string>:16)", "*** (<string>:17)"]
    assert "asyncio: Task exception was never retrieved (<string>:18)\n" in result.stderr
    assert result.stderr.count("\nLookupError\n") == 2
    assert "not told" not in result.stderr, "our own states say it better"
    assert not re.search("Bob|iPhone|a09e|A0.9E|sensor", result.stderr)
    _, *surprises = re.split(
        "a surprise|Exception in callback|What nobody foresaw has ended the program", result.stderr
    )
    assert len(surprises) == 3
    for surprise in surprises:
        places = [line for line in surprise.splitlines() if not line.startswith("  File") and ": " not in line][1:]
        assert places[-8:] == ["KeyError", "which led to", "ExceptionGroup", "  ValueError", "  OSError, ENOSPC"]


FORBIDDEN = [
    ("tracker", "Ada Lindqvist"),
    ("tracker", "Ada"),
    ("tracker", "a09e1a001122"),
    ("tracker", "1\n<2>forged"),
    ("problem", "cloud_failing [Ada]"),
    ("recording", "monday.asi"),
    ("state", "is Bob's"),
    ("parts", "Bob"),
    ("text", "Look at 43.7312345, 7.4123456"),
    ("text", "The token igw_abc does not do"),
    ("text", "Bearer abc"),
    ("text", "dev_A0_9E_1A_00_11_22 does not answer"),
    ("text", "one line\nand another"),
    ("text", "x" * 601),
    ("text", None),
    ("action", b"bytes"),
    ("error", "a text"),
    ("count", 1.5),
    ("count", "1"),
    ("count", True),
    ("host", "a b"),
    ("port", "80"),
    ("state_path", "/var/lib/x"),
    ("state_path", Path("/var/lib/x/monday.asi")),
    ("state_path", Path("/var/lib/x/Bob Miller")),
    ("heart_rate", 61),
    ("name", "x"),
]


@pytest.mark.parametrize(("field", "value"), FORBIDDEN)
def test_a_field_that_is_not_allowed_or_does_not_look_like_it_is_masked(field: str, value: object) -> None:
    assert line_of(f"<%({field})s>", {field: value}) == "<***>"


ALLOWED = [
    ("tracker", "SIM-0001", "SIM-0001"),
    ("tracker", "012345678901", "012345678901"),
    ("problem", "cloud_failing", "cloud_failing"),
    ("problem", "tracker_foreign [SIM-0001]", "tracker_foreign [SIM-0001]"),
    ("recording", "3fa9c1d2", "3fa9c1d2"),
    ("text", "The cloud failed with status 503 on latest_data", "The cloud failed with status 503 on latest_data"),
    ("parts", "feed, problems to board", "feed, problems to board"),
    ("count", 3, "3"),
    ("host", "127.0.0.1", "127.0.0.1"),
    ("host", "::1", "::1"),
    ("state_path", Path("/var/lib/insiders-gateway/state.db"), "/var/lib/insiders-gateway/state.db"),
    ("error", ValueError("Bob"), "ValueError"),
    ("error", OSError(13, "Bob", "Bob.asi"), "PermissionError, EACCES"),
]


@pytest.mark.parametrize(("field", "value", "told"), ALLOWED)
def test_a_field_that_is_allowed_is_told(field: str, value: object, told: str) -> None:
    assert line_of(f"<%({field})s>", {field: value}) == f"<{told}>"


def test_a_database_s_failure_is_named() -> None:
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(sqlite3.Error) as caught:
        connection.execute("select Bob")
    assert line_of("%(error)s", {"error": caught.value}) == "OperationalError, SQLITE_ERROR"


def test_what_fills_places_without_a_name_is_masked() -> None:
    assert line_of("%s and %5.1f, 100 %%", "Ada", 61.0) == "*** and ***, 100 %%"


def test_a_field_that_was_forgotten_is_masked() -> None:
    assert line_of("%(tracker)s %(count)s", {"count": 1}) == "*** 1"


def line_of(template: str, *arguments: object) -> str:
    return told(logging.LogRecord("gateway.x", logging.INFO, __file__, 1, template, arguments, None))


def test_every_log_call_is_a_literal_template_with_allowed_fields() -> None:
    files = sorted((ROOT / "gateway").rglob("*.py"))
    wrong = [f"{file.relative_to(ROOT)}:{line}: {why}" for file in files for line, why in mistakes(file.read_text())]
    assert not wrong, "\n".join(wrong)


CALLS = [
    ('_LOG.info("Tracker %(tracker)s is ours", {"tracker": x})', None),
    ('_LOG.error("Failed", exc_info=error)', None),
    ('_LOG.exception("Failed")', None),
    ('logging.getLogger(__name__).info(f"Hello {name}")', "no literal"),
    ('_LOG.info(f"Hello {name}")', "no literal"),
    ('_LOG.info("Hello " + name)', "no literal"),
    ('_LOG.info("Hello %s", name)', "a place without a name"),
    ('_LOG.info("Hello %s" % name)', "no literal"),
    ('_LOG.log(level, "Hello %(count)d", {"count": 1})', "a place without a name"),
    ('_LOG.log(level, "Hello %(name)s", {"name": 1})', "fields that are not in FIELDS: name"),
    ('_LOG.log(level, "Hello %(count)s", fields)', "fields that are no mapping"),
    ('_LOG.log(level, "Hello %(count)s", {"port": 1})', "fields that do not fit the text"),
    ('_LOG.log(level, "Hello %(count)s", {"count": 1, **more})', "fields that are no mapping"),
    ('_LOG.info("%(text)s", {"text": f"Hello {name}"})', "a value that is composed here"),
    ('_LOG.info("%(text)s", {"text": "Hello " + name})', "a value that is composed here"),
    ('_LOG.info("Hello", extra={"count": 1})', "more than a text, fields and exc_info"),
    ('_LOG.info("Hello %(count)s", {"count": 1}, {"port": 1})', "more than a text, fields and exc_info"),
    ('logging.warning("Hello")', "without a logger of the module"),
    ("info = _LOG.info", "a method of a logger that is not called at once"),
]


@pytest.mark.parametrize(("call", "why"), CALLS)
def test_log_calls_that_could_say_anything_are_found(call: str, why: str | None) -> None:
    assert [found for _, found in mistakes(call)] == ([why] if why else [])


METHODS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"}


def mistakes(source: str) -> Iterator[tuple[int, str]]:
    """Line and reason of log calls that say more than a text of their own and allowed fields."""
    tree = ast.parse(source)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_of_a_logger(node) and id(node) not in called:
            yield node.lineno, "a method of a logger that is not called at once"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_of_a_logger(node.func):
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "logging":
                yield node.lineno, "without a logger of the module"
            elif why := mistake(node, node.func.attr):
                yield node.lineno, why


def is_of_a_logger(node: ast.Attribute) -> bool:
    owner = re.search(r"(?<![a-z])(log|logger|logging)$|getLogger\(.*\)$", ast.unparse(node.value), re.IGNORECASE)
    return node.attr in METHODS and owner is not None


def mistake(call: ast.Call, method: str) -> str:
    match call.args[1:] if method == "log" else call.args:
        case [ast.Constant(value=str(text))]:
            keys: list[str] = []
        case [ast.Constant(value=str(text)), ast.Dict(keys=found, values=values)] if all(
            isinstance(it, ast.Constant) for it in found
        ):
            keys = [str(it.value) for it in found if isinstance(it, ast.Constant)]
            if any(isinstance(value, ast.JoinedStr | ast.BinOp) for value in values):
                return "a value that is composed here"
        case [ast.Constant(value=str(text)), _]:
            return "a place without a name" if "%s" in text else "fields that are no mapping"
        case [ast.Constant(), *_]:
            return "more than a text, fields and exc_info"
        case _:
            return "no literal"
    if call.keywords and [it.arg for it in call.keywords] != ["exc_info"]:
        return "more than a text, fields and exc_info"
    if "%" in re.sub(r"%\(\w+\)s", "", text):
        return "a place without a name"
    if unknown := set(keys) - FIELDS.keys():
        return f"fields that are not in FIELDS: {', '.join(sorted(unknown))}"
    return "" if set(re.findall(r"%\((\w+)\)s", text)) == set(keys) else "fields that do not fit the text"

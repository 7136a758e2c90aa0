"""The only place that configures logging: to stderr, in the form that a terminal or the journal wants.

What a line may carry is a list of fields, each with what its values look like; everything else comes out as asterisks.
Our own calls are a literal template and a mapping of named fields (`FIELDS` says which there are and why). Of other
people's calls the template alone is written, with the place that it stands at, because what fills it may be an address,
a header or a body; and of an exception what it is and where it happened, never what it says: a name, a file or a line
of a cloud's answer may be in that. Libraries stay at WARNING even when verbose.
"""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from errno import errorcode
from pathlib import PurePath
from types import TracebackType

from gateway.secret import MASK

OUR_LOGGERS = ("gateway", "insiders_codecs")

Check = Callable[[object], str | None]
"""The text of a value that a field may have, None of any other."""

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7

_LOG = logging.getLogger(__name__)

# A Bluetooth address: with colons; as in the paths of BlueZ's objects (dev_A0_9E_1A_00_11_22); and bare, as in ids of
# sensors, where there is a letter in it: a number of twelve digits may be a tracker's.
_ADDRESS = (
    r"(?<![0-9a-z])[0-9a-f]{2}([:_-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}(?![0-9a-z])"
    r"|(?<![0-9a-z])(?=[0-9]*[a-f])[0-9a-f]{12}(?![0-9a-z])"
)
_COORDINATE = r"(?<![\d.])\d{1,3}\.\d{4,}(?![\d.])"
_TOKEN = r"igw_|\beyJ|\b(?:Bearer|Basic)\s"  # noqa: S105 - what tokens begin with
_NEVER = re.compile(f"{_ADDRESS}|{_COORDINATE}|{_TOKEN}", re.IGNORECASE)

_LONGEST_SENTENCE = 600


def _number(value: object) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _like(pattern: str) -> Check:
    form = re.compile(pattern, re.ASCII)
    return lambda value: (
        value if isinstance(value, str) and form.fullmatch(value) and not _NEVER.search(value) else None
    )


def _sentence(value: object) -> str | None:
    is_sentence = isinstance(value, str) and len(value) <= _LONGEST_SENTENCE and value.isprintable()
    return str(value) if is_sentence and not _NEVER.search(str(value)) else None


def _state_path(value: object) -> str | None:
    if not isinstance(value, PurePath) or value.suffix.lower() == ".asi":
        return None
    return _like(r"/?(?:[\w.@+-]+/)*[\w.@+-]+")(str(value))


def _error(value: object) -> str | None:
    return _kind(value) if isinstance(value, BaseException) else None


_NUMBERED = r"(?=[^0-9]*[0-9])[0-9A-Za-z][0-9A-Za-z_.-]{0,39}"
_WORDS = r"[a-z][a-z0-9_]{0,59}"

FIELDS: Mapping[str, Check] = {
    # Who and what it is about, by a number that says nothing about a person to whoever has only the log.
    "tracker": _like(_NUMBERED),
    "problem": _like(rf"{_WORDS}(?: \[{_NUMBERED}\])?"),
    "recording": _like(r"[0-9a-f]{6,11}"),
    "grant": _like(r"[0-9a-zA-Z_-]{1,16}"),
    # What has happened, in words that the program has and nobody can type.
    "code": _like(_WORDS),
    "operation": _like(_WORDS),
    "state": _like(r"[A-Za-z][A-Za-z_]{0,39}"),
    "error": _error,
    "parts": _like(r"[a-z][a-z_ -]{0,39}(?:, [a-z][a-z_ -]{0,39})*"),
    # Sentences that our own parts have made for people, out of their own words and of what is allowed here.
    "text": _sentence,
    "action": _sentence,
    # How much.
    "count": _number,
    "status": _number,
    "wait_s": _number,
    "days": _number,
    # Where: the gateway's own addresses and its own files.
    "host": _like(r"[0-9A-Za-z.:\[\]%_-]{1,253}"),
    "port": _number,
    "state_path": _state_path,
    "aside": _state_path,
    "fingerprint": _like(r"[0-9a-f]{64}"),
}
"""The fields that a log line may have."""

_FIELD = re.compile(r"%\((\w+)\)s")
_HOLE = re.compile(r"%(?:\(\w+\))?[-#0 +]*(?:\d+|\*)?(?:\.(?:\d+|\*))?[diouxXeEfFgGcrsa]")

_OPENINGS = (
    "Application error",
    "Attempt to decode JSON",
    "Can not load response cookies",
    "Could not find new data",
    "Error handling request",
    "Error on transport creation",
    "Exception in callback",
    "Exception in eof_received callback",
    "Fatal",
    "Future exception was never retrieved",
    "SSL error in data received",
    "SSL handshake failed",
    "Task exception was never retrieved",
    "Task was destroyed but it is pending!",
    "Unclosed client session",
    "Unclosed connection",
    "Unclosed connector",
    "Unhandled error in exception handler",
    "Unhandled exception",
    "socket.accept() out of system resource",
    "socket.send() raised exception",
)
"""How asyncio and aiohttp begin what they compose before they log it: what follows may be anything."""

_LONGEST_CHAIN = 8


def configure(*, verbose: bool, is_daemon: bool = True) -> None:
    """Send every log record to stderr, and what nobody caught as one of them; may be called again.

    Args:
        verbose: Also what our own modules say at DEBUG.
        is_daemon: What goes as it should is worth a line too; a person at a terminal sees that anyway.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if _stderr_is_journal() else TerminalFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # What bleak warns of, a bus that is lost for example, is told as the radio's state, with what to do.
    logging.getLogger("bleak").setLevel(logging.ERROR)
    for name in OUR_LOGGERS:
        usual = logging.INFO if is_daemon else logging.WARNING
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else usual)
    sys.excepthook = _on_uncaught
    # Whoever has put another one there, a test runner for example, wants to know by itself.
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _on_lost_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _on_unraisable


def restream() -> None:
    """Write to what stderr is now: a live table takes it over, and puts our lines above itself instead of into it."""
    for handler in logging.getLogger().handlers:
        is_ours = isinstance(handler.formatter, TerminalFormatter | JournalFormatter)
        if is_ours and isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


class TerminalFormatter(logging.Formatter):
    """Time, level, module and message for someone who reads along."""

    def format(self, record: logging.LogRecord) -> str:
        """What may be told of a record."""
        return f"{self.formatTime(record, '%H:%M:%S')} {record.levelname:7} {record.name}: {told(record)}"


class JournalFormatter(logging.Formatter):
    """A priority ``<N>`` before every line (sd-daemon(3)); the journal stamps the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Prefix each line: the journal makes an entry of each, and a traceback has many."""
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY)
        return "\n".join(f"<{priority}>{line}" for line in f"{record.name}: {told(record)}".splitlines())


def told(record: logging.LogRecord) -> str:
    """What a log line says of a record: its template, the fields that are allowed, and the places of its exception."""
    is_ours = record.name.partition(".")[0] in OUR_LOGGERS
    lines = [_ours(record) if is_ours else _theirs(record)]
    if record.exc_info and (error := record.exc_info[1]) is not None:
        lines.extend(_places(error))
    return "\n".join(lines)


def _ours(record: logging.LogRecord) -> str:
    # Without arguments it is a literal, which a test holds every call to.
    fields = record.args if isinstance(record.args, Mapping) else {}
    text = _FIELD.sub(lambda found: _shown(found[1], fields.get(found[1])), str(record.msg))
    return _HOLE.sub(MASK, text) if record.args and not fields else text


def _shown(name: str, value: object) -> str:
    check = FIELDS.get(name)
    text = None if check is None else check(value)
    return MASK if text is None else text


def _theirs(record: logging.LogRecord) -> str:
    text = record.msg if isinstance(record.msg, str) else ""
    if record.args:
        said = _HOLE.sub(MASK, text.splitlines()[0]) if text else MASK
        said = MASK if _NEVER.search(said) else said
    else:
        said = next((opening for opening in _OPENINGS if text.startswith(opening)), MASK)
    return f"{said} ({record.filename}:{record.lineno})"


def _places(error: BaseException, depth: int = 0) -> Iterator[str]:
    """Where an exception was raised and what it is; the same of what caused it first, and of what it is a group of."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and depth < _LONGEST_CHAIN:
        yield from _places(before, depth + 1)
        yield "which led to"
    yield from "".join(traceback.format_tb(error.__traceback__)).splitlines()
    yield _kind(error)
    if isinstance(error, BaseExceptionGroup) and depth < _LONGEST_CHAIN:
        for part in error.exceptions:
            yield from (f"  {line}" for line in _places(part, depth + 1))


def _kind(error: BaseException) -> str:
    """What an exception is, and the code of the operating system or the database; nothing of what it says."""
    number = errorcode.get(error.errno or 0) if isinstance(error, OSError) else getattr(error, "sqlite_errorname", None)
    return f"{type(error).__name__}, {number}" if number else type(error).__name__


def _on_uncaught(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    _LOG.critical("What nobody foresaw has ended the program", exc_info=(kind, error, where))


def _on_lost_thread(lost: threading.ExceptHookArgs) -> None:
    _LOG.error("What nobody foresaw has ended a thread", exc_info=lost.exc_value)


def _on_unraisable(lost: "sys.UnraisableHookArgs") -> None:
    _LOG.error("What nobody foresaw has happened where nobody can be told", exc_info=lost.exc_value)


def _stderr_is_journal() -> bool:
    # A terminal started by a desktop session inherits JOURNAL_STREAM although its stderr is not that stream;
    # systemd.exec(5) gives device and inode for telling the two apart.
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"

"""The only place that configures logging: to stderr, in the form that a terminal or the journal wants.

Libraries stay at WARNING even when verbose: at DEBUG they print what no log may hold (Bluetooth addresses, headers,
message bodies). Our own modules choose what they log, field by field. A Bluetooth address says who was near, so one
that a library puts into a warning or an exception is taken out.
"""

import logging
import os
import re
import sys
import traceback

OUR_LOGGERS = ("gateway", "insiders_codecs")

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7

# With colons; as in the paths of BlueZ's objects (dev_A0_9E_1A_00_11_22); and bare, as in ids of sensors, where there
# is a letter in it: a number of twelve digits may be a tracker's.
_ADDRESS = re.compile(
    r"(?<![0-9a-z])[0-9a-f]{2}([:_-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}(?![0-9a-z])"
    r"|(?<![0-9a-z])(?=[0-9]*[a-f])[0-9a-f]{12}(?![0-9a-z])",
    re.IGNORECASE,
)

_NEAR_PEOPLE = ("gateway.bluetooth", "gateway.pairing", "gateway.bridges", "gateway.uploads")
"""Exceptions of these parts may quote the name of a device or a file, and people name both after athletes."""


def configure(*, verbose: bool, is_daemon: bool = True) -> None:
    """Send every log record to stderr; may be called again.

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


def restream() -> None:
    """Write to what stderr is now: a live table takes it over, and puts our lines above itself instead of into it."""
    for handler in logging.getLogger().handlers:
        is_ours = isinstance(handler.formatter, TerminalFormatter | JournalFormatter)
        if is_ours and isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)


class TerminalFormatter(logging.Formatter):
    """Time, level, module and message for someone who reads along."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Leave out what says who was near."""
        _leave_out_words(record)
        return _without_addresses(super().format(record))


class JournalFormatter(logging.Formatter):
    """A priority ``<N>`` before every line (sd-daemon(3)); the journal stamps the time itself."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Prefix each line: the journal makes an entry of each, and a traceback has many."""
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY)
        _leave_out_words(record)
        text = _without_addresses(super().format(record))
        return "\n".join(f"<{priority}>{line}" for line in text.splitlines())


def _leave_out_words(record: logging.LogRecord) -> None:
    """Of an exception near people, where it happened and what it was, and not what it says."""
    if record.exc_info and record.exc_info[0] is not None and record.name.startswith(_NEAR_PEOPLE):
        kind, _, where = record.exc_info
        record.exc_text = "".join(traceback.format_tb(where)) + kind.__name__


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("(address)", text)


def _stderr_is_journal() -> bool:
    # A terminal started by a desktop session inherits JOURNAL_STREAM although its stderr is not that stream;
    # systemd.exec(5) gives device and inode for telling the two apart.
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"

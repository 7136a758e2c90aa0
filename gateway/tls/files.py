"""Small files that are read whole, and written so that there is always a whole one: the old or the new."""

import os
import stat
from pathlib import Path

MAX_BYTES = 256 * 1024
"""Of one file: a chain with its key takes ten thousand."""


def read(path: Path) -> bytes:
    """What is in a file; never waits for one that is no real file.

    Raises:
        OSError: If it cannot be read, or is larger than any certificate.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(0, "It is no file", str(path))
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(0, "It is too large", str(path))
    return content


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, for good, readable by us alone; its folder is made if it is not there.

    Raises:
        OSError: If it cannot be written; then the other one is still there.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.unlink(missing_ok=True)  # what a power cut has left
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

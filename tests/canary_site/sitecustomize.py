"""Imported by every Python that a test starts: what it writes to stderr is kept too, for the search at the end."""

import io
import os
import sys


class _Kept(io.TextIOWrapper):
    """Standard error, and a file of this process beside it."""

    def __init__(self, stream: io.TextIOWrapper, kept: io.TextIOWrapper) -> None:
        super().__init__(stream.detach(), "utf-8", "backslashreplace", write_through=True)
        self._kept = kept

    def write(self, text: str) -> int:
        self._kept.write(text)
        return super().write(text)


def _keep(folder: str) -> None:
    path = f"{folder}/{os.getpid()}-{os.urandom(4).hex()}.stderr"
    # Another user may run it, who may not write there.
    try:
        kept = io.TextIOWrapper(io.FileIO(path, "x"), "utf-8", "backslashreplace", write_through=True)
    except OSError:
        return
    command = " ".join(sys.orig_argv[1:]).replace("\n", " ")
    kept.write(f"{os.environ.get('PYTEST_CURRENT_TEST', '')}\n{command}\n")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _Kept(sys.stderr, kept)


if "INSIDERS_CANARY" in os.environ:
    _keep(os.environ["INSIDERS_CANARY"])

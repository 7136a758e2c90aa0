"""A folder and what is below it, looked through without following a link, and no further than is bearable.

It waits for the disk and belongs into a worker's thread.
"""

import os
import stat
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from gateway.uploads.taking.sources import Kind, Look, below, look_of, opened

MAX_DEPTH = 8
"""Names in a path."""

MAX_ENTRIES = 10_000
"""Things that are looked at; of more than that, the rest when these are gone."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen in a folder and below it.

    Attributes:
        looks: Everything but folders that could be looked into, and hidden ones.
        folders: Those that were looked into, from the top; "" is the top itself.
        read_only: The devices among theirs on which nothing can be removed.
        is_whole: Whether that is all there is.
    """

    looks: tuple[Look, ...]
    folders: tuple[str, ...]
    read_only: frozenset[int]
    is_whole: bool


def survey(folder: Path, max_entries: int = MAX_ENTRIES) -> Survey:
    """Look through a folder, what is near its top first.

    Args:
        folder: Where; this itself may be a link.
        max_entries: Things that are looked at.

    Raises:
        OSError: If the folder cannot be looked into.
    """
    looks: list[Look] = []
    listed: list[str] = []
    read_only: set[int] = set()
    is_whole = True
    folders: deque[tuple[str, os.stat_result | None]] = deque([("", None)])
    with opened(folder) as top:
        while folders:
            path, status = folders.popleft()
            try:
                found, is_all = _listed(top, path, max_entries, read_only)
            except OSError:
                if status is None:
                    raise
                looks.append(look_of(path, status, Kind.CLOSED))
                continue
            max_entries -= len(found)
            is_whole = is_whole and is_all
            listed.append(path)
            for name, seen in found:
                if not stat.S_ISDIR(seen.st_mode):
                    looks.append(look_of(name, seen))
                elif name.count("/") + 1 >= MAX_DEPTH:
                    looks.append(look_of(name, seen, Kind.DEEP))
                elif not name.rpartition("/")[2].startswith("."):
                    folders.append((name, seen))
    return Survey(tuple(looks), tuple(listed), frozenset(read_only), is_whole)


def _listed(
    top: int, path: str, max_entries: int, read_only: set[int]
) -> tuple[list[tuple[str, os.stat_result]], bool]:
    """What is in a folder, sorted; and whether that is all."""
    found: list[tuple[str, os.stat_result]] = []
    is_all = True
    with below(top, f"{path}/." if path else ".") as (above, _), os.scandir(above) as entries:
        if os.fstatvfs(above).f_flag & os.ST_RDONLY:
            read_only.add(os.fstat(above).st_dev)
        for entry in entries:
            if len(found) >= max_entries:
                is_all = False
                break
            with suppress(FileNotFoundError):
                found.append((f"{path}/{entry.name}" if path else entry.name, entry.stat(follow_symlinks=False)))
    return sorted(found, key=itemgetter(0)), is_all

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
from typing import NamedTuple

from gateway.uploads.taking.sources import Kind, Look, below, look_of, opened

MAX_DEPTH = 8
"""Names in a path."""

MAX_ENTRIES = 10_000
"""Things that are looked at; of more than that, the rest when these are gone."""


_OF_THE_SYSTEM = frozenset({"$RECYCLE.BIN", "RECYCLER", "System Volume Information", "lost+found"})
"""Folders with what somebody has deleted, or nobody has put there."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen in a folder and below it.

    Attributes:
        looks: Everything but folders that could be looked into, and hidden ones and those of the system.
        folders: Path, device and inode of those that were looked into; the path of the top is "".
        read_only: The devices among theirs on which nothing can be removed.
        is_whole: Whether that is all there is.
    """

    looks: tuple[Look, ...]
    folders: tuple[tuple[str, int, int], ...]
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
    listed: list[tuple[str, int, int]] = []
    read_only: set[int] = set()
    is_whole = True
    folders: deque[tuple[str, os.stat_result | None]] = deque([("", None)])
    with opened(folder) as top:
        while folders:
            path, status = folders.popleft()
            try:
                found = _listed(top, path, max_entries)
            except OSError as error:
                if status is None:
                    raise
                if not isinstance(error, FileNotFoundError):
                    looks.append(look_of(path, status, Kind.CLOSED))
                continue
            listed.append((path, found.device, found.inode))
            max_entries -= len(found.entries)
            is_whole = is_whole and found.is_all
            if found.is_read_only:
                read_only.add(found.device)
            for name, seen in found.entries:
                if not stat.S_ISDIR(seen.st_mode):
                    looks.append(look_of(name, seen))
                elif name.count("/") + 1 >= MAX_DEPTH:
                    looks.append(look_of(name, seen, Kind.DEEP))
                elif not _is_hidden(name.rpartition("/")[2]):
                    folders.append((name, seen))
    return Survey(tuple(looks), tuple(listed), frozenset(read_only), is_whole)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _OF_THE_SYSTEM


class _Listed(NamedTuple):
    """What is in one folder, sorted."""

    entries: list[tuple[str, os.stat_result]]
    is_all: bool
    device: int
    inode: int
    is_read_only: bool


def _listed(top: int, path: str, max_entries: int) -> _Listed:
    entries: list[tuple[str, os.stat_result]] = []
    is_all = True
    with below(top, f"{path}/." if path else ".") as (above, _), os.scandir(above) as found:
        for entry in found:
            if len(entries) >= max_entries:
                is_all = False
                break
            with suppress(FileNotFoundError):
                entries.append((f"{path}/{entry.name}" if path else entry.name, entry.stat(follow_symlinks=False)))
        status = os.fstat(above)
        is_read_only = bool(os.fstatvfs(above).f_flag & os.ST_RDONLY)
    return _Listed(sorted(entries, key=itemgetter(0)), is_all, status.st_dev, status.st_ino, is_read_only)

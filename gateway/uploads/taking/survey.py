"""A folder and what is below it, looked through without following a link, and no further than is bearable.

It waits for the disk and belongs into a worker's thread.
"""

import os
import stat
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from gateway.uploads.taking.naming import SUFFIX
from gateway.uploads.taking.removal import ASIDE
from gateway.uploads.taking.sources import Kind, Look, below, look_of, opened

MAX_DEPTH = 8
"""Names in a path."""

MAX_ENTRIES = 10_000
"""Things that are looked at in each folder of the top, whatever is below it: so many that may be recordings by their
names, with folders, and so many others. Of more than that, the rest when these are gone."""

_IN_ALL = 10
"""Times as many in all, and names that are read in one folder."""

_OF_THE_SYSTEM = frozenset({"$RECYCLE.BIN", "RECYCLER", "System Volume Information", "lost+found"})
"""Folders with what somebody has deleted, or nobody has put there."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen in a folder and below it.

    Attributes:
        looks: Everything but folders that could be looked into, and hidden ones and those of the system.
        folders: Path, device and inode of those that were looked into; the path of the top is "".
        read_only: The devices among theirs on which nothing can be removed.
        crowded: Those on which there is more than was looked at.
    """

    looks: tuple[Look, ...]
    folders: tuple[tuple[str, int, int], ...]
    read_only: frozenset[int]
    crowded: frozenset[int]


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
    crowded: set[int] = set()
    budget = _Budget(max_entries)
    folders: deque[Look | None] = deque([None])
    with opened(folder) as top:
        while folders:
            look = folders.popleft()
            try:
                found = _listed(top, "" if look is None else look.path, budget)
            except OSError as error:
                if look is None:
                    raise
                if not isinstance(error, FileNotFoundError):
                    looks.append(look)
                continue
            listed.append((found.path, found.device, found.inode))
            if not found.is_all:
                crowded.add(found.device)
            if found.is_read_only:
                read_only.add(found.device)
            for seen in found.looks:
                if seen.kind is not Kind.CLOSED:
                    looks.append(seen)
                elif not _is_hidden(seen.path.rpartition("/")[2]):
                    folders.append(seen)
    return Survey(tuple(looks), tuple(listed), frozenset(read_only), frozenset(crowded))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _OF_THE_SYSTEM


class _Budget:
    """How many things may still be looked at: no folder of the top, and no stick, keeps the others from being seen."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._spent: Counter[tuple[str, int, bool]] = Counter()
        self.names = self._in_all = _IN_ALL * max_entries

    def allows(self, path: str, device: int, *, is_promising: bool) -> bool:
        key = path.partition("/")[0] if "/" in path else "", device, is_promising
        if self._spent[key] >= self._max_entries or not self._in_all:
            return False
        self._spent[key] += 1
        self._in_all -= 1
        return True


class _Listed(NamedTuple):
    """What is in one folder, sorted; folders in it as those that are not looked into."""

    path: str
    looks: list[Look]
    is_all: bool
    device: int
    inode: int
    is_read_only: bool


def _listed(top: int, path: str, budget: _Budget) -> _Listed:
    looks: list[Look] = []
    is_all = True
    with below(top, f"{path}/." if path else ".") as (above, _), os.scandir(above) as found:
        status = os.fstat(above)
        is_read_only = bool(os.fstatvfs(above).f_flag & os.ST_RDONLY)
        for entry in islice(found, budget.names):
            name = f"{path}/{entry.name}" if path else entry.name
            try:
                if not budget.allows(name, status.st_dev, is_promising=_is_promising(entry)):
                    is_all = False
                    continue
                looks.append(_look(name, entry.stat(follow_symlinks=False)))
            except FileNotFoundError:
                continue
            except OSError:
                # What is mounted there has died, for one; the rest has not.
                looks.append(Look(name, Kind.UNSEEN, 0, 0, 0, entry.inode(), status.st_dev))
        is_all = is_all and next(found, None) is None
    return _Listed(path, sorted(looks, key=attrgetter("path")), is_all, status.st_dev, status.st_ino, is_read_only)


def _is_promising(entry: os.DirEntry[str]) -> bool:
    name = entry.name.lower()
    return name.endswith(SUFFIX) or name.startswith(ASIDE) or entry.is_dir(follow_symlinks=False)


def _look(path: str, status: os.stat_result) -> Look:
    if not stat.S_ISDIR(status.st_mode):
        return look_of(path, status)
    return look_of(path, status, Kind.DEEP if path.count("/") + 1 >= MAX_DEPTH else Kind.CLOSED)

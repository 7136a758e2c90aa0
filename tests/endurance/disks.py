"""Real disks to be filled and cut off: small ones in memory, and ext4 in a file."""

import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import cache
from pathlib import Path

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_FREEZE, _THAW = 0xC0045877, 0xC0045878  # FIFREEZE, FITHAW


class Cut(IntEnum):
    """What of a disk is left when its power goes."""

    LOG = 1
    """What the file system has put together is still written; so it may be a few ms later."""

    NO_LOG = 2
    """Nothing is written any more."""


@cache
def why_no_mount() -> str:
    """Why nothing can be mounted here; "" if it can."""
    try:
        with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "trial", "1m"):
            return ""
    except (OSError, subprocess.CalledProcessError):
        return "needs root, to mount"


@cache
def why_no_ext4() -> str:
    """Why there can be no ext4 in a file here; "" if there can."""
    try:
        with tempfile.TemporaryDirectory() as folder, Ext4(Path(folder) / "trial", size_mb=8).mounted():
            return ""
    except (OSError, subprocess.CalledProcessError):
        return "needs root, loop devices, and mkfs.ext4 of the package e2fsprogs"


@contextmanager
def small_disk(folder: Path, size: str, inodes: int = 0) -> Iterator[Path]:
    """A disk in memory.

    Args:
        folder: Where; made, and removed again.
        size: What it holds, for example "4m".
        inodes: How many files it holds; 0 for plenty.
    """
    folder.mkdir()
    try:
        options = f"size={size}" + (f",nr_inodes={inodes}" if inodes else "")
        _run("mount", "-t", "tmpfs", "-o", options, "none", str(folder))
        try:
            yield folder
        finally:
            _run("umount", str(folder))
    finally:
        folder.rmdir()


class Ext4:
    """A disk in a file, whose power can be cut."""

    def __init__(self, folder: Path, size_mb: int) -> None:
        """Make it.

        Args:
            folder: Where the image is put, and the folder at which it is mounted.
            size_mb: How large it is.
        """
        folder.mkdir(parents=True)
        self._image, self._top = folder / "image", folder / "top"
        self._top.mkdir()
        with self._image.open("wb") as image:
            image.truncate(size_mb << 20)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self._image))

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Its top folder; after a cut, it is put together from its log here."""
        _run("mount", "-o", "loop", "-t", "ext4", str(self._image), str(self._top))
        try:
            yield self._top
        finally:
            _run("umount", str(self._top))

    def settle(self) -> None:
        """Let everything be written that there is."""
        with self._opened() as top:
            fcntl.ioctl(top, _FREEZE, 0)
            fcntl.ioctl(top, _THAW, 0)

    def cut(self, how: Cut, *, is_frozen: bool = False) -> None:
        """Cut its power; only what it has by now is there when it is mounted again.

        Args:
            how: What is left.
            is_frozen: Whether it is brought to rest just before, so that what there was until then is written.
        """
        with self._opened() as top:
            if is_frozen:
                fcntl.ioctl(top, _FREEZE, 0)
            try:
                fcntl.ioctl(top, _SHUTDOWN, struct.pack("I", how))
            finally:
                if is_frozen:
                    fcntl.ioctl(top, _THAW, 0)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        top = os.open(self._top, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield top
        finally:
            os.close(top)


_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def _run(*command: str) -> None:
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        raise FileNotFoundError(command[0])
    subprocess.run([program, *command[1:]], check=True, capture_output=True)

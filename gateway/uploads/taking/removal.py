"""A name is removed from a folder that others write into, and never what somebody else has put there in that moment."""

import os
import re
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress

ASIDE = ".insiders-gateway-"
"""So begins the name of a file while it is removed. Where one is left, the gateway was stopped in that."""

_ASIDE = re.compile(re.escape(ASIDE) + "[0-9a-f]{8}-")
_MAX_NAME_BYTES = 255


def may_remove(folder: int, owner: int) -> bool:
    """Whether a file looks as if it could be removed.

    Args:
        folder: Descriptor of its folder.
        owner: User to whom the file belongs.
    """
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder):
        return False
    status = os.fstat(folder)
    return not status.st_mode & stat.S_ISVTX or os.geteuid() in {0, status.st_uid, owner}


def remove(folder: int, name: str, is_it: Callable[[str], bool]) -> bool:
    """Remove a file, after another name was given to it that nobody else knows.

    Else a new version that somebody saves under the old one between a look and the removal would go in its place.

    Args:
        folder: Descriptor of its folder.
        name: Of the file.
        is_it: Told that name, whether what it leads to is what shall go; if not, it is put back.

    Returns:
        Whether it is gone.

    Raises:
        OSError: If it could not be renamed, or not be put back: then it is there under the other name.
    """
    aside = _aside(name)
    os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
    with suppress(OSError):
        if is_it(aside):
            os.unlink(aside, dir_fd=folder)
            return True
    try:
        # To rename it could replace something.
        os.link(aside, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError:
        # That name is another's by now, or there are no links: then under one like it.
        os.rename(aside, aside.removeprefix(ASIDE), src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.unlink(aside, dir_fd=folder)
    return False


def original(path: str) -> str:
    """The path that a file had before it was to be removed, wherever one is left."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{_ASIDE.sub('', name, count=1)}"


def _aside(name: str) -> str:
    """A name that nothing has, from which the one before can be told."""
    aside = f"{ASIDE}{secrets.token_hex(4)}-"
    while len(os.fsencode(aside + name)) > _MAX_NAME_BYTES:
        name = name[1:]
    return aside + name

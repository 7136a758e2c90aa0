"""A look at one thing, as a look through its folder would bring it."""

from pathlib import Path

from gateway.uploads.taking.sources import Look, look_of


def look_at(folder: Path, path: str) -> Look:
    """Raises OSError if there is none."""
    return look_of(path, (folder / path).lstat())

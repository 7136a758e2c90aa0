"""Files that look like recordings from outside and say inside that they are none."""

import random
from collections.abc import Iterator

MAGIC = b"ASI\x00\x00\x00\x10\x04\x04\x06ASI V2"
"""The first 16 bytes of the vendor's published sample."""

_TEXT = b"\nSYNTHETIC: made by the simulator of insiders-gateway, holds no measurement; what follows is noise\n"
_BLOCK = 64 * 1024

SMALLEST = len(MAGIC) + len(_TEXT)
"""Bytes of the smallest that says all this."""


def synthetic_asi(size: int, seed: int) -> Iterator[bytes]:
    """A file of so many bytes in blocks, always the same for a seed; another seed gives other bytes.

    Raises:
        ValueError: If it is to be smaller than `SMALLEST`.
    """
    if size < SMALLEST:
        raise ValueError(f"a synthetic recording has {SMALLEST} bytes or more")
    return _blocks(size, random.Random(seed))


def _blocks(size: int, dice: random.Random) -> Iterator[bytes]:
    yield MAGIC + _TEXT
    for left in range(size - SMALLEST, 0, -_BLOCK):
        yield dice.randbytes(min(left, _BLOCK))

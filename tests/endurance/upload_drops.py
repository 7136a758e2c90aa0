"""People who drop recordings into an inbox, for `tests.endurance.upload_kills`."""

import asyncio
import hashlib
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.simulator.synthetic_asi import synthetic_asi

SIZES = (1_000, 20_000, 100_000, 300_000, 1_000_000)

AGAIN_FRACTION = 0.1
"""Of what is dropped, what was dropped before."""

SLOWLY_FRACTION = 0.3
_LONGEST_PAUSE_S = 0.2


class Dropping:
    """Drops one after another.

    Attributes:
        sizes: Of everything that was dropped, by SHA-256.
    """

    def __init__(
        self, inbox: Path, aside: Path, serial_numbers: Sequence[str], utc_ms: Callable[[], int], dice: random.Random
    ) -> None:
        self.sizes: dict[str, int] = {}
        self._inbox, self._aside = inbox, aside
        self._serial_numbers = serial_numbers
        self._utc_ms = utc_ms
        self._dice = dice
        self._files: dict[Path, str] = {}

    def lying(self) -> set[str]:
        """What lies whole in the inbox."""
        return {sha256 for path, sha256 in self._files.items() if digest(path) == sha256}

    async def drop(self, delay_s: float) -> None:
        """Copy a recording into the inbox: at once, or so slowly that it is half there for a while."""
        dice, number = self._dice, len(self._files)
        is_again = self.sizes and dice.random() < AGAIN_FRACTION
        seed = dice.randrange(len(self.sizes)) if is_again else len(self.sizes)
        size = random.Random(seed).choice(SIZES)
        content = b"".join(synthetic_asi(size, seed))
        sha256 = hashlib.sha256(content).hexdigest()
        self.sizes[sha256] = size
        target = self._inbox / self._serial_numbers[seed % len(self._serial_numbers)] / f"{number}.asi"
        self._files[target] = sha256
        await asyncio.sleep(delay_s)
        if dice.random() < SLOWLY_FRACTION:
            with target.open("wb") as file:
                for start in range(0, size, size // 3):
                    file.write(content[start : start + size // 3])
                    file.flush()
                    await asyncio.sleep(dice.uniform(0, _LONGEST_PAUSE_S))
        else:
            aside = self._aside / target.name
            aside.write_bytes(content)
            now_s = self._utc_ms() / 1000
            os.utime(aside, (now_s, now_s))
            aside.rename(target)


def digest(path: Path) -> str | None:
    """The SHA-256 of a file; None if there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None

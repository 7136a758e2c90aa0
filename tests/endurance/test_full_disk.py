"""A disk that becomes full at any step of a taking over, by bytes or by files: nothing is lost, and it goes on."""

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.uploads.keeping.room import FULL
from gateway.uploads.taking.untakeable import TakeError
from gateway.worker import Worker
from tests.endurance.disks import small_disk, why_no_mount
from tests.endurance.takeover import content, deliver, house, kept, take_rest, waiting

SIZE = 2_500_000

_T = TypeVar("_T")


def fill_bytes(disk: Path) -> None:
    with full(), (disk / "filler0").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def fill_names(disk: Path) -> None:
    with full():
        for number in itertools.count():
            (disk / f"filler{number}").touch()


@contextmanager
def full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise


def clear(disk: Path) -> None:
    for path in disk.glob("filler*"):
        path.unlink()


class Stepwise(Worker):
    """Does something after so many jobs."""

    def __init__(self, steps: int, then: Callable[[], None]) -> None:
        super().__init__("intake")
        self.steps = steps
        self._then = then

    async def run(self, job: Callable[[], _T], then: Callable[[_T], None] = lambda _: None) -> _T:
        try:
            return await super().run(job, then)
        finally:
            self.steps -= 1
            if self.steps == 0:
                self._then()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fill", [fill_bytes, fill_names])
async def test_a_disk_that_becomes_full_at_any_step_loses_nothing_and_goes_on_when_there_is_room(
    tmp_path: Path, fill: Callable[[Path], None]
) -> None:
    if reason := why_no_mount():
        pytest.skip(reason)
    draw = random.Random(3)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    ends = []
    for step in itertools.count(1):
        with small_disk(tmp_path / "disk", "24m", 60) as disk:
            state = disk / "state"
            async with house(state) as it:
                await it.ledger.load()
                await it.take(inbox, earlier := deliver(inbox, content(draw, 1000)))
            worker = Stepwise(step, partial(fill, disk))
            sha256 = deliver(inbox, content(draw, SIZE))
            async with house(state, worker) as it:
                await it.ledger.load()
                is_taken = False
                with suppress(TakeError):
                    is_taken = bool(await it.take(inbox, sha256))
            async with house(state) as it:
                await it.ledger.load()
                assert earlier in it.ledger.recordings, "a full disk can be read"
            clear(disk)
            there = await kept(state)
            assert earlier in there
            assert sha256 in (there if is_taken else {*there, *waiting(inbox)})
            await take_rest(state, inbox, {earlier, sha256})
            ends.append(is_taken)
            if worker.steps > 0:
                break
    assert ends[0] is False
    assert ends[-1] is True
    assert len(ends) > SIZE >> 20

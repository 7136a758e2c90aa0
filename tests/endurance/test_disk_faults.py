"""Some of the lives of `tests.endurance.disk_faults`; and how often one that is well waits for the card."""

import random
from pathlib import Path

import pytest

from tests.endurance.disk_faults import Fault, Trials, flushes, why_not

pytestmark = pytest.mark.timeout(120)

SOME = (
    (Fault("fsync", "EIO"), "intake", 1),  # of the file
    (Fault("fsync", "EIO"), "intake", 2),  # of its folder
    (Fault("fdatasync", "EIO"), "store", 1),
    (Fault("write", "ENOSPC"), "intake", 2),
    (Fault("pwrite64", "ENOSPC"), "store", 1),
    (Fault("rename", "EIO"), "intake", 1),
    (Fault("unlinkat", "EIO"), "intake", 1),  # of the source
    (Fault("write", "EIO", is_lasting=True), "intake", 1),
    (Fault("fdatasync", "KILL"), "store", 1),
    (Fault("unlinkat", "KILL"), "intake", 1),
)


@pytest.fixture(autouse=True)
def _strace() -> None:
    if reason := why_not():
        pytest.skip(reason)


async def test_whatever_fails_a_recording_is_where_it_was_or_safe(tmp_path: Path) -> None:
    trials = Trials(tmp_path, seed=3)
    await trials.prepare()
    for fault, thread, number in SOME:
        assert await trials.try_one(fault, thread, number), f"there is no such call any more: {fault}"
    assert trials.met.total() == len(SOME)


async def test_a_recording_costs_three_flushes(tmp_path: Path) -> None:
    """Its file, its folder, its row; a card wears out by them."""
    assert await flushes(tmp_path, random.Random(3), recordings=40) == 3 * 40

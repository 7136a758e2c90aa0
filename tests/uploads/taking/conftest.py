"""What tests of the intake begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.uploads.keeping.spool import Spool
from gateway.uploads.taking.intake import Intake
from gateway.worker import Worker
from tests.endurance.disks import small_disk, why_no_mount
from tests.uploads.taking.intakes import MAX_BYTES, NOW_MS, Rows


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "recordings", 1 << 60, 4096, 0)
    spool.open()
    return spool


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("intake")
    yield worker
    worker.close()


@pytest.fixture
def intake(spool: Spool, rows: Rows, worker: Worker) -> Intake:
    return Intake(spool, rows, worker, MAX_BYTES, lambda: NOW_MS)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    return inbox


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if reason := why_no_mount():
        pytest.skip(reason)
    with small_disk(tmp_path / "disk", "4m", 40) as disk:
        yield disk

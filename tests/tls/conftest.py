"""A machine for each test."""

from pathlib import Path

import pytest

from tests.tls.ground import Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path / "state/tls")

"""Quick enough that nobody waits: reading files takes real time, so time cannot be made up here."""

import pytest

from gateway.recordings import following, listing


@pytest.fixture(autouse=True)
def _asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (following, listing):
        monkeypatch.setattr(module, "ASKED_EVERY_S", 0.01)

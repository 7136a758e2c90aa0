"""Quick enough that nobody waits, where time is not made up: reading files takes real time."""

import pytest

from gateway.recordings import following, listing


@pytest.fixture(autouse=True)
def _asked_often(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("looptime") is None:
        for module in (following, listing):
            monkeypatch.setattr(module, "ASKED_EVERY_S", 0.01)

"""Time that passes in large steps."""

import pytest

from gateway.uploads.sending import uploader
from tests.uploads.sending.bringing import LONG_TURN_S


@pytest.fixture
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours pass in a second."""
    monkeypatch.setattr(uploader, "TURN_S", LONG_TURN_S)

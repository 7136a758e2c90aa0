"""The scripted cloud as a fixture."""

from collections.abc import AsyncIterator

import pytest

from tests.cloud.scripted import ScriptedCloud, scripted_cloud


@pytest.fixture
async def cloud() -> AsyncIterator[ScriptedCloud]:
    async with scripted_cloud() as scripted:
        yield scripted

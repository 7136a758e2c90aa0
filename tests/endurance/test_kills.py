"""A few of the lives of `tests.endurance.kills`, always the same shots."""

from pathlib import Path

import pytest

from tests.endurance.kills import shot


@pytest.mark.timeout(120)
async def test_whenever_the_process_is_killed_the_disk_tells_what_the_cloud_may_have(tmp_path: Path) -> None:
    met = await shot(12, 3, tmp_path)
    assert met.total() == 12
    assert set(met) - {"at rest"}, "not one of them was met in the middle of a write"

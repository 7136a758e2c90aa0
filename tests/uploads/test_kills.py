"""A few of the lives of `tests.endurance.upload_kills`, always the same shots."""

from pathlib import Path

import pytest

from tests.endurance.upload_kills import shot

pytestmark = pytest.mark.timeout(180)


async def test_whenever_the_process_is_killed_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    result = await shot(14, 3, tmp_path, is_lookup=True)
    assert (result.lost, result.duplicated, result.waiting) == (0, 0, 0)
    assert result.recordings > 3
    assert result.met.keys() - {"in the inbox", "queued", "done"}, "not one of them was met in the middle of something"


async def test_where_the_cloud_cannot_be_asked_nothing_is_lost_and_what_is_there_twice_is_marked(
    tmp_path: Path,
) -> None:
    result = await shot(6, 4, tmp_path, is_lookup=False)
    assert (result.lost, result.unmarked) == (0, 0)

"""A few of the cuts of `tests.endurance.power_cuts`."""

from pathlib import Path

import pytest

from tests.endurance.disks import why_no_ext4
from tests.endurance.power_cuts import cut_off


@pytest.mark.timeout(120)
async def test_what_was_acknowledged_survives_a_power_cut_and_the_rest_is_in_the_inbox_or_there(tmp_path: Path) -> None:
    if reason := why_no_ext4():
        pytest.skip(reason)
    survival = await cut_off(3, 3, tmp_path)
    assert survival.met.total() == 3
    assert survival.acknowledged + survival.taken + survival.stayed > 0

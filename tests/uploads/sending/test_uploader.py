"""Recordings come into the cloud: all of each, and each once."""

from pathlib import Path

import pytest

from gateway.uploads.recording import State
from tests.uploads.sending.bringing import asi, bringing

pytestmark = pytest.mark.looptime


async def test_a_recording_is_done_when_the_cloud_says_so_of_its_job(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        sha256 = await one.put(asi(200_000))
        done = await one.until(sha256, State.DONE)
    assert [step.state for step in done.trail] == ["queued", "sending", "closing", "accepted", "done"]
    assert one.accepted(sha256) == 1
    assert (done.maybe_duplicate, done.may_be_in_cloud, done.error) == (False, False, "")

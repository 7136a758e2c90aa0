"""Before it is sent for the first time, a recording's time is compared with what the cloud knows of its tracker."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.cloud.errors import ServerFailed
from gateway.cloud.models import Range
from gateway.cloud.times import TimeMs
from gateway.uploads.recording import Clue, Span, State
from gateway.uploads.sending import uploader
from gateway.uploads.transitions import assigned
from tests.uploads.sending.bringing import asi, bringing, living, simulation, wall_ms

pytestmark = [pytest.mark.looptime, pytest.mark.usefixtures("long_turns")]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def at(text: str) -> Span:
    """A recording that names an instant, UTC. The simulated cloud lives on Wednesday 18 November 2026."""
    at_ms = round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
    return Span(at_ms, at_ms, Clue.NAME)


def day(text: str) -> Span:
    start = at(text)
    return Span(start.start_ms, start.start_ms + DAY_MS, Clue.NAME)


async def test_a_recording_from_now_is_checked_and_sent(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        done = await one.until(await one.put(asi(), span=Span(wall_ms(), wall_ms(), Clue.MODIFIED)), State.DONE)
    assert done.is_checked


async def test_a_recording_from_another_day_is_a_question_and_nothing_is_sent_before_the_answer(
    tmp_path: Path,
) -> None:
    async with bringing(tmp_path) as one:
        sha256 = await one.put(asi(), span=at("2026-11-17T09:00"))
        asked = await one.until(sha256, State.QUESTIONED)
        assert asked.question == (
            "this file is from Tuesday 17 November 2026, and the tracker was not used then, but on "
            "Wednesday 18 November 2026"
        )
        await one.passing(3600)
        assert one.uploads == 0
        await one.ledger.change(sha256, lambda known: assigned(known, one.serial(), "Kim", wall_ms()))
        await one.until(sha256, State.DONE)
    assert one.uploads == 1


async def test_days_are_those_of_the_people_here(tmp_path: Path) -> None:
    zone = ZoneInfo("Pacific/Auckland")
    async with simulation(1) as (cloud, served), living(cloud, served, tmp_path, zone=zone) as one:
        asked = await one.until(await one.put(asi(), span=at("2026-11-16T12:00")), State.QUESTIONED)
    assert asked.question.startswith("this file is from Tuesday 17 November 2026,")


async def test_a_recording_from_before_the_tracker_was_ours_is_a_question(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        asked = await one.until(await one.put(asi(), span=day("2026-10-06")), State.QUESTIONED)
    assert asked.question == (
        "this file is from Tuesday 6 October 2026, and the tracker became ours only on Wednesday 11 November 2026"
    )


async def test_a_name_with_today_in_it_fits_what_happened_today(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        await one.until(await one.put(asi(), span=day("2026-11-18")), State.DONE)


async def test_days_of_which_the_cloud_knows_nothing_speak_for_nothing(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        done = await one.until(await one.put(asi(), span=day("2026-11-12")), State.DONE)
    assert done.is_checked


async def test_whose_time_is_not_known_is_not_compared(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        done = await one.until(await one.put(asi()), State.DONE)
    assert not done.is_checked
    assert one.cloud.requests["device_ownerships"] == one.cloud.requests["preprocessed_ranges"] == 0


@pytest.mark.parametrize("knobs", [{"partial_ownership": "refuse"}, {"partial_ownership": "clip"}])
async def test_what_is_asked_for_is_only_what_was_ours(tmp_path: Path, knobs: dict[str, object]) -> None:
    async with bringing(tmp_path, None, **knobs) as one:
        done = await one.until(await one.put(asi(), span=day("2026-11-11")), State.DONE)
    assert done.is_checked
    assert not one.cloud.statuses[403]


async def test_a_cloud_that_is_unwell_is_asked_again_and_nothing_is_sent_unchecked(tmp_path: Path) -> None:
    async with bringing(tmp_path, error_fraction=1.0, error_status=500) as one:
        sha256 = await one.put(asi(), span=at("2026-11-17T09:00"))
        await one.passing(3600)
        assert one.state(sha256) is State.QUEUED
        assert not one[sha256].is_checked
        one.faults(error_fraction=0.0)
        await one.until(sha256, State.QUESTIONED, within_s=1000)
    assert one.uploads == 0


async def test_a_cloud_that_never_says_when_a_tracker_was_used_does_not_keep_it_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ranges(_device_id: int, start_ms: int, stop_ms: int) -> AsyncIterator[Range]:
        if start_ms < stop_ms:
            raise ServerFailed("preprocessed_ranges", 500)
        yield Range(TimeMs(start_ms), TimeMs(stop_ms))

    monkeypatch.setattr(uploader, "LONG_MS", 3 * HOUR_MS)
    async with bringing(tmp_path) as one:
        monkeypatch.setattr(one.client, "ranges", ranges)
        sha256 = await one.put(asi(), span=at("2026-11-17T09:00"))
        await one.passing(2.5 * 3600)
        told = one.uploader.hindrance(sha256)
        assert told is not None
        assert told.text == "when its tracker was used is not told: the cloud failed with status 500"
        assert one.uploads == 0
        done = await one.until(sha256, State.DONE, within_s=3600)
    assert not done.is_checked


async def test_an_outage_of_days_lets_nothing_through_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "LONG_MS", HOUR_MS)
    async with bringing(tmp_path, error_fraction=1.0, error_status=500) as one:
        sha256 = await one.put(asi(), span=at("2026-11-17T09:00"))
        await one.passing(3 * 3600)
        one.faults(error_fraction=0.0)
        await one.until(sha256, State.QUESTIONED, within_s=1000)
    assert one.accepted(sha256) == 0


async def test_a_person_who_answers_while_the_cloud_is_asked_is_not_asked_again(tmp_path: Path) -> None:
    async with bringing(tmp_path, latency_ms=2000.0) as one:
        sha256 = await one.put(asi(), span=at("2026-11-17T09:00"))
        await one.passing(10)
        assert one.state(sha256) is State.QUEUED
        await one.ledger.change(sha256, lambda known: assigned(known, one.serial(1), "Kim", wall_ms()))
        done = await one.until(sha256, State.DONE)
    assert (done.serial_number, State.QUESTIONED in {step.state for step in done.trail}) == (one.serial(1), False)

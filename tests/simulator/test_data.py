"""Measurements over REST: latest, ranges and history."""

from itertools import pairwise

import pytest

from gateway.simulator.accounts import OTHER_PASSWORD, OTHER_USERNAME
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from tests.simulator.bench import START_MS, Answer, Bench, ManualClock, bench

DAY_MS = 86_400_000


async def latest(sim: Bench, place: int = 0, **query: object) -> list[dict[str, object]]:
    answer = await sim.get(f"devices/{sim.ids[place]}/latest-preprocessed-data/", **query)
    assert answer.status == 200
    assert isinstance(answer.body, list)
    return answer.body


async def history(sim: Bench, place: int = 0, **query: object) -> Answer:
    span = {"start": START_MS - 600_000, "stop": sim.clock(), **query}
    return await sim.get(f"devices/{sim.ids[place]}/preprocessed/", **span)


def times(rows: list[dict[str, object]]) -> list[int]:
    return [t for row in rows if isinstance(t := row["gnss.timestamp"], int)]


async def test_the_latest_rows_are_newest_first_every_100_ms(sim: Bench) -> None:
    rows = times(await latest(sim, size=300))
    assert len(rows) == 300
    assert {a - b for a, b in pairwise(rows)} == {100}
    assert 1000 <= START_MS - rows[0] + 1000 <= 3000
    assert rows[0] % 100 != 0


async def test_trackers_have_different_phases(sim: Bench) -> None:
    assert times(await latest(sim, 0, size=1))[0] % 100 != times(await latest(sim, 1, size=1))[0] % 100


async def test_new_rows_come_as_the_clock_advances(sim: Bench) -> None:
    before = times(await latest(sim, size=1))[0]
    assert times(await latest(sim, size=1))[0] == before
    sim.clock.advance(5)
    assert times(await latest(sim, size=1))[0] == before + 5000


async def test_a_row_has_the_documented_keys_and_precision(sim: Bench) -> None:
    rows = await latest(sim, 1, size=10)
    positions = {"gnss.timestamp", "gnss.latitude", "gnss.longitude", "gnss.altitude", "gnss.speed"}
    readings = {"ecg.hr", "pwr.pwr_cadence", "pwr.pwr_instantpower", "device.standstill", "device.Bat_lvl"}
    stamps = {"ecg.timestamp", "pwr.timestamp", "device.timestamp"}
    assert [set(row) for row in rows[:-1]] == [positions] * 9
    assert set(rows[-1]) == positions | readings | stamps
    for row in rows:
        assert round(float(str(row["gnss.latitude"])), 7) == row["gnss.latitude"]
        assert round(float(str(row["gnss.speed"])), 3) == row["gnss.speed"]


@pytest.mark.parametrize(("form", "expected"), [("null", None), ("zero", 0)])
async def test_missing_values_are_null_or_zero_by_knob(sim: Bench, form: str, expected: object) -> None:
    sim.set_faults(missing=form)
    rows = await latest(sim, 0, size=10)
    assert [row["ecg.hr"] for row in rows[:-1]] == [expected] * 9
    assert [row["pwr.pwr_instantpower"] for row in rows] == [expected] * 10
    assert rows[-1]["ecg.hr"] not in {None, 0}


async def test_seconds_without_a_fix_lack_their_position(sim: Bench) -> None:
    """The same seconds whenever they are asked for."""
    sim.set_faults(no_fix_fraction=0.3)
    rows = await latest(sim, size=300)
    blind = [t for t, row in zip(times(rows), rows, strict=True) if "gnss.latitude" not in row]
    assert 30 <= len(blind) <= 160
    assert rows == await latest(sim, size=300)


async def test_size_above_the_maximum_is_a_knob(sim: Bench) -> None:
    assert len(await latest(sim, size=5000)) == 300
    sim.set_faults(over_limit="refuse")
    path = f"devices/{sim.ids[0]}/latest-preprocessed-data/"
    assert (await sim.get(path, size=301)).status == 400
    assert (await sim.get(path, size=0)).status == 400


async def test_duplicates_and_unknown_fields_are_knobs(sim: Bench) -> None:
    plain = await latest(sim, size=100)
    sim.set_faults(duplicate_fraction=0.5)
    doubled = times(await latest(sim, size=100))
    assert 120 < len(doubled) < 180
    assert sorted(set(doubled)) == sorted(times(plain))
    assert doubled == sorted(doubled, reverse=True)
    sim.set_faults(duplicate_fraction=0, unknown_field_fraction=1)
    for row, known in zip(await latest(sim, size=100), plain, strict=True):
        assert set(row) > set(known)
        assert {key: row[key] for key in known} == known


async def test_the_latest_timestamp_is_that_of_the_newest_row(sim: Bench) -> None:
    newest = times(await latest(sim, size=1))[0]
    answer = (await sim.get(f"devices/{sim.ids[0]}/latest-timestamp/")).body
    assert answer["timestamp"] == newest
    assert answer["datetime"].endswith("+00:00")
    assert len(answer["datetime"]) == len("2025-06-15T15:06:38.597000+00:00")


async def test_a_device_claimed_just_now_has_no_data_yet(sim: Bench) -> None:
    await sim.control("POST", f"devices/{sim.ids[2]}/move", {"to": "ours"})
    assert (await sim.get(f"devices/{sim.ids[2]}/latest-timestamp/")).status == 400
    assert await latest(sim, 2) == []
    sim.clock.advance(3)
    rows = times(await latest(sim, 2, size=300))
    assert 5 <= len(rows) <= 30
    assert min(rows) >= START_MS


async def test_truth_is_what_the_cloud_serves_without_faults(sim: Bench) -> None:
    """Both the latest data and all pages of history together equal it, also after a noisy time."""
    sim.set_faults(late_fraction=0.3, late_s=15)
    sim.clock.advance(60)
    sim.set_faults(late_fraction=0)
    sim.clock.advance(60)
    truth = sim.cloud.truth(sim.ids[0], START_MS - 600_000, sim.clock())
    assert times(truth) == sorted(set(times(truth)))
    pages = [(await history(sim, page=page, limit=2500)).body["results"] for page in (1, 2, 3)]
    assert [row for page in pages for row in page] == truth
    assert (await latest(sim, size=300))[::-1] == truth[-300:]


async def test_truth_grows_by_what_arrives_late(sim: Bench) -> None:
    sim.set_faults(late_fraction=1, late_s=1)
    sim.clock.advance(10)
    before = times(sim.cloud.truth(sim.ids[0], START_MS, sim.clock()))
    sim.clock.advance(1)
    after = times(sim.cloud.truth(sim.ids[0], START_MS, sim.clock()))
    assert len(after) == len(before) + 10


async def test_new_knobs_apply_to_what_is_measured_from_then_on(sim: Bench) -> None:
    """Also when nobody looked at the cloud since."""
    sim.clock.advance(10)
    sim.set_faults(late_fraction=1, late_s=60)
    assert len(sim.cloud.truth(sim.ids[0], START_MS - 600_000, sim.clock())) >= 6080


async def test_latest_data_are_for_the_current_owner_only(sim: Bench) -> None:
    await sim.control("POST", f"devices/{sim.ids[0]}/move", {"to": "other"})
    for path in ("latest-timestamp/", "latest-preprocessed-data/"):
        assert (await sim.get(f"devices/{sim.ids[0]}/{path}")).status == 403
        assert (await sim.get(f"devices/{sim.ids[3]}/{path}")).status == 403
        assert (await sim.get(f"devices/1/{path}")).status == 404


async def test_history_stays_readable_for_the_time_it_was_owned(sim: Bench) -> None:
    sim.clock.advance(60)
    moved = sim.clock()
    await sim.control("POST", f"devices/{sim.ids[0]}/move", {"to": "other"})
    sim.clock.advance(60)
    mine = times((await history(sim)).body["results"])
    assert mine[-1] < moved <= mine[-1] + 100
    sim.set_faults(partial_ownership="refuse")
    assert (await history(sim)).status == 403
    assert (await history(sim, stop=moved - 1)).status == 200
    assert (await history(sim, start=moved)).status == 403
    await sim.log_in(OTHER_USERNAME, OTHER_PASSWORD)
    theirs = times((await history(sim, start=moved)).body["results"])
    assert theirs[0] == mine[-1] + 100


async def test_the_result_of_a_query_is_frozen_for_two_minutes(sim: Bench) -> None:
    """Even its count, on every page; another query sees the present."""
    stop = START_MS + 3_600_000
    first = (await history(sim, stop=stop)).body
    sim.clock.advance(119)
    assert (await history(sim, stop=stop)).body == first
    assert (await history(sim, stop=stop, page=2, limit=100)).body["count"] == first["count"]
    assert (await history(sim, stop=stop - 1)).body["count"] == first["count"] + 1190
    sim.clock.advance(1)
    assert (await history(sim, stop=stop)).body["count"] == first["count"] + 1200


async def test_the_span_of_a_query_is_limited(sim: Bench) -> None:
    device = f"devices/{sim.ids[0]}"
    stop = START_MS
    for path, longest in (("preprocessed", 2 * DAY_MS), ("preprocessed-ranges", 14 * DAY_MS)):
        assert (await sim.get(f"{device}/{path}/", start=stop - longest, stop=stop)).status == 200
        assert (await sim.get(f"{device}/{path}/", start=stop - longest - 1, stop=stop)).status == 400
        assert (await sim.get(f"{device}/{path}/", start=stop, stop=stop - 1)).status == 400
        assert (await sim.get(f"{device}/{path}/", start=stop)).status == 400
        assert (await sim.get(f"{device}/{path}/")).status == 400


async def test_times_are_milliseconds_or_iso_with_an_offset(sim: Bench) -> None:
    path = f"devices/{sim.ids[0]}/preprocessed/"
    start = START_MS - 60_000
    expected = (await sim.get(path, start=start, stop=START_MS)).body
    for one, other in (
        ("2025-06-15T15:05:40Z", "2025-06-15T15:06:40.000Z"),
        ("2025-06-15T16:05:40+0100", "2025-06-15T16:06:40+01:00"),
        ("2025-06-15T10:05:40.000-0500", "2025-06-15T10:06:40-05:00"),
    ):
        assert (await sim.get(path, start=one, stop=other)).body == expected
        assert (await sim.get(path, start_iso=one, stop_iso=other)).body == expected
    raw = f"{path}?start=2025-06-15T16:05:40+0100&stop={START_MS}"
    spaced = f"{path}?start=2025-06-15%2015:05:40Z&stop={START_MS}"
    for wrong in (
        raw,
        spaced,
        f"{path}?start=2025-06-15T15:05:40&stop={START_MS}",
        f"{path}?start=now&stop={START_MS}",
    ):
        assert (await sim.call("GET", wrong)).status == 400


async def test_pages_of_history_are_limited(sim: Bench) -> None:
    sim.clock.advance(2600)
    body = (await history(sim, limit=100_000)).body
    assert len(body["results"]) == 25_000
    assert (body["next"], body["previous"]) == (2, None)
    body = (await history(sim)).body
    assert len(body["results"]) == 10_000
    assert (await history(sim, page=2, limit=25_000)).body["next"] is None
    assert (await history(sim, page=3, limit=25_000)).status == 404


async def test_ranges_break_at_five_minutes_without_rows(sim: Bench) -> None:
    device = f"devices/{sim.ids[0]}"
    for pause in (295, 305):
        await sim.control("POST", f"{device}/power", {"on": False})
        sim.clock.advance(pause)
        await sim.control("POST", f"{device}/power", {"on": True})
        sim.clock.advance(60)
    body = (await sim.get(f"{device}/preprocessed-ranges/", start=START_MS - DAY_MS, stop=sim.clock())).body
    ranges = body["results"]
    assert body["count"] == len(ranges) == 2
    rows = sim.cloud.truth(sim.ids[0], START_MS - DAY_MS, sim.clock())
    assert sum(r["size"] for r in ranges) == len(rows)
    assert set(ranges[0]) == {"start", "stop", "size"}
    assert ranges[0]["start"].endswith("Z")


async def test_a_lost_network_delivers_its_backlog_later(sim: Bench) -> None:
    device = f"devices/{sim.ids[0]}"
    sim.set_faults(backlog_order="newest_first", backlog_batches_per_s=2)
    await sim.control("POST", f"{device}/network", {"connected": False})
    sim.clock.advance(30)
    before = times(await latest(sim, size=1))[0]
    assert before < START_MS
    await sim.control("POST", f"{device}/network", {"connected": True})
    sim.clock.advance(5)
    seen = times(await latest(sim, size=300))
    assert seen[0] > START_MS + 32_000
    assert sim.cloud.truth(sim.ids[0], START_MS, START_MS + 15_000) == []
    sim.clock.advance(30)
    assert len(sim.cloud.truth(sim.ids[0], START_MS, START_MS + 29_999)) == 300


async def test_two_clouds_with_one_seed_and_start_serve_the_same() -> None:
    async with bench(seed=5) as one, bench(seed=5) as two:
        await latest(two, 1)
        two.clock.advance(100)
        await latest(two, 1)
        one.clock.advance(100)
        assert await latest(one, size=300) == await latest(two, size=300)


async def test_rows_lost_for_good_are_nowhere_and_the_truth_knows_it(sim: Bench) -> None:
    sim.set_faults(lost_fraction=0.2)
    sim.clock.advance(300)
    sim.set_faults(lost_fraction=0)
    sim.clock.advance(600)
    truth = times(sim.cloud.truth(sim.ids[0], START_MS, START_MS + 300_000))
    assert 2000 < len(truth) < 2800
    assert times((await history(sim, start=START_MS, stop=START_MS + 300_000)).body["results"]) == truth


async def ranges(sim: Bench, start: int, stop: int) -> list[tuple[str, str, int]]:
    path = f"devices/{sim.ids[0]}/preprocessed-ranges/"
    return [tuple(r.values()) for r in (await sim.get(path, start=start, stop=stop)).body["results"]]


async def test_ranges_may_claim_more_than_there_is(sim: Bench) -> None:
    """Each by as many rows, which paged data do not have."""
    span = (START_MS - 60_000, START_MS - 1)
    [(start, stop, size)] = await ranges(sim, *span)
    sim.set_faults(range_excess_rows=7)
    assert await ranges(sim, *span) == [(start, stop, size + 7)]
    assert (await history(sim, start=span[0], stop=span[1])).body["count"] == size


async def test_ranges_may_be_reported_whole(sim: Bench) -> None:
    """A range that the span only touches is not cut to it."""
    whole = await ranges(sim, START_MS - DAY_MS, START_MS)
    cut = await ranges(sim, START_MS - 60_000, START_MS - 30_000)
    sim.set_faults(ranges_clipped=False)
    assert await ranges(sim, START_MS - 60_000, START_MS - 30_000) == whole != cut
    assert await ranges(sim, START_MS - DAY_MS, START_MS - DAY_MS + 1000) == []


async def test_pages_may_come_in_any_order(sim: Bench) -> None:
    """The pages of one result still have every row once, and a page is the same when asked again."""
    plain = times((await history(sim, limit=7000)).body["results"])
    sim.set_faults(data_order="shuffled")
    pages = [times((await history(sim, page=page, limit=1000)).body["results"]) for page in range(1, 7)]
    assert pages[0] != sorted(pages[0])
    assert min(pages[0]) < min(plain) + 60_000
    assert max(pages[0]) > max(plain) - 60_000
    assert sorted(t for page in pages for t in page) == plain
    assert times((await history(sim, page=2, limit=1000)).body["results"]) == pages[1]


async def test_the_page_size_may_be_small(sim: Bench) -> None:
    sim.set_faults(data_page_maximum=500)
    for query in ({}, {"limit": 3000}):
        body = (await history(sim, **query)).body
        assert (len(body["results"]), body["next"]) == (500, 2)
    sim.set_faults(over_limit="refuse")
    assert (await history(sim, limit=501)).status == 400


async def test_late_rows_stay_hidden_in_a_frozen_result(sim: Bench) -> None:
    """Though the latest data and a new query show them already."""
    await sim.control("POST", f"devices/{sim.ids[0]}/network", {"connected": False})
    sim.clock.advance(60)
    span = {"start": START_MS - 60_000, "stop": START_MS + 60_000}
    first = (await history(sim, **span)).body
    await sim.control("POST", f"devices/{sim.ids[0]}/network", {"connected": True})
    sim.clock.advance(60)
    assert (await history(sim, **span)).body == first
    fresh = (await history(sim, **span | {"start": START_MS - 59_999})).body
    assert fresh["count"] > first["count"] + 500
    sim.clock.advance(60)
    assert (await history(sim, **span)).body["count"] > first["count"] + 500


async def set_clock(sim: Bench, error_s: int) -> None:
    assert (await sim.control("POST", f"devices/{sim.ids[0]}/clock", {"error_s": error_s})).status == 200


async def test_rows_of_the_future_stay_the_newest(sim: Bench) -> None:
    """The latest data are sorted by the tracker's time: a minute of 2070 hides what is right for 30 s of rows."""
    await set_clock(sim, 1_400_000_000)
    sim.clock.advance(60)
    await set_clock(sim, 0)
    sim.clock.advance(60)
    rows = times(await latest(sim, size=300))
    assert rows == sorted(rows, reverse=True)
    assert min(rows) > START_MS + 1_400_000_000_000
    answer = (await sim.get(f"devices/{sim.ids[0]}/latest-timestamp/")).body
    assert answer["timestamp"] == rows[0]
    assert answer["datetime"].startswith("2069-")


async def test_rows_of_the_past_are_found_where_their_time_is(sim: Bench) -> None:
    """After a GPS week roll-over the latest data stand still; the truth has the rows under their wrong time."""
    before = times(await latest(sim, size=1))[0]
    await set_clock(sim, -1024 * 7 * 86_400)
    sim.clock.advance(60)
    assert START_MS - 1000 <= times(await latest(sim, size=1))[0] <= before + 2000
    wrong_ms = START_MS - 1024 * 7 * DAY_MS
    rows = times(sim.cloud.truth(sim.ids[0], wrong_ms - 1000, wrong_ms + 60_000))
    assert 570 <= len(rows) <= 600
    assert sim.cloud.truth(sim.ids[0], START_MS + 2000, START_MS + 60_000) == []


async def test_a_new_owner_sees_the_newest_rows_whatever_their_clock_says(sim: Bench) -> None:
    """Whose rows they are is decided by when they were measured: 1970 was not before the claim."""
    device = f"devices/{sim.ids[2]}"
    await sim.control("POST", f"{device}/move", {"to": "ours"})
    await sim.control("POST", f"{device}/clock", {"error_s": -START_MS // 1000})
    sim.clock.advance(10)
    rows = times(await latest(sim, 2, size=300))
    assert 70 <= len(rows) <= 100
    assert -1000 < min(rows) < max(rows) < 12_000


async def test_ranges_and_pages_go_by_the_trackers_time(sim: Bench) -> None:
    """Two hours ahead: a range of its own, and its rows are on the pages of its span, not of the one it was made in."""
    await set_clock(sim, 7200)
    sim.clock.advance(60)
    span = (START_MS - 600_000, START_MS + 8_000_000)
    found = await ranges(sim, *span)
    assert len(found) == 2
    rows = times((await history(sim, start=span[0], stop=span[1])).body["results"])
    assert rows == sorted(rows)
    assert [size for _, _, size in found] == [
        sum(t < START_MS + 10_000 for t in rows),
        sum(t > START_MS + 10_000 for t in rows),
    ]
    assert times((await history(sim, start=START_MS + 10_000, stop=START_MS + 60_000)).body["results"]) == []


async def test_a_clock_set_back_overwrites_and_leaves_no_time_twice(sim: Bench) -> None:
    await set_clock(sim, -100)
    sim.clock.advance(200)
    rows = times(sim.cloud.truth(sim.ids[0], START_MS - 600_000, START_MS + 200_000))
    assert {b - a for a, b in pairwise(rows)} == {100}
    assert len(rows) == len(set(rows)) < 7200
    answer = times((await history(sim, start=START_MS - 600_000, stop=START_MS + 200_000)).body["results"])
    assert answer == rows


async def test_the_past_is_as_long_as_the_cloud_was_told() -> None:
    """A day of it, which costs nothing until somebody asks."""
    clock = ManualClock()
    cloud = SimulatedCloud(2, 7, Faults(), clock, history_s=86_400)
    device = cloud.devices[0].device_id
    [(first, last, size)] = cloud.selection(device, [(0, clock() + DAY_MS)]).ranges(300_000)
    assert (last - first) // 1000 in {86_397, 86_398, 86_399}
    assert size == (last - first) // 100 + 1
    assert len(cloud.truth(device, START_MS - DAY_MS, START_MS - DAY_MS + 10_000)) in range(90, 101)
    assert cloud._world._blocks.keys() == {0}
    older = SimulatedCloud(2, 7, Faults(), clock, history_s=20 * 86_400)
    [(owned_since, _)] = older.ownerships.spans(older.accounts.ours.manager_id, device)
    assert owned_since == START_MS - 20 * DAY_MS

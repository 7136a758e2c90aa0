"""Devices, lists and ownership in time."""

import pytest

from gateway.simulator.accounts import OTHER_PASSWORD, OTHER_USERNAME
from gateway.simulator.devices import catalogue
from gateway.simulator.ownership import Register
from tests.simulator.bench import START_MS, Bench, bench

UNKNOWN = {"serial_number": "SIM-9999", "device_name": "004999010000379"}


def luhn(digits: str) -> int:
    """The sum that must end in 0, from the right, every second digit doubled with its digits added."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total


def test_labels_are_valid_and_some_serials_contain_others() -> None:
    devices = catalogue(40)
    assert len({device.device_name for device in devices}) == len({d.serial_number for d in devices}) == 40
    for device in devices:
        assert len(device.device_name) == 15
        assert luhn(device.device_name) % 10 == 0
    assert [device.serial_number for device in devices[:3]] == ["SIM-0001", "SIM-0003B", "SIM-0003"]


async def serials(sim: Bench, **query: object) -> list[str]:
    answer = await sim.get("devices/", **query)
    assert answer.status == 200
    return [device["serial_number"] for device in answer.body["results"]]


async def claim(sim: Bench, place: int) -> int:
    device = sim.cloud.devices[place]
    body = {"serial_number": device.serial_number, "device_name": device.device_name}
    return (await sim.call("POST", "devices/take-ownership/", json=body)).status


async def test_a_device_has_the_documented_fields(sim: Bench) -> None:
    device = (await sim.get(f"devices/{sim.ids[0]}/")).body
    assert set(device) == {"id", "device_name", "serial_number", "device_type", "firmware_version", "custom_name"}


async def test_current_lists_what_is_owned_now_and_otherwise_what_ever_was(sim: Bench) -> None:
    assert await serials(sim, current="true") == ["SIM-0001", "SIM-0003B"]
    assert (await sim.call("POST", f"devices/{sim.ids[0]}/release-ownership/")).status == 204
    assert await serials(sim, current="true") == ["SIM-0003B"]
    assert await serials(sim) == ["SIM-0001", "SIM-0003B"]


async def test_filters_contain_without_case_and_ordering_reverses() -> None:
    async with bench(trackers=6, initially_owned=6) as sim:
        assert await serials(sim, serial_number="sim-0003") == ["SIM-0003B", "SIM-0003"]
        assert await serials(sim, device_name=sim.cloud.devices[3].device_name) == ["SIM-0004"]
        assert await serials(sim, search="0006b") == ["SIM-0006B"]
        assert await serials(sim, device_type="Inspirit") == []
        assert await serials(sim, custom_name="x") == []
        assert await serials(sim, activation_time_from=START_MS) == []
        assert len(await serials(sim, activation_time_to="2030-01-01T00:00:00Z")) == 6
        assert await serials(sim, activity="3") == []
        ordered = await serials(sim, ordering="serial_number")
        assert ordered == sorted(ordered)
        assert await serials(sim, ordering="-serial_number") == ordered[::-1]
        assert (await sim.get("devices/", ordering="colour")).status == 400
        assert (await sim.get("devices/", current="perhaps")).status == 400


async def test_pages_have_whole_numbers_for_next_and_previous() -> None:
    async with bench(trackers=5, initially_owned=5) as sim:
        pages = [(await sim.get("devices/", page=page, limit=2)).body for page in (1, 2, 3)]
        assert [(p["count"], p["page"], p["next"], p["previous"], len(p["results"])) for p in pages] == [
            (5, 1, 2, None, 2),
            (5, 2, 3, 1, 2),
            (5, 3, None, 2, 1),
        ]
        assert (await sim.get("devices/", limit=5)).body["next"] is None
        assert (await sim.get("devices/", page=4, limit=2)).status == 404
        for wrong in ({"limit": 0}, {"limit": "x"}, {"page": 0}, {"page": -1}):
            assert (await sim.get("devices/", **wrong)).status == 400
        assert (await sim.get("devices/", limit=3001)).status == 200
        sim.set_faults(over_limit="refuse")
        assert (await sim.get("devices/", limit=3001)).status == 400
        assert (await sim.get("devices/", limit=3000)).status == 200


async def test_claiming_gives_ownership_from_now_to_the_sentinel(sim: Bench) -> None:
    assert await claim(sim, 2) == 201
    rows = (await sim.get("device-ownerships/", device=sim.ids[2])).body["results"]
    assert [(row["start_time"], row["end_time"][:19]) for row in rows] == [
        ("2025-06-15T15:06:40.000000Z", "2999-12-31T23:59:59")
    ]
    assert set(rows[0]) == {"id", "start_time", "end_time", "device", "manager", "device_details"}
    assert rows[0]["device_details"]["serial_number"] == "SIM-0003"
    assert (await sim.get(f"device-ownerships/{rows[0]['id']}/")).body == rows[0]


async def test_claims_that_cannot_be() -> None:
    async with bench(trackers=4, initially_foreign=1) as sim:
        path = "devices/take-ownership/"
        assert (await sim.call("POST", path, json=UNKNOWN)).status == 404
        assert (await sim.call("POST", path, json={})).status == 400
        assert (await sim.call("POST", path, json=[1])).status == 400
        pair = {"serial_number": "SIM-0001", "device_name": sim.cloud.devices[1].device_name}
        assert (await sim.call("POST", path, json=pair)).status == 404
        assert await claim(sim, 3) == 403


@pytest.mark.parametrize(("reclaim", "status", "rows"), [("keep", 201, 1), ("new_row", 201, 2), ("refuse", 400, 1)])
async def test_claiming_ones_own_device_is_a_knob(sim: Bench, reclaim: str, status: int, rows: int) -> None:
    sim.set_faults(reclaim=reclaim)
    sim.clock.advance(60)
    assert await claim(sim, 0) == status
    assert (await sim.get("device-ownerships/", device=sim.ids[0])).body["count"] == rows
    assert await serials(sim, current="true") == ["SIM-0001", "SIM-0003B"]


async def test_release_of_what_is_not_owned(sim: Bench) -> None:
    never = await sim.call("POST", f"devices/{sim.ids[3]}/release-ownership/")
    assert (never.status, never.body) == (400, {"message": "Device has never been activated."})
    await sim.control("POST", f"devices/{sim.ids[0]}/move", {"to": "other"})
    assert (await sim.call("POST", f"devices/{sim.ids[0]}/release-ownership/")).status == 403
    assert (await sim.call("POST", "devices/1/release-ownership/")).status == 404


async def test_a_release_may_answer_with_the_device(sim: Bench) -> None:
    sim.set_faults(release_status=200)
    released = await sim.call("POST", f"devices/{sim.ids[0]}/release-ownership/")
    assert (released.status, released.body["id"]) == (200, sim.ids[0])


async def test_ownership_filters(sim: Bench) -> None:
    sim.clock.advance(60)
    await claim(sim, 2)
    now = sim.clock()
    name = sim.cloud.devices[2].device_name

    async def count(**query: object) -> int:
        answer = await sim.get("device-ownerships/", **query)
        return int(answer.body["count"])

    assert await count() == 3
    assert await count(device_name=name) == 1
    assert await count(device_name=name[:-1]) == 0
    assert await count(start_time_from=now) == 1
    assert await count(start_time_to=now - 1) == 2
    assert await count(end_time_to=now) == 0
    assert await count(end_time_from=now) == 3


def test_owners_that_follow_each_other_share_no_instant() -> None:
    register = Register()
    register.take(1, 5, now_ms=1000)
    register.take(2, 5, now_ms=2000)
    register.end(5, now_ms=3000)
    assert register.spans(1, 5) == [(1000, 1999)]
    assert register.spans(2, 5) == [(2000, 2999)]
    assert register.current(5) is None


async def test_others_see_nothing_of_ours(sim: Bench) -> None:
    mine = (await sim.get("device-ownerships/")).body["results"][0]
    await sim.log_in(OTHER_USERNAME, OTHER_PASSWORD)
    assert (await sim.get("device-ownerships/")).body["count"] == 0
    assert (await sim.get(f"device-ownerships/{mine['id']}/")).status == 403
    assert (await sim.get("device-ownerships/1/")).status == 404
    assert (await sim.get(f"devices/{sim.ids[0]}/")).status == 403
    assert (await sim.get("devices/x/")).status == 404


async def test_custom_names(sim: Bench) -> None:
    path = f"devices/{sim.ids[0]}/set-custom-name/"
    assert (await sim.call("PUT", path, json={"custom_name": "Goal keeper"})).body["custom_name"] == "Goal keeper"
    assert await serials(sim, custom_name="KEEPER") == ["SIM-0001"]
    for wrong in ("x" * 61, "", "<b>", None):
        assert (await sim.call("PUT", path, json={"custom_name": wrong})).status == 400

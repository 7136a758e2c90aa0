"""Bluetooth sensors and recordings."""

import base64
from typing import Any

import pytest

from tests.simulator.bench import Bench, bench

BELT = {"mac_address": "a0:9e:1a:00:00:01", "name": "Belt"}
METER = {"mac_address": "a0:9e:1a:00:00:02", "name": "Meter"}
ASI = b"ASI\x00\x00\x00\x10\x04\x04\x06ASI V2 synthetic, not a recording"


async def config(sim: Bench, place: int = 0) -> dict[str, Any]:
    answer = await sim.get(f"devices/{sim.ids[place]}/bluetooth-config/")
    assert answer.body["status"] == "success"
    data: dict[str, Any] = answer.body["data"]
    assert set(data) == {"current", "target"}
    return data


async def patch(sim: Bench, body: object, query: str = "") -> int:
    return (await sim.call("PATCH", f"devices/{sim.ids[0]}/bluetooth-config/{query}", json=body)).status


async def test_an_unset_pairing_is_absent(sim: Bench) -> None:
    assert set((await config(sim, 0))["current"]) == {"pairing_1"}
    assert set((await config(sim, 1))["current"]) == {"pairing_1", "pairing_2"}


async def test_a_change_waits_for_the_device_to_start(sim: Bench) -> None:
    before = (await config(sim))["current"]
    assert await patch(sim, {"pairing_1": BELT}) == 200
    sim.clock.advance(3600)
    assert await config(sim) == {"current": before, "target": {"pairing_1": BELT}}
    await sim.control("POST", f"devices/{sim.ids[0]}/restart")
    assert await config(sim) == {"current": {"pairing_1": BELT}, "target": {"pairing_1": BELT}}


async def test_a_start_without_network_is_acknowledged_when_it_is_back(sim: Bench) -> None:
    await patch(sim, {"pairing_1": BELT})
    device = f"devices/{sim.ids[0]}"
    await sim.control("POST", f"{device}/network", {"connected": False})
    await sim.control("POST", f"{device}/restart")
    assert (await config(sim))["current"] != {"pairing_1": BELT}
    await sim.control("POST", f"{device}/network", {"connected": True})
    assert (await config(sim))["current"] == {"pairing_1": BELT}


async def test_immediate_sending_reaches_a_device_that_is_online(sim: Bench) -> None:
    assert await patch(sim, {"pairing_1": BELT}, "?immediate_sending=true") == 200
    assert (await config(sim))["current"] != {"pairing_1": BELT}
    sim.clock.advance(2)
    assert (await config(sim))["current"] == {"pairing_1": BELT}
    await sim.control("POST", f"devices/{sim.ids[0]}/power", {"on": False})
    await patch(sim, {"pairing_1": METER}, "?immediate_sending=true")
    sim.clock.advance(60)
    assert (await config(sim))["current"] == {"pairing_1": BELT}


@pytest.mark.parametrize(("form", "slots"), [("merge", {"pairing_1", "pairing_2"}), ("replace", {"pairing_2"})])
async def test_a_patch_merges_or_replaces_by_knob(sim: Bench, form: str, slots: set[str]) -> None:
    sim.set_faults(bluetooth_patch=form)
    await patch(sim, {"pairing_2": METER})
    assert set((await config(sim))["target"]) == slots


CLEARED = {"null": None, "empty_object": {}, "empty_strings": {"mac_address": "", "name": ""}}


@pytest.mark.parametrize("form", CLEARED)
async def test_only_one_form_unpairs(sim: Bench, form: str) -> None:
    sim.set_faults(unpair=form)
    for name, value in CLEARED.items():
        if name != form:
            assert await patch(sim, {"pairing_1": value}) == 400
    assert await patch(sim, {"pairing_1": CLEARED[form]}) == 200
    assert (await config(sim))["target"] == {}


@pytest.mark.parametrize("wrong", [[], {"pairing_1": {**BELT, "mac_address": "a09e1a000001"}}, {"pairing_1": "x"}])
async def test_an_invalid_pairing_is_refused(sim: Bench, wrong: object) -> None:
    assert await patch(sim, wrong) == 400


async def test_bluetooth_needs_current_ownership(sim: Bench) -> None:
    await sim.control("POST", f"devices/{sim.ids[0]}/move")
    assert await patch(sim, {"pairing_1": BELT}) == 403
    assert (await sim.get(f"devices/{sim.ids[0]}/bluetooth-config/")).status == 403


async def upload(sim: Bench, content: bytes | str, place: int = 0) -> Any:
    text = content if isinstance(content, str) else base64.b64encode(content).decode()
    return await sim.call("POST", f"devices/{sim.ids[place]}/asi/", json={"asi_b64": text})


async def test_an_upload_becomes_a_job_that_ends(sim: Bench) -> None:
    answer = await upload(sim, ASI)
    assert answer.status == 200
    assert set(answer.body) == {"id", "job_id", "state", "details"}
    assert answer.body["job_id"].startswith("job-")
    states = []
    for _ in range(4):
        states.append((await sim.get(f"jobs/{answer.body['job_id']}/")).body["state"])
        sim.clock.advance(1)
    assert states == ["PENDING", "PENDING", "STARTED", "SUCCESS"]
    assert sim.cloud.jobs.all[0].size == len(ASI)


async def test_jobs_may_fail_and_take_their_time() -> None:
    async with bench(job_failure_fraction=1, job_delay_s=60) as sim:
        job = (await upload(sim, ASI)).body["job_id"]
        sim.clock.advance(59)
        assert (await sim.get(f"jobs/{job}/")).body["state"] == "STARTED"
        sim.clock.advance(1)
        body = (await sim.get(f"jobs/{job}/")).body
        assert (body["state"], bool(body["details"])) == ("FAILURE", True)


async def test_uploads_that_are_refused(sim: Bench) -> None:
    sim.set_faults(upload_limit_bytes=100)
    assert (await upload(sim, b"")).status == 400
    assert (await upload(sim, b"RIFF")).status == 400
    assert (await upload(sim, "QVNJ*")).status == 400
    assert (await upload(sim, "QVN\nJ")).status == 400
    assert (await upload(sim, ASI + bytes(100))).status == 413
    assert (await upload(sim, ASI, place=3)).status == 403
    assert sim.cloud.jobs.all == []


async def test_jobs_belong_to_who_started_them(sim: Bench) -> None:
    job = (await upload(sim, ASI)).body["job_id"]
    assert (await sim.get("jobs/job-0/")).status == 404
    await sim.log_in("rival@example.org", "other-simulated-password")
    assert (await sim.get(f"jobs/{job}/")).status == 404

"""Changes that are carried out while their client learns nothing of it, or nothing in time."""

import asyncio

import aiohttp
import pytest

from tests.simulator.bench import Bench

pytestmark = pytest.mark.looptime

BELT = {"mac_address": "a0:9e:1a:00:00:01", "name": "Belt"}
PATIENCE = aiohttp.ClientTimeout(total=10)


async def pair(sim: Bench) -> int:
    path = f"devices/{sim.ids[0]}/bluetooth-config/"
    return (await sim.call("PATCH", path, json={"pairing_1": BELT}, timeout=PATIENCE)).status


def is_paired(sim: Bench) -> bool:
    return [write.after["pairing_1"] for write in sim.cloud.pairing_writes] == [BELT]


async def test_a_reset_may_come_in_place_of_the_answer(sim: Bench) -> None:
    sim.set_faults(lost_answer_fraction=1)
    with pytest.raises(aiohttp.ClientOSError):
        await pair(sim)
    assert is_paired(sim)


async def test_nothing_may_come_until_the_client_gives_up(sim: Bench) -> None:
    sim.set_faults(lost_answer_fraction=1, lost_answer_form="hang")
    with pytest.raises(TimeoutError):
        await pair(sim)
    assert is_paired(sim)
    assert (await sim.get("devices/")).status == 200
    await asyncio.sleep(2)
    handling = [task for task in asyncio.all_tasks() if "_handle_request" in str(task)]
    assert handling == [], "the client has gone"


async def test_the_page_of_a_proxy_may_come(sim: Bench) -> None:
    sim.set_faults(lost_answer_fraction=1, lost_answer_form="status")
    assert await pair(sim) == 504
    assert is_paired(sim)


async def test_what_is_refused_or_only_read_or_about_tokens_is_answered(sim: Bench) -> None:
    sim.set_faults(lost_answer_fraction=1)
    assert (await sim.get(f"devices/{sim.ids[0]}/bluetooth-config/")).status == 200
    path = f"devices/{sim.ids[3]}/bluetooth-config/"
    assert (await sim.call("PATCH", path, json={"pairing_1": BELT})).status == 403
    assert (await sim.log_in()).status == 200
    assert (await sim.control("POST", f"devices/{sim.ids[0]}/restart")).status == 200


async def test_a_claim_is_a_change_too(sim: Bench) -> None:
    sim.set_faults(lost_answer_fraction=1)
    device = sim.cloud.devices[3]
    with pytest.raises(aiohttp.ClientOSError):
        await sim.call("POST", "devices/take-ownership/", json={"serial_number": device.serial_number})
    assert sim.cloud.ownerships.owns(sim.cloud.accounts.ours.manager_id, device.device_id)


async def test_a_slow_change_is_carried_out_after_its_client_gave_up_and_looked(sim: Bench) -> None:
    sim.set_faults(change_latency_ms=15_000)
    with pytest.raises(TimeoutError):
        await pair(sim)
    assert (await sim.get(f"devices/{sim.ids[0]}/bluetooth-config/")).status == 200
    assert sim.cloud.pairing_writes == []
    await asyncio.sleep(6)
    assert is_paired(sim)

"""Every operation against the simulated cloud, over HTTP with its OAuth2."""

import asyncio
import hashlib

import msgspec
import pytest

from gateway.cloud.client import DAY_MS, LONGEST_DATA_MS, LONGEST_RANGES_MS
from gateway.cloud.endpoints import ENDPOINTS
from gateway.cloud.errors import Forbidden, LoginRefused, NotFound, Rejected
from gateway.cloud.models import JobState, ManagerDetails, Pairing, PairingSet
from gateway.secret import Secret
from gateway.simulator.accounts import PASSWORD
from gateway.simulator.faults import Faults
from tests.cloud.asi import body_of
from tests.cloud.simulated import START_MS, Simulated, simulated

pytestmark = pytest.mark.looptime

OURS, FREE = 4101, 4103


async def times(cloud: Simulated, start_ms: int, stop_ms: int, limit: int = 10_000) -> list[int]:
    return [
        t_ms
        async for page in cloud.client.preprocessed(OURS, start_ms, stop_ms, limit)
        for t_ms in page.rows.block.t_ms.tolist()
    ]


async def test_every_operation_of_the_table_is_performed() -> None:
    async with simulated(trackers=4, faults=Faults(lookup_enabled=True)) as cloud:
        client, managers = cloud.client, cloud.client.managers
        account = await managers.account()
        assert account.role == "MANAGER"
        assert account.manager_profile is not None
        me = account.manager_profile.id
        assert (await managers.get(me)).id == me
        assert (await managers.by_external_id("sim-21")).id == me
        created = await managers.create(ManagerDetails(email="new@example.org", first_name="New"))
        assert created.email == "new@example.org"
        updated = await managers.update(me, ManagerDetails(last_name="Changed"))
        assert updated.manager_profile is not None
        assert updated.manager_profile.last_name == "Changed"
        await managers.change_password(me, Secret(PASSWORD), Secret("new"))
        assert cloud.cloud.accounts.ours.password == "new"

        assert [device.id async for device in client.devices(current=True)] == [4101, 4102]
        assert (await client.device(OURS)).serial_number == cloud.cloud.devices[0].serial_number
        free = cloud.cloud.devices[2]
        assert (await client.take_ownership(free.serial_number, free.device_name)).id == FREE
        await client.set_custom_name(FREE, "Left back")
        assert (await client.device(FREE)).custom_name == "Left back"
        ownerships = [ownership async for ownership in client.ownerships(device_id=FREE)]
        assert [(found.device, found.manager, found.has_open_end) for found in ownerships] == [(FREE, me, True)]
        await client.release_ownership(FREE)
        assert not (await client.ownership(ownerships[0].id)).has_open_end

        rows = await client.latest_data(OURS, lambda: 30)
        assert len(rows.block) == 30
        assert (await client.latest_timestamp(OURS)).t_ms == rows.block.t_ms[-1]
        found = [stretch async for stretch in client.ranges(OURS, START_MS - DAY_MS, START_MS)]
        assert len(found) == 1
        assert len(await times(cloud, START_MS - DAY_MS, START_MS)) == found[0].size

        config = await client.bluetooth_config(OURS)
        strap = Pairing("a0:9e:1a:00:00:01", "H10")
        changed = await client.set_bluetooth_config(OURS, PairingSet(pairing_1=strap), immediate_sending=True)
        assert changed.target == msgspec.structs.replace(config.target, pairing_1=strap)
        cloud.clock.now_ms += 2000
        assert (await client.bluetooth_config(OURS)).current == changed.target
        cleared = await client.set_bluetooth_config(OURS, PairingSet(pairing_1=None))
        assert cleared.target.pairing_1 in {None, msgspec.UNSET}

        asi = b"ASI" + bytes(100_000)
        job = await client.load_asi(OURS, body_of(asi))
        assert job.meaning is JobState.RUNNING
        cloud.clock.now_ms += 3000
        assert (await client.job(job.job_id)).meaning is JobState.DONE
        same = await client.find_asi(OURS, hashlib.sha256(asi).hexdigest())
        assert same is not None
        assert same.job_id == job.job_id
        assert await client.find_asi(OURS, hashlib.sha256(b"").hexdigest()) is None
        performed = set(cloud.cloud.requests)
    assert performed == set(ENDPOINTS) - {"live_data"}


async def test_the_serial_number_filter_is_the_clouds_contains() -> None:
    async with simulated(trackers=4, faults=Faults(initially_owned=4)) as cloud:
        exact = cloud.cloud.devices[2].serial_number
        found = [device.serial_number async for device in cloud.client.devices(serial_number=exact.lower())]
        assert found == [cloud.cloud.devices[1].serial_number, exact]


async def test_history_is_complete_whatever_the_size_of_its_pages() -> None:
    async with simulated() as cloud:
        start_ms = START_MS - 600_000
        truth = [int(row["gnss.timestamp"]) for row in cloud.cloud.truth(OURS, start_ms, START_MS)]  # type: ignore[call-overload]
        whole = await times(cloud, start_ms, START_MS)
        assert set(whole) <= set(truth)
        assert len(whole) > 5900
        for limit in (999, 5000, len(whole)):
            assert await times(cloud, start_ms, START_MS, limit) == whole


async def test_long_spans_are_asked_for_within_the_limits_of_the_api() -> None:
    async with simulated() as cloud:
        cloud.cloud.set_power(OURS, on=False)
        cloud.clock.now_ms += 10 * DAY_MS
        start_ms, stop_ms = START_MS - 600_000, START_MS + 5 * DAY_MS
        assert stop_ms - start_ms > 2 * LONGEST_DATA_MS
        assert len(await times(cloud, start_ms, stop_ms)) > 5900
        assert cloud.cloud.requests["preprocessed_data"] == 3
        start_ms, stop_ms = START_MS - 6 * DAY_MS, START_MS + 9 * DAY_MS
        assert stop_ms - start_ms > LONGEST_RANGES_MS
        assert len([stretch async for stretch in cloud.client.ranges(OURS, start_ms, stop_ms)]) == 1
        assert cloud.cloud.requests["preprocessed_ranges"] == 2
        assert cloud.cloud.statuses.keys() == {200}


async def test_an_empty_or_reversed_span_asks_nothing() -> None:
    async with simulated() as cloud:
        assert await times(cloud, START_MS, START_MS) == []
        assert await times(cloud, START_MS, START_MS - 1) == []
        assert not cloud.cloud.requests


async def test_what_is_not_ours_is_refused_and_what_does_not_exist_is_not_found() -> None:
    async with simulated(faults=Faults(initially_foreign=1)) as cloud:
        for forbidden in (cloud.client.latest_data(FREE, lambda: 1), cloud.client.bluetooth_config(FREE)):
            with pytest.raises(Forbidden):
                await forbidden
        with pytest.raises(NotFound):
            await cloud.client.device(9999)
        with pytest.raises(NotFound):
            await cloud.client.job("job-unknown")
        with pytest.raises(Rejected) as caught:
            await cloud.client.set_custom_name(OURS, "!" * 61)
        assert caught.value.fields == {"custom_name": ("Enter a valid value.",)}


async def test_the_number_of_rows_is_checked_before_it_is_sent() -> None:
    async with simulated() as cloud:
        for too in (lambda: 0, lambda: 301):
            with pytest.raises(ValueError, match="size"):
                await cloud.client.latest_data(OURS, too)
        assert not cloud.cloud.requests["latest_data"]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("rotation", [True, False])
async def test_revoked_tokens_are_replaced_in_mid_session(status: int, rotation: bool) -> None:
    faults = Faults.model_validate({"bad_token_status": status, "refresh_rotation": rotation})
    async with simulated(faults=faults) as cloud:
        for with_refresh_token in (False, True):
            await asyncio.gather(*(cloud.client.latest_data(OURS, lambda: 10) for _ in range(20)))
            cloud.cloud.accounts.revoke(refresh_tokens=with_refresh_token)
        await asyncio.gather(*(cloud.client.latest_data(OURS, lambda: 10) for _ in range(20)))
        assert cloud.cloud.requests["token"] == 1 + 1 + 2


async def test_a_wrong_password_is_tried_three_times() -> None:
    async with simulated(password="wrong") as cloud:
        for _ in range(5):
            with pytest.raises(LoginRefused) as caught:
                await cloud.client.latest_data(OURS, lambda: 1)
        assert "wrong" not in str(caught.value).replace("password is wrong", "")
        assert cloud.cloud.requests["token"] == 3


async def test_readings_survive_a_bad_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)
    faults = Faults(error_fraction=0.2, error_body="html", truncated_fraction=0.1, duplicate_fraction=0.1)
    async with simulated(faults=faults) as cloud:
        for _ in range(15):
            assert (await cloud.client.device(OURS)).id == OURS
        assert cloud.client.traffic.failed

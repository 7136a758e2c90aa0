"""Claiming against the simulated cloud, over HTTP."""

import pytest

from gateway.cloud.client import CloudClient
from gateway.cloud.errors import Broken, CloudError, Forbidden, NotFound, Rejected, ServerFailed, Throttled, Unreachable
from gateway.cloud.models import Device
from gateway.fleet.claim import Claim, ClaimStatus, claim, owned, refused
from gateway.fleet.roster import Decision, Step, Tracker
from gateway.simulator.cloud import SimulatedCloud


def entry(cloud: SimulatedCloud, place: int, *, named: bool = True) -> Tracker:
    device = cloud.devices[place]
    return Tracker(device.serial_number, device.device_name if named else None, f"athlete {place}")


def statuses(claims: list[Claim]) -> list[ClaimStatus]:
    return [found.status for found in claims]


async def test_each_tracker_is_left_claimed_or_reported(client: CloudClient, simulated_cloud: SimulatedCloud) -> None:
    trackers = [
        entry(simulated_cloud, 0),
        entry(simulated_cloud, 1, named=False),
        entry(simulated_cloud, 2),
        entry(simulated_cloud, 3, named=False),
        Tracker("SIM-9999", "nobody"),
        entry(simulated_cloud, 5),
    ]
    claims = await claim(client, trackers)
    assert statuses(claims) == [
        ClaimStatus.OWNED,
        ClaimStatus.OWNED,
        ClaimStatus.OWNED,
        ClaimStatus.NAME_MISSING,
        ClaimStatus.UNKNOWN,
        ClaimStatus.FOREIGN,
    ]
    assert [found.tracker for found in claims] == trackers
    assert owned(claims) == {simulated_cloud.devices[place].serial_number: 4101 + place for place in range(3)}
    for found in claims[3:]:
        assert found.tracker.serial_number in found.text
        assert found.action
        assert "athlete" not in found.text
    assert dict(simulated_cloud.requests) == {"token": 1, "devices": 2, "take_ownership": 3}


async def test_what_is_ours_costs_one_request_for_all(client: CloudClient, simulated_cloud: SimulatedCloud) -> None:
    trackers = [entry(simulated_cloud, 0), entry(simulated_cloud, 1)]
    assert statuses(await claim(client, trackers)) == [ClaimStatus.OWNED] * 2
    assert simulated_cloud.requests["devices"] == 1
    assert simulated_cloud.requests["take_ownership"] == 0


async def test_a_tracker_we_once_owned_is_claimed_without_its_name(
    client: CloudClient, simulated_cloud: SimulatedCloud
) -> None:
    simulated_cloud.move(4102, "nobody")
    assert statuses(await claim(client, [entry(simulated_cloud, 1, named=False)])) == [ClaimStatus.OWNED]
    assert simulated_cloud.ownerships.owns(simulated_cloud.accounts.ours.manager_id, 4102)


async def test_a_serial_number_that_only_contains_ours_is_another_tracker(
    client: CloudClient, simulated_cloud: SimulatedCloud
) -> None:
    longer, exact = simulated_cloud.devices[1], simulated_cloud.devices[2]
    assert longer.serial_number.startswith(exact.serial_number)
    (found,) = await claim(client, [entry(simulated_cloud, 2)])
    assert (found.status, found.device_id) == (ClaimStatus.OWNED, exact.device_id)


async def test_trouble_with_the_cloud_is_not_asked_for_tracker_by_tracker(
    client: CloudClient, simulated_cloud: SimulatedCloud
) -> None:
    await claim(client, [])

    class Failing:
        devices = staticmethod(client.devices)

        async def take_ownership(self, serial_number: str, device_name: str) -> Device:
            simulated_cloud.faults = simulated_cloud.faults.merged({"error_fraction": 1})
            return await client.take_ownership(serial_number, device_name)

    claims = await claim(Failing(), [entry(simulated_cloud, place) for place in (0, 2, 3, 4)])
    assert statuses(claims) == [ClaimStatus.OWNED, *[ClaimStatus.PENDING] * 3]
    assert simulated_cloud.requests["take_ownership"] == 1


async def test_lists_that_cannot_be_read_are_the_callers_to_know(
    client: CloudClient, simulated_cloud: SimulatedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)
    simulated_cloud.faults = simulated_cloud.faults.merged({"error_fraction": 1})
    with pytest.raises(ServerFailed):
        await claim(client, [entry(simulated_cloud, 0)])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Forbidden("take_ownership", "You do not have permission"), ClaimStatus.FOREIGN),
        (Rejected("take_ownership", 409), ClaimStatus.FOREIGN),
        (NotFound("take_ownership", "", is_path_unknown=False), ClaimStatus.UNKNOWN),
        (NotFound("take_ownership", "devices/x/", is_path_unknown=True), ClaimStatus.PENDING),
        (Rejected("take_ownership", 400, "no"), ClaimStatus.REFUSED),
        (Throttled("take_ownership", 5), ClaimStatus.PENDING),
        (Unreachable("take_ownership", Broken.TIMEOUT), ClaimStatus.PENDING),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_refusal_says_what_to_do(error: CloudError, status: ClaimStatus) -> None:
    found = refused(Tracker("SIM-0001"), Decision(Step.CLAIM, None, "name"), error)
    assert found.status is status
    assert "SIM-0001" in found.text
    assert found.action
    assert found.server_text == error.server_text
    assert not error.server_text or error.server_text not in found.text

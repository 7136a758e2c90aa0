"""Tokens: how they are issued, renewed, refused and ended."""

import base64

import aiohttp
import pytest

from gateway.simulator.accounts import CLIENT_ID, CLIENT_SECRET, OTHER_PASSWORD, OTHER_USERNAME, PASSWORD, USERNAME
from tests.simulator.bench import Bench, bench

CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
LOGIN = {"grant_type": "password", "username": USERNAME, "password": PASSWORD}


async def test_password_grant_answers_as_documented(sim: Bench) -> None:
    answer = await sim.ask_token(**LOGIN, **CLIENT, scope="all")
    assert answer.status == 200
    assert set(answer.body) == {"access_token", "expires_in", "token_type", "scope", "refresh_token"}
    assert (answer.body["expires_in"], answer.body["token_type"], answer.body["scope"]) == (36000, "Bearer", "all")


async def test_client_credentials_may_be_basic(sim: Bench) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()}
    url = sim.served.token_url + "oauth2/token/"
    async with sim.session.post(url, data=LOGIN, headers=basic) as response:
        assert response.status == 200
    async with sim.session.post(url, data=LOGIN, headers={"Authorization": "Basic !!"}) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({**LOGIN, "client_id": CLIENT_ID, "client_secret": "no"}, 401, "invalid_client"),
        (LOGIN, 401, "invalid_client"),
        ({**LOGIN, **CLIENT, "password": "no"}, 400, "invalid_grant"),
        ({**LOGIN, **CLIENT, "username": "no"}, 400, "invalid_grant"),
        ({**CLIENT, "grant_type": "password"}, 400, "invalid_request"),
        (CLIENT, 400, "invalid_request"),
        ({**CLIENT, "grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({**CLIENT, "grant_type": "refresh_token", "refresh_token": "no"}, 400, "invalid_grant"),
        ({**LOGIN, **CLIENT, "scope": "some"}, 400, "invalid_scope"),
    ],
)
async def test_a_wrong_token_request_says_why(sim: Bench, form: dict[str, str], status: int, error: str) -> None:
    answer = await sim.ask_token(**form)
    assert (answer.status, answer.body["error"]) == (status, error)


async def test_the_token_request_must_be_a_form(sim: Bench) -> None:
    async with sim.session.post(sim.served.token_url + "oauth2/token/", json={**LOGIN, **CLIENT}) as response:
        assert response.status == 401


async def test_a_token_ends_after_its_life(sim: Bench) -> None:
    sim.clock.advance(35_999)
    assert (await sim.get("account/")).status == 200
    sim.clock.advance(1)
    answer = await sim.get("account/")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "detail" in answer.body


async def test_the_life_of_tokens_is_a_knob(sim: Bench) -> None:
    sim.set_faults(token_lifetime_s=5)
    assert (await sim.log_in()).body["expires_in"] == 5
    sim.clock.advance(5)
    assert (await sim.get("account/")).status == 401


@pytest.mark.parametrize("status", [401, 403])
async def test_a_bad_token_is_refused_by_knob(sim: Bench, status: int) -> None:
    sim.set_faults(bad_token_status=status)
    for token in (None, "nonsense"):
        sim.token = token
        answer = await sim.get("devices/")
        assert answer.status == status
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def refresh(sim: Bench, token: str) -> tuple[int, dict[str, str]]:
    answer = await sim.ask_token(grant_type="refresh_token", refresh_token=token, **CLIENT)
    return answer.status, answer.body


async def test_rotation_ends_the_old_pair(sim: Bench) -> None:
    first = (await sim.log_in()).body
    status, second = await refresh(sim, first["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    assert (await refresh(sim, first["refresh_token"]))[0] == 400
    assert (await sim.get("account/")).status == 401
    sim.token = second["access_token"]
    assert (await sim.get("account/")).status == 200


async def test_without_rotation_the_refresh_token_stays(sim: Bench) -> None:
    sim.set_faults(refresh_rotation=False)
    first = (await sim.log_in()).body
    for _ in range(2):
        status, again = await refresh(sim, first["refresh_token"])
        assert status == 200
        assert again["refresh_token"] == first["refresh_token"]


async def test_revocation_ends_access_and_by_wish_refresh_tokens(sim: Bench) -> None:
    first = (await sim.log_in()).body
    assert (await sim.control("POST", "tokens/revoke")).status == 200
    assert (await sim.get("account/")).status == 401
    status, second = await refresh(sim, first["refresh_token"])
    assert status == 200
    await sim.control("POST", "tokens/revoke", {"refresh": True})
    assert (await refresh(sim, second["refresh_token"]))[0] == 400


async def test_tokens_are_the_same_for_a_seed() -> None:
    async with bench(seed=3) as one, bench(seed=3) as two, bench(seed=4) as other:
        assert one.token == two.token != other.token


async def test_the_second_manager_has_an_account_of_its_own(sim: Bench) -> None:
    await sim.log_in(OTHER_USERNAME, OTHER_PASSWORD)
    account = (await sim.get("account/")).body
    assert account["username"] == OTHER_USERNAME
    assert (await sim.get("devices/")).body["count"] == 0


async def test_account_and_manager_operations(sim: Bench) -> None:
    """Numbers 1 to 6 of the reference, as far as it shows them."""
    account = (await sim.get("account/")).body
    assert account["role"] == "MANAGER"
    assert set(account["manager_profile"]) == {"id", "first_name", "last_name"}
    me = f"managers/{account['id']}/"
    assert (await sim.get(me)).body["manager_profile"] == account["manager_profile"]
    assert (await sim.get("managers/22/")).status == 403
    assert (await sim.get("managers/999/")).status == 404
    assert (await sim.get("managers/by-external-id/", **{"external-id": "sim-21"})).body["id"] == account["id"]
    assert (await sim.get("managers/by-external-id/", **{"external-id": "no"})).status == 404
    updated = await sim.call("PUT", me, json={"first_name": "New"})
    assert updated.status == 201
    assert updated.body["manager_profile"] == {**account["manager_profile"], "first_name": "New"}
    wrong = {"old_password": "no", "new_password": "next"}
    assert (await sim.call("PUT", me + "password/", json=wrong)).status == 400
    assert (await sim.call("PUT", me + "password/", json={**wrong, "old_password": PASSWORD})).status == 200
    assert (await sim.log_in()).status == 400
    assert (await sim.log_in(password="next")).status == 200


async def test_anybody_may_register_once(sim: Bench) -> None:
    sim.token = None
    body = {"email": "new@example.org", "first_name": "N", "last_name": "M", "external_id": "x1"}
    created = await sim.call("POST", "managers/", json=body)
    assert created.status == 201
    assert "password" not in str(created.body)
    assert (await sim.call("POST", "managers/", json=body)).status == 400
    manager = sim.cloud.accounts.by_external_id("x1")
    assert manager is not None
    assert (await sim.log_in("new@example.org", manager.password)).status == 200


async def test_a_closed_cloud_refuses_connections() -> None:
    async with bench() as tested:
        url = tested.served.api_url
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)

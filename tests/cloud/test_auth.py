"""The access token, with a real token endpoint and a clock that the test turns."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web
from yarl import URL

from gateway.cloud.auth import PAUSE_AFTER_REFUSALS_S, AccessToken, Authoriser, Login
from gateway.cloud.errors import BadAnswer, CloudError, LoginRefused, NetworkLoginNeeded, ServerFailed
from gateway.cloud.exchange import Exchange, Limits
from gateway.cloud.pacing import Pacer
from gateway.cloud.sessions import open_session
from gateway.secret import Secret
from tests.cloud.scripted import CLIENT_SECRET, PASSWORD, ScriptedCloud


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def authoriser(cloud: ScriptedCloud, clock: Clock) -> AsyncIterator[Authoriser]:
    login = Login("analyst", Secret(PASSWORD), "client", Secret(CLIENT_SECRET))
    async with open_session() as session:
        exchange = Exchange(session, Pacer(jitter=lambda: 0.0), Limits())
        yield Authoriser(exchange, URL(cloud.url + "oauth2/token/"), "oauth2/token/", login, clock)


def value(token: AccessToken | None) -> str:
    assert token is not None
    return token.value.reveal()


def grants(cloud: ScriptedCloud) -> list[str]:
    return [form["grant_type"] for form in cloud.tokens]


async def refuse(_request: web.Request) -> web.Response:
    return web.json_response({"error": "invalid_grant", "error_description": "Invalid credentials given."}, status=400)


async def fail(_request: web.Request) -> web.Response:
    return web.json_response({}, status=503)


async def test_the_first_token_comes_from_the_password(cloud: ScriptedCloud, authoriser: Authoriser) -> None:
    token = await authoriser.token()
    assert token.header == {"Authorization": "Bearer access-1"}
    assert cloud.tokens == [
        {
            "grant_type": "password",
            "username": "analyst",
            "password": PASSWORD,
            "client_id": "client",
            "client_secret": CLIENT_SECRET,
        }
    ]


async def test_a_token_is_refreshed_after_80_percent_of_its_life_and_the_refresh_token_rotates(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock
) -> None:
    await authoriser.token()
    clock.now_s += 0.8 * 36000 - 1
    assert value(await authoriser.token()) == "access-1"
    clock.now_s += 1
    assert value(await authoriser.token()) == "access-2"
    clock.now_s += 0.8 * 36000
    assert value(await authoriser.token()) == "access-3"
    assert grants(cloud) == ["password", "refresh_token", "refresh_token"]
    assert [form["refresh_token"] for form in cloud.tokens[1:]] == ["refresh-1", "refresh-2"]


async def test_a_refused_refresh_token_is_followed_by_the_password(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock
) -> None:
    await authoriser.token()
    clock.now_s += 36000

    async def only_passwords(request: web.Request) -> web.Response:
        return await (refuse if grants(cloud)[-1] == "refresh_token" else cloud.issue)(request)

    cloud.token_handler = only_passwords
    assert value(await authoriser.token()) == "access-3"
    assert grants(cloud) == ["password", "refresh_token", "password"]


async def test_sixty_who_wait_cause_one_token_request(cloud: ScriptedCloud, authoriser: Authoriser) -> None:
    tokens = await asyncio.gather(*(authoriser.token() for _ in range(60)))
    assert {value(token) for token in tokens} == {"access-1"}
    assert len(cloud.tokens) == 1


async def test_sixty_who_wait_share_one_failure(cloud: ScriptedCloud, authoriser: Authoriser) -> None:
    cloud.token_handler = fail
    results = await asyncio.gather(*(authoriser.token() for _ in range(60)), return_exceptions=True)
    assert {type(result) for result in results} == {ServerFailed}
    assert len(cloud.tokens) == 1


async def test_the_first_waiter_may_be_cancelled_and_the_others_still_get_a_token(
    cloud: ScriptedCloud, authoriser: Authoriser
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slowly(request: web.Request) -> web.Response:
        asked.set()
        await answer.wait()
        return await cloud.issue(request)

    cloud.token_handler = slowly
    async with asyncio.TaskGroup() as tasks:
        waiters = [tasks.create_task(authoriser.token()) for _ in range(10)]
        await asked.wait()
        waiters[0].cancel()
        answer.set()
        tokens = await asyncio.gather(*waiters[1:])
    assert waiters[0].cancelled()
    assert len({value(token) for token in tokens}) == 1
    assert len(cloud.tokens) == 2


async def test_after_three_refusals_nobody_asks_again(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock
) -> None:
    cloud.token_handler = refuse
    for _ in range(10):
        clock.now_s += 60
        with pytest.raises(LoginRefused) as caught:
            await authoriser.token()
    assert len(cloud.tokens) == 3
    assert caught.value.reason == "invalid_grant"
    assert "INSIDERS_PASSWORD" in str(caught.value)


async def test_after_a_long_pause_a_single_login_is_tried(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock
) -> None:
    cloud.token_handler = refuse
    for pause_s in (0, 0, 0, 0, PAUSE_AFTER_REFUSALS_S, 0, 0, PAUSE_AFTER_REFUSALS_S):
        clock.now_s += pause_s
        with pytest.raises(LoginRefused):
            await authoriser.token()
    assert len(cloud.tokens) == 5


async def test_a_token_endpoint_in_trouble_is_no_refusal(cloud: ScriptedCloud, authoriser: Authoriser) -> None:
    cloud.token_handler = fail
    for _ in range(4):
        with pytest.raises(ServerFailed):
            await authoriser.token()
    cloud.token_handler = cloud.issue
    assert value(await authoriser.token()) == "access-5"


async def test_the_old_token_lives_on_while_the_cloud_gives_no_new_one(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await authoriser.token()
    cloud.token_handler = fail
    clock.now_s += 0.9 * 36000
    assert value(await authoriser.token()) == "access-1"
    assert value(await authoriser.token()) == "access-1"
    assert len(cloud.tokens) == 2
    clock.now_s += 60
    await authoriser.token()
    assert len(cloud.tokens) == 3
    clock.now_s += 0.1 * 36000
    with pytest.raises(ServerFailed):
        await authoriser.token()
    assert "could not be renewed" in caplog.text


async def test_a_refused_token_is_replaced_once_for_all_who_were_refused(
    cloud: ScriptedCloud, authoriser: Authoriser
) -> None:
    refused = await authoriser.token()
    authoriser.accepted(refused)
    tokens = await asyncio.gather(*(authoriser.another(refused) for _ in range(60)))
    assert {value(token) for token in tokens} == {"access-2"}
    assert value(await authoriser.another(refused)) == "access-2"
    assert len(cloud.tokens) == 2


async def test_tokens_that_never_work_are_replaced_at_growing_pauses(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock
) -> None:
    replaced_at: list[float] = []
    start_s = clock.now_s
    await authoriser.token()
    for _ in range(1000):
        if await authoriser.another(await authoriser.token()):
            replaced_at.append(clock.now_s - start_s)
        clock.now_s += 1
    assert replaced_at == [0, 5, 15, 35, 75, 155, 315, 615, 915]
    assert len(cloud.tokens) == 10


async def test_tokens_that_stop_working_are_replaced_as_rarely_as_those_that_never_did(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock
) -> None:
    """That one worked says nothing about the next."""
    authoriser.accepted(await authoriser.token())
    for _ in range(100):
        await authoriser.another(await authoriser.token())
        clock.now_s += 1
    assert len(cloud.tokens) == 7


async def test_a_token_that_works_ends_those_pauses(authoriser: Authoriser) -> None:
    await authoriser.another(await authoriser.token())
    token = await authoriser.token()
    assert await authoriser.another(token) is None
    authoriser.accepted(token)
    assert value(await authoriser.another(token)) == "access-3"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": ""},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "a\n"},
        {"access_token": "a b"},
        {"access_token": 7},
        {"access_token": "a", "expires_in": "soon"},
        {"access_token": "a" * 100_000},
        [],
    ],
    ids=lambda answer: str(answer)[:30],
)
async def test_a_token_that_could_not_be_sent_is_a_bad_answer(
    cloud: ScriptedCloud, authoriser: Authoriser, answer: object
) -> None:
    async def give(_request: web.Request) -> web.Response:
        return web.json_response(answer)

    cloud.token_handler = give
    with pytest.raises(BadAnswer):
        await authoriser.token()


@pytest.mark.parametrize(
    ("expires_in", "renewed_after_s"),
    [("36000", 28800), (None, 2880), (-5, 0.8), (0, 0.8), (1e300, 0.8 * 30 * 86_400)],
)
async def test_the_life_of_a_token_is_bounded(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock, expires_in: object, renewed_after_s: float
) -> None:
    async def give(_request: web.Request) -> web.Response:
        return web.json_response({"access_token": "a", "expires_in": expires_in, "refresh_token": None})

    cloud.token_handler = give
    await authoriser.token()
    clock.now_s += renewed_after_s - 0.1
    await authoriser.token()
    assert len(cloud.tokens) == 1
    clock.now_s += 0.2
    await authoriser.token()
    assert len(cloud.tokens) == 2


async def test_the_password_does_not_follow_a_redirect(cloud: ScriptedCloud, authoriser: Authoriser) -> None:
    async def away(_request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{cloud.url}elsewhere/"})

    cloud.token_handler = away
    with pytest.raises(NetworkLoginNeeded):
        await authoriser.token()
    assert not cloud.asked


async def test_no_secret_reaches_a_log_or_an_error(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def repeat(request: web.Request) -> web.Response:
        form = await request.post()
        return web.json_response({"error": "invalid_grant", "error_description": f"You sent {dict(form)}"}, status=400)

    caplog.set_level(logging.DEBUG)
    texts = [repr(await authoriser.token())]
    cloud.token_handler = repeat
    for after_s in (0.9 * 36000, 36000):
        clock.now_s += after_s
        try:
            texts.append(repr(await authoriser.token()))
        except CloudError as error:
            texts += [str(error), repr(error), repr(error.__cause__)]
    seen = "".join(texts) + caplog.text
    for secret in (PASSWORD, CLIENT_SECRET, "access-1", "refresh-1"):
        assert secret not in seen
    assert "***" in seen


@pytest.mark.looptime
async def test_days_of_renewals_need_no_password_and_no_clock_but_the_loops(cloud: ScriptedCloud) -> None:
    login = Login("analyst", Secret(PASSWORD), "client", Secret(CLIENT_SECRET))
    async with open_session() as session:
        exchange = Exchange(session, Pacer(), Limits())
        authoriser = Authoriser(exchange, URL(cloud.url + "oauth2/token/"), "oauth2/token/", login)
        for _ in range(5 * 24 * 6):
            assert value(await authoriser.token()) == cloud.newest_token
            await asyncio.sleep(600)
    assert grants(cloud) == ["password"] + ["refresh_token"] * 14


async def test_a_token_is_not_handed_out_after_its_end_because_a_renewal_failed_shortly_before(
    cloud: ScriptedCloud, authoriser: Authoriser, clock: Clock
) -> None:
    await authoriser.token()
    cloud.token_handler = fail
    clock.now_s += 36000 - 30
    assert value(await authoriser.token()) == "access-1"
    clock.now_s += 31
    with pytest.raises(ServerFailed):
        await authoriser.token()

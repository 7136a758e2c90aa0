"""The one request budget over HTTP: what it does to a server with a limit, and to those who wait. Virtual time."""

import asyncio
import math
from collections import Counter

import pytest
from aiohttp import web

from gateway.cloud.client import CloudClient
from gateway.cloud.errors import CloudError, Throttled
from tests.cloud.scripted import Handler, ScriptedCloud, empty_rows

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


class Limited:
    """Answers so many requests per second, and the others with 429."""

    def __init__(self, per_s: float, burst: int) -> None:
        self.per_s = per_s
        self.refused_s: list[float] = []
        self.answered: Counter[str] = Counter()
        self._burst = burst
        self._tokens, self._filled_s = float(burst), now()

    async def __call__(self, request: web.Request) -> web.Response:
        self._tokens = min(self._burst, self._tokens + (now() - self._filled_s) * self.per_s)
        self._filled_s = now()
        if self._tokens < 1:
            self.refused_s.append(now())
            retry_after_s = math.ceil((1 - self._tokens) / self.per_s)
            return web.json_response({"detail": "Throttled."}, status=429, headers={"Retry-After": str(retry_after_s)})
        self._tokens -= 1
        self.answered[request.path] += 1
        if request.path.endswith("/preprocessed/"):
            return web.json_response({"count": 0, "page": 1, "next": None, "previous": None, "results": []})
        return web.json_response([])


async def poll(client: CloudClient, device: int) -> None:
    read_s = now()
    while True:
        try:
            await client.latest_data(device, lambda: 20, overdue_s=now() - read_s - 1)
            read_s = now()
        except CloudError:
            pass
        await asyncio.sleep(1)


async def test_twelve_trackers_on_a_third_of_what_they_need_are_refused_now_and_then_and_read_in_turn(
    cloud: ScriptedCloud,
) -> None:
    cloud.handler = limited = Limited(4.0, 8)
    async with cloud.open() as client, asyncio.TaskGroup() as tasks:
        polls = [tasks.create_task(poll(client, device)) for device in range(12)]
        await asyncio.sleep(90)
        limited.answered.clear()
        start_s = now()
        await asyncio.sleep(180)
        bursts = [
            at for before, at in zip([0.0, *limited.refused_s], limited.refused_s, strict=False) if at > before + 1
        ]
        assert sum(at > start_s for at in bursts) <= 240 / 30
        answered = limited.answered
        assert answered.total() >= 180 * 4 * 0.85
        assert max(answered.values()) - min(answered.values()) <= 3
        traffic = client.traffic
        assert traffic.rate_per_s < 6
        assert traffic.waiting > 0
        assert traffic.failed["cloud_throttled"] == len(limited.refused_s)
        for task in polls:
            task.cancel()


async def test_history_waits_while_live_requests_do(cloud: ScriptedCloud) -> None:
    cloud.handler = limited = Limited(2.0, 2)

    async def read(client: CloudClient) -> None:
        async for _ in client.preprocessed(99, 0, 1000):
            pass

    async with cloud.open() as client, asyncio.TaskGroup() as tasks:
        polls = [tasks.create_task(poll(client, device)) for device in range(8)]
        await asyncio.sleep(30)
        history = tasks.create_task(read(client))
        await asyncio.sleep(60)
        assert not limited.answered["/v1/devices/99/preprocessed/"]
        for task in polls:
            task.cancel()
        await asyncio.sleep(20)
        assert history.done()


async def test_the_size_of_a_poll_is_decided_when_it_goes_out(cloud: ScriptedCloud) -> None:
    async def busy(_request: web.Request) -> web.Response:
        return web.json_response({}, status=429, headers={"Retry-After": "20"})

    asked_s: list[float] = []

    def size() -> int:
        asked_s.append(now())
        return min(300, 10 * round(now() - start_s) + 10)

    cloud.handler = busy
    async with cloud.open() as client:
        start_s = now()
        with pytest.raises(Throttled):
            await client.latest_data(7, size)
        cloud.handler = empty_rows
        await client.latest_data(7, size)
    assert [asked.query["size"] for asked in cloud.asked] == ["10", "210"]
    assert asked_s == pytest.approx([start_s, start_s + 20], abs=0.1)


async def test_a_replay_after_a_401_passes_the_budget_like_any_request_and_asks_for_what_it_then_needs(
    cloud: ScriptedCloud,
) -> None:
    """The new token is met with a pause, so the replay goes out after it."""

    def refusing_token(first: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if len(cloud.tokens) == 2:
                cloud.token_handler = cloud.issue
                return web.json_response({}, status=429, headers={"Retry-After": "9"})
            return await first(request)

        return answer

    async def only_newest(request: web.Request) -> web.StreamResponse:
        is_valid = request.headers["Authorization"] == "Bearer access-3"
        return await empty_rows(request) if is_valid else web.json_response({}, status=401)

    cloud.handler, cloud.token_handler = only_newest, refusing_token(cloud.issue)
    sizes = iter([20, 110])
    async with cloud.open() as client:
        start_s = now()
        with pytest.raises(Throttled):
            await client.latest_data(7, lambda: next(sizes))
        await client.latest_data(7, lambda: next(sizes))
        assert now() - start_s == pytest.approx(9, abs=0.3)
        assert client.traffic.requests == len(cloud.tokens) + len(cloud.asked) == 5
    assert [asked.query["size"] for asked in cloud.asked] == ["20", "110"]


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:40 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 40),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT", "Date": "Wed, 21 Oct 2015 07:28:40 GMT"}, 1),
        ({"Retry-After": "-3"}, 1),
        ({"Retry-After": "1000000000"}, 900),
        ({"Retry-After": "later"}, 5),
        ({}, 5),
    ],
    ids=["seconds", "date", "past date", "negative", "huge", "garbage", "absent"],
)
async def test_a_pause_is_obeyed_by_everybody_whatever_its_form(
    cloud: ScriptedCloud, headers: dict[str, str], pause_s: float
) -> None:
    async def busy(_request: web.Request) -> web.Response:
        return web.json_response({}, status=429, headers=headers)

    async def answer(request: web.Request) -> web.Response:
        answered_s.append(now())
        is_list = request.path.endswith("/devices/")
        return web.json_response({"count": 0, "page": 1, "next": None, "results": []} if is_list else [])

    answered_s: list[float] = []
    cloud.handler = busy
    async with cloud.open() as client:
        with pytest.raises(Throttled) as caught:
            await client.latest_data(7, lambda: 1)
        assert caught.value.retry_after_s == pause_s
        cloud.handler = answer
        start_s = now()

        async def listed() -> None:
            assert [device async for device in client.devices()] == []

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(client.latest_data(8, lambda: 1))
            tasks.create_task(listed())
    assert min(answered_s) - start_s == pytest.approx(pause_s, abs=0.05)
    assert max(answered_s) - start_s <= pause_s + 1

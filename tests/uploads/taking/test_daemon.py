"""The whole daemon and what lies in its inbox: nothing there may end it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.simulator.faults import Faults
from tests.test_gateway import World, world
from tests.uploads.taking.dropping import asi

pytestmark = pytest.mark.timeout(60)

ODD = os.fsdecode(b"caf\xe9")
"""As an old camera writes it: no UTF-8."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.uploads.taking.inbox.LOOK_S", 0.5)
    monkeypatch.setattr("gateway.uploads.taking.inbox._LULL_S", 0.1)
    monkeypatch.setattr("gateway.uploads.taking.settling.QUIET_S", 0.05)
    monkeypatch.setattr("gateway.uploads.taking.watching._AGAIN_S", 0.1)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    while not await is_so():
        await asyncio.sleep(0.05)


async def told(world: World) -> Any:
    url = f"http://127.0.0.1:{world.gateway.port}/api/v1/recordings"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return await answer.json()


async def has_taken(world: World, count: int) -> bool:
    return len((await told(world))["recordings"]) == count


async def inbox_of(world: World) -> Path:
    """The inbox, when it is there and looked through."""
    inbox = Path((await told(world))["inbox_folder"])
    while not inbox.exists():
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    return inbox


async def test_names_that_are_no_utf8_do_not_end_it() -> None:
    # In real time, as what the kernel tells comes in that.
    async with world(Faults(), trackers=1) as one:
        inbox = await inbox_of(one)
        (inbox / ODD).mkdir()
        # That the gateway removes it tells the watch its name.
        (inbox / f"{ODD}.asi").write_bytes(asi())
        await until(lambda: has_taken(one, 1))
        (inbox / ODD / "rec.asi").write_bytes(asi(seed=1))
        await until(lambda: has_taken(one, 2))
        (inbox / "rec.asi").write_bytes(asi(seed=2))
        await until(lambda: has_taken(one, 3))


async def test_an_error_in_going_through_the_inbox_is_a_trouble_and_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("a name")

    async with world(Faults(), trackers=1) as one:
        inbox = await inbox_of(one)
        with monkeypatch.context() as broken:
            broken.setattr("gateway.uploads.taking.settling.Settling.due", fail)
            while not any("Going through the inbox" in problem.text for problem in one.gateway.problems):
                await asyncio.sleep(0.05)
        (inbox / "rec.asi").write_bytes(asi())
        await until(lambda: has_taken(one, 1))

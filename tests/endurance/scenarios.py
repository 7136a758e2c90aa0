"""What a training ground, a mobile link and a cloud do to a gateway, as scripts in virtual time.

Each is a function of a running world; afterwards all is made well and every row has to be accounted for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.endurance.oracle import lacking
from tests.endurance.world import World

Script = Callable[[World], Awaitable[None]]

FORMS = ("status", "reset", "hang")
ORDERS = ("oldest_first", "newest_first", "interleaved")
RETRY_AFTER = ("seconds", "date", "absent", "negative", "huge")


@dataclass(frozen=True)
class Scenario:
    """A script and the world it is for.

    Attributes:
        name: For people.
        script: What happens, after half a minute of rest.
        setting: Arguments of `world`.
    """

    name: str
    script: Script
    setting: dict[str, Any] = field(default_factory=dict)


async def outage(world: World, form: str, lasts_s: float) -> None:
    world.outage(form)
    await asyncio.sleep(lasts_s)
    world.outage(None)


async def throttle(world: World, retry_after: str, rate_per_s: float = 0.5, lasts_s: float = 120.0) -> None:
    world.faults(throttle_rate_per_s=rate_per_s, throttle_burst=1, retry_after=retry_after)
    await asyncio.sleep(lasts_s)


async def backlog(world: World, order: str, lasts_s: float, batches_per_s: float = 10.0) -> None:
    world.faults(backlog_order=order, backlog_batches_per_s=batches_per_s)
    world.network(1, connected=False)
    await asyncio.sleep(lasts_s)
    world.network(1, connected=True)
    await asyncio.sleep(lasts_s / batches_per_s + 5)


async def late(world: World, late_s: float) -> None:
    world.faults(late_fraction=0.2, late_s=late_s)
    await asyncio.sleep(120)


async def renewals(world: World) -> None:
    world.faults(token_lifetime_s=40.0, websocket_closes_on_expiry=True)
    await asyncio.sleep(150)
    for refresh_tokens in (False, True):
        world.revoke(refresh_tokens=refresh_tokens)
        await asyncio.sleep(10)


async def naps(world: World) -> None:
    for off_s in (7.0, 45.0, 400.0):
        world.power(1, on=False)
        await asyncio.sleep(off_s)
        world.power(1, on=True)
        await asyncio.sleep(30)


async def night(world: World, source: str) -> None:
    """Off for hours, with a hiccup of the network and a restart."""
    world.power(1, on=False)
    await asyncio.sleep(1800)
    await outage(world, "reset", 60)
    await asyncio.sleep(1800)
    world.take_source(source)
    await planned_restart(world)
    await asyncio.sleep(1800)
    world.power(1, on=True)
    await asyncio.sleep(60)


async def planned_restart(world: World, down_s: float = 5.0) -> None:
    await world.stop()
    await asyncio.sleep(down_s)
    await world.start()
    await asyncio.sleep(20)
    assert len(world.witness.epochs) == 1, "a planned restart keeps the epoch"
    assert set(world.witness.verdicts) == {"fresh", "exact"}, world.witness.verdicts
    assert world.witness.verdicts["fresh"] == len(world.channels)


async def kill(world: World, down_s: float = 5.0) -> None:
    await world.kill()
    await asyncio.sleep(down_s)
    await world.start()
    await asyncio.sleep(20)
    assert len(world.witness.epochs) == 2, "what has lost its memory says so"


async def restart_in_an_outage(world: World) -> None:
    world.outage("reset")
    await asyncio.sleep(50)
    await planned_restart(world, 30)
    await asyncio.sleep(30)
    world.outage(None)


async def borrowed(world: World) -> None:
    world.move(1, "other")
    await asyncio.sleep(90)
    world.move(1, "ours")
    await asyncio.sleep(330)


async def wrong_clock(world: World, error_s: int) -> None:
    world.clock(1, error_s)
    await asyncio.sleep(60)
    world.clock(1, 0)
    await asyncio.sleep(20)


async def silent_websocket(world: World) -> None:
    world.outage("hang")
    await asyncio.sleep(1)
    world.outage(None)
    await asyncio.sleep(60)


async def dropped_websockets(world: World) -> None:
    world.faults(websocket_lifetime_s=7.0, duplicate_fraction=0.1)
    await asyncio.sleep(90)


async def rare_errors(world: World) -> None:
    world.faults(
        error_fraction=0.05, truncated_fraction=0.05, latency_ms=150, missing="null", unknown_field_fraction=0.1
    )
    await asyncio.sleep(180)


async def taken_while_down(world: World) -> None:
    await world.stop()
    world.move(1, "other")
    await world.start()
    await asyncio.sleep(60)
    assert not len(world.gateway.feed.channels[1].ring), "what is not ours any more is not shown"
    world.move(1, "ours")
    await asyncio.sleep(330)


async def taken_unnoticed(world: World) -> None:
    """The cloud gives nothing of a span that was not ours all the time."""
    world.faults(partial_ownership="refuse")
    for form in ("hang", "reset"):
        world.outage(form)
        await asyncio.sleep(40)
        world.move(1, "other")
        await asyncio.sleep(10)
        world.move(1, "ours")
        await asyncio.sleep(40)
        world.outage(None)
        await asyncio.sleep(300)
    assert not lacking(world), "what was ours around it is fetched all the same"


async def everything(world: World) -> None:
    world.faults(error_fraction=0.02, late_fraction=0.1, late_s=20.0, token_lifetime_s=100.0, duplicate_fraction=0.1)
    await asyncio.sleep(30)
    await outage(world, "hang", 60)
    world.network(1, connected=False)
    await asyncio.sleep(40)
    world.faults(throttle_rate_per_s=1.0, throttle_burst=2)
    world.network(1, connected=True)
    await asyncio.sleep(60)
    await planned_restart(world)
    world.power(2, on=False)
    await outage(world, "reset", 45)
    world.power(2, on=True)


QUICK = [
    *(
        Scenario(f"outage of {s} s, {form}", partial(outage, form=form, lasts_s=s))
        for form, s in zip(FORMS, (29, 31, 600), strict=True)
    ),
    Scenario("throttled without a date to wait for", partial(throttle, retry_after="absent")),
    Scenario("backlog of a minute, newest first", partial(backlog, order="newest_first", lasts_s=60)),
    Scenario("planned restart in an outage", restart_in_an_outage),
    Scenario("killed", kill),
    Scenario("borrowed by another account", borrowed),
    Scenario("everything at once over websockets", everything, {"source": "websocket"}),
]

LONG = [
    *(
        Scenario(f"outage of {s} s, {form}, {source}", partial(outage, form=form, lasts_s=s), {"source": source})
        for form in FORMS
        for s in (10, 29, 31, 600, 6 * 3600)
        for source in ("poll", "websocket")
    ),
    *(
        Scenario(f"throttled, Retry-After {kind}, {source}", partial(throttle, retry_after=kind), {"source": source})
        for kind in RETRY_AFTER
        for source in ("poll", "websocket")
    ),
    Scenario("throttled to nearly nothing", partial(throttle, retry_after="huge", rate_per_s=0.05, lasts_s=1800)),
    *(
        Scenario(f"backlog of {s} s, {order}, {source}", partial(backlog, order=order, lasts_s=s), {"source": source})
        for order in ORDERS
        for s in (12, 29, 31, 90, 1200)
        for source in ("poll", "websocket")
    ),
    *(
        Scenario(f"slow backlog, {order}", partial(backlog, order=order, lasts_s=300, batches_per_s=1.5))
        for order in ORDERS
    ),
    *(
        Scenario(f"late by up to {s} s, {source}", partial(late, late_s=s), {"source": source})
        for s in (5, 25, 60, 300)
        for source in ("poll", "websocket")
    ),
    *(Scenario(f"tokens, {source}", renewals, {"source": source}) for source in ("poll", "websocket")),
    *(Scenario(f"naps, {source}", naps, {"source": source}) for source in ("poll", "websocket")),
    *(Scenario(f"planned restart of {s} s", partial(planned_restart, down_s=s)) for s in (0, 5, 29, 31, 600, 7200)),
    *(Scenario(f"killed for {s} s", partial(kill, down_s=s)) for s in (0, 5, 600, 7200)),
    *(Scenario(f"a night, then {source}", partial(night, source=source)) for source in ("poll", "websocket")),
    Scenario("restart in an outage", restart_in_an_outage, {"source": "websocket"}),
    Scenario("taken by another account while down", taken_while_down),
    Scenario("taken by another account unnoticed", taken_unnoticed),
    Scenario("borrowed by another account, websockets", borrowed, {"source": "websocket"}),
    *(
        Scenario(f"clock wrong by {s} s, {source}", partial(wrong_clock, error_s=s), {"source": source})
        for s in (60, -60, 7200, -619_315_200, -1_795_000_000, 1_400_000_000)
        for source in ("poll", "websocket")
    ),
    *(
        Scenario(f"websocket dies silently, {source}", silent_websocket, {"source": source, "trackers": 3})
        for source in ("auto", "websocket")
    ),
    *(
        Scenario(f"websockets dropped, {source}", dropped_websockets, {"source": source, "trackers": 3})
        for source in ("auto", "websocket")
    ),
    *(
        Scenario(f"everything, {source}", everything, {"source": source, "trackers": 3})
        for source in ("auto", "poll", "websocket")
    ),
]

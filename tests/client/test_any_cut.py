"""Whatever cuts the stream, and however often: every row once, with the values that the gateway has, or counted."""

import asyncio
from contextlib import AsyncExitStack, aclosing

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.telemetry.channel import Channel, Wearer
from insiders_gateway_client.events import Connected, Gap, Resumed, Rows
from insiders_gateway_client.gateway import Gateway
from tests.client.ground import Ground, free_port, seconds
from tests.endurance.world import VirtualLoop
from tests.fault_proxy import fault_proxy

SETTLES_S = 45.0
"""Longer than the longest silence, the longest pause and an answer to them together."""

acts = st.one_of(
    st.tuples(st.just("rows"), st.integers(1, 30)),
    st.tuples(st.just("late"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.integers(0, 30)),
    st.tuples(st.just("cut"), st.integers(1, 4000)),
    st.tuples(st.just("reset"), st.just(0)),
    st.tuples(st.just("hang"), st.integers(1, 15)),
    st.tuples(st.just("dawdle"), st.integers(3, 25)),
    st.tuples(st.just("restart"), st.integers(0, 15)),
    st.tuples(st.just("crash"), st.integers(0, 15)),
)


class Heard:
    """Rows by the epoch under which they came: arrival number to time and speed."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[int, float]] = {}
        self.missing = 0
        self.reads = asyncio.Event()
        self.reads.set()
        self.epoch = ""
        self.verdicts: list[str] = []

    async def listen(self, port: int) -> None:
        events = Gateway(str(port)).stream(columns=["speed"], last_s=86_400)
        async with aclosing(events):
            async for event in events:
                await self.reads.wait()
                match event:
                    case Connected(is_anew=True):
                        self.epoch = event.epoch
                        self.rows.clear()
                        self.missing = 0
                    case Gap(id=None, state="closed"):
                        assert event.rows is not None
                        self.missing += event.rows
                    case Resumed():
                        self.verdicts.append(event.recovered)
                    case Rows():
                        for number in range(event.n0, event.last + 1):
                            at = number - event.n0
                            assert number not in self.rows, f"row {number} came twice"
                            self.rows[number] = (int(event.t_ms[at]), float(event.columns["speed"][at]))


async def live(ground: Ground, life: list[tuple[str, int]]) -> Heard:
    heard, epoch, second = Heard(), 0, 60
    async with asyncio.TaskGroup() as tasks, fault_proxy(ground.port) as proxy, AsyncExitStack() as running:
        await running.enter_async_context(ground.running("0", is_state_kept=True))
        listening = tasks.create_task(heard.listen(proxy.port))
        for act, much in life:
            match act:
                case "rows":
                    ground.channel.rows_came(seconds(second, second + much), 0.0)
                    second += much + 3
                case "late":
                    late = 1_000 + second  # far behind, and an instant of its own
                    ground.channel.rows_came(seconds(-late, -late + much), 0.0)
                    second += much
                case "wait":
                    await asyncio.sleep(much / 3)
                case "cut":
                    proxy.reset_after = much
                    await asyncio.sleep(3)
                    proxy.reset_after = None
                case "reset":
                    proxy.reset_all()
                case "hang":
                    proxy.hang()
                    await asyncio.sleep(much)
                    proxy.restore()
                case "dawdle":
                    heard.reads.clear()
                    for _ in range(much):
                        ground.channel.rows_came(seconds(second, second + 1), 0.0)
                        second += 1
                        await asyncio.sleep(1)
                    heard.reads.set()
                    await asyncio.sleep(1)
                    proxy.reset_all()
                case "restart" | "crash":
                    if act == "crash":
                        proxy.reset_all()
                        epoch += 1
                    await running.aclose()
                    await asyncio.sleep(much)
                    await running.enter_async_context(ground.running(str(epoch), is_state_kept=True))
        await asyncio.sleep(SETTLES_S)
        listening.cancel()
    return heard


@settings(max_examples=15)
@given(st.lists(acts, max_size=12))
@example([("wait", 36), ("dawdle", 6), ("rows", 5)])  # conflated, and cut before it has recovered
def test_every_row_is_heard_once_or_called_missing(life: list[tuple[str, int]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        ground = Ground(Channel(1, Wearer("SN-1"), 20_000), free_port())
        ground.channel.rows_came(seconds(0, 60), 0.0)
        heard = runner.run(live(ground, life))
    ring = ground.channel.ring
    kept = ring.between(-(10**12), 10**15)
    assert len(heard.rows) + heard.missing == ring.newest
    assert set(heard.rows) <= set(range(1, ring.newest + 1))
    assert {t_ms for t_ms, _ in heard.rows.values()} <= set(kept.t_ms.tolist())
    if not any(act == "dawdle" for act, _ in life):
        assert heard.missing == 0
    assert {speed for _, speed in heard.rows.values()} == {1.5}
    assert "partial" not in heard.verdicts

"""Any day: faults of every kind, in any order and of any length, and every row is accounted for whenever it is calm.

The default suite plays a few days, always the same. For many others, drawn anew:
``ENDURANCE=1 pytest tests/endurance/test_any_day.py --hypothesis-seed=3``. A failure prints the day as a program of
its steps, shortened, and what happened in it by the clock; the same seed finds it again.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from gateway.simulator.cloud import NewOwner
from tests.endurance.oracle import settle
from tests.endurance.scenarios import FORMS, ORDERS, RETRY_AFTER
from tests.endurance.world import VirtualLoop, World, world

IS_LONG = bool(os.environ.get("ENDURANCE"))
LONGEST_S = 4000 if IS_LONG else 400

DURATIONS = st.sampled_from([1, 3, 10, 29, 31, 60, 130]) | st.integers(1, LONGEST_S)
TRACKERS = st.sampled_from([1, 2])
CLOCK_ERRORS = st.sampled_from([60, -60, 7200, -7200, -619_315_200, 1_400_000_000])
OTHERS: list[NewOwner] = ["other", "nobody"]


class Stage:
    """A world that stands still between two acts: its loop runs only while one is played."""

    def __init__(self, seed: int, source: str) -> None:
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._folder = tempfile.TemporaryDirectory()
        self._acts: asyncio.Queue[tuple[Callable[[World], Awaitable[object]], asyncio.Future[None]] | None]
        self._acts = asyncio.Queue()
        self.world: World | None = None
        loop = self._runner.get_loop()
        self._host = loop.create_task(self._run(seed, source))

    def play(self, act: Callable[[World], Awaitable[object]]) -> None:
        """Let something happen; what goes wrong in it, or meanwhile in the gateway, is raised."""
        loop = self._runner.get_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._acts.put_nowait((act, done))
        loop.run_until_complete(asyncio.wait({self._host, done}, return_when=asyncio.FIRST_COMPLETED))
        if self._host.done():
            self._host.result()
        done.result()

    def close(self) -> None:
        """Stop everything."""
        try:
            if not self._host.done():
                self._acts.put_nowait(None)
                self._runner.get_loop().run_until_complete(self._host)
        finally:
            self._runner.close()
            self._folder.cleanup()

    async def _run(self, seed: int, source: str) -> None:
        async with world(Path(self._folder.name), seed=seed, source=source) as self.world:
            while (next_act := await self._acts.get()) is not None:
                act, done = next_act
                await act(self.world)
                done.set_result(None)


class AnyDay(RuleBasedStateMachine):
    """What may happen to two trackers, a cloud and a gateway."""

    stage: Stage

    @initialize(seed=st.integers(0, 999), source=st.sampled_from(["auto", "poll", "websocket"]))
    def morning(self, seed: int, source: str) -> None:
        self.stage = Stage(seed, source)
        self._for(20)

    @rule(duration_s=DURATIONS)
    def time_passes(self, duration_s: int) -> None:
        self._for(duration_s)

    @rule(form=st.sampled_from(FORMS), duration_s=DURATIONS)
    def outage(self, form: str, duration_s: int) -> None:
        self.world.outage(form)
        self._for(duration_s)
        self.world.outage(None)

    @rule(
        fraction=st.sampled_from([0.0, 0.05, 0.4]),
        truncated=st.sampled_from([0.0, 0.05, 0.4]),
        latency_ms=st.sampled_from([0, 80, 700]),
    )
    def bad_link(self, fraction: float, truncated: float, latency_ms: int) -> None:
        self.world.faults(error_fraction=fraction, truncated_fraction=truncated, latency_ms=latency_ms)

    @rule(rate_per_s=st.sampled_from([0.1, 0.7, 1.5, 60.0]), retry_after=st.sampled_from(RETRY_AFTER))
    def throttled(self, rate_per_s: float, retry_after: str) -> None:
        burst = max(1, round(rate_per_s))
        self.world.faults(throttle_rate_per_s=rate_per_s, throttle_burst=burst, retry_after=retry_after)

    @rule(fraction=st.sampled_from([0.0, 0.1, 0.5]), late_s=st.sampled_from([5.0, 40.0, 300.0]))
    def late_batches(self, fraction: float, late_s: float) -> None:
        self.world.faults(late_fraction=fraction, late_s=late_s)

    @rule(
        ch=TRACKERS,
        order=st.sampled_from(ORDERS),
        batches_per_s=st.sampled_from([1.5, 10.0]),
        duration_s=DURATIONS,
    )
    def tracker_out_of_reach(self, ch: int, order: str, batches_per_s: float, duration_s: int) -> None:
        self.world.faults(backlog_order=order, backlog_batches_per_s=batches_per_s)
        self.world.network(ch, connected=False)
        self._for(duration_s)
        self.world.network(ch, connected=True)

    @rule(ch=TRACKERS, duration_s=DURATIONS)
    def tracker_is_off(self, ch: int, duration_s: int) -> None:
        self.world.power(ch, on=False)
        self._for(duration_s)
        self.world.power(ch, on=True)

    @rule(ch=TRACKERS, error_s=CLOCK_ERRORS, duration_s=DURATIONS)
    def tracker_clock_is_wrong(self, ch: int, error_s: int, duration_s: int) -> None:
        self.world.clock(ch, error_s)
        self._for(duration_s)
        self.world.clock(ch, 0)

    @rule(ch=TRACKERS, to=st.sampled_from(OTHERS), duration_s=DURATIONS)
    def tracker_is_taken_away(self, ch: int, to: NewOwner, duration_s: int) -> None:
        self.world.move(ch, to)
        self._for(duration_s)
        self.world.move(ch, "ours")

    @rule(lifetime_s=st.sampled_from([20.0, 100.0, 36_000.0]), closes=st.booleans())
    def tokens_live(self, lifetime_s: float, closes: bool) -> None:
        self.world.faults(token_lifetime_s=lifetime_s, websocket_closes_on_expiry=closes)

    @rule(refresh_tokens=st.booleans())
    def tokens_are_revoked(self, refresh_tokens: bool) -> None:
        self.world.revoke(refresh_tokens=refresh_tokens)

    @rule(lifetime_s=st.sampled_from([0.0, 4.0, 50.0]), fraction=st.sampled_from([0.0, 0.3]))
    def websockets(self, lifetime_s: float, fraction: float) -> None:
        self.world.faults(websocket_lifetime_s=lifetime_s, duplicate_fraction=fraction)

    @rule(duration_s=DURATIONS)
    def planned_restart(self, duration_s: int) -> None:
        self.stage.play(World.stop)
        self._for(duration_s)
        self.stage.play(World.start)

    @rule(duration_s=DURATIONS)
    def power_cut(self, duration_s: int) -> None:
        self.stage.play(World.kill)
        self._for(duration_s)
        self.stage.play(World.start)

    @rule()
    def calm(self) -> None:
        self.stage.play(settle)

    @property
    def world(self) -> World:
        assert self.stage.world is not None
        return self.stage.world

    def _for(self, duration_s: float) -> None:
        self.stage.play(lambda _world: asyncio.sleep(duration_s))

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            try:
                self.calm()
            finally:
                self.stage.close()


TestAnyDay = pytest.mark.timeout(7200)(AnyDay.TestCase)
TestAnyDay.settings = settings(
    max_examples=150 if IS_LONG else 3,
    stateful_step_count=15 if IS_LONG else 7,
    derandomize=not IS_LONG,
    database=None,
    deadline=None,
    print_blob=True,
    # A shorter day is worth the minutes it takes to find one only to somebody who waits for it.
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if IS_LONG else [])],
    suppress_health_check=list(HealthCheck),
)

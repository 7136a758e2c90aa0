"""Any day of the pairings: everything that can go wrong, in any order, and a power cut between any two steps.

The default suite plays a few days, always the same. For many others, drawn anew:
``ENDURANCE=1 pytest tests/pairing/reconciling/test_any_pairing_day.py --hypothesis-seed=3``. A failure prints what has
happened.
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

from gateway.pairing.desired import Basis
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish
from gateway.pairing.observation import Mode
from gateway.simulator.bluetooth import Obedience
from gateway.simulator.cloud import NewOwner
from tests.endurance.world import VirtualLoop
from tests.pairing.day import METERS, MOMENTS, OBEDIENCES, STRAPS, TRACKERS, Day, day

IS_LONG = bool(os.environ.get("ENDURANCE"))

LONGEST_ACT_S = 6 * 3600
"""So long no act lasts that ends at all."""

PLACES = st.integers(0, TRACKERS - 1)
SLOTS = st.sampled_from(Slot)
DURATIONS = st.sampled_from([1, 3, 15, 60, 130]) | st.integers(1, 900)
CLOUD_MOMENTS = ["now", "before read", "after read", "before write", "after write"]
Act = Callable[[Day], Awaitable[object]]


def sensors(slot: Slot) -> tuple[Sensor, ...]:
    return STRAPS if slot is Slot.HEART_RATE else METERS


WISHES: dict[Slot, st.SearchStrategy[Wanted]] = {
    slot: st.sampled_from([*sensors(slot), *sensors(slot), Wish.NONE, Wish.UNMANAGED]) for slot in Slot
}


class Stage:
    """A day that stands still between two acts: its loop runs only while one is played."""

    def __init__(self, seed: int, mode: Mode) -> None:
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._folder = tempfile.TemporaryDirectory()
        self._acts: asyncio.Queue[tuple[Act, asyncio.Future[None]] | None] = asyncio.Queue()
        self._host = self._runner.get_loop().create_task(self._run(seed, mode))

    def play(self, act: Act) -> None:
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

    async def _run(self, seed: int, mode: Mode) -> None:
        async with day(Path(self._folder.name), mode, seed) as today:
            while (next_act := await self._acts.get()) is not None:
                act, done = next_act
                async with asyncio.timeout(LONGEST_ACT_S):
                    await act(today)
                today.check()
                done.set_result(None)


class AnyPairingDay(RuleBasedStateMachine):
    """What may happen to three trackers, their sensors, a cloud and a gateway."""

    stage: Stage

    @initialize(seed=st.integers(0, 999), mode=st.sampled_from(Mode))
    def morning(self, seed: int, mode: Mode) -> None:
        self.stage = Stage(seed, mode)
        self._for(10)

    @rule(duration_s=DURATIONS)
    def time_passes(self, duration_s: int) -> None:
        self._for(duration_s)

    @rule(
        place=PLACES,
        heart_rate=WISHES[Slot.HEART_RATE],
        power=WISHES[Slot.POWER],
        immediate=st.booleans(),
        duration_s=st.sampled_from([0, 1, 5, 40]),
    )
    def wish(self, place: int, heart_rate: Wanted, power: Wanted, *, immediate: bool, duration_s: int) -> None:
        slots = {Slot.HEART_RATE: heart_rate, Slot.POWER: power}
        self._act(
            f"wish {place} {heart_rate} {power}",
            lambda today: today.want({place: slots}, immediate=immediate, basis=Basis.COMMAND),
        )
        self._for(duration_s)

    @rule(straps=st.permutations(STRAPS), duration_s=st.sampled_from([1, 40]))
    def team_list(self, straps: list[Sensor], duration_s: int) -> None:
        wishes = {place: {Slot.HEART_RATE: straps[place]} for place in range(TRACKERS)}
        self._act("a list", lambda today: today.want(wishes, immediate=False, basis=Basis.IMPORT))
        self._for(duration_s)
        self._act("agree", Day.agree)
        self._for(duration_s)

    @rule()
    def agree(self) -> None:
        self._act("agree", Day.agree)
        self._for(5)

    @rule(place=PLACES)
    def stop(self, place: int) -> None:
        self._act(f"stop {place}", lambda today: today.stop(place))

    @rule()
    def let_go_on(self) -> None:
        self._act("let go on", Day.let_go_on)

    @rule(place=PLACES, duration_s=st.sampled_from([0, 1, 60]))
    def tracker_restarts(self, place: int, duration_s: int) -> None:
        self._now(f"tracker {place} off", lambda today: today.cloud.set_power(_id(today, place), on=False))
        self._for(duration_s)
        self._now(f"tracker {place} on", lambda today: today.cloud.set_power(_id(today, place), on=True))
        self._for(5)

    @rule(place=PLACES, how=st.sampled_from(OBEDIENCES))
    def tracker_disobeys(self, place: int, how: Obedience) -> None:
        self._now(f"tracker {place} obeys {how}", lambda today: today.cloud.set_obedience(_id(today, place), how))

    @rule(place=PLACES)
    def tracker_forgets(self, place: int) -> None:
        self._now(f"tracker {place} forgets", lambda today: today.cloud.forget_pairings(_id(today, place)))

    @rule(place=PLACES, to=st.sampled_from(["other", "nobody", "ours", "ours"]), duration_s=st.sampled_from([1, 70]))
    def tracker_moves(self, place: int, to: NewOwner, duration_s: int) -> None:
        self._act(f"tracker {place} goes to {to}", lambda today: today.move(place, to))
        self._for(duration_s)

    @rule(place=PLACES, slot=SLOTS, number=st.integers(-1, 2), moment=st.sampled_from(CLOUD_MOMENTS))
    def somebody_else_writes(self, place: int, slot: Slot, number: int, moment: str) -> None:
        sensor = None if number < 0 else sensors(slot)[number]
        self._act(
            f"somebody writes {place} {slot} {sensor} {moment}",
            lambda today: today.meddle(place, slot, sensor, moment),
        )
        self._for(20)

    @rule(
        lost=st.sampled_from([0.0, 0.0, 0.4, 1.0]),
        form=st.sampled_from(["reset", "hang", "status"]),
        errors=st.sampled_from([0.0, 0.0, 0.3]),
        truncated=st.sampled_from([0.0, 0.2]),
        stale_s=st.sampled_from([0.0, 0.0, 4.0, 20.0]),
    )
    def bad_link(self, lost: float, form: str, errors: float, truncated: float, stale_s: float) -> None:
        knobs = {"lost_answer_fraction": lost, "lost_answer_form": form, "error_fraction": errors}
        knobs |= {"truncated_fraction": truncated, "bluetooth_stale_s": stale_s}
        self._now(f"bad link {knobs}", lambda today: today.faults(**knobs))

    @rule(
        rejects=st.sampled_from(["nothing", "nothing", "taken_sensors", "everything"]),
        status=st.sampled_from([400, 404, 409, 422]),
        ignored=st.sampled_from([0.0, 0.0, 0.5]),
        patch=st.sampled_from(["merge", "replace"]),
        push=st.sampled_from(["if_online", "kept", "ignored"]),
        echo=st.sampled_from(["as_sent", "upper"]),
        unset=st.sampled_from(["absent", "null", "empty_object", "empty_strings"]),
    )
    def strange_cloud(
        self, rejects: str, status: int, ignored: float, patch: str, push: str, echo: str, unset: str
    ) -> None:
        knobs = {"bluetooth_rejects": rejects, "bluetooth_rejection_status": status, "bluetooth_patch": patch}
        knobs |= {"bluetooth_ignored_fraction": ignored, "bluetooth_push": push, "bluetooth_echo": echo}
        knobs |= {"bluetooth_unset": unset}
        self._now(f"strange cloud {knobs}", lambda today: today.faults(**knobs))

    @rule(form=st.sampled_from(["reset", "hang", "status"]), duration_s=DURATIONS)
    def outage(self, form: str, duration_s: int) -> None:
        self._now(f"outage {form}", lambda today: today.faults(outage_every_s=1.0, outage_s=1.0, outage_form=form))
        self._for(duration_s)
        self._now("outage over", lambda today: today.faults(outage_every_s=0.0, outage_s=0.0))

    @rule(rate_per_s=st.sampled_from([0.01, 0.1, 1.0, 60.0]))
    def throttled(self, rate_per_s: float) -> None:
        burst = max(1, round(rate_per_s))
        self._now("throttled", lambda today: today.faults(throttle_rate_per_s=rate_per_s, throttle_burst=burst))

    @rule(moment=st.sampled_from([*MOMENTS, *MOMENTS, "now"]), times=st.integers(1, 3), duration_s=st.integers(1, 60))
    def power_cut(self, moment: str, times: int, duration_s: int) -> None:
        self._act(f"kill {moment} {times}", lambda today: today.kill(moment, times))
        self._for(duration_s)

    @rule(place=PLACES, strap=st.sampled_from(STRAPS), moment=st.sampled_from(MOMENTS), times=st.integers(1, 3))
    def power_cut_in_a_write(self, place: int, strap: Sensor, moment: str, times: int) -> None:
        self._act(f"kill {moment} {times}", lambda today: today.kill(moment, times))
        self.wish(place=place, heart_rate=strap, power=Wish.UNMANAGED, immediate=False, duration_s=40)

    @rule()
    def calm(self) -> None:
        self._act("calm", Day.calm)

    def _for(self, duration_s: float) -> None:
        self.stage.play(lambda _today: asyncio.sleep(duration_s))

    def _act(self, name: str, act: Act) -> None:
        async def play(today: Day) -> None:
            today.note(name)
            await act(today)

        self.stage.play(play)

    def _now(self, name: str, act: Callable[[Day], object]) -> None:
        async def play(today: Day) -> None:
            act(today)

        self._act(name, play)

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            try:
                self.calm()
            finally:
                self.stage.close()


def _id(today: Day, place: int) -> int:
    return today.cloud.devices[place].device_id


TestAnyPairingDay = pytest.mark.timeout(7200)(AnyPairingDay.TestCase)
TestAnyPairingDay.settings = settings(
    max_examples=300 if IS_LONG else 6,
    stateful_step_count=25 if IS_LONG else 14,
    derandomize=not IS_LONG,
    database=None,
    deadline=None,
    print_blob=True,
    # A shorter day is worth the minutes it takes to find one only to somebody who waits for it.
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if IS_LONG else [])],
    suppress_health_check=list(HealthCheck),
)

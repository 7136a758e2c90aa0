"""Any day of the recordings: everything that can go wrong on the way from the inbox to the cloud, in any order.

The gateway dies between any two turns of its loop, or in the middle of what it does to the disk. The default suite
plays a few days, always the same. For many others, drawn anew:
``ENDURANCE=1 pytest tests/uploads/test_any_recording_day.py --hypothesis-seed=3``. A failure prints what has happened.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.uploads.days.day import TRACKERS, Day, day
from tests.uploads.days.harm import HARMS, LOST, Harm
from tests.uploads.days.lives import End
from tests.uploads.days.mortal import MortalLoop, Trouble

# What dies may have been about to begin something.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")

IS_LONG = bool(os.environ.get("ENDURANCE"))

LONGEST_ACT_S = 30 * 86_400
"""So long no act lasts that ends at all."""

Act = Callable[[Day], Awaitable[object]]

NUMBERS = st.integers(0, 11)
OURS = st.integers(0, TRACKERS - 1)
TRACKER = st.sampled_from([0, 1, 0, 1, None])
NAMES = st.sampled_from(["a.asi", "b.asi", "2026-11-18.asi", "20261117T183000Z.asi"])
AGES = st.sampled_from([0, 0, 4_000, 2_000_000])
MOSTLY = st.sampled_from([True, True, False])
DURATIONS = st.sampled_from([0, 1, 7, 15, 60, 700, 4_000, 100_000])
SHORT = st.sampled_from([0, 1, 7, 15, 60])
DEEDS = st.sampled_from(["assign", "assign", "retry", "discard", "discard"])
WAITS = st.sampled_from([0.0, 0.03, 0.05, 0.07]) | st.floats(0, 8)
TURNS = st.integers(0, 400) | st.integers(0, 3000)
INSTANTS = st.integers(0, 60)
MISHAPS: list[dict[str, object]] = [
    {},
    {},
    {"upload_answer_lost_fraction": 0.5},
    {"upload_answer_lost_fraction": 1.0, "lost_answer_form": "hang"},
    {"upload_answer_lost_fraction": 1.0, "lookup_lag_s": 45.0},
    {"upload_answer_lost_fraction": 0.6, "upload_duplicate": "conflict"},
    {"upload_answer_lost_fraction": 0.6, "upload_duplicate": "same_job"},
    {"upload_swallowed_fraction": 0.7},
    {"upload_cut_fraction": 0.7},
    {"upload_error_fraction": 0.5, "upload_error_status": 502, "upload_error_accepted_fraction": 0.5},
    {"upload_error_fraction": 0.5, "upload_error_status": 503},
    *[dict[str, object](upload_refuses=status) for status in (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)],
    {"upload_limit_bytes": 50_000},
    {"upload_limit_bytes": 50_000, "upload_unread": "cut"},
    {"upload_html_fraction": 1.0},
    {"upload_seconds_per_mb": 200.0},
    {"job_lost": True, "job_immediate": True},
    {"job_never_ends": True},
    {"job_unknown_state": "PURPLE"},
    {"job_failure_fraction": 0.5},
    {"job_failure_fraction": 1.0, "job_failure_state": "REVOKED", "job_failure_details": "controls"},
    {"job_delay_s": 4000.0},
    {"outage_every_s": 1.0, "outage_s": 1.0},
    {"outage_every_s": 100.0, "outage_s": 40.0, "outage_form": "hang"},
    {"error_fraction": 0.3, "error_status": 500},
    {"truncated_fraction": 0.3},
    {"lookup_error_fraction": 0.6},
]


class Stage:
    """A day that stands still between two acts: its loop runs only while one is played."""

    def __init__(self, seed: int) -> None:
        self._runner = asyncio.Runner(loop_factory=MortalLoop)
        self._folder = tempfile.TemporaryDirectory()
        self._acts: asyncio.Queue[tuple[Act, asyncio.Future[None]] | None] = asyncio.Queue()
        self._host = self._runner.get_loop().create_task(self._run(seed))

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

    async def _run(self, seed: int) -> None:
        async with day(Path(self._folder.name), seed) as today:
            while (next_act := await self._acts.get()) is not None:
                act, done = next_act
                async with asyncio.timeout(LONGEST_ACT_S):
                    await act(today)
                await today.check()
                done.set_result(None)


class AnyRecordingDay(RuleBasedStateMachine):
    """What may happen to recordings, a card, a cloud and a gateway."""

    stage: Stage

    @initialize(seed=st.integers(0, 999), is_lookup=st.booleans(), is_thin=st.booleans())
    def morning(self, seed: int, *, is_lookup: bool, is_thin: bool) -> None:
        self.stage = Stage(seed)
        self.settings_change(is_lookup=is_lookup, is_thin=is_thin)

    @rule(is_lookup=st.booleans(), is_thin=st.booleans())
    def settings_change(self, *, is_lookup: bool, is_thin: bool) -> None:
        self._now(lambda today: today.look_up(is_lookup=is_lookup))
        self._now(lambda today: today.limit(20_000.0 if is_thin else None))
        self._act(lambda today: today.end(End.STOP))

    @rule(duration_s=DURATIONS)
    def time_passes(self, duration_s: float) -> None:
        self._act(lambda today: today.passing(duration_s))

    @rule(number=NUMBERS, tracker=TRACKER, name=NAMES, age_s=AGES, is_whole=MOSTLY, duration_s=SHORT)
    def drop(
        self, number: int, tracker: int | None, name: str, age_s: float, duration_s: float, *, is_whole: bool
    ) -> None:
        self._now(lambda today: today.people.drop(number, tracker, name, age_s=age_s, is_whole=is_whole))
        self.time_passes(duration_s=duration_s)

    @rule(duration_s=SHORT)
    def copies_are_finished(self, duration_s: float) -> None:
        self._now(lambda today: today.people.finish())
        self.time_passes(duration_s=duration_s)

    @rule(
        number=NUMBERS,
        tracker=TRACKER,
        broken_at=st.sampled_from([None, None, None, 0.0, 0.5, 0.99]),
        duration_s=SHORT,
    )
    def send(self, number: int, tracker: int | None, broken_at: float | None, duration_s: float) -> None:
        self._now(lambda today: today.people.send(number, tracker, broken_at=broken_at))
        self.time_passes(duration_s=duration_s)

    @rule(deed=DEEDS, number=NUMBERS, tracker=OURS, duration_s=SHORT)
    def somebody_decides(self, deed: str, number: int, tracker: int, duration_s: float) -> None:
        self._act(lambda today: today.people.decide(deed, number, tracker))
        self.time_passes(duration_s=duration_s)

    @rule(deed=DEEDS, number=NUMBERS, tracker=OURS, turns=st.none() | TURNS, instants=st.none() | INSTANTS)
    def death_while_somebody_decides(
        self, deed: str, number: int, tracker: int, turns: int | None, instants: int | None
    ) -> None:
        self._now(lambda today: today.people.begin_to_decide(deed, number, tracker))
        self._end(End.DEATH, turns=turns, instants=instants, within_s=1)

    @rule(deed=DEEDS, number=NUMBERS, tracker=TRACKER, latency_s=st.sampled_from([0.0, 0.02, 1.0]), wait_s=WAITS)
    def somebody_decides_while_it_comes_in_again(
        self, deed: str, number: int, tracker: int | None, latency_s: float, wait_s: float
    ) -> None:
        self.send(number=number, tracker=tracker, broken_at=None, duration_s=7)
        self.disk_is_slow(latency_s=latency_s, duration_s=0)
        self.send(number=number, tracker=tracker, broken_at=None, duration_s=wait_s)
        self._now(lambda today: today.people.begin_to_decide(deed, number, 0))
        self.time_passes(duration_s=15)

    @rule()
    def rebuild(self) -> None:
        self._act(lambda today: today.people.rebuild())

    @rule(
        how=st.sampled_from(End),
        turns=st.none() | TURNS,
        instants=st.none() | INSTANTS,
        within_s=DURATIONS,
        pause_s=st.sampled_from([0, 0, 40, 5_000]),
    )
    def life_ends(self, how: End, turns: int | None, instants: int | None, within_s: float, pause_s: float) -> None:
        self._end(how, turns=turns, instants=instants, within_s=within_s, pause_s=pause_s)

    @rule(number=NUMBERS, tracker=TRACKER, is_sent=st.booleans(), turns=TURNS)
    def death_while_one_comes_in(self, number: int, tracker: int | None, turns: int, *, is_sent: bool) -> None:
        self._bring(number, tracker, "c.asi", is_sent=is_sent)
        self._end(End.DEATH, turns=turns, within_s=20)

    @rule(number=NUMBERS, tracker=TRACKER, is_sent=st.booleans(), instants=INSTANTS)
    def death_in_the_middle_of_a_step(self, number: int, tracker: int | None, instants: int, *, is_sent: bool) -> None:
        self._bring(number, tracker, "d.asi", is_sent=is_sent)
        self._end(End.DEATH, instants=instants, within_s=60)

    @rule(how=st.sampled_from(End), instants=INSTANTS, harm=st.sampled_from(HARMS))
    def one_book_is_harmed(self, how: End, instants: int, harm: Harm) -> None:
        self._end(how, [harm], instants=instants, within_s=10)

    @rule(
        how=st.sampled_from(End),
        one=st.sampled_from([harm for harm in HARMS if harm.book in LOST[0]]),
        other=st.sampled_from([harm for harm in HARMS if harm.book in LOST[1]]),
    )
    def both_books_are_harmed(self, how: End, one: Harm, other: Harm) -> None:
        self._end(how, [one, other], within_s=1)

    @rule(number=NUMBERS, is_deleted=st.booleans())
    def file_is_harmed(self, number: int, *, is_deleted: bool) -> None:
        self._now(lambda today: today.lives.spoil(number, is_deleted=is_deleted))

    @rule(number=NUMBERS, tracker=OURS, is_deleted=st.booleans())
    def file_is_harmed_before_it_is_sent(self, number: int, tracker: int, *, is_deleted: bool) -> None:
        self.tracker_moves(place=tracker, is_ours=False)
        self.send(number=number, tracker=tracker, broken_at=None, duration_s=1)
        self.file_is_harmed(number=number, is_deleted=is_deleted)
        self.tracker_moves(place=tracker, is_ours=True)
        self.time_passes(duration_s=7)

    @rule(what=st.sampled_from(Trouble), duration_s=st.sampled_from([1, 20, 100, 1000]))
    def disk_refuses(self, what: Trouble, duration_s: float) -> None:
        self._act(lambda today: today.trouble(what, duration_s))

    @rule(latency_s=st.sampled_from([0.0, 0.0, 0.02, 1.0, 12.0]), duration_s=SHORT)
    def disk_is_slow(self, latency_s: float, duration_s: float) -> None:
        self._now(lambda today: today.lives.slow(latency_s))
        self.time_passes(duration_s=duration_s)

    @rule(knobs=st.sampled_from(MISHAPS), duration_s=DURATIONS)
    def cloud_changes(self, knobs: dict[str, object], duration_s: float) -> None:
        self._now(lambda today: today.faults(**knobs))
        self.time_passes(duration_s=duration_s)

    @rule(error_s=st.sampled_from([0, 0, 7200, -7200, 40 * 86_400, -9 * 365 * 86_400]), is_sure=st.booleans())
    def clock_jumps(self, error_s: float, *, is_sure: bool) -> None:
        self._now(lambda today: today.jump(error_s, is_sure=is_sure))

    @rule(place=OURS, is_ours=st.booleans())
    def tracker_moves(self, place: int, *, is_ours: bool) -> None:
        self._now(lambda today: today.move(place, is_ours=is_ours))

    def _bring(self, number: int, tracker: int | None, name: str, *, is_sent: bool) -> None:
        if is_sent:
            self.send(number=number, tracker=tracker, broken_at=None, duration_s=0)
        else:
            self.drop(number=number, tracker=tracker, name=name, age_s=0, is_whole=True, duration_s=6)

    def _end(self, how: End, harms: Sequence[Harm] = (), **when: Any) -> None:
        self._act(lambda today: today.end(how, harms, **when))

    def _act(self, act: Act) -> None:
        self.stage.play(act)

    def _now(self, act: Callable[[Day], object]) -> None:
        async def play(today: Day) -> None:
            act(today)

        self.stage.play(play)

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            try:
                self._act(Day.calm)
            finally:
                self.stage.close()


TestAnyRecordingDay = pytest.mark.timeout(14_400)(AnyRecordingDay.TestCase)
TestAnyRecordingDay.settings = settings(
    max_examples=300 if IS_LONG else 8,
    stateful_step_count=25 if IS_LONG else 14,
    derandomize=not IS_LONG,
    database=None,
    deadline=None,
    print_blob=True,
    # A shorter day is worth the minutes it takes to find one only to somebody who waits for it.
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if IS_LONG else [])],
    suppress_health_check=list(HealthCheck),
)

"""The gate that every request passes, in virtual time."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.pacing import FAILURES_TO_CLOSE, Pacer, Priority, Slot
from gateway.cloud.pacing import turn as turn_of

pytestmark = pytest.mark.looptime


def half() -> float:
    return 0.5


class Requests:
    """Requests that hold their slot until they are told to end, and the order in which they got it."""

    def __init__(self, pacer: Pacer, tasks: asyncio.TaskGroup) -> None:
        self.entered: list[str] = []
        self.slots: dict[str, Slot] = {}
        self._pacer = pacer
        self._tasks = tasks
        self._ends: dict[str, asyncio.Event] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, priority: Priority, overdue_s: float = 0.0) -> None:
        self._ends[name] = asyncio.Event()
        self._running[name] = self._tasks.create_task(self._request(name, priority, overdue_s), name=name)

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await turn()

    async def cancel(self, name: str) -> None:
        self._running[name].cancel()
        await turn()

    async def end_all(self) -> None:
        for end in self._ends.values():
            end.set()
        await asyncio.sleep(0)

    async def _request(self, name: str, priority: Priority, overdue_s: float) -> None:
        async with self._pacer.slot(priority, overdue_s) as slot:
            self.entered.append(name)
            self.slots[name] = slot
            await self._ends[name].wait()


def now() -> float:
    return asyncio.get_running_loop().time()


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_waiting_requests_are_served_by_priority_then_by_the_age_of_what_they_read() -> None:
    pacer = Pacer(max_in_flight=1)
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        requests.start("first", Priority.UPLOAD)
        await turn()
        requests.start("upload", Priority.UPLOAD)
        requests.start("young", Priority.LIVE, 1.0)
        requests.start("history", Priority.HISTORY)
        requests.start("old", Priority.LIVE, 20.0)
        requests.start("pairing", Priority.PAIRING)
        requests.start("claim", Priority.CONTROL)
        await turn()
        assert requests.entered == ["first"]
        await requests.end_all()
    assert requests.entered == ["first", "claim", "old", "young", "pairing", "history", "upload"]
    assert pacer.in_flight == 0


async def test_who_has_waited_in_the_queue_has_gone_unread_for_that_long_too() -> None:
    pacer = Pacer(max_in_flight=1)
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        requests.start("first", Priority.LIVE)
        await turn()
        requests.start("waits 10 s", Priority.LIVE, 1.0)
        await asyncio.sleep(10)
        requests.start("was 5 s old at home", Priority.LIVE, 5.0)
        await turn()
        await requests.end_all()
    assert requests.entered == ["first", "waits 10 s", "was 5 s old at home"]


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    pacer = Pacer(max_in_flight=3)
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        for number in range(5):
            requests.start(str(number), Priority.LIVE)
        await turn()
        assert (pacer.in_flight, pacer.waiting) == (3, 2)
        await requests.end("1")
        assert requests.entered == ["0", "1", "2", "3"]
        await requests.end_all()


async def test_history_and_uploads_never_hold_all_slots() -> None:
    pacer = Pacer(max_in_flight=4, max_background=2)
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        for number in range(4):
            requests.start(f"history {number}", Priority.HISTORY)
        await turn()
        assert requests.entered == ["history 0", "history 1"]
        requests.start("live", Priority.LIVE)
        await turn()
        assert requests.entered[2:] == ["live"]
        await requests.end("history 0")
        assert requests.entered[3:] == ["history 2"]
        await requests.end_all()


async def test_a_pause_the_cloud_asks_for_holds_back_every_priority_and_ends_on_time() -> None:
    pacer = Pacer()
    start = now()
    async with pacer.slot(Priority.LIVE) as first, pacer.slot(Priority.LIVE) as second:
        pacer.throttled(first, 7)
        pacer.throttled(second, 3)  # the longer pause counts
    assert pacer.closed_for_s == 7
    async with pacer.slot(Priority.CONTROL):
        assert now() - start == pytest.approx(7, abs=0.01)
    assert pacer.closed_for_s == pytest.approx(0, abs=0.01)


async def test_a_cancelled_waiter_leaves_the_queue_and_a_cancelled_request_its_slot() -> None:
    pacer = Pacer(max_in_flight=1)
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        for name in ("a", "b", "c"):
            requests.start(name, Priority.LIVE)
        await turn()
        await requests.cancel("b")
        await requests.cancel("a")
        assert requests.entered == ["a", "c"]
        await requests.end("c")
    assert (pacer.in_flight, pacer.waiting) == (0, 0)


async def test_a_waiter_cancelled_in_the_turn_it_is_granted_gives_the_slot_back() -> None:
    pacer = Pacer(max_in_flight=1)
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        requests.start("a", Priority.LIVE)
        requests.start("b", Priority.LIVE)
        await turn()
        requests._ends["a"].set()
        while pacer.in_flight and pacer.waiting:
            await asyncio.sleep(0)
        requests._running["b"].cancel()
    assert pacer.in_flight == 0
    async with pacer.slot(Priority.LIVE):
        pass


async def failure(pacer: Pacer) -> None:
    async with pacer.slot(Priority.LIVE) as slot:
        pacer.failed(slot)


async def test_failures_in_a_row_leave_single_probes_until_one_succeeds() -> None:
    pacer = Pacer(jitter=half)
    async with pacer.slot(Priority.LIVE) as old:
        for _ in range(FAILURES_TO_CLOSE - 1):
            await failure(pacer)
        assert pacer.closed_for_s == 0
        await failure(pacer)
        assert pacer.closed_for_s == 0.5
        pacer.failed(old)  # was under way when the gate closed
        assert pacer.closed_for_s == 0.5
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        for name in ("probe", "b", "c"):
            requests.start(name, Priority.LIVE)
        await asyncio.sleep(2)
        assert requests.entered == ["probe"]
        assert requests.slots["probe"].is_probe
        pacer.succeeded(requests.slots["probe"])
        await turn()
        assert requests.entered == ["probe", "b", "c"]
        assert not requests.slots["b"].is_probe
        await requests.end_all()


async def test_a_late_answer_opens_the_gate_before_the_next_probe() -> None:
    pacer = Pacer(jitter=lambda: 0.999)
    async with pacer.slot(Priority.LIVE) as old:
        for _ in range(FAILURES_TO_CLOSE):
            await failure(pacer)
        assert pacer.closed_for_s > 0.9
        pacer.succeeded(old)
        assert pacer.closed_for_s == 0


async def test_what_hangs_since_before_the_gate_closed_keeps_no_probe_from_going_out() -> None:
    pacer = Pacer(jitter=half)
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        for name in ("history 1", "history 2"):
            requests.start(name, Priority.HISTORY)
        requests.start("claim", Priority.CONTROL)
        await turn()
        for _ in range(FAILURES_TO_CLOSE):
            await failure(pacer)
        requests.start("history 3", Priority.HISTORY)
        requests.start("probe", Priority.LIVE)
        await asyncio.sleep(1)
        assert requests.entered[3:] == ["probe"]
        await requests.end_all()


async def test_background_probes_where_nobody_else_asks_one_at_a_time() -> None:
    pacer = Pacer(jitter=half)
    for _ in range(FAILURES_TO_CLOSE):
        await failure(pacer)
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        requests.start("upload", Priority.UPLOAD)
        requests.start("history", Priority.HISTORY)
        await asyncio.sleep(1)
        assert requests.entered == ["history"]
        requests.start("live", Priority.LIVE)
        await turn()
        assert requests.entered == ["history", "live"]
        await requests.end_all()


async def test_a_probe_that_fails_doubles_the_pause_up_to_its_cap() -> None:
    pacer = Pacer(jitter=half)
    pauses: list[float] = []
    for _ in range(FAILURES_TO_CLOSE + 5):
        await failure(pacer)
        pauses.append(pacer.closed_for_s)
    assert pauses[FAILURES_TO_CLOSE - 1 :] == [0.5, 1, 2, 2, 2, 2]


async def test_a_429_is_an_answer_and_ends_the_probing() -> None:
    pacer = Pacer(jitter=half)
    for _ in range(FAILURES_TO_CLOSE):
        await failure(pacer)
    async with pacer.slot(Priority.LIVE) as probe:
        pacer.throttled(probe, 1)
    async with pacer.slot(Priority.LIVE) as one, pacer.slot(Priority.LIVE) as another:
        assert (one.is_probe, another.is_probe) == (False, False)


async def test_requests_go_out_at_the_learned_rate_and_only_those_that_waited_for_it_raise_it() -> None:
    pacer = Pacer(max_in_flight=1000)
    start_per_s = pacer.rate_per_s
    entered_s: list[float] = []

    async def request() -> None:
        async with pacer.slot(Priority.LIVE) as slot:
            entered_s.append(now())
            await asyncio.sleep(0.1)
            pacer.succeeded(slot)

    for _ in range(20):  # no more than one at a time: the rate holds nobody back
        await request()
    assert pacer.rate_per_s == start_per_s
    entered_s.clear()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(300):
            tasks.create_task(request())
    assert 299 / (entered_s[-1] - entered_s[0]) == pytest.approx(start_per_s, rel=0.15)
    assert pacer.rate_per_s > start_per_s


async def test_after_a_refusal_requests_go_out_slower_and_not_in_a_burst() -> None:
    pacer = Pacer()
    before_per_s = pacer.rate_per_s
    async with pacer.slot(Priority.LIVE) as slot:
        pacer.throttled(slot, 2)
    assert pacer.rate_per_s <= before_per_s * 0.8
    start = now()
    for number in range(3):
        async with pacer.slot(Priority.LIVE):
            assert now() - start == pytest.approx(2 + number / pacer.rate_per_s, abs=0.01)


async def test_within_the_learned_rate_live_goes_before_history() -> None:
    pacer = Pacer()
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        for number in range(20):
            requests.start(f"history {number}", Priority.HISTORY)
        await turn()
        async with pacer.slot(Priority.LIVE) as slot:
            pacer.throttled(slot, 1)
        for number in range(5):
            requests.start(f"live {number}", Priority.LIVE)
        await asyncio.sleep(30)
        assert requests.entered[2:7] == [f"live {number}" for number in range(5)]
        for number in range(20):
            await requests.end(f"history {number}")
        await requests.end_all()


@given(
    st.tuples(st.sampled_from(Priority), st.floats(0, 1000), st.floats(0, math.inf)),
    st.tuples(st.sampled_from(Priority), st.floats(0, 1000), st.floats(0, math.inf)),
)
def test_a_turn_is_first_by_priority_then_by_the_due_time(
    one: tuple[Priority, float, float], other: tuple[Priority, float, float]
) -> None:
    (first, first_s, first_overdue_s), (second, second_s, second_overdue_s) = one, other
    if first < second or (first == second and first_s - first_overdue_s < second_s - second_overdue_s):
        assert turn_of(*one) < turn_of(*other)

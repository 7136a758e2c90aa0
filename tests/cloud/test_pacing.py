"""The gate that every request passes, in virtual time."""

import asyncio

import pytest

from gateway.cloud.pacing import FAILURES_TO_CLOSE, Pacer, Priority

pytestmark = pytest.mark.looptime


def half() -> float:
    return 0.5


class Requests:
    """Requests that hold their slot until they are told to end, and the order in which they got it."""

    def __init__(self, pacer: Pacer, tasks: asyncio.TaskGroup) -> None:
        self.entered: list[str] = []
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
        async with self._pacer.slot(priority, overdue_s):
            self.entered.append(name)
            await self._ends[name].wait()


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
    loop = asyncio.get_running_loop()
    start = loop.time()
    pacer.throttled(7)
    pacer.throttled(3)  # another answer under way at that time: the longer pause counts
    assert pacer.closed_for_s == 7
    async with pacer.slot(Priority.CONTROL):
        assert loop.time() - start == 7
    assert pacer.closed_for_s == 0


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


async def test_failures_in_a_row_leave_single_probes_until_one_succeeds() -> None:
    pacer = Pacer(jitter=half)
    loop = asyncio.get_running_loop()
    for _ in range(FAILURES_TO_CLOSE - 1):
        pacer.failed()
    assert pacer.closed_for_s == 0
    pacer.failed()
    assert pacer.closed_for_s == 0.5
    pacer.failed()  # was under way when the gate closed
    assert pacer.closed_for_s == 0.5
    start = loop.time()
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        for name in ("probe", "b", "c"):
            requests.start(name, Priority.LIVE)
        await asyncio.sleep(2)
        assert requests.entered == ["probe"]
        pacer.succeeded()
        await turn()
        assert requests.entered == ["probe", "b", "c"]
        await requests.end_all()
    assert loop.time() - start == 2


async def test_a_probe_that_fails_doubles_the_pause_up_to_its_cap() -> None:
    pacer = Pacer(jitter=half)
    pauses: list[float] = []
    for _ in range(FAILURES_TO_CLOSE + 6):
        pacer.failed()
        pauses.append(pacer.closed_for_s)
        await asyncio.sleep(pacer.closed_for_s)
    assert pauses[FAILURES_TO_CLOSE - 1 :] == [0.5, 1, 2, 4, 7.5, 7.5, 7.5]


async def test_a_timer_that_fires_a_tick_early_still_opens_the_gate() -> None:
    pacer = Pacer(max_in_flight=1)
    pacer.throttled(7)
    async with asyncio.TaskGroup() as tasks:
        requests = Requests(pacer, tasks)
        requests.start("a", Priority.LIVE)
        await asyncio.sleep(6.999)
        pacer._reopen()
        await turn()
        assert requests.entered == ["a"]
        await requests.end_all()

"""A thread for what may wait for a disk, so that the event loop never does."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["OVERDUE_S", "Worker"]

OVERDUE_S = 10.0
"""How long a card may take for one thing until it is called stuck; worn ones pause for seconds."""

_T = TypeVar("_T")


class Worker:
    """One thread that does one job after another, in the order in which they were given."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._given = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_overdue = False

    @property
    def is_overdue(self) -> bool:
        """Whether a job that began more than `OVERDUE_S` ago is not done; those behind it have not begun."""
        return self._is_overdue

    async def run(self, job: Callable[[], _T], then: Callable[[_T], None] = lambda _: None) -> _T:
        """Do something in the thread; what it raises is raised here.

        Args:
            job: What to do. Who is cancelled while waiting for it does not stop it.
            then: Called with its result, in the event loop, as soon as it is done, even if the caller was cancelled.
        """
        return await asyncio.shield(self._started(job, then))

    async def attempt(self, job: Callable[[], None]) -> None:
        """Do something in the thread, and wait for it no longer than until it is overdue; it goes on then."""
        await asyncio.wait({self._started(job, lambda _: None)}, timeout=OVERDUE_S)

    def close(self) -> None:
        """Take no more jobs; not waited for those that were given."""
        self._executor.shutdown(wait=False)

    def _started(self, job: Callable[[], _T], then: Callable[[_T], None]) -> asyncio.Future[_T]:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, job)

        def done(future: asyncio.Future[_T]) -> None:
            self._given -= 1
            self._watch(loop)
            if future.exception() is None:
                then(future.result())

        self._given += 1
        if self._given == 1:
            self._watch(loop)
        future.add_done_callback(done)
        return future

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """The next job begins, if there is one: they are done in the order in which they were given."""
        if self._timer is not None:
            self._timer.cancel()
        self._is_overdue = False
        self._timer = loop.call_later(OVERDUE_S, self._tell) if self._given else None

    def _tell(self) -> None:
        self._is_overdue = True

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
        self._overdue = 0

    @property
    def is_overdue(self) -> bool:
        """Whether a job that was given more than `OVERDUE_S` ago is not done."""
        return self._overdue > 0

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
        is_overdue = False

        def overdue() -> None:
            nonlocal is_overdue
            is_overdue = True
            self._overdue += 1

        def done(future: asyncio.Future[_T]) -> None:
            timer.cancel()
            self._overdue -= is_overdue
            if future.exception() is None:
                then(future.result())

        timer = loop.call_later(OVERDUE_S, overdue)
        future.add_done_callback(done)
        return future

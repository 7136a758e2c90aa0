"""Disks in virtual time: one that takes none, and one on which everything may end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from gateway.store import Connection, Store, StoreError

T = TypeVar("T")


def disk_takes_no_time() -> None:
    """Let what the loop would hand to a thread be done at once: a clock that jumps does not wait for threads."""
    loop = asyncio.get_running_loop()

    def run_at_once(_executor: object, work: Callable[..., Any], *args: object) -> asyncio.Future[Any]:
        # Done with the next turn of the loop: no thread is ever done at once, and somebody may rely on that.
        future: asyncio.Future[Any] = loop.create_future()
        try:
            loop.call_soon(future.set_result, work(*args))
        except Exception as error:  # noqa: BLE001 - it is handed on
            loop.call_soon(future.set_exception, error)
        return future

    loop.run_in_executor = run_at_once  # type: ignore[method-assign, assignment]


class Disk:
    """The store, on which everything may end: nothing is written any more once it is dead.

    Attributes:
        acts: As a `Meddler` has them: "before disk" and "after disk".
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_dead = False
        self.acts: dict[str, list[Callable[[], object]]] = {}

    @property
    def trouble(self) -> StoreError | None:
        return self._store.trouble

    @property
    def openings(self) -> int:
        return self._store.openings

    @property
    def damage(self) -> str:
        return self._store.damage

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._store.read(work)

    async def mend(self) -> bool:
        return await self._store.mend()

    async def write(self, work: Callable[[Connection], T], then: Callable[[T], None] = lambda _: None) -> T:
        await meddle(self.acts, "before disk")
        if self.is_dead:
            raise StoreError("The power is off", "switch it on")
        result = await self._store.write(work, then)
        await meddle(self.acts, "after disk")
        return result


async def meddle(acts: dict[str, list[Callable[[], object]]], moment: str) -> None:
    """Do what is to be done at a moment, the next time that it comes."""
    if acts.get(moment):
        done = acts[moment].pop(0)()
        if isinstance(done, Awaitable):
            await done

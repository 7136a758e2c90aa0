"""Links with devices, held for others: one at a time, and let go in order however those end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from gateway.bluetooth.link import Link, LinkError


class Links:
    """A link belongs to a task of its own, and not to its user: who is cancelled twice leaves no device linked."""

    def __init__(self, connected: Callable[[str, float], AbstractAsyncContextManager[Link]]) -> None:
        """Creates it without a link.

        Args:
            connected: A link with the device of an address, made within some seconds, for the length of the block.
        """
        self._connected = connected
        self._owner: asyncio.TaskGroup | None = None
        self._held: set[asyncio.Task[None]] = set()
        self._one_link = asyncio.Lock()

    @property
    def are_possible(self) -> bool:
        """Whether there is somebody to hold a link."""
        return self._owner is not None

    @asynccontextmanager
    async def owned(self) -> AsyncIterator[None]:
        """Links are possible for the length of the block; none outlives it."""
        async with asyncio.TaskGroup() as owner:
            self._owner = owner
            try:
                yield
            finally:
                self._owner = None

    @asynccontextmanager
    async def held(self, address: str, timeout_s: float) -> AsyncIterator[Link]:
        """A link for the length of the block, while links are possible; others wait meanwhile.

        Args:
            address: In normal form.
            timeout_s: How long connecting may take.

        Raises:
            LinkError: There is no link.
        """
        if self._owner is None:
            raise LinkError("the radio stopped")
        opened = asyncio.get_running_loop().create_future()
        released = asyncio.Event()
        task = self._owner.create_task(self._hold(address, timeout_s, opened, released))
        self._held.add(task)
        task.add_done_callback(self._held.discard)
        try:
            yield await opened
        finally:
            released.set()
            if opened.cancelled():
                task.cancel()
            await asyncio.wait({task})

    async def end(self) -> None:
        """Let every device go in order, while there is somebody who can be asked to."""
        held = tuple(self._held)
        for task in held:
            task.cancel()
        if held:
            await asyncio.wait(held)

    async def _hold(
        self, address: str, timeout_s: float, opened: asyncio.Future[Link], released: asyncio.Event
    ) -> None:
        try:
            async with self._one_link, self._connected(address, timeout_s) as link:
                if not opened.done():
                    opened.set_result(link)
                await released.wait()
        except Exception as error:  # noqa: BLE001 - the edge of a task: what went wrong with a link is its user's matter
            if not opened.done():
                opened.set_exception(error)
        finally:
            if not opened.done():
                opened.set_exception(LinkError("the radio stopped"))

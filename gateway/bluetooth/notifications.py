"""What a sensor notifies, from when it comes until it is fetched."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator

KEPT_NOTIFICATIONS = 256
"""Of a characteristic, until they are fetched; a sensor sends one or a few in a second."""

_LOG = logging.getLogger(__name__)


class Notifications(AsyncIterator[bytes]):
    """Values until the end; the oldest give way when nobody fetches them."""

    def __init__(self) -> None:
        self._values = deque[bytes](maxlen=KEPT_NOTIFICATIONS)
        self._news = asyncio.Event()
        self._is_over = False
        self._dropped = 0

    def put(self, value: bytes) -> None:
        """One more value."""
        self._dropped += len(self._values) == KEPT_NOTIFICATIONS
        self._values.append(value)
        self._news.set()

    def end(self) -> None:
        """No more values come; those that are there can still be fetched."""
        if not self._is_over and self._dropped:
            _LOG.warning(
                "%(count)s notifications of a sensor were dropped, because they were not fetched",
                {"count": self._dropped},
            )
        self._is_over = True
        self._news.set()

    async def __anext__(self) -> bytes:
        while not self._values:
            if self._is_over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._values.popleft()

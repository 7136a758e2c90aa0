"""A connection with one sensor, as those use it who want to know something of the sensor."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class LinkError(Exception):
    """An operation on a link failed: the sensor refused it, or the link is gone."""


class Link(Protocol):
    """A connection with one sensor, which somebody else opens and always closes."""

    def has(self, uuid: str) -> bool:
        """Whether the sensor offers a characteristic."""

    async def read(self, uuid: str) -> bytes | None:
        """The value of a characteristic, None if it is not offered; raises `LinkError`."""

    def notifications(self, uuid: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Subscribes for as long as the context is open; the iterator ends with the link. Raises `LinkError`."""

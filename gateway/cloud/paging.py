"""Long answers in pieces: spans cut to what the API allows, and lists page by page."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Protocol, TypeVar

from gateway.cloud.errors import BadAnswer, Fault, NotFound

LIST_LIMIT = 500
"""Items per page of a list: allowed by every version of the API, and one page for any club."""

MAX_PAGES = 1000
"""The longest list, two days of rows at the default page size, has 173 pages."""


class HasNext(Protocol):
    """A page that knows the next."""

    @property
    def next_page(self) -> int | None:
        """Number of the next page, None on the last."""


P = TypeVar("P", bound=HasNext)


def windows(start_ms: int, stop_ms: int, longest_ms: int) -> Iterator[tuple[int, int]]:
    """Cut a span into pieces of at most ``longest_ms``.

    Neighbours share their border: whether the API includes the end of a span is unknown, and a row twice is better
    than a row lost.
    """
    while start_ms < stop_ms:
        border_ms = min(start_ms + longest_ms, stop_ms)
        yield start_ms, border_ms
        start_ms = border_ms


async def pages(operation: str, fetch: Callable[[int], Awaitable[P]]) -> AsyncIterator[P]:
    """Fetch page after page, from 1.

    Raises:
        BadAnswer: If the pages do not count upwards, or never end.
        CloudError: What ``fetch`` raises; a list that has become shorter meanwhile just ends.
    """
    number = 1
    for _ in range(MAX_PAGES):
        try:
            page = await fetch(number)
        except NotFound as error:
            if number == 1 or error.is_path_unknown:
                raise
            return
        yield page
        if page.next_page is None:
            return
        if page.next_page <= number:
            raise BadAnswer(operation, Fault.WRONG_SHAPE, "its pages do not count upwards")
        number = page.next_page
    raise BadAnswer(operation, Fault.TOO_LARGE, "its pages never end")

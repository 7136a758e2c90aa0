"""Long answers in pieces."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.errors import BadAnswer, Fault, NotFound
from gateway.cloud.paging import MAX_PAGES, pages, windows


@dataclass
class Page:
    number: int
    next_page: int | None


async def numbers(next_of: dict[int, int | None]) -> list[int]:
    async def fetch(number: int) -> Page:
        if number not in next_of:
            raise NotFound("devices", "devices/", is_path_unknown=False)
        return Page(number, next_of[number])

    return [page.number async for page in pages("devices", fetch)]


@given(st.integers(-(10**13), 10**13), st.integers(0, 10**6), st.integers(1, 10**6))
def test_windows_cover_the_span_without_hole_or_excess(start_ms: int, length_ms: int, longest_ms: int) -> None:
    longest_ms = max(longest_ms, length_ms // 50 + 1)
    found = list(windows(start_ms, start_ms + length_ms, longest_ms))
    assert bool(found) == (length_ms > 0)
    assert all(0 < stop - start <= longest_ms for start, stop in found)
    borders = [start for start, _ in found] + [stop for _, stop in found[-1:]]
    assert borders[:1] + borders[-1:] == ([start_ms, start_ms + length_ms] if found else [])
    assert borders[1:] == [stop for _, stop in found]


async def test_pages_are_followed_to_the_last() -> None:
    assert await numbers({1: None}) == [1]
    assert await numbers({1: 2, 2: 3, 3: None}) == [1, 2, 3]


async def test_a_list_that_became_shorter_meanwhile_just_ends() -> None:
    assert await numbers({1: 2}) == [1]


async def test_a_missing_first_page_is_an_error() -> None:
    with pytest.raises(NotFound):
        await numbers({})


@pytest.mark.parametrize("next_page", [1, 0, -5])
async def test_pages_that_turn_back_are_refused(next_page: int) -> None:
    with pytest.raises(BadAnswer):
        await numbers({1: next_page})


async def test_pages_without_end_are_refused() -> None:
    with pytest.raises(BadAnswer) as caught:
        await numbers({number: number + 1 for number in range(1, 2 * MAX_PAGES)})
    assert caught.value.fault is Fault.TOO_LARGE

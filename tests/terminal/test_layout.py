"""What goes into a window, and a bar that does not promise too much."""

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from gateway.terminal.layout import bar, fitted

BLOCKS = st.lists(st.integers(1, 4), max_size=12)


@given(BLOCKS, st.integers(1, 30))
def test_blocks_stand_or_fall_together_and_what_has_no_room_is_counted(sizes: list[int], room: int) -> None:
    blocks = [[Text(f"{place}")] * size for place, size in enumerate(sizes)]
    lines = [line.plain for line in fitted(blocks, room, lambda hidden: [Text(f"and {hidden}")])]
    assert len(lines) <= room
    whole = [f"{place}" for place, size in enumerate(sizes) for _ in range(size)]
    if len(whole) <= room:
        assert lines == whole
    else:
        shown = len(set(lines[:-1]))
        assert lines == [*whole[: sum(sizes[:shown])], f"and {len(sizes) - shown}"]
        assert sum(sizes[: shown + 1]) > room - (shown + 1 < len(sizes)), "one more would have had no room"


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 40))
def test_a_bar_is_full_only_if_it_is_all(part: int, whole: int, width: int) -> None:
    drawn = bar(part, whole, width)
    assert len(drawn) == width
    assert ("╌" not in drawn) == (part >= whole)

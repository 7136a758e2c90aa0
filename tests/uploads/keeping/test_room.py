"""How much room there is, in numbers that fit together, and why there is none, with what helps against that."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uploads.keeping.room import Room
from gateway.uploads.reporting import scarcity

MB = 1_000_000
ROOMY = Room(2000 * MB, 20_000 * MB, 10_000, max_bytes=8192 * MB, reserve_bytes=64 * MB)


@pytest.mark.parametrize(
    ("room", "wanted", "why", "action"),
    [
        (
            replace(ROOMY, free_bytes=0),
            MB,
            "the disk is full (0 B free, and 64 MB are kept in reserve)",
            "delete other files, or get a larger card",
        ),
        (
            replace(ROOMY, used_bytes=0, free_bytes=50_200_000),
            3 * MB,
            "the disk is full (50 MB free, and 64 MB are kept in reserve)",
            "delete other files, or get a larger card",
        ),
        (
            replace(ROOMY, free_bytes=65_500_000),
            3 * MB,
            "the disk is almost full (66 MB free, and 64 MB are kept in reserve)",
            "delete other files, or get a larger card",
        ),
        (
            replace(ROOMY, used_bytes=8191 * MB),
            3 * MB,
            "8191 MB are used, and spool_max_mb is 8192 MB",
            "wait until some are done and deleted, or raise spool_max_mb",
        ),
        (
            replace(ROOMY, free_bytes=500 * MB),
            3 * MB,
            "2000 MB are used, 80 % of what others leave of the disk",
            "wait until some are done and deleted, delete other files, or get a larger card",
        ),
        (replace(ROOMY, free_inodes=15), 1, "the disk can hold no more files", "delete what is not needed there"),
    ],
)
def test_why_there_is_no_room_is_said_with_what_helps(room: Room, wanted: int, why: str, action: str) -> None:
    assert room.shortage(wanted) == (why, action)


def test_what_is_told_of_a_disk_that_is_full_is_why_and_not_the_first_guess() -> None:
    full = replace(ROOMY, used_bytes=0, free_bytes=0)
    told = scarcity(full)
    assert told is not None
    assert told.text == (
        "There is no room for more recordings: the disk is full (0 B free, and 64 MB are kept in reserve)"
    )
    assert told.action == "delete other files, or get a larger card"
    hardly = scarcity(replace(ROOMY, used_bytes=8000 * MB))
    assert hardly is not None
    assert hardly.text == (
        "There is hardly any room for more recordings: 8000 MB are used, and spool_max_mb is 8192 MB"
    )
    assert scarcity(ROOMY) is None
    assert scarcity(None) is None


def test_where_there_is_room_nothing_is_said() -> None:
    assert ROOMY.shortage(6000 * MB) is None
    assert replace(ROOMY, free_inodes=None).shortage(MB) is None


_BYTES = st.integers(0, 1 << 40)
ROOMS = st.builds(Room, _BYTES, _BYTES, st.none() | st.integers(16, 1 << 20), _BYTES, _BYTES)


@given(ROOMS, _BYTES)
def test_what_is_told_of_the_room_and_what_is_taken_over_are_the_same(room: Room, wanted: int) -> None:
    assert room.used_bytes <= room.limit_bytes
    if room.limit_bytes > room.used_bytes:
        assert (room.shortage(wanted) is None) is (room.used_bytes + wanted <= room.limit_bytes)
    else:
        assert room.shortage(wanted + 1) is not None

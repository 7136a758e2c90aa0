"""Which recording is meant by the beginning of an id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recordings.choosing import find_recording, find_recordings
from gateway.recordings.source import Source
from gateway.terminal.errors import CommandError, RefusedError
from gateway.uploads.recording import State
from gateway.uploads.report import LeftOutReport
from tests.recordings.desk import Desk, queue, recording, report

ALIKE = [report(recording(1, sha256="abcd1234" + end * 56)) for end in "01"]
OTHERS = [report(recording(2, sha256=f"abce{digit}" + "0" * 59)) for digit in "0123456"]
ALL = [*ALIKE, *OTHERS]


@given(st.integers(4, 64), st.booleans())
def test_any_beginning_that_is_one_recordings_only_is_enough(length: int, is_upper: bool) -> None:
    one = report(recording(1111))
    typed = one.sha256[:length]
    assert find_recording([one, *ALL], f" {typed.upper() if is_upper else typed} ") is one


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("abc", "'abc' is no id of a recording: give its first 4 digits or more; `insiders-gateway recordings list`"),
        ("monday.asi", "'monday.asi' is no id of a recording"),
        ("\x1b[31m", r"'\[31m' is no id"),
        ("ffff", "No recording has an id that begins with 'ffff': `insiders-gateway recordings list --all` shows all"),
        ("abcd", "'abcd' may be abcd12340 or abcd12341: give more digits."),
        ("abce", "'abce' may be abce0000, abce1000, abce2000, abce3000 or others: give more digits."),
    ],
)
def test_what_is_none_or_several_is_said(typed: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        find_recording(ALL, typed)


async def test_who_is_named_twice_is_meant_once() -> None:
    async with Desk().open() as url:
        found = await find_recordings(Source(url), queue(*ALL), ["abcd12340", "abce0", "abcd123400"])
    assert found == [ALIKE[0], OTHERS[0]]


async def test_what_is_too_old_for_the_list_is_found_by_asking() -> None:
    old = report(recording(9876, State.DONE))
    desk = Desk(gone=[old])
    async with desk.open() as url:
        whole, cut = queue(*ALL), queue(*ALL, left_out=LeftOutReport(done=1))
        assert await find_recordings(Source(url), cut, ["9876", "abce0"]) == [old, OTHERS[0]]
        with pytest.raises(RefusedError, match="There is no such recording"):
            await find_recordings(Source(url), cut, ["9875"])
        with pytest.raises(CommandError, match="No recording has an id"):
            await find_recordings(Source(url), whole, ["9876"])

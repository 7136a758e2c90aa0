"""Recovery: whatever is lost or damaged, no recording is, and none is thought to be safe that may not be."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.uploads import transitions as t
from gateway.uploads.keeping.journal import Read
from gateway.uploads.keeping.recovery import Finding, Recovery, inspected, is_synced, recover, sentence
from gateway.uploads.recording import DELETED, WITHOUT_FILE, Recording, Source, State, Way
from tests.uploads.keeping.stages import content, history, recording, sha256_of
from tests.uploads.test_transitions import CHANGES

S = State
SIZE = len(content(0))
NOW_MS = 1000
LOST = Read()


def by_sha256(*recordings: Recording) -> dict[str, Recording]:
    return {it.sha256: it for it in recordings}


def whole(*recordings: Recording) -> Read:
    return Read(by_sha256(*recordings), is_whole=True)


def files_of(*recordings: Recording) -> dict[str, int]:
    return {it.sha256: it.size for it in recordings if it.state not in WITHOUT_FILE}


def recovered(
    rows: tuple[Recording, ...] = (),
    journal: Read = LOST,
    files: Mapping[str, int] | None = None,
    damaged: frozenset[str] = frozenset(),
) -> Recovery:
    there = files_of(*rows, *journal.recordings.values()) if files is None else files
    recovery = recover(by_sha256(*rows), damaged, journal, there, NOW_MS)
    check(recovery, by_sha256(*rows), there)
    return recovery


def check(recovery: Recovery, rows: Mapping[str, Recording], files: Mapping[str, int]) -> None:
    """What holds of any recovery."""
    assert set(recovery.recordings) == {*recovery.recordings, *rows, *files}
    for sha256, it in recovery.recordings.items():
        assert it.sha256 == sha256
        assert it.state not in {S.SENDING, S.CLOSING}
        if sha256 in files:
            assert it.state is not S.MISSING
            assert (it.state in DELETED) == (sha256 in recovery.to_remove)
        else:
            assert it.state in {*WITHOUT_FILE, S.ACCEPTED}
    assert by_sha256(*recovery.to_write) == {
        sha256: it for sha256, it in recovery.recordings.items() if rows.get(sha256) != it
    }


def one(recovery: Recovery) -> Recording:
    (it,) = recovery.recordings.values()
    return it


ENDS = {S.SENDING: S.QUEUED, S.CLOSING: S.AMBIGUOUS}


@pytest.mark.parametrize("state", State)
def test_after_an_orderly_stop_all_is_as_it_was(state: State) -> None:
    it = recording(0, state)
    recovery = recovered((it,), whole(it))
    assert one(recovery).state is ENDS.get(state, state)
    assert (recovery.findings, recovery.is_damage, sentence(recovery.findings)) == ({}, False, "")
    assert recovery.to_write == (() if state not in ENDS else (one(recovery),))


@pytest.mark.parametrize("state", State)
def test_a_lost_database_is_told_again_from_the_journal(state: State) -> None:
    it = recording(0, state)
    recovery = recovered(journal=whole(it))
    assert one(recovery).state is ENDS.get(state, state)
    assert recovery.findings == {Finding.BEHIND: 1}
    assert recovery.is_damage == (it.version > 1)


def test_a_damaged_row_is_told_again_from_the_journal_and_said() -> None:
    it = recording(0, S.DONE)
    recovery = recovered(journal=whole(it), damaged=frozenset({it.sha256}))
    assert one(recovery) == it
    assert (recovery.findings, recovery.is_damage) == ({Finding.DAMAGED: 1}, True)


def test_a_damaged_row_without_a_line_may_be_of_anything() -> None:
    it = recording(0, S.DONE)
    recovery = recovered(journal=LOST, files={it.sha256: SIZE}, damaged=frozenset({it.sha256}))
    assert (one(recovery).state, one(recovery).may_be_in_cloud) == (S.UNASSIGNED, True)
    assert t.assigned(one(recovery), "A", "Ada", 5).state is S.AMBIGUOUS
    assert (recovery.findings, recovery.is_damage) == ({Finding.DAMAGED: 1}, True)


def test_a_damaged_row_without_anything_else_is_counted() -> None:
    """The damage may be in what it is called by."""
    it = recording(0, S.QUEUED)
    recovery = recovered(journal=whole(it), damaged=frozenset({"nonsense", sha256_of(7)}))
    assert one(recovery) == it
    assert recovery.findings[Finding.DAMAGED] == 2
    assert recovery.is_damage


@pytest.mark.parametrize("state", sorted(set(State) - WITHOUT_FILE))
def test_a_row_that_is_left_is_believed_without_the_journal(state: State) -> None:
    it = recording(0, state)
    recovery = recovered((it,), LOST)
    assert one(recovery).state is ENDS.get(state, state)
    assert (recovery.findings, recovery.is_damage) == ({}, True)


BEHIND = [
    ((), Read(by_sha256(recording(1, S.DONE)), is_whole=False), frozenset[str]()),
    ((recording(1, S.QUEUED),), Read(by_sha256(recording(1, S.CLOSING)), is_whole=False), frozenset[str]()),
    ((), LOST, frozenset({sha256_of(1)})),
]
"""Rows, a journal and damaged rows that say of another recording that the rows are not the latest."""


@pytest.mark.parametrize("state", [S.QUEUED, S.SENDING, S.QUESTIONED, S.FAILED])
@pytest.mark.parametrize(("rows", "journal", "damaged"), BEHIND)
def test_a_row_may_be_from_before_the_end_left_where_rows_and_lines_are_lost(
    state: State, rows: tuple[Recording, ...], journal: Read, damaged: frozenset[str]
) -> None:
    it = recording(0, state)
    files = {it.sha256: SIZE, sha256_of(1): SIZE}
    known = recovered((it, *rows), journal, files, damaged).recordings[it.sha256]
    assert known.may_be_in_cloud
    assert known.state is (S.AMBIGUOUS if state in {S.QUEUED, S.SENDING} else state)
    # While one of both is whole, it is believed.
    known = recovered((it, *rows), whole(it, *journal.recordings.values()), files, damaged).recordings[it.sha256]
    assert not known.may_be_in_cloud


def test_files_without_rows_say_that_others_may_have_lost_theirs() -> None:
    """As after the log of the database and the journal are lost at once. One alone is what a crash leaves."""
    it = recording(0, S.QUEUED)
    for others, is_doubtful in ((0, False), (1, False), (2, True)):
        files = {sha256_of(number): SIZE for number in range(others + 1)}
        assert recovered((it,), LOST, files).recordings[it.sha256].may_be_in_cloud == is_doubtful


def test_a_line_of_a_damaged_journal_may_not_be_the_last_of_its_recording() -> None:
    for state in State:
        it = recording(0, state)
        left = one(recovered(journal=Read(by_sha256(it), is_whole=False)))
        assert left.may_be_in_cloud or left.state in {S.ACCEPTED, S.DONE, S.PURGED}
        assert left.state is not S.QUEUED


def test_the_first_start_is_no_damage() -> None:
    recovery = recovered()
    assert (recovery.recordings, recovery.findings, recovery.is_damage) == ({}, {}, False)


def test_what_a_crash_leaves_is_no_damage() -> None:
    """It comes between a file and its line, or between a line and its row."""
    past = history(0, S.DONE)
    for row, line in zip([None, *past], past, strict=False):
        recovery = recovered(() if row is None else (row,), whole(line), files={line.sha256: SIZE})
        assert one(recovery).state is ENDS.get(line.state, line.state)
        assert (recovery.findings, recovery.is_damage) == ({Finding.BEHIND: 1}, False)
    recovery = recovered(journal=whole(), files={sha256_of(0): SIZE})
    assert (recovery.findings, recovery.is_damage) == ({Finding.UNKNOWN: 1}, False)


def test_a_row_that_is_far_behind_the_journal_is_damage_and_the_journal_counts() -> None:
    """As after the log of the database was lost."""
    past = history(0, S.DONE)
    recovery = recovered((past[0],), whole(past[-1]))
    assert one(recovery) == past[-1]
    assert (recovery.findings, recovery.is_damage) == ({Finding.BEHIND: 1}, True)
    others = [history(number, S.SENDING) for number in range(2)]
    recovery = recovered(tuple(past[0] for past in others), whole(*(past[1] for past in others)))
    assert (recovery.findings, recovery.is_damage) == ({Finding.BEHIND: 2}, True)


def test_of_a_row_and_a_line_of_the_same_version_the_row_counts() -> None:
    """The line is then of a change that was said to have failed, and was not made."""
    sent = recording(0, S.SENDING)
    row, line = t.closing(sent, 5), t.postponed(sent, "offline", "no line", 5)
    assert one(recovered((row,), whole(line))).state is S.AMBIGUOUS


def test_a_file_that_nobody_knows_waits_for_somebody_to_say_whose_it_is() -> None:
    it = one(recovered(journal=whole(), files={sha256_of(0): 7}))
    assert (it.state, it.size, it.may_be_in_cloud, it.taken_ms) == (S.UNASSIGNED, 7, False, NOW_MS)
    assert it.sources == (Source(Way.SPOOL, f"{sha256_of(0)[:8]}.asi", NOW_MS),)
    assert one(recovered(journal=LOST, files={sha256_of(0): 7})).may_be_in_cloud


@pytest.mark.parametrize("state", State)
def test_a_file_that_is_gone(state: State) -> None:
    it = recording(0, state)
    recovery = recovered((it,), whole(it), files={})
    expected = {S.DONE: S.PURGED, S.ACCEPTED: S.ACCEPTED} | {state: state for state in WITHOUT_FILE}
    assert one(recovery).state is expected.get(state, S.MISSING)
    is_missed = state not in expected
    assert (recovery.findings, recovery.is_damage) == ({Finding.MISSING: 1} if is_missed else {}, is_missed)
    assert one(recovery).may_be_in_cloud == (state in {S.CLOSING, S.AMBIGUOUS})


@pytest.mark.parametrize("state", sorted(set(State) - WITHOUT_FILE))
def test_a_file_that_is_shorter_than_it_was(state: State) -> None:
    it = recording(0, state)
    recovery = recovered((it,), whole(it), files={it.sha256: it.size - 1})
    assert one(recovery).state is (state if state in {S.ACCEPTED, S.DONE} else S.CORRUPT)
    assert recovery.is_damage == (state not in {S.ACCEPTED, S.DONE, S.CORRUPT})


def test_a_file_that_is_there_again_goes_its_way() -> None:
    it = recording(0, S.MISSING)
    recovery = recovered((it,), whole(it), files={it.sha256: SIZE})
    assert one(recovery).state is S.QUEUED
    assert (recovery.findings, recovery.is_damage) == ({Finding.BACK: 1}, False)
    assert one(recovered((it,), whole(it), files={it.sha256: 1})).state is S.CORRUPT


@pytest.mark.parametrize("state", sorted(DELETED))
def test_a_file_that_was_to_go_goes_if_its_row_says_so(state: State) -> None:
    it = recording(0, state)
    recovery = recovered((it,), whole(it), files={it.sha256: SIZE})
    assert recovery.to_remove == (it.sha256,)
    assert (one(recovery), recovery.findings) == (it, {})


@pytest.mark.parametrize("state", sorted(DELETED))
def test_a_file_that_was_to_go_stays_if_only_one_of_two_says_so(state: State) -> None:
    """It may have been taken again, and what says so may be lost: somebody is asked."""
    past = history(0, state)
    files = {past[-1].sha256: SIZE}
    for rows, journal in (((), whole(past[-1])), ((past[-2],), whole(past[-1])), ((past[-1],), LOST)):
        recovery = recovered(rows, journal, files)
        assert recovery.to_remove == ()
        assert one(recovery).state is (S.DONE if state is S.PURGED else S.QUESTIONED)
        assert recovery.findings[Finding.BACK] == 1


@pytest.mark.parametrize("state", State)
def test_what_the_journal_must_not_forget_is_flushed(state: State) -> None:
    is_flushed = state in {S.CLOSING, S.ACCEPTED, S.DONE, S.DISCARDED}
    assert is_synced(recording(0, S.QUEUED), recording(0, state)) == is_flushed
    assert is_synced(None, recording(0, state)) == is_flushed
    # Else the last flushed line would be that its file is to go.
    assert is_synced(recording(0, state), recording(0, S.QUEUED)) == (state in WITHOUT_FILE)


def test_what_was_found_is_told_in_order() -> None:
    assert sentence({Finding.MISSING: 2, Finding.BEHIND: 1}) == "1 told again from the journal, 2 without a file"


class Kept(NamedTuple):
    """A recording and what is left of it.

    Attributes:
        past: All that it was.
        row: The version of its row; None if that is gone.
        line: The version of its last line in the journal; None if there is none.
    """

    past: list[Recording]
    row: Recording | None
    line: Recording | None
    has_file: bool


OF_A_START = {"recovered", "doubted", "found again"}


@st.composite
def pasts(draw: st.DrawFn, number: int) -> list[Recording]:
    """What a recording may have been, by any changes in any order."""
    serial_number = draw(st.sampled_from([None, "A"]))
    past = [t.taken(sha256_of(number), SIZE, Source(Way.INBOX, "run.asi", 1), serial_number=serial_number)]
    usual = st.sampled_from(["sending", "closing", "accepted", "done", "purged"])
    for name in draw(st.lists(st.sampled_from(sorted(set(CHANGES) - OF_A_START)) | usual, max_size=25)):
        try:
            past.append(CHANGES[name](past[-1], past[-1].changed_ms + 1))
        except t.TransitionError:
            continue
    return past


@st.composite
def left_overs(draw: st.DrawFn) -> tuple[list[Kept], bool, frozenset[str]]:
    """Recordings, what is left of each, whether the journal is whole, and whose rows are damaged.

    As much as can be lost by a damaged card and a power cut at once, but of a journal that is whole no line that was
    flushed.
    """
    is_whole = draw(st.booleans())
    kept: list[Kept] = []
    damaged: set[str] = set()
    for number in range(draw(st.integers(1, 3))):
        past = draw(pasts(number))
        flushed = [index for index, it in enumerate(past) if is_synced(past[index - 1] if index else None, it)]
        row = draw(st.sampled_from([past[-1], None, *past]))
        least = max(flushed, default=-1) if is_whole else -1
        line = draw(st.integers(least, len(past) - 1))
        if row is None and draw(st.booleans()):
            damaged.add(past[0].sha256)
        has_file = draw(st.booleans()) if past[-1].state in DELETED else past[-1].state is not S.MISSING
        kept.append(Kept(past, row, past[line] if line >= 0 else None, has_file))
    return kept, is_whole, frozenset(damaged)


@settings(max_examples=400)
@given(left_overs())
def test_whatever_is_left_nothing_is_lost_and_nothing_is_believed_that_was_not(
    case: tuple[list[Kept], bool, frozenset[str]],
) -> None:
    kept, is_whole, damaged = case
    rows = by_sha256(*(it.row for it in kept if it.row is not None))
    journal = Read(by_sha256(*(it.line for it in kept if it.line is not None)), is_whole=is_whole)
    files = {it.past[-1].sha256: SIZE for it in kept if it.has_file}
    recovery = recover(rows, damaged, journal, files, NOW_MS)
    check(recovery, rows, files)
    behind = sum(
        max(0, line.version - (0 if row is None else row.version)) for _, row, line, _ in kept if line is not None
    ) + sum(row is None and line is None and has_file for _, row, line, has_file in kept)
    is_old_told = bool(damaged) or behind > 1
    for it in kept:
        last = it.past[-1]
        now = recovery.recordings.get(last.sha256)
        if now is None:
            assert (it.row, it.line, it.has_file) == (None, None, False)
            continue
        if it.has_file and last.state not in DELETED:
            assert last.sha256 not in recovery.to_remove, "a recording is lost"
        if now.state in {S.DONE, S.PURGED}:
            assert any(it.state is S.DONE for it in it.past), "done, and was not"
        may_be = last.may_be_in_cloud or last.state in {S.CLOSING, S.ACCEPTED, S.DONE, S.PURGED}
        # An old row that is unharmed is believed, should the journal be harmed at the same time, and nothing tell that
        # the rows are old.
        is_misled = not is_whole and not is_old_told and it.row is not None and it.row is not last
        if may_be and not is_misled and now.state not in {S.ACCEPTED, S.DONE, S.PURGED}:
            assert now.may_be_in_cloud, "goes to the cloud again without a mark"
    # Once more changes nothing: a crash in the middle of a recovery is one more recovery.
    settled = {sha256: size for sha256, size in files.items() if sha256 not in recovery.to_remove}
    again = recover(recovery.recordings, frozenset(), whole(*recovery.recordings.values()), settled, NOW_MS + 1)
    assert again.recordings == recovery.recordings
    assert (again.to_write, again.to_remove, again.is_damage) == ((), (), False)


FOUND = [
    (None, SIZE, True, S.UNASSIGNED, Finding.UNKNOWN),
    (None, SIZE, False, S.CORRUPT, Finding.CORRUPT),
    (S.QUEUED, SIZE, True, S.QUEUED, None),
    (S.QUEUED, SIZE, False, S.CORRUPT, Finding.CORRUPT),
    (S.QUEUED, None, False, S.MISSING, Finding.MISSING),
    (S.CORRUPT, SIZE, True, S.QUEUED, Finding.BACK),
    (S.CORRUPT, SIZE, False, S.CORRUPT, None),
    (S.CORRUPT, None, False, S.MISSING, Finding.MISSING),
    (S.MISSING, SIZE, True, S.QUEUED, Finding.BACK),
    (S.MISSING, None, False, S.MISSING, None),
    (S.DONE, SIZE, False, S.DONE, None),
    (S.DONE, None, False, S.PURGED, None),
    (S.ACCEPTED, SIZE, False, S.ACCEPTED, None),
    (S.SENDING, SIZE, False, S.SENDING, None),
    (S.DISCARDED, SIZE, True, S.DISCARDED, None),
]


@pytest.mark.parametrize(("state", "size", "is_right", "expected", "finding"), FOUND)
def test_what_reading_a_file_tells(
    state: State | None, size: int | None, is_right: bool, expected: State, finding: Finding | None
) -> None:
    """What is on its way is left to who sends it, and what is deleted to who deletes it."""
    known = None if state is None else recording(0, state)
    it, found = inspected(known, sha256_of(0), size, NOW_MS, is_right=is_right)
    assert (it.state, found) == (expected, finding)
    assert (it is known) == (expected is state)


def test_a_missing_file_that_is_back_with_other_bytes_is_corrupt() -> None:
    it, found = inspected(recording(0, S.MISSING), sha256_of(0), SIZE, NOW_MS, is_right=False)
    assert (it.state, found) == (S.CORRUPT, Finding.CORRUPT)

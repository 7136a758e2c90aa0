"""Reading only what is new of an answer that repeats most of the one before."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insiders_codecs import cloud
from insiders_codecs.cloud import MAX_REMEMBERED, DecodedRows, RowsFollower, decode_rows
from insiders_codecs.errors import DecodeError

T0 = 1_700_000_000_000


def row(place: int, **fields: Any) -> dict[str, Any]:
    """The row of the instant `place`, as long as the cloud's."""
    return {
        "gnss.timestamp": T0 + 100 * place,
        "gnss.latitude": 46.5196535 + place * 1e-6,
        "gnss.longitude": 6.6322734,
        "gnss.altitude": 495.2,
        "gnss.speed": 3.417,
        "ecg.timestamp": T0 + 100 * place,
        "ecg.hr": 151,
        **fields,
    }


def body(rows: Iterable[dict[str, Any]]) -> bytes:
    return json.dumps(list(rows), separators=(",", ":")).encode()


def newest_first(start: int, stop: int) -> list[dict[str, Any]]:
    return [row(place) for place in reversed(range(start, stop))]


def places(rows: DecodedRows) -> list[int]:
    return [(t_ms - T0) // 100 for t_ms in rows.block.t_ms.tolist()]


def test_only_the_rows_that_came_since_are_decoded() -> None:
    follower = RowsFollower()
    assert places(follower.decode(body(newest_first(0, 20)))) == list(range(20))
    assert places(follower.decode(body(newest_first(10, 30)))) == list(range(20, 30))
    assert places(follower.decode(body(newest_first(12, 32)))) == [30, 31]
    assert places(follower.decode(body(newest_first(2, 32)))) == list(range(2, 32))


def test_nothing_new_is_an_empty_block() -> None:
    follower = RowsFollower()
    for size in (20, 20, 5):
        rows = follower.decode(body(newest_first(20 - size, 20)))
    assert places(rows) == []


@pytest.mark.parametrize(
    "known",
    [
        [row(place) for place in (19, 18, 17, 15, 14)],
        [row(19), *newest_first(15, 20)],
        [row(19), *newest_first(15, 19)][::-1],
        [row(19, **{"ecg.hr": 90}), *newest_first(15, 19)],
        [*newest_first(16, 20), row(15, **{"gnss.altitude": 495.3})],
    ],
    ids=["late", "repeated", "other order", "first changed", "last changed"],
)
def test_all_is_decoded_where_something_changed_behind_what_is_known(known: list[dict[str, Any]]) -> None:
    follower = RowsFollower()
    follower.decode(body(known))
    answer = body(newest_first(15, 22))
    assert places(follower.decode(answer)) == list(range(15, 22))


def test_a_long_answer_is_not_kept() -> None:
    follower = RowsFollower()
    answer = body(newest_first(0, 300))
    assert len(answer) > MAX_REMEMBERED
    follower.decode(answer)
    assert len(follower.decode(answer).block) == 300


def test_rows_before_the_known_ones_that_are_odd_are_still_counted() -> None:
    follower = RowsFollower()
    follower.decode(body(newest_first(0, 20)))
    rows = follower.decode(body([row(21, **{"ecg.hr": "fast"}), {"ecg.hr": 60}, *newest_first(0, 20)]))
    assert places(rows) == [21]
    assert (rows.rows_rejected, rows.fields_rejected) == (1, 1)


def test_a_broken_answer_is_an_error_and_the_next_is_read_as_if_it_had_not_come() -> None:
    follower = RowsFollower()
    known = body(newest_first(0, 20))
    follower.decode(known)
    # Cut in the middle of a row that is known, and closed again: only its end is wrong.
    cut = body(newest_first(0, 25))[:-100] + b"]"
    with pytest.raises(DecodeError):
        follower.decode(cut)
    assert places(follower.decode(body(newest_first(0, 25)))) == list(range(20, 25))


def test_a_text_that_looks_like_the_end_of_a_row_does_not_end_it() -> None:
    """What is skipped begins as before and ends with a bracket, but the bracket stands inside a text."""
    follower = RowsFollower()
    follower.decode(b"[%s]" % body([row(5), row(4, note="}]")])[1:-1])
    with pytest.raises(DecodeError):
        follower.decode(body([row(6), row(5), row(4, note="}]")]).partition(b'}]"')[0] + b"}]")


# --- against reading everything --------------------------------------------------------------------------------------

NASTY = ['"},{"', "[{", "]", "}]", "},", json.dumps(row(3)), json.dumps([row(2), row(1)])[:-1], "\\", '\\"', "é\u2028"]

fields: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.just({}),
    st.fixed_dictionaries({"note": st.sampled_from(NASTY)}),
    st.fixed_dictionaries({"imu": st.sampled_from([[row(3)], {"rows": [row(2), {}]}, [[]], {}])}),
    st.fixed_dictionaries({"ecg.hr": st.sampled_from([0, 60, 61, None, "odd", 1e3])}),
)
rows_around = st.lists(st.tuples(st.integers(-12, 3), fields), max_size=8)


@st.composite
def answers(draw: st.DrawFn) -> list[bytes]:
    """What a server might answer one poll after the other, most of it repeated and some of it strange."""
    written: dict[int, dict[str, Any]] = {}
    now, bodies = 0, []
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (",\n ", ":")]))
    for _ in range(draw(st.integers(1, 6))):
        for new in range(draw(st.integers(0, 6))):
            written[now + new] = row(now + new)
        now = max(written, default=0)
        for place, extra in draw(rows_around):
            written[now + place] = row(now + place, **extra)
        kept = sorted(written, reverse=True)[: draw(st.integers(0, 20))]
        rows: list[Any] = [written[place] for place in kept]
        match draw(st.sampled_from(["as it is"] * 4 + ["repeated", "shuffled", "strange", "cut", "spaced", "pretty"])):
            case "repeated" if rows:
                rows.insert(draw(st.integers(0, len(rows))), draw(st.sampled_from(rows)))
            case "shuffled":
                rows = draw(st.permutations(rows))
            case "strange":
                rows.insert(
                    draw(st.integers(0, len(rows))), draw(st.sampled_from([1, 12, "x", [], {}, rows[:2], None]))
                )
            case "cut":
                text = json.dumps(rows, separators=separators).encode()
                bodies.append(text[: draw(st.integers(0, len(text)))] + draw(st.sampled_from([b"", b"]", b"}]"])))
                continue
            case "spaced":
                bodies.append(b" " + json.dumps(rows, separators=separators).encode() + b"\n")
                continue
            case "pretty":
                bodies.append(json.dumps(rows, indent=1).encode())
                continue
        bodies.append(json.dumps(rows, separators=separators).encode())
    return bodies


class Receiver:
    """Keeps the first row of each instant."""

    def __init__(self) -> None:
        self.rows: dict[int, list[str]] = {}

    def take(self, decode: Any, answer: bytes) -> bool:
        try:
            block = decode(answer).block
        except DecodeError:
            return False
        for t_ms, values in zip(block.t_ms.tolist(), block.values.T.tolist(), strict=True):
            self.rows.setdefault(t_ms, list(map(repr, values)))
        return True


@given(st.sampled_from([1, 30, 256]), answers())
@example(1, [b"[1]", b"[2,1]", b"[12]", b"[3,1]"])
def test_who_keeps_one_row_per_instant_gets_the_same_as_from_reading_everything(
    recognised: int, bodies: list[bytes]
) -> None:
    """However little is enough to suspect that the rest is known."""
    follower, thorough, quick = RowsFollower(), Receiver(), Receiver()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloud, "_RECOGNISED", recognised)
        for answer in bodies:
            assert quick.take(follower.decode, answer) == thorough.take(decode_rows, answer)
            assert quick.rows == thorough.rows

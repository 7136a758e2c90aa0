"""Grants: what can be given, until when, and what of it stands on the disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access import grants as keeping
from gateway.access.caller import Caller, Scope
from gateway.access.errors import AccessCode, AccessError
from gateway.access.grants import MAX_DAYS, MAX_NAME, Grant, NewGrant, checked, digest_of, granted, season_end_ms
from gateway.access.roles import Role
from gateway.secret import Secret

DAY_MS = 86_400_000
SQUADS = ("First", "U19")
NAMES = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=MAX_NAME)
SCOPES = st.builds(Scope, st.none() | st.frozensets(NAMES, min_size=1, max_size=4), st.booleans())
TIMES = st.integers(0, 1 << 45)
GRANTS = st.builds(Grant, NAMES, NAMES, NAMES, st.sampled_from(Role), SCOPES, TIMES, NAMES, TIMES, st.none() | TIMES)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(keeping.SCHEMA)
        yield connection


@pytest.mark.parametrize(
    ("given_on", "ends"),
    [
        ("2026-08-14", "2027-07-01"),
        ("2027-01-01", "2027-07-01"),
        ("2027-05-31", "2027-07-01"),
        ("2027-06-02", "2028-06-01"),  # meant for the next season, which is more than a year away
        ("2027-07-01", "2028-06-30"),
        ("2027-07-02", "2028-07-01"),
    ],
)
def test_it_ends_with_the_season(given_on: str, ends: str) -> None:
    assert season_end_ms(at(given_on), UTC) == at(ends)


def test_the_last_day_of_the_season_is_whole_where_the_club_is() -> None:
    assert season_end_ms(at("2026-08-14"), timezone(timedelta(hours=2))) == at("2027-06-30T22:00")


@given(st.integers(0, at("2400-01-01")))
def test_it_never_lasts_longer_than_a_year_nor_shorter_than_a_month(now_ms: int) -> None:
    assert 30 * DAY_MS <= season_end_ms(now_ms) - now_ms <= MAX_DAYS * DAY_MS


def test_it_lasts_as_long_as_was_said() -> None:
    grant = granted(NewGrant("Ada", "laptop", lasts_days=3), "Kim", 1000)
    assert (grant.created_ms, grant.expires_ms, grant.created_by) == (1000, 1000 + 3 * DAY_MS, "Kim")


def test_who_comes_in_with_it_may_do_what_it_says() -> None:
    grant = granted(NewGrant("Ada", "laptop", Role.VIEWER, Scope(frozenset({"U19"}), is_gnss_only=True)), "Kim", 1000)
    expected = Caller("Ada", "laptop", Role.VIEWER, grant.scope, grant.id, grant.expires_ms)
    assert grant.caller == expected


@pytest.mark.parametrize(
    "wrong",
    [
        NewGrant(""),
        NewGrant("   "),
        NewGrant("x" * (MAX_NAME + 1)),
        NewGrant("Ada\nadmin"),
        NewGrant("Ada\u202egnp.exe"),
        NewGrant("Ada", "lap\ttop"),
        NewGrant("Ada", role=Role.TECHNICIAN, scope=Scope(frozenset({"U19"}))),
        NewGrant("Ada", role=Role.ADMIN, scope=Scope(is_gnss_only=True)),
        NewGrant("Ada", scope=Scope(frozenset())),
        NewGrant("Ada", scope=Scope(frozenset({"U19", " "}))),
        NewGrant("Ada", scope=Scope(frozenset({"U19", "u19"}))),
        NewGrant("Ada", lasts_days=0),
        NewGrant("Ada", lasts_days=-1),
        NewGrant("Ada", lasts_days=MAX_DAYS + 1),
    ],
)
def test_what_cannot_be_given_is_said_in_one_sentence(wrong: NewGrant) -> None:
    with pytest.raises(AccessError) as caught:
        checked(wrong, SQUADS)
    assert caught.value.code is AccessCode.BAD_REQUEST
    assert str(caught.value).endswith(".")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("squads", "sentence"),
    [(SQUADS, "There is no squad 'U91'; the configuration has 'First', 'U19'."), ((), "There are no squads: give ")],
)
def test_a_squad_that_nobody_is_of_is_no_squad(squads: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(AccessError) as caught:
        checked(NewGrant("Ada", scope=Scope(frozenset({"U91"}))), squads)
    assert str(caught.value).startswith(sentence)


def test_spaces_around_names_are_no_part_of_them() -> None:
    squads = frozenset({" U19 "})
    assert checked(NewGrant(" Ada ", " laptop ", scope=Scope(squads)), SQUADS) == NewGrant(
        "Ada", "laptop", scope=Scope(frozenset({"U19"}))
    )


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {keeping.new_token().reveal() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {len("igw_") + 43}


@given(st.text())
def test_whatever_is_shown_as_a_token_can_be_looked_up(text: str) -> None:
    assert len(digest_of(Secret(text))) == 32
    assert len(digest_of(Secret(text + "\ud800"))) == 32


@given(st.lists(GRANTS, max_size=5, unique_by=lambda grant: grant.id))
def test_what_is_written_is_read_again(grants: list[Grant]) -> None:
    pairs = [(digest_of(Secret(grant.id)), grant) for grant in grants]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(keeping.SCHEMA)
        keeping.write(connection, pairs)
        assert keeping.read(connection) == (pairs, 0)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE access_grant SET document = CAST(replace(document, 'viewer', 'admin') AS BLOB)",
        "UPDATE access_grant SET document = CAST(replace(document, 'U19', 'U21') AS BLOB)",
        "UPDATE access_grant SET document = CAST('null' AS BLOB)",
        "UPDATE access_grant SET document = x'ff'",
        "UPDATE access_grant SET digest = x'00'",
        "UPDATE access_grant SET checksum = checksum + 1",
    ],
)
def test_what_is_not_as_it_was_written_lets_nobody_in(connection: sqlite3.Connection, harm: str) -> None:
    grant = granted(NewGrant("Ada", "laptop", scope=Scope(frozenset({"U19"}))), "Kim", 1000)
    keeping.write(connection, [(b"digest", grant)])
    connection.execute(harm)
    assert keeping.read(connection) == ([], 1)


def test_one_that_is_damaged_takes_no_other_with_it(connection: sqlite3.Connection) -> None:
    harmed, whole = (granted(NewGrant(name, "laptop"), "Kim", 1000) for name in ("Ada", "Bea"))
    keeping.write(connection, [(b"1", harmed), (b"2", whole)])
    connection.execute("UPDATE access_grant SET checksum = 1 WHERE id = ?", (harmed.id,))
    assert keeping.read(connection) == ([(b"2", whole)], 1)

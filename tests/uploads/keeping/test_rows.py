"""Rows of the recordings: damage never looks like something else that could be true."""

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing

import pytest

from gateway.store import Connection
from gateway.uploads.keeping import rows
from gateway.uploads.recording import State
from tests.uploads.keeping.stages import recording, sha256_of

ONE, OTHER = recording(0, State.ACCEPTED), recording(1, State.DONE)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(rows.SCHEMA)
        rows.put(connection, [ONE, OTHER])
        yield connection


def test_what_was_put_is_there_and_replaces_what_was(connection: Connection) -> None:
    assert rows.read(connection) == ({ONE.sha256: ONE, OTHER.sha256: OTHER}, frozenset())
    later = recording(0, State.FAILED)
    rows.put(connection, [later])
    assert rows.get(connection, ONE.sha256) == later
    assert rows.get(connection, sha256_of(2)) is None
    rows.clear(connection)
    assert rows.read(connection) == ({}, frozenset())


@pytest.mark.parametrize("column", ["sha256", "document"])
def test_a_flipped_bit_in_any_byte_of_a_row_is_noticed(connection: Connection, column: str) -> None:
    (clean,) = connection.execute(
        f"SELECT CAST({column} AS BLOB) FROM recording WHERE sha256 = ?", (ONE.sha256,)
    ).fetchone()
    kind = "TEXT" if column == "sha256" else "BLOB"
    for position in range(len(clean)):
        harmed = bytearray(clean)
        harmed[position] ^= 1 << position % 8
        connection.execute("BEGIN")
        connection.execute(
            f"UPDATE recording SET {column} = CAST(? AS {kind}) WHERE sha256 = ?", (bytes(harmed), ONE.sha256)
        )
        key = bytes(harmed).decode(errors="replace") if column == "sha256" else ONE.sha256
        assert rows.read(connection) == ({OTHER.sha256: OTHER}, frozenset({key}))
        assert rows.get(connection, ONE.sha256) is None
        connection.execute("ROLLBACK")


def test_a_flipped_bit_in_a_checksum_is_noticed(connection: Connection) -> None:
    (clean,) = connection.execute("SELECT checksum FROM recording WHERE sha256 = ?", (ONE.sha256,)).fetchone()
    for bit in range(32):
        connection.execute("UPDATE recording SET checksum = ? WHERE sha256 = ?", (clean ^ 1 << bit, ONE.sha256))
        assert rows.read(connection) == ({OTHER.sha256: OTHER}, frozenset({ONE.sha256}))


def test_a_row_that_is_another_s_is_noticed(connection: Connection) -> None:
    """Its checksum is right."""
    connection.execute("DELETE FROM recording WHERE sha256 = ?", (OTHER.sha256,))
    connection.execute("UPDATE recording SET sha256 = ?", (OTHER.sha256,))
    assert rows.read(connection) == ({}, frozenset({OTHER.sha256}))


def test_a_row_that_was_written_by_a_newer_gateway_is_no_recording(connection: Connection) -> None:
    document = b'{"sha256": "' + ONE.sha256.encode() + b'", "state": "in orbit"}'
    row = (ONE.sha256, document, zlib.crc32(document))
    connection.execute("INSERT OR REPLACE INTO recording VALUES (?, ?, ?)", row)
    assert rows.read(connection) == ({OTHER.sha256: OTHER}, frozenset({ONE.sha256}))

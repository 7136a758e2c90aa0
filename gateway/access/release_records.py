"""The releases in the store."""

import msgspec

from gateway.access.release import Release, Wearer
from gateway.store import Connection

SCHEMA = """
CREATE TABLE IF NOT EXISTS athlete_release (
    athlete TEXT PRIMARY KEY,
    since_ms INTEGER,
    given_ms INTEGER NOT NULL,
    basis TEXT NOT NULL,
    given_by TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tracker_wearer (
    serial_number TEXT PRIMARY KEY,
    athlete TEXT NOT NULL,
    since_ms INTEGER
) STRICT;
"""


class Kept(msgspec.Struct):
    """What stands in the store."""

    releases: dict[str, Release]
    wearers: dict[str, Wearer]


def load(connection: Connection) -> Kept:
    """All that is kept."""
    releases = connection.execute("SELECT athlete, since_ms, given_ms, basis, given_by FROM athlete_release")
    wearers = connection.execute("SELECT serial_number, athlete, since_ms FROM tracker_wearer")
    return Kept(
        {athlete: Release(*release) for athlete, *release in releases},
        {serial: Wearer(*wearer) for serial, *wearer in wearers},
    )


def put(connection: Connection, kept: Kept) -> None:
    """Keep this and nothing else."""
    connection.execute("DELETE FROM athlete_release")
    connection.execute("DELETE FROM tracker_wearer")
    connection.executemany(
        "INSERT INTO athlete_release VALUES (?, ?, ?, ?, ?)",
        [(athlete, it.since_ms, it.given_ms, it.basis, it.by) for athlete, it in kept.releases.items()],
    )
    connection.executemany(
        "INSERT INTO tracker_wearer VALUES (?, ?, ?)",
        [(serial, it.athlete, it.since_ms) for serial, it in kept.wearers.items()],
    )

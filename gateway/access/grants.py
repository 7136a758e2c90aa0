"""What lets a device in: whose it is, what they may do, until when. Of its token only the hash is kept."""

import hashlib
import secrets
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

import msgspec

from gateway.access.caller import Caller, Scope
from gateway.access.errors import AccessCode, AccessError
from gateway.access.roles import Role
from gateway.secret import Secret
from gateway.store import Connection

SCHEMA = """
CREATE TABLE IF NOT EXISTS access_grant (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    document BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    used_ms INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS access_time (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sure_ms INTEGER NOT NULL
) STRICT;
"""

MAX_DAYS = 365
"""How long at most a device is let in."""

MAX_GRANTS = 1000
MAX_NAME = 80
"""Characters of the name of a person, a device or a squad."""

TOKEN_PREFIX = "igw_"  # noqa: S105 - what stands before the secret
_TOKEN_BYTES = 32
_DAY_MS = 86_400_000
_EVERYBODY = Scope()
_SHORTEST_SEASON_MS = 30 * _DAY_MS


@dataclass(frozen=True, slots=True)
class NewGrant:
    """What somebody is to be given.

    Attributes:
        person: Their name.
        device: Which of their devices; "" in an invitation, as it names itself.
        role: What they may do.
        scope: Of whom; only viewers can be limited.
        lasts_days: How long; None until the season ends.
    """

    person: str
    device: str = ""
    role: Role = Role.VIEWER
    scope: Scope = _EVERYBODY
    lasts_days: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's device that is let in.

    Attributes:
        id: Names it to people; no secret.
        person: Their name.
        device: Which of their devices.
        role: What they may do.
        scope: Of whom.
        created_ms: Since when, epoch ms.
        created_by: Who has let it in.
        expires_ms: Until when, epoch ms.
        used_ms: When it last came in, to some ten minutes, epoch ms; None if it never did.
    """

    id: str
    person: str
    device: str
    role: Role
    scope: Scope
    created_ms: int
    created_by: str
    expires_ms: int
    used_ms: int | None = None

    @property
    def caller(self) -> Caller:
        """Who comes in with it."""
        return Caller(self.person, self.device, self.role, self.scope, self.id, self.expires_ms)


def granted(new: NewGrant, by: str, now_ms: int) -> Grant:
    """The grant that somebody is given now.

    Args:
        new: What, as `checked` gives it, with a device.
        by: Who gives it.
        now_ms: Now, epoch ms.
    """
    expires_ms = season_end_ms(now_ms) if new.lasts_days is None else now_ms + new.lasts_days * _DAY_MS
    return Grant(secrets.token_hex(4), new.person, new.device, new.role, new.scope, now_ms, by, expires_ms)


def checked(new: NewGrant, squads: Collection[str]) -> NewGrant:
    """The same with names as they are kept.

    Args:
        new: As somebody has typed it.
        squads: Those that there are: of another, nobody would ever be seen.

    Raises:
        AccessError: If it cannot be given to anybody.
    """
    scope = new.scope
    if scope != _EVERYBODY and new.role is not Role.VIEWER:
        raise _bad(f"Only viewers can be limited to squads or to positions: the role {new.role} sees all.")
    if scope.squads is not None:
        if not scope.squads:
            raise _bad("Name at least one squad, or none for all.")
        scope = Scope(frozenset(_known(squad, squads) for squad in scope.squads), scope.is_gnss_only)
    if new.lasts_days is not None and not 1 <= new.lasts_days <= MAX_DAYS:
        raise _bad(f"A device is let in for 1 to {MAX_DAYS} days, not for {new.lasts_days}.")
    device = named(new.device, "device") if new.device else ""
    return NewGrant(named(new.person, "person"), device, new.role, scope, new.lasts_days)


def named(name: str, whose: str) -> str:
    """A name without spaces around it.

    Args:
        name: As somebody typed it.
        whose: What is called so, for the sentence if it is none.

    Raises:
        AccessError: If it is empty, too long, or has what a terminal would not show.
    """
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise _bad(f"The name of a {whose} has 1 to {MAX_NAME} characters on one line.")
    return name


def season_end_ms(now_ms: int, zone: tzinfo | None = None) -> int:
    """When what is given now ends: with 30 June, and the season; what is given in June is meant for the next one.

    Args:
        now_ms: Now, epoch ms.
        zone: In which that day ends; None for this machine's.

    Returns:
        Epoch ms; at most `MAX_DAYS` from now.
    """
    year = datetime.fromtimestamp(now_ms / 1000, zone).year
    ends_ms = (int(datetime(it, 7, 1, tzinfo=zone).timestamp() * 1000) for it in (year, year + 1))
    end_ms = next(it for it in ends_ms if it - now_ms >= _SHORTEST_SEASON_MS)
    return min(end_ms, now_ms + MAX_DAYS * _DAY_MS)


def new_token() -> Secret:
    """A token that nobody has: 256 bits."""
    return Secret(TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES))


def digest_of(secret: Secret) -> bytes:
    """What is kept of a token or a code: its SHA-256. It is random, so there is nothing that salt could help."""
    return hashlib.sha256(secret.reveal().encode(errors="replace")).digest()


def read(connection: Connection) -> tuple[list[tuple[bytes, Grant]], int]:
    """All grants with the hashes of their tokens, and how many of them are damaged: those let nobody in."""
    grants, damaged = [], 0
    rows = connection.execute("SELECT id, digest, document, checksum, used_ms FROM access_grant")
    for grant_id, digest, document, checksum, used_ms in rows:
        try:
            if _checksum(digest, document) != checksum:
                raise ValueError(grant_id)
            fields = msgspec.json.decode(document, type=_Document)
        except ValueError:
            damaged += 1
        else:
            grants.append((digest, Grant(grant_id, **msgspec.structs.asdict(fields), used_ms=used_ms)))
    return grants, damaged


def write(connection: Connection, grants: Iterable[tuple[bytes, Grant]]) -> None:
    """Keep grants, each with the hash of its token."""
    for digest, grant in grants:
        document = msgspec.json.encode(msgspec.convert(grant, _Document, from_attributes=True), order="sorted")
        connection.execute(
            "INSERT OR REPLACE INTO access_grant VALUES (?, ?, ?, ?, ?)",
            (grant.id, digest, document, _checksum(digest, document), grant.used_ms),
        )


def drop(connection: Connection, ids: Iterable[str]) -> None:
    """Forget grants; no matter if they are not there."""
    connection.executemany("DELETE FROM access_grant WHERE id = ?", [(grant_id,) for grant_id in ids])


def write_uses(connection: Connection, uses: Iterable[tuple[str, int]]) -> None:
    """Keep when grants were last used: pairs of id and epoch ms."""
    connection.executemany(
        "UPDATE access_grant SET used_ms = ? WHERE id = ?", [(used_ms, grant_id) for grant_id, used_ms in uses]
    )


def write_time(connection: Connection, sure_ms: int) -> None:
    """Keep the time that it certainly was, epoch ms."""
    connection.execute("INSERT OR REPLACE INTO access_time VALUES (1, ?)", (sure_ms,))


def read_time(connection: Connection) -> int:
    """The time that it certainly was the last time that this was kept, epoch ms; 0 if it never was."""
    row = connection.execute("SELECT sure_ms FROM access_time").fetchone()
    return 0 if row is None else int(row[0])


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a grant never changes."""

    person: str
    device: str
    role: Role
    scope: Scope
    created_ms: int
    created_by: str
    expires_ms: int


def _checksum(digest: bytes, document: bytes) -> int:
    return zlib.crc32(digest + document)


def _known(squad: str, squads: Collection[str]) -> str:
    squad = named(squad, "squad")
    if not squads:
        raise _bad("There are no squads: give `squads` to [[trackers]] of the configuration, or name none for all.")
    if squad not in squads:
        raise _bad(f"There is no squad {squad!r}; the configuration has {', '.join(map(repr, squads))}.")
    return squad


def _bad(text: str) -> AccessError:
    return AccessError(AccessCode.BAD_REQUEST, text)

"""`access`: what an admin types at the gateway itself, over its local socket, and what becomes of it."""

import argparse
import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import segno
from rich.console import Console

from gateway.access import audit as auditing
from gateway.access import grants as keeping
from gateway.access.audit import Audit, Line
from gateway.access.caller import Caller, Scope
from gateway.access.documents import GrantForm, GrantReport
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.errors import NotAdmittedError
from gateway.access.grants import NewGrant
from gateway.access.roles import Role
from gateway.administration import access, audit, inviting
from gateway.administration.arguments import add_access_verbs, administer_access
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.secret import Secret
from gateway.store import Store, open_store
from gateway.terminal.errors import CommandError
from gateway.terminal.talk import Talk
from insiders_gateway_client.errors import NobodyThereError

DAY_MS = 86_400_000
KIM = Caller("root", "this machine", Role.ADMIN)
TOKEN = re.compile(r"igw_[\w-]{43}")


@dataclass
class Served:
    """A gateway without trackers that lets people in."""

    doorkeeper: Doorkeeper
    audit: Audit
    store: Store
    url: str
    port: int

    async def typed(self, *arguments: str) -> int:
        parser = argparse.ArgumentParser("insiders-gateway access")
        add_access_verbs(parser)
        return await administer_access(parser.parse_args([*arguments[:1], "--url", self.url, *arguments[1:]]))

    def admitted(self, token: str) -> Caller:
        return self.doorkeeper.admit(Secret(token), "192.0.2.7", asyncio.get_running_loop().time())

    async def given(self, person: str, device: str) -> str:
        return (await self.doorkeeper.create(NewGrant(person, device), KIM))[0].id


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with open_store(folder, [keeping.SCHEMA, auditing.SCHEMA]) as store:
        doorkeeper, audit = Doorkeeper(store, squads=("First", "U19")), Audit(store)
        await doorkeeper.load()
        server = LiveServer(hub, dict, doorkeeper=doorkeeper, audit=audit)
        control = folder / "control.sock"
        async with server.listening("127.0.0.1", 0, control=control) as port:
            yield Served(doorkeeper, audit, store, f"unix:{control}", port)


@pytest.fixture(name="served")
async def _served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as served:
        yield served


def terminal(width: int = 80, *, encoding: str = "utf-8") -> tuple[Talk, io.TextIOWrapper]:
    file = io.TextIOWrapper(io.BytesIO(), encoding, errors="replace", write_through=True)
    console = Console(file=file, force_terminal=True, width=width, color_system=None)
    return Talk(console, io.StringIO()), file


def shown(file: io.TextIOWrapper) -> list[str]:
    file.seek(0)
    return file.read().splitlines()


async def test_create_shows_a_token_once_that_lets_in_from_then_on(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await served.typed("create", "Ada Lindqvist", "--device", "notebook", "--role", "technician") == 0
    out = capsys.readouterr().out
    (token,) = TOKEN.findall(out)
    assert token in out.splitlines()  # alone, so that it can be taken
    assert "Authorization: Bearer" in out
    assert served.admitted(token).role is Role.TECHNICIAN
    await served.typed("list")
    await served.typed("list", "--json")
    await served.typed("audit", "--json")
    assert not TOKEN.search(capsys.readouterr().out)


async def test_create_says_how_to_undo_it_at_the_same_gateway(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    await served.typed("create", "Ada", "--device", "notebook")
    (undo,) = re.findall(r"`insiders-gateway access revoke (\w+) --url ([^`]+)`", capsys.readouterr().out)
    assert await served.typed("revoke", undo[0], "--url", undo[1]) == 0
    assert list(served.doorkeeper.grants) == []


async def test_a_program_takes_the_token_from_json(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--squad", "U19", "--squad", "First", "--gnss-only", "--days", "7", "--json"]
    await served.typed("create", "Ada", "--device", "notebook", *options)
    told = json.loads(capsys.readouterr().out)
    caller = served.admitted(told["token"])
    assert caller.scope == Scope(frozenset({"U19", "First"}), is_gnss_only=True)
    assert told["grant"]["expires_ms"] - told["grant"]["created_ms"] == 7 * DAY_MS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "", "--device", "x"), "The name of a person has"),
        (("create", "Ada", "--device", " "), "The name of a device has"),
        (("create", "Ada", "--device", "x", "--role", "admin", "--gnss-only"), "Only viewers can be limited"),
        (("code", "Ada\x1b[2J"), "The name of a person has"),
        (("code", "Ada", "--squad", "U91"), "There is no squad 'U91'; the configuration has 'First', 'U19'."),
        (("create", "Ada", "--device", "x", "--squad", "u19"), "There is no squad 'u19'"),
        (("revoke", "Nobody"), "No device and no person is called 'Nobody'"),
        (("revoke", " "), "Say which device"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(
    served: Served, arguments: Sequence[str], sentence: str
) -> None:
    with pytest.raises(CommandError) as caught:
        await served.typed(*arguments)
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "Ada"),
        ("code", "Ada", "--role", "owner"),
        ("code", "Ada", "--days", "0"),
        ("code", "Ada", "--days", "366"),
        ("audit", "--last", "1001"),
        (),
    ],
)
async def test_wrong_usage_ends_with_the_usage(served: Served, arguments: Sequence[str]) -> None:
    with pytest.raises(SystemExit):
        await served.typed(*arguments)


async def test_the_list_says_who_with_what_and_how_long(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    await served.typed("list")
    told = capsys.readouterr().out
    assert told.startswith("No device is let in.\n")
    assert "insiders-gateway access code" in told
    await served.given("Bea", "phone")
    _, token = await served.doorkeeper.create(NewGrant("Ada", "laptop", scope=Scope(frozenset({"U19"}))), KIM)
    served.admitted(token.reveal())
    await served.given("Ada", "tablet")
    await served.typed("list")
    told = capsys.readouterr().out
    assert told.startswith("3 devices of 2 persons let in.\n")
    rows = [re.split(r"  +", line) for line in told.splitlines()[1:]]
    assert rows[0][-1] == "Until"
    assert [line.split()[1:3] for line in told.splitlines()[2:]] == [
        ["Ada", "laptop"],
        ["U19"],
        ["Ada", "tablet"],
        ["Bea", "phone"],
    ]
    assert " of U19\n" in told
    assert told.count("never") == 2


@pytest.mark.parametrize("width", [40, 80, 100])
def test_the_list_is_no_wider_than_the_terminal(width: int) -> None:
    grants = [
        GrantReport(
            "0a1b2c3d", "x" * 60, "y" * 60, Role.VIEWER, ("z" * 60,), True, 0, "Kim", 10 * DAY_MS, None
        ),
        GrantReport("0a1b2c3e", "Ada", "laptop", Role.ADMIN, None, False, 0, "Kim", 1, 1),
    ]  # fmt: skip
    lines = access._table(grants, DAY_MS, max(width, 70))
    assert max(len(line) for line in lines) <= max(width, 70)
    assert lines[1].plain.startswith("0a1b2c3d x")
    assert lines[-1].plain.endswith("expired")


def test_of_whom_and_what_somebody_may_see_is_told_whole_at_80_columns() -> None:
    squads = ("First team of the women", "Second team of the women", "U19")
    grant = GrantReport("0a1b2c3d", "Kim Berger", "laptop", Role.VIEWER, squads, True, 0, "Kim", DAY_MS, None)
    _, _, *below = access._table([grant], 0, 80)
    told = " ".join(" ".join(line.plain for line in below).split())
    assert told == f"of {', '.join(squads)}, without heart rate and power"


def test_what_ends_with_a_day_is_told_by_that_day() -> None:
    ends_ms = int(datetime(2027, 7, 1, tzinfo=UTC).timestamp() * 1000)
    assert access._last_day(ends_ms, UTC) == "30 Jun 2027"


async def test_a_device_is_thrown_out_by_its_id_its_name_or_its_only_owner(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await served.given("Ada", "laptop")
    await served.given("Bea", "phone")
    await served.given("Cem Yilmaz", "tablet")
    await served.typed("revoke", first)
    await served.typed("revoke", "PHONE")
    await served.typed("revoke", "cem yilmaz")
    assert list(served.doorkeeper.grants) == []
    assert capsys.readouterr().out.splitlines() == [
        f"{device} of {person} is out; connections end within two seconds."
        for device, person in (("laptop", "Ada"), ("phone", "Bea"), ("tablet", "Cem Yilmaz"))
    ]


async def test_all_devices_of_a_person_are_thrown_out_only_for_sure(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    for device in ("laptop", "phone"):
        await served.given("Ada", device)
    await served.given("Ada Two", "laptop")
    with pytest.raises(CommandError, match=r"^Left as it was: Ada has 2 devices; give the id of one, or add --yes\."):
        await served.typed("revoke", "Ada")
    with pytest.raises(CommandError, match=r"^Left as it was: 'two' may mean laptop of Ada Two; give \w{8}, or"):
        await served.typed("revoke", "two")
    with pytest.raises(CommandError, match=r"'lap' may be \w{8} \(laptop of Ada\) or \w{8} \(laptop of Ada Two\)"):
        await served.typed("revoke", "lap")
    assert len(served.doorkeeper.grants) == 3
    await served.typed("revoke", "Ada", "--yes")
    assert [grant.person for grant in served.doorkeeper.grants] == ["Ada Two"]
    await served.typed("revoke", "two", "--yes")
    assert not served.doorkeeper.grants


async def test_an_end_that_a_restart_would_undo_is_said(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    grant = await served.given("Ada", "laptop")
    await served.store.read(lambda connection: connection.execute("PRAGMA query_only = ON").fetchall())
    await served.typed("revoke", grant)
    told = capsys.readouterr().out
    assert "is out" in told
    assert "cannot be written" in told
    with pytest.raises(CommandError, match=r"^Nobody new can be let in\."):
        await served.typed("create", "Bea", "--device", "phone")


async def test_a_code_in_a_pipe_is_a_link_that_lets_one_device_in(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    await served.typed("code", "Ada Lindqvist", "--role", "technician", "--days", "3")
    told = capsys.readouterr().out.splitlines()
    assert re.match(
        r"Lets one device of Ada Lindqvist in, as technician\. Scan it or open the link there within five minutes, "
        r"until \d\d:\d\d:\d\d:$",
        told[0],
    )
    (link,) = told[1:]
    code = link.partition("#code=")[2].partition("&")[0]
    grant, _ = await served.doorkeeper.redeem(Secret(code), "phone", "", asyncio.get_running_loop().time())
    assert (grant.person, grant.role, grant.device) == ("Ada Lindqvist", Role.TECHNICIAN, "phone")
    assert grant.expires_ms - grant.created_ms == 3 * DAY_MS
    with pytest.raises(NotAdmittedError):
        await served.doorkeeper.redeem(Secret(code), "phone", "", asyncio.get_running_loop().time())


LINK = f"https://gateway.local:8770/pair#code={'A1-_' * 5}AB&fp={'0f' * 32}"
"""As long as it usually is."""


def test_the_picture_of_a_usual_link_fits_a_small_terminal() -> None:
    picture = inviting.drawn(LINK)
    assert len(picture) <= 23  # and a line for the prompt
    assert max(map(len, picture)) <= 80


@pytest.mark.parametrize("link", [LINK, "http://127.0.0.1:8770/pair#code=" + "x" * 22, LINK.replace("way", "way" * 9)])
def test_the_picture_is_the_code_that_segno_makes_light_where_it_is_light(link: str) -> None:
    """Cameras want dark on light: what is printed is the light part."""
    halves = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}
    drawn = [[halves[sign][half] for sign in line] for line in inviting.drawn(link) for half in (0, 1)]
    matrix = [list(row) for row in segno.make(link, error="l", micro=False).matrix_iter(border=2)]
    assert drawn[: len(matrix)] == matrix


async def test_a_terminal_of_24_lines_shows_the_picture_whole_and_beside_it_whose_it_is(served: Served) -> None:
    talk, file = terminal()
    await inviting.invite(served.url, talk, GrantForm("Ada", squads=("U19",), gnss_only=True), is_json=False)
    link, *lines = shown(file)
    assert link.startswith("http")
    picture = inviting.drawn(link)
    assert [line[: len(picture[0])] for line in lines] == picture
    assert max(map(len, lines)) <= 80
    words = " ".join(" ".join(line[len(picture[0]) :] for line in lines).split())
    assert re.fullmatch(
        r"Lets one device of Ada in, as viewer of U19, without heart rate and power\. Scan it or open the link there "
        r"within five minutes, until \d\d:\d\d:\d\d\. The link stands above\.",
        words,
    )


async def test_where_there_is_no_room_beside_the_picture_it_comes_last(served: Served) -> None:
    talk, file = terminal(50)
    await inviting.invite(served.url, talk, GrantForm("Ada"), is_json=False)
    lines = shown(file)
    (link,) = (line for line in lines if line.startswith("http"))
    assert lines[-len(inviting.drawn(link)) :] == inviting.drawn(link)


@pytest.mark.parametrize(("width", "encoding", "told"), [(30, "utf-8", "wider window"), (80, "ascii", "Lets one")])
async def test_where_no_picture_can_be_shown_the_link_is(served: Served, width: int, encoding: str, told: str) -> None:
    talk, file = terminal(width, encoding=encoding)
    await inviting.invite(served.url, talk, GrantForm("Ada"), is_json=False)
    lines = shown(file)
    assert any(line.startswith("http") for line in lines)
    assert not any("█" in line or "???" in line for line in lines)
    assert told in " ".join(lines)


async def test_the_log_says_who_did_what_with_the_newest_last(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    await served.typed("audit")
    assert capsys.readouterr().out == "Nothing has been done yet.\n"
    await served.typed("create", "Ada", "--device", "laptop")
    for _ in range(3):
        served.audit.note(None, "follow", outcome="denied", address="192.0.2.9")
    capsys.readouterr()
    await served.typed("audit", "--last", "2")
    first, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S+ \(this machine\): let in Ada", first)
    assert "  somebody unknown, from 192.0.2.9: tried to follow live data: denied (3 times since " in last


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (("the gateway", "", "claimed", "SIM-0001", "done"), "the gateway: claimed SIM-0001"),
        (("this machine", "this machine", "let_in", "Zed", "done"), "this machine: let in Zed"),
        (("Tom", "phone", "invited", "Zed", "denied"), "Tom (phone): tried to make a code for Zed: denied"),
        (("Kim", "laptop", "release given", "Ada", "done"), "Kim (laptop): released Ada"),
        (("", "", "admission", "", "denied"), "somebody unknown: tried to come in: denied"),
        (("Kim", "laptop", "some_novelty", "x", "done"), "Kim (laptop): some novelty x"),
        (
            ("root", "this machine", "exported_authority", "with its key", "done"),
            "root (this machine): exported the club's authority with its key",
        ),
    ],
)
def test_the_log_speaks_in_words(line: tuple[str, ...], sentence: str) -> None:
    person, device, deed, subject, outcome = line
    told = Line(0, 0, 1, person, device, "", "", deed, subject, outcome)
    assert audit._sentence(told, UTC) == sentence


def test_a_line_that_goes_on_says_since_when() -> None:
    line = Line(0, 3_600_000, 18, "", "", "", "192.0.2.9", "admission", "", "denied")
    assert audit._sentence(line, UTC).endswith("(18 times since 00:00:00)")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("code", "Ada", "--role", "boss"), ["viewer", "technician", "admin"]),
        (("code", "Ada", "Lindqvist"), ["Lindqvist is one too many", "between quotes"]),
    ],
)
async def test_wrong_usage_says_what_would_be_right(
    served: Served, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], told: Sequence[str]
) -> None:
    with pytest.raises(SystemExit):
        await served.typed(*arguments)
    *_, error = capsys.readouterr().err.splitlines()
    assert all(words in error for words in told)


@pytest.mark.parametrize("verb", ["list", "audit"])
async def test_the_gateway_may_stand_alone(served: Served, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    parser = argparse.ArgumentParser("insiders-gateway access")
    add_access_verbs(parser)
    assert await administer_access(parser.parse_args([verb, served.url])) == 0
    assert capsys.readouterr().out


async def test_nobody_there_is_said(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        pass
    with pytest.raises(NobodyThereError):
        await served.typed("list")

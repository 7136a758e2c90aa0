"""`release`: what is typed about who may be shown, over the local socket, and what is told then."""

import argparse
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from gateway.access import audit as auditing
from gateway.access import releases as releasing
from gateway.access.audit import Audit
from gateway.access.releases import Releases
from gateway.administration.release import add_verbs, release
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.problems import Problems
from gateway.store import Store, open_store
from gateway.terminal.errors import CommandError
from insiders_gateway_client.errors import GatewayError

ADA, BO, MALLORY = "Ada de la Cruz", "Bo", "Bo\x1b[2J Mallory"
TEAM = {"SN-1": ADA, "SN-2": BO, "SN-3": ADA, "SN-4": MALLORY}
NOW_MS = 1_790_000_000_000


@dataclass
class Served:
    """A gateway without trackers of its own."""

    releases: Releases
    audit: Audit
    store: Store
    url: str
    capsys: pytest.CaptureFixture[str]

    async def typed(self, *arguments: str) -> str:
        """What is printed, with its spaces as one."""
        return " ".join((await self.lines(*arguments)).split())

    async def lines(self, *arguments: str) -> str:
        await release(parsed(self.url, *arguments))
        return self.capsys.readouterr().out


def parsed(url: str, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser("insiders-gateway release")
    add_verbs(parser)
    return parser.parse_args([arguments[0], "--url", url, *arguments[1:]])


@asynccontextmanager
async def serving(
    folder: Path, capsys: pytest.CaptureFixture[str], *, is_required: bool = True, reference_ms: int | None = NOW_MS
) -> AsyncIterator[Served]:
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with open_store(folder, [releasing.SCHEMA, auditing.SCHEMA]) as store:
        audit, problems = Audit(store), Problems(lambda: 0)
        releases = Releases(store, TEAM, lambda: NOW_MS, lambda: reference_ms, problems, audit, is_required=is_required)
        await releases.load()
        server, control = LiveServer(hub, dict, audit=audit, releases=releases), folder / "control.sock"
        async with server.listening("127.0.0.1", 0, control=control):
            yield Served(releases, audit, store, f"unix:{control}", capsys)


@pytest.fixture(name="served")
async def _served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Served]:
    async with serving(tmp_path, capsys) as served:
        yield served


async def test_the_list_shows_each_athlete_once_with_what_was_said(served: Served) -> None:
    await served.typed("give", ADA, "--basis", "consent signed on 1 September")
    told = (await served.lines("list")).splitlines()
    when = f"{datetime.fromtimestamp(NOW_MS / 1000).astimezone():%d %b %Y %H:%M}"
    assert told[0] == "3 athletes, 1 released."
    assert told[1].split() == ["Athlete", "Tracker", "Release", "Basis"]
    by = served.releases.report().athletes[0].by
    assert " ".join(told[2].split()) == f"{ADA} SN-1, SN-3 {when} by {by} consent signed on 1 September"
    assert told[3].split() == ["Bo", "SN-2", "not", "released", "—"]
    assert "\x1b" not in told[4], "what moves the cursor is not printed"


async def test_a_name_with_spaces_is_given_and_it_is_said_who_sees_what(served: Served) -> None:
    told = await served.typed("give", "ada DE la cruz", BO, "--basis", "consent")
    assert told.startswith(f"{ADA}, {BO}: released. Every laptop shows it within seconds")
    assert set(served.releases.released) == {"SN-1", "SN-2", "SN-3"}
    told = await served.typed("withdraw", "cruz")
    assert told.startswith(f'{ADA}: not released any more. Every laptop now shows "not released"')
    assert "overwritten" in told
    assert "recordings" in told
    assert set(served.releases.released) == {"SN-2"}


async def test_withdrawing_what_nobody_gave_changes_nothing_and_says_so(served: Served) -> None:
    assert await served.typed("withdraw", BO) == "Bo: not released before either, nothing has changed."
    await served.typed("give", ADA, "--basis", "consent")
    told = await served.typed("withdraw", "--all")
    assert told.startswith("Bo, Bo[2J Mallory: not released before either, nothing has changed.")
    assert f"{ADA}: not released any more. Every laptop now" in told


async def test_a_name_with_a_slip_in_it_is_asked_back(served: Served) -> None:
    with pytest.raises(CommandError, match=rf"^No athlete is called 'Ada de la Curz': .* Perhaps {ADA} is meant\.$"):
        await served.typed("give", "Ada de la Curz", "--basis", "consent")
    assert served.releases.released == {}


async def test_a_tracker_stands_for_who_wears_it(served: Served) -> None:
    await served.typed("give", "sn-3", "--basis", "consent")
    assert set(served.releases.released) == {"SN-1", "SN-3"}


async def test_all_are_given_and_withdrawn_at_once(served: Served) -> None:
    await served.typed("give", "--all", "--basis", "consent")
    assert set(served.releases.released) == set(TEAM)
    await served.typed("withdraw", "--all")
    assert served.releases.released == {}


@pytest.mark.parametrize("verb", [("give", "--basis", "consent"), ("withdraw",)])
@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), "Say which athletes, or give --all; `insiders-gateway release list --url "),
        ((ADA, "--all"), "Name athletes or give --all, not both."),
        (("Zoe",), "No athlete is called 'Zoe': `insiders-gateway release list --url "),
        ((BO, "Zoe"), "No athlete is called 'Zoe'"),
        ((" ",), "Say which athlete: the name, or a part of it"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    served: Served, verb: tuple[str, ...], names: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError) as refused:
        await served.typed(*verb, *names)
    assert str(refused.value).startswith(sentence)
    assert served.releases.released == {}


async def test_nobody_is_released_by_a_part_of_a_name(served: Served) -> None:
    with pytest.raises(CommandError, match=rf"^A release wants the whole name: 'ada' may mean '{ADA}'\.$"):
        await served.typed("give", BO, "ada", "--basis", "consent")
    assert served.releases.released == {}


def test_without_a_basis_nothing_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("8770", "give", ADA)
    assert "--basis" in capsys.readouterr().err


async def test_the_gateway_says_in_its_own_words_why_not(served: Served) -> None:
    with pytest.raises(CommandError, match=r"^A release needs its basis"):
        await served.typed("give", ADA, "--basis", " ")


async def test_a_disk_that_does_not_keep_it_is_told(served: Served) -> None:
    await served.typed("give", "--all", "--basis", "consent")
    await served.store.read(lambda connection: connection.execute("PRAGMA query_only = ON").fetchall())
    told = await served.typed("withdraw", ADA)
    assert "not released any more" in told
    assert told.endswith("The disk does not keep the releases now: see what `watch` says.")
    assert set(served.releases.released) == {"SN-2", "SN-4"}
    with pytest.raises(CommandError, match=r"^No release was given"):
        await served.typed("give", ADA, "--basis", "consent")


async def test_where_no_release_is_asked_for_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everybody = "The configuration asks for no release: everybody is shown."
    async with serving(tmp_path, capsys, is_required=False) as served:
        told = await served.typed("list")
        assert everybody in told
        assert "not released" not in told
        assert "none needed" in told
        assert everybody in await served.typed("give", ADA, "--basis", "consent")
        with pytest.raises(CommandError, match="require_release = true"):
            await served.typed("withdraw", ADA)


async def test_a_release_that_waits_for_the_time_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path, capsys, reference_ms=None) as served:
        assert "as soon as the Insiders cloud answers" in await served.typed("give", ADA, "--basis", "consent")
        assert "waits for the cloud" in await served.typed("list")


async def test_programs_get_json(served: Served) -> None:
    report = json.loads(await served.lines("list", "--json"))
    assert report["is_required"]
    assert report["athletes"][1] == {"athlete": BO, "trackers": ["SN-2"], "is_released": False}


async def test_it_is_noted_who_typed_it(served: Served) -> None:
    await served.typed("give", BO, "--basis", "consent")
    await served.typed("withdraw", BO)
    lines = [line for line in await served.audit.read(10, None) if line.subject == BO]
    assert {(line.deed, line.outcome) for line in lines} == {("release given", "done"), ("release withdrawn", "done")}
    assert all(line.person for line in lines)


async def test_nobody_there_is_a_sentence() -> None:
    with pytest.raises(GatewayError):
        await release(parsed("unix:/nowhere/control.sock", "list"))

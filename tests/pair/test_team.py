"""A whole team from a file, and into one."""

from pathlib import Path

import msgspec
import pytest

from gateway.live.requests import ErrorCode, RequestError
from gateway.pair.team import export_team, import_team
from gateway.pairing.desk.team_files import read_csv, read_toml
from gateway.pairing.documents import Wish
from gateway.terminal.errors import CommandError
from tests.pair.desk import H9, H10, METER, Desk, change, group, slot, tracker
from tests.terminal.person import person, pipe
from tests.test_scan import NOW_MS

pytestmark = pytest.mark.looptime

ADA = tracker(1, "Ada", slot("heart_rate", H10, H10), slot("power", METER, METER))
BEA = tracker(2, "Bea", slot("heart_rate", Wish.NONE))
LIST = (
    "serial_number,athlete,heart_rate_address,heart_rate_name,power_address,power_name\n"
    f"SIM-0001,Ada,none,,{METER.address},{METER.name}\n"
    f"SIM-0002,Bea,{H9.address},{H9.name},,\n"
)


def desk() -> Desk:
    return Desk([ADA, BEA])


@pytest.fixture(name="team_csv")
def _team_csv(tmp_path: Path) -> Path:
    path = tmp_path / "team.csv"
    path.write_text(LIST, encoding="utf-8")
    return path


async def test_an_import_tells_what_is_different_and_goes_as_one_list(team_csv: Path) -> None:
    (talk, out), gateway = pipe(), desk()
    async with gateway.open() as url:
        await import_team(url, talk, team_csv, reason="new season", is_during_session=True)
    assert out.getvalue().splitlines()[:2] == [
        "7 Ada, heart-rate strap: Polar H10 AE60D42F → none.",
        "8 Bea, heart-rate strap: none → Polar H9 0C4FA154.",
    ]
    [(what, _, body)] = gateway.asked
    assert (what, body["reason"], body["during_session"]) == ("import", "new season", True)
    assert body["trackers"] == [
        {"serial_number": "SIM-0001", "heart_rate": "none", "power": msgspec.to_builtins(METER)},
        {"serial_number": "SIM-0002", "heart_rate": msgspec.to_builtins(H9), "power": "unmanaged"},
    ]


async def test_a_dry_run_ends_with_what_the_import_would_be_answered(team_csv: Path) -> None:
    (talk, out), gateway = pipe(), desk()
    gateway.groups = [group("0123456789ab", change(ADA, H10, None), why=("removal",))]
    gateway.told = {"session_until_ms": NOW_MS}
    async with gateway.open() as url:
        await import_team(url, talk, team_csv, is_dry=True)
        gateway.refusals = [RequestError(ErrorCode.UNKNOWN_TRACKER, 'This gateway has no tracker "SIM-0002".')]
        with pytest.raises(CommandError, match='This gateway has no tracker "SIM-0002"'):
            await import_team(url, talk, team_csv, is_dry=True)
    assert [(what, body["dry_run"], body["during_session"]) for what, _, body in gateway.asked] == [
        ("import", True, True),
        ("import", True, True),
    ]
    lines = out.getvalue().splitlines()
    assert lines[2:5] == [
        "1 group of changes would need your approval:",
        "Group 0123456789ab: needs you: a tracker loses its sensor.",
        "  7 Ada, heart-rate strap: Polar H10 AE60D42F → none.",
    ]
    assert lines[5].endswith("at least): the import asks, or needs --during-session.")
    assert lines[6] == "Nothing was changed: without --dry-run it is."


async def test_rows_that_have_slipped_to_another_athlete_are_told_and_asked_about(team_csv: Path) -> None:
    team_csv.write_text(LIST.replace("Ada", "Bea", 1).replace("2,Bea", "2,Ada"), encoding="utf-8")
    (talk, out), gateway = pipe(), desk()
    async with gateway.open() as url:
        await import_team(url, talk, team_csv)
        assert "SIM-0001 is worn by 7 Ada, and is Bea's in the file." in out.getvalue()
        async with person({"all the same? [y/N]": b"\n"}) as one:
            with pytest.raises(CommandError, match="Left as it was"):
                await import_team(url, one.talk, team_csv)
    assert len(gateway.asked) == 1
    team_csv.write_text(LIST.replace("Ada", " ADA "), encoding="utf-8")
    talk, out = pipe()
    async with desk().open() as url:
        await import_team(url, talk, team_csv)
    assert "worn by" not in out.getvalue()


async def test_what_an_import_needs_approval_for_is_asked_for_in_a_terminal(team_csv: Path) -> None:
    gateway = desk()
    gateway.groups = [
        group("0123456789ab", change(ADA, H10, None), why=("removal",)),
        group("feedfeedfeed", change(BEA, None, H9), why=(), is_approved=True),
    ]
    async with gateway.open() as url, person({"[y/N]": b"y\n"}) as one:
        await import_team(url, one.talk, team_csv)
    assert "1 group of changes needs you:" in one.text
    assert [(what, body.get("approve")) for what, _, body in gateway.asked] == [
        ("import", None),
        ("apply", "0123456789ab"),
    ]


async def test_a_file_with_mistakes_names_every_one_and_sends_nothing(tmp_path: Path) -> None:
    (talk, out), gateway = pipe(), desk()
    path = tmp_path / "team.csv"
    path.write_text(LIST.replace(METER.address, "nonsense").replace(f"{H9.name},", ","), encoding="utf-8")
    async with gateway.open() as url:
        with pytest.raises(CommandError, match="Nothing was imported: correct 2 mistakes in "):
            await import_team(url, talk, path)
    assert len(out.getvalue().splitlines()) == 2
    assert not gateway.asked


@pytest.mark.parametrize(("name", "why"), [("team.xlsx", "of no known form"), ("gone.csv", "cannot be read")])
async def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, name: str, why: str) -> None:
    talk, _ = pipe()
    async with desk().open() as url:
        with pytest.raises(CommandError, match=why):
            await import_team(url, talk, tmp_path / name)


async def test_an_import_that_is_refused_is_the_gateways_sentence(team_csv: Path) -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.refusals = [RequestError(ErrorCode.SUSPENDED, "kim has stopped all changes.")]
    async with gateway.open() as url:
        with pytest.raises(CommandError, match="kim has stopped all changes"):
            await import_team(url, talk, team_csv)


async def test_an_export_can_be_imported_and_changes_nothing(tmp_path: Path) -> None:
    talk, out = pipe()
    paths = (tmp_path / "team.csv", tmp_path / "team.TOML")
    async with desk().open() as url:
        for path in paths:
            await export_team(url, talk, path)
            await import_team(url, talk, path, is_dry=True)
    assert out.getvalue().count("All of that is wanted already.") == 2
    assert read_csv(paths[0].read_bytes()) == read_toml(paths[1].read_bytes())
    assert read_csv(paths[0].read_bytes()).trackers == desk().team().trackers
    assert sorted(tmp_path.iterdir()) == sorted(paths)


async def test_without_a_file_an_export_is_printed_with_the_athletes() -> None:
    talk, out = pipe()
    async with desk().open() as url:
        await export_team(url, talk)
    assert read_csv(out.getvalue().encode()).trackers == desk().team().trackers
    assert "SIM-0002,Bea,none," in out.getvalue()


async def test_a_file_that_is_there_is_replaced_only_if_somebody_says_so(team_csv: Path) -> None:
    talk, _ = pipe()
    async with desk().open() as url:
        with pytest.raises(CommandError, match="is there already: give another name"):
            await export_team(url, talk, team_csv)
        assert team_csv.read_text(encoding="utf-8") == LIST
        async with person({"[y/N]": b"y\n"}) as one:
            await export_team(url, one.talk, team_csv)
    assert read_csv(team_csv.read_bytes()).trackers == desk().team().trackers


async def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    talk, _ = pipe()
    async with desk().open() as url:
        with pytest.raises(CommandError, match="cannot be written"):
            await export_team(url, talk, tmp_path / "no" / "such" / "team.csv")

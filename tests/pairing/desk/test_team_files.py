"""A team's list: what is written is read again, spreadsheets are understood, mistakes are told all at once."""

import csv
import io
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import TrackerSettings
from gateway.pairing.desk.team_files import COLUMNS, TeamFile, TeamFileError, read_csv, read_toml, write_csv, write_toml
from gateway.pairing.documents import Sensor, Wanted, Wish
from gateway.pairing.report import TeamEntry

H10 = Sensor("a0:9e:1a:12:34:56", "Polar H10 1A2B3C4D")
PEDAL = Sensor("c4:11:22:33:44:55", "ASSIOMA1234U")

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
addresses = st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":"))


def entry(serial_number: str, heart_rate: Wanted = Wish.UNMANAGED, power: Wanted = Wish.UNMANAGED) -> TeamEntry:
    return TeamEntry(serial_number=serial_number, heart_rate=heart_rate, power=power)


@st.composite
def teams(draw: st.DrawFn) -> tuple[tuple[TeamEntry, ...], Mapping[str, str]]:
    serials = draw(st.lists(texts, min_size=1, max_size=5, unique=True))
    free = iter(draw(st.lists(addresses, min_size=2 * len(serials), max_size=2 * len(serials), unique=True)))

    def wanted() -> Wanted:
        return draw(st.sampled_from(Wish) | st.builds(lambda name: Sensor(next(free), name), texts))

    team = tuple(entry(serial, wanted(), wanted()) for serial in serials)
    return team, draw(st.dictionaries(st.sampled_from(serials), texts))


def mistakes(read: Callable[[bytes], TeamFile], text: str | bytes) -> list[str]:
    with pytest.raises(TeamFileError) as caught:
        read(text.encode() if isinstance(text, str) else text)
    assert str(caught.value).splitlines() == [str(mistake) for mistake in caught.value.mistakes]
    return [str(mistake) for mistake in caught.value.mistakes]


@given(teams())
def test_what_is_written_as_csv_is_read_again(team: tuple[tuple[TeamEntry, ...], Mapping[str, str]]) -> None:
    assert read_csv(write_csv(*team)) == TeamFile(*team)


@given(teams())
def test_what_is_written_as_toml_is_read_again(team: tuple[tuple[TeamEntry, ...], Mapping[str, str]]) -> None:
    assert read_toml(write_toml(*team)) == TeamFile(*team)


@given(teams())
def test_no_cell_is_a_formula_when_a_spreadsheet_opens_it(
    team: tuple[tuple[TeamEntry, ...], Mapping[str, str]],
) -> None:
    text = write_csv(*team).decode("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.strip().startswith(("=", "+", "-", "@"))]


@given(st.binary() | texts.map(str.encode) | texts.map(lambda text: f"serial_number\n{text}".encode()))
def test_any_bytes_are_a_list_or_refused(content: bytes) -> None:
    for read in (read_csv, read_toml):
        with suppress(TeamFileError):
            assert read(content).trackers


def test_the_athlete_stands_there_for_the_reader_and_decides_nothing() -> None:
    text = write_csv((entry("7", H10, Wish.NONE),), {"7": "Ada"}).decode("utf-8-sig")
    assert text.splitlines() == [",".join(COLUMNS), "7,Ada,a0:9e:1a:12:34:56,Polar H10 1A2B3C4D,none,"]
    assert read_csv(text.replace("Ada", "Bob").encode()) == TeamFile((entry("7", H10, Wish.NONE),), {"7": "Bob"})


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfserial_number;heart_rate_address;heart_rate_name\r\n007;A0-9E-1A-12-34-56;Polar H10 1A2B3C4D\r\n",
        b"Serial_Number,Heart_Rate_Name,heart_rate_address\n\n 007 , Polar H10 1A2B3C4D ,a09e1a123456\n,,\n",
        b'serial_number\tathlete\theart_rate_address\theart_rate_name\n7\t"A, ""B"";\nC"\ta09e1a123456\t"Polar H10"\n',
    ],
)
def test_csv_as_spreadsheets_write_it(content: bytes) -> None:
    (read,) = read_csv(content).trackers
    assert (read.serial_number, read.heart_rate) in {("007", H10), ("7", Sensor(H10.address, "Polar H10"))}


def test_none_and_nothing_are_not_the_same() -> None:
    content = f"{','.join(COLUMNS)}\n1,,None,,,\n2,,,,NONE,\n".encode()
    assert read_csv(content).trackers == (entry("1", heart_rate=Wish.NONE), entry("2", power=Wish.NONE))


def test_every_mistake_of_a_csv_is_told_with_its_place_and_without_what_stands_there() -> None:
    found = mistakes(
        read_csv,
        f"{','.join(COLUMNS)}\n"
        ",Zoe,,,,\n"
        "1,Zoe,a0:9e:1a:12:34,Polar Zoe,,\n"
        "2,Zoe,a0:9e:1a:12:34:56,,none,Polar Zoe\n"
        "2,Zoe,,Polar Zoe,a0:9e:1a:12:34:56,Polar Zoe\n"
        "3,Zoe,,,,,Polar Zoe\n",
    )
    assert [line.partition(", expected")[0] for line in found] == [
        "line 2: found no serial_number",
        "line 3, heart_rate_address: found no Bluetooth address",
        "line 4, heart_rate_name: found nothing",
        "line 4, power_name: found a name without an address",
        "line 5: found the tracker of line 4",
        "line 5, heart_rate_name: found a name without an address",
        "line 5, power_address: found the sensor of line 4, heart_rate_address",
        "line 6: found more cells than columns",
    ]
    assert not [line for line in found if "Zoe" in line]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            "serial_number,heart_rate_adress,heart_rate_name",
            ['an unknown column "heart_rate_adress", expected heart_rate_address'],
        ),
        ("serial_numbr,athlete", ['an unknown column "serial_numbr", expected serial_number']),
        ("serial_number,a\x1b[2Jb", ['an unknown column "a\\u001b[2jb", expected one of']),
        ("athlete,power_address,power_name", ["no column serial_number"]),
        ("serial_number,power_address", ["only one of power_address and power_name"]),
        ("serial_number,serial_number", ["a column that stands twice"]),
    ],
)
def test_a_header_that_is_not_understood_stops_everything(header: str, found: list[str]) -> None:
    """A column that is misspelt would otherwise leave a slot unmanaged without a word."""
    told = mistakes(read_csv, f"{header}\n1,a,b\n")
    assert len(told) == len(found)
    assert all(part in line for part, line in zip(found, told, strict=True))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "no tracker"),
        (b"serial_number\n", "no tracker"),
        (b"serial_number\nM\xfcller\n", "another encoding"),
        (b'serial_number\n"1\n', "quotes that do not match"),
    ],
)
def test_a_csv_that_is_none(content: bytes, found: str) -> None:
    assert found in mistakes(read_csv, content)[0]


def test_toml_is_what_the_configuration_takes() -> None:
    text = write_toml((entry("7", H10, PEDAL), entry("8", Wish.NONE)), {"7": "Ada"}).decode()
    first, second = (TrackerSettings.model_validate(tracker) for tracker in tomllib.loads(text)["trackers"])
    assert (first.serial_number, first.athlete) == ("7", "Ada")
    assert first.heart_rate_sensor is not None
    assert first.heart_rate_sensor != "none"
    assert (first.heart_rate_sensor.address, first.heart_rate_sensor.name) == (H10.address, H10.name)
    assert (second.heart_rate_sensor, second.power_meter) == ("none", None)


def test_every_mistake_of_a_toml_is_told() -> None:
    sensor = '{ address = "a0:9e:1a:12:34:56", name = "Zoe" }'
    found = mistakes(
        read_toml,
        f'[cloud]\n[[trackers]]\nserial_number = "1"\nheart_rate_sensor = {sensor}\npower_meter = {sensor}\n'
        '[[trackers]]\nserial_number = 2\npowermeter = "none"\n'
        '[[trackers]]\nserial_number = "1"\nheart_rate_sensor = { address = "", name = "Zoe" }\npower_meter = "Zoe"\n'
        '[[trackers]]\nserial_number = "4"\npower_meter = { address = "x", name = "" }\n',
    )
    assert [line.partition(", expected")[0] for line in found] == [
        "trackers[1].power_meter: found the sensor of trackers[1].heart_rate_sensor",
        'trackers[2]: found an unknown key "powermeter"',
        "trackers[2].serial_number: found no text",
        "trackers[2]: found no serial_number",
        "trackers[3].heart_rate_sensor: found something else",
        "trackers[3].power_meter: found something else",
        "trackers[3]: found the tracker of trackers[1]",
        "trackers[4].power_meter: found no Bluetooth address",
        "trackers[4].power_meter: found nothing",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "no tracker"),
        ("trackers = 1", "something else"),
        ("trackers = [1]", "something else"),
        ("[[trackers", "no TOML"),
        ("x = " + "[" * 5000, "no TOML"),
    ],
)
def test_a_toml_that_is_none(text: str, found: str) -> None:
    assert found in mistakes(read_toml, text)[0]

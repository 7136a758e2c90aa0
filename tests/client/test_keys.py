"""What lets us in, kept so that nobody else can read it."""

import json
from pathlib import Path

import pytest

from insiders_gateway_client.address import parse
from insiders_gateway_client.errors import GatewayError
from insiders_gateway_client.keys import TOKEN_VARIABLE, Key, Keys, usual_file

PI, OTHER = parse("https://pi.local:8770"), parse("https://other.local")


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "insiders-gateway" / "gateways.json"


def test_what_was_kept_is_there_for_its_gateway_alone(file: Path) -> None:
    keys = Keys(file, {})
    assert keys.of(PI) == Key()
    keys.keep(PI, Key("igw_1", "PEM"))
    keys.keep(OTHER, Key("igw_2"))
    assert (Keys(file, {}).of(PI), keys.of(OTHER)) == (Key("igw_1", "PEM"), Key("igw_2"))
    assert keys.of(parse("http://pi.local:8770")) == Key(), "what was told over TLS is not told without"
    keys.keep(PI, Key("igw_3", "PEM"))
    assert keys.of(PI) == Key("igw_3", "PEM")
    keys.forget(PI)
    keys.forget(PI)
    assert (keys.of(PI), keys.of(OTHER)) == (Key(), Key("igw_2"))


def test_nobody_else_can_read_it_at_any_moment(file: Path) -> None:
    Keys(file, {}).keep(PI, Key("igw_1"))
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(file.parent.iterdir()) == [file]
    file.chmod(0o640)
    with pytest.raises(GatewayError, match=r"can be read by others: chmod 600 .*gateways\.json"):
        Keys(file, {}).of(PI)


def test_a_token_of_the_environment_goes_first_but_not_on_a_local_socket(file: Path) -> None:
    keys = Keys(file, {TOKEN_VARIABLE: "igw_env"})
    keys.keep(PI, Key("igw_1", "PEM"))
    assert (keys.of(PI), keys.of(OTHER)) == (Key("igw_env", "PEM"), Key("igw_env"))
    assert keys.of(parse("unix:/run/x.sock")) == Key()
    assert "igw_env" not in file.read_text()


@pytest.mark.parametrize("content", ["", "[]", '{"https://pi.local:8770": 1}', "{"])
def test_a_damaged_file_is_said_to_be_that_and_left(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    file.write_text(content)
    for attempt in (lambda: Keys(file, {}).of(PI), lambda: Keys(file, {}).keep(PI, Key("igw_1"))):
        with pytest.raises(GatewayError, match="is damaged: delete it"):
            attempt()
    assert file.read_text() == content


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    with pytest.raises(GatewayError, match=r"cannot be (read|written) \(Not a directory\)"):
        Keys(tmp_path / "config" / "gateways.json", {}).keep(PI, Key("igw_1"))


def test_it_stands_among_the_users_own_settings() -> None:
    assert usual_file({"XDG_CONFIG_HOME": "/x"}) == Path("/x/insiders-gateway/gateways.json")
    assert usual_file({}) == Path.home() / ".config/insiders-gateway/gateways.json"


def test_a_key_does_not_show_what_it_is() -> None:
    assert "igw_" not in repr(Key("igw_1", "PEM"))
    assert json.dumps({"key": str(Key("igw_1"))}).count("igw_") == 0

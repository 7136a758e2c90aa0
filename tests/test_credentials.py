"""Where the two secrets are found, and that they do not show themselves."""

from pathlib import Path

import pytest

from gateway.credentials import CredentialsError, load_credentials


def test_credentials_come_from_the_environment() -> None:
    credentials = load_credentials({"INSIDERS_PASSWORD": "p", "INSIDERS_CLIENT_SECRET": "s"})
    assert credentials.password.reveal() == "p"
    assert credentials.client_secret.reveal() == "s"


def test_credentials_come_from_files_without_their_last_newline(tmp_path: Path) -> None:
    (tmp_path / "INSIDERS_PASSWORD").write_bytes(b" p \n")
    (tmp_path / "INSIDERS_CLIENT_SECRET").write_bytes(b"s\r\n")
    credentials = load_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert credentials.password.reveal() == " p "
    assert credentials.client_secret.reveal() == "s"


def test_credentials_in_the_environment_win_over_files(tmp_path: Path) -> None:
    for name in ("INSIDERS_PASSWORD", "INSIDERS_CLIENT_SECRET"):
        (tmp_path / name).write_text("file")
    credentials = load_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path), "INSIDERS_PASSWORD": "variable"})
    assert credentials.password.reveal() == "variable"
    assert credentials.client_secret.reveal() == "file"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", None])
def test_missing_credentials_name_both_ways(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "INSIDERS_PASSWORD").write_bytes(content)
    with pytest.raises(CredentialsError) as caught:
        load_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path), "INSIDERS_CLIENT_SECRET": "s"})
    (only,) = str(caught.value).splitlines()
    assert "INSIDERS_PASSWORD" in only
    assert "environment variable" in only
    assert "$CREDENTIALS_DIRECTORY" in only


def test_credentials_do_not_show_themselves() -> None:
    credentials = load_credentials({"INSIDERS_PASSWORD": "hunter2", "INSIDERS_CLIENT_SECRET": "hunter3"})
    assert "hunter" not in f"{credentials!r} {credentials} {credentials.password!s}"

"""What people type, and which gateway it means."""

import pytest

from insiders_gateway_client.address import parse
from insiders_gateway_client.errors import AddressError


@pytest.mark.parametrize(
    ("typed", "address", "stream"),
    [
        ("8831", "http://127.0.0.1:8831", "ws://127.0.0.1:8831/api/v1/stream"),
        ("localhost:9000", "http://localhost:9000", "ws://localhost:9000/api/v1/stream"),
        ("[::1]:8770", "http://[::1]:8770", "ws://[::1]:8770/api/v1/stream"),
        ("pi.local", "https://pi.local:8770", "wss://pi.local:8770/api/v1/stream"),
        ("192.168.1.5:443", "https://192.168.1.5", "wss://192.168.1.5/api/v1/stream"),
        ("ws://127.0.0.1:8770/api/v1/stream", "http://127.0.0.1:8770", "ws://127.0.0.1:8770/api/v1/stream"),
        ("wss://pi.local", "https://pi.local", "wss://pi.local/api/v1/stream"),
        ("http://pi.local:8770/", "http://pi.local:8770", "ws://pi.local:8770/api/v1/stream"),
        ("https://club.example/gw/api/v1/", "https://club.example/gw", "wss://club.example/gw/api/v1/stream"),
        ("unix:/run/x/control.sock", "unix:/run/x/control.sock", "ws://localhost/api/v1/stream"),
        ("unix:///run/x/control.sock", "unix:/run/x/control.sock", "ws://localhost/api/v1/stream"),
    ],
)
def test_a_gateway_is_found_by_what_people_type(typed: str, address: str, stream: str) -> None:
    found = parse(typed)
    assert (str(found), str(found.stream)) == (address, stream)
    assert parse(str(found)) == parse(found.typed) == found


@pytest.mark.parametrize(
    "typed", ["", "ftp://x", "ws://", "99999", "host:port", "a b", "ws://[::1", "unix:", "unix:x.sock"]
)
def test_what_is_no_address_is_said_to_be_none(typed: str) -> None:
    with pytest.raises(AddressError, match=r"no address of a gateway; try 127\.0\.0\.1:8770"):
        parse(typed)


def test_a_code_behind_the_address_is_not_repeated() -> None:
    with pytest.raises(AddressError) as refused:
        parse("ftp://pi.local/#code=SECRET")
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "shortest"),
    [
        ("http://127.0.0.1:9000/", "127.0.0.1:9000"),
        ("https://pi.local:9000", "pi.local:9000"),
        ("http://pi.local:9000", "http://pi.local:9000"),
        ("https://pi.local", "https://pi.local"),
        ("https://localhost:8770", "https://localhost:8770"),
    ],
)
def test_it_is_told_as_shortly_as_it_can_be_typed(typed: str, shortest: str) -> None:
    assert parse(typed).typed == shortest


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("gaps", "https://pi.local:8770/api/v1/gaps"),
        ("recordings?all=true", "https://pi.local:8770/api/v1/recordings?all=true"),
        ("pairings/trackers/a%2Fb", "https://pi.local:8770/api/v1/pairings/trackers/a%2Fb"),
        ("sensors/%2e%2e/inspect", "https://pi.local:8770/api/v1/sensors/%2e%2e/inspect"),
    ],
)
def test_what_is_asked_for_arrives_as_it_was_encoded(path: str, url: str) -> None:
    assert str(parse("pi.local").of(path)) == url

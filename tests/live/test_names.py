"""Host and Origin: what a browser may call us, and whose pages may ask."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.door.names import (
    Entrance,
    front_url,
    host_name,
    is_asked_for,
    is_loopback,
    is_own_page,
    own_names,
    parsed,
)

NAMES = frozenset({"pitch", "pitch.local", "gateway.example.org"})
LAN = Entrance("192.168.1.7", 8770, is_tls=True)
USUAL = Entrance("192.168.1.7", 443, is_tls=True)
PLAIN = Entrance("192.168.1.7", 80, is_tls=False)
SIX = Entrance("fe80::1%eth0", 8770, is_tls=True)
HERE = Entrance("127.0.0.1", 8770, is_tls=False)
HERE_SIX = Entrance("::1", 8770, is_tls=False)


@pytest.mark.parametrize(
    ("host", "entrance"),
    [
        ("192.168.1.7:8770", LAN),
        ("pitch.local:8770", LAN),
        ("PITCH.Local:8770", LAN),
        ("gateway.example.org:8770", LAN),
        ("pitch.local", USUAL),
        ("pitch.local:443", USUAL),
        ("192.168.1.7", PLAIN),
        ("[fe80::1]:8770", SIX),
        ("[FE80:0::1]:8770", SIX),
        ("192.168.1.7:8770", Entrance("::ffff:192.168.1.7", 8770, is_tls=True)),
        # Through a tunnel that begins at another port, or without one.
        ("localhost", HERE),
        ("localhost:9000", HERE),
        ("127.0.0.1:9000", HERE),
        ("[::1]:8770", HERE),
        ("127.0.0.1", HERE_SIX),
        ("pitch:8770", HERE),
    ],
)
def test_our_addresses_and_names_are_ours(host: str, entrance: Entrance) -> None:
    assert is_asked_for(host, entrance, NAMES)


@pytest.mark.parametrize(
    ("host", "entrance"),
    [
        ("evil.example:8770", LAN),
        ("evil.example", HERE),
        ("pitch.local.evil.example:8770", LAN),
        ("127.0.0.1:8770.evil.example", HERE),
        ("127.0.0.1.evil.example:8770", HERE),
        ("192.168.1.8:8770", LAN),
        ("localhost:8770", LAN),
        ("127.0.0.1:8770", LAN),
        ("192.168.1.7:8771", LAN),
        ("192.168.1.7", LAN),
        ("pitch.local:80", USUAL),
        ("192.168.1.7:8770", HERE),
        ("kim@pitch.local:8770", LAN),
        ("pitch.local:8770@evil.example", LAN),
        ("pitch.local:08770:", LAN),
        ("pitch.local:", USUAL),
        ("2130706433:8770", HERE),
        ("0x7f.1:8770", HERE),
        ("127.1:8770", HERE),
        ("[::ffff:192.168.1.7", LAN),
        ("[pitch.local]:8770", LAN),
        ("pitch.local /:8770", LAN),
        ("", LAN),
        ("", HERE),
        (":8770", LAN),
        ("x" * 5000, HERE),
    ],
)
def test_others_are_not(host: str, entrance: Entrance) -> None:
    assert not is_asked_for(host, entrance, NAMES)


@given(st.text())
def test_no_host_that_is_not_made_of_ours_passes(host: str) -> None:
    if is_asked_for(host, LAN, NAMES):
        assert host.lower() in {f"{name}:8770" for name in (*NAMES, LAN.address)}


@given(st.text())
def test_nothing_that_a_stranger_writes_raises(text: str) -> None:
    parsed(text)
    host_name(text)
    is_own_page(text, text, LAN)


@pytest.mark.parametrize(
    ("origin", "host", "entrance", "is_ours"),
    [
        ("https://pitch.local:8770", "pitch.local:8770", LAN, True),
        ("https://PITCH.local:8770", "pitch.local:8770", LAN, True),
        ("https://pitch.local", "pitch.local", USUAL, True),
        ("http://pitch.local:8770", "pitch.local:8770", LAN, False),
        ("https://pitch.local:8770", "192.168.1.7:8770", LAN, False),
        ("https://pitch.local:8771", "pitch.local:8770", LAN, False),
        ("https://evil.example", "pitch.local:8770", LAN, False),
        ("https://pitch.local:8770/x", "pitch.local:8770", LAN, False),
        ("null", "pitch.local:8770", LAN, False),
        ("", "pitch.local:8770", LAN, False),
        ("https://pitch.local:8770 https://evil.example", "pitch.local:8770", LAN, False),
        ("http://localhost:8770", "localhost:8770", HERE, True),
        ("http://localhost:3000", "localhost:8770", HERE, False),
    ],
)
def test_an_origin_is_ours_to_the_letter(origin: str, host: str, entrance: Entrance, *, is_ours: bool) -> None:
    assert is_own_page(origin, host, entrance) is is_ours


@pytest.mark.parametrize(
    ("host", "is_so"),
    [
        ("127.0.0.1", True), ("127.9.8.7", True), ("::1", True), ("::ffff:127.0.0.1", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("192.168.1.7", False), ("::ffff:192.168.1.7", False), ("fe80::1%lo", False),
        ("pitch.local", False), ("localhost.example", False), ("", False),
    ],
)  # fmt: skip
def test_only_this_machine_reaches_its_loopback_whatever_family_the_socket_has(host: str, *, is_so: bool) -> None:
    assert is_loopback(host) is is_so


def test_this_machine_goes_by_its_name_with_and_without_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Pitch.club.example")
    expected = {"pitch.club.example", "pitch", "pitch.local", "gateway.example.org"}
    assert own_names(["Gateway.example.org"]) == expected


def test_others_find_it_by_the_name_that_was_chosen_else_by_multicast_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pitch")
    assert front_url("0.0.0.0", 8770, (), is_tls=True) == "https://pitch.local:8770"
    assert front_url("::", 443, ("gw.example.org", "x"), is_tls=True) == "https://gw.example.org"
    assert front_url("0.0.0.0", 80, (), is_tls=False) == "http://pitch.local"
    assert front_url("127.0.0.1", 8770, ("gw.example.org",), is_tls=False) == "http://localhost:8770"

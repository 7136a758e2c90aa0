"""In whose name something is changed: that of whoever is known to ask, whatever the request says."""

import os
import pwd
from pathlib import Path

import aiohttp
import pytest

from gateway.access.roles import Role
from gateway.live.routes import pairings, recordings
from gateway.live.routes.authors import signed
from gateway.pairing.requests import PersonRequest
from tests.live.house import House, local, opened

_PAIRINGS, _RECORDINGS = "/api/v1/pairings", "/api/v1/recordings"
CHANGES = [
    ("PUT", f"{_PAIRINGS}/team"),
    ("POST", f"{_PAIRINGS}/apply"),
    ("PATCH", f"{_PAIRINGS}/trackers/SN-1"),
    *(("POST", f"{_PAIRINGS}/{action}") for action in pairings.ACTIONS),
    *(("POST", f"{_PAIRINGS}/trackers/SN-1/{action}") for action in pairings.ACTIONS),
    ("POST", f"{_RECORDINGS}?name=a.asi&author=Somebody+Else"),
    *(("POST", f"{_RECORDINGS}/3f9c/{action}") for action in recordings.ACTIONS),
]


async def change_all(house: House, http: aiohttp.ClientSession, base: str) -> set[str | None]:
    """Ask for every change in somebody else's name; the authors that the views are given."""
    for method, path in CHANGES:
        async with http.request(method, f"{base}{path}", json={"author": "Somebody Else"}) as answer:
            assert answer.ok, (method, path)
    given = house.reached.authors + house.shelved.authors
    assert len(given) == len(CHANGES)
    return set(given)


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.ADMIN])
@pytest.mark.parametrize("is_open", [False, True])
async def test_who_was_let_in_changes_all_in_their_own_name(tmp_path: Path, role: Role, *, is_open: bool) -> None:
    async with opened(tmp_path, is_open=is_open) as house:
        headers = {"Authorization": f"Bearer {await house.token(role, person='Tom Tech')}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            assert await change_all(house, http, house.base) == {"Tom Tech"}


async def test_at_the_local_socket_it_is_the_user_whom_the_kernel_names(tmp_path: Path) -> None:
    async with opened(tmp_path) as house, local(house.control) as http:
        assert await change_all(house, http, "http://gateway") == {pwd.getpwuid(os.geteuid()).pw_name}


async def test_on_an_open_loopback_only_they_can_say_who_they_are(tmp_path: Path) -> None:
    async with opened(tmp_path, is_open=True) as house, aiohttp.ClientSession() as http:
        assert await change_all(house, http, house.base) == {None}


def test_no_name_but_the_one_that_is_known_stays_in_a_form() -> None:
    asked = PersonRequest(author="Somebody Else", reason="lost")
    assert signed(asked, "Tom Tech") == PersonRequest(author="Tom Tech", reason="lost")
    assert signed(asked, None) == asked

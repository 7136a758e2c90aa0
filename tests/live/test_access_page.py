"""The page of access in a real browser: codes, devices, releases and the audit log, and what each role has of them."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.access.caller import Caller, Scope
from gateway.access.grants import NewGrant
from gateway.access.roles import Role
from tests.live.browser import BROWSER, Page, opened
from tests.live.gateways import HOSTILE, ROOT, SQUADS, Gateway, gateway
from tests.live.reading import WIDTHS, assert_readable

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: install the package chromium")

WIDE, PHONE = (1280, 800), (360, 800)
SECTIONS = "[...document.querySelectorAll('main > *')].filter((it) => it.checkVisibility()).map((it) => it.id)"


@dataclass
class Seen:
    """The page before somebody with a role."""

    page: Page
    gateway: Gateway

    def card(self, section: str, name: str) -> str:
        cards = f"[...document.querySelectorAll('#{section} .card')]"
        return f"{cards}.find((it) => it.querySelector('h3').textContent === {json.dumps(name)})"

    async def click(self, section: str, name: str, word: str) -> None:
        button = f"[...{self.card(section, name)}.querySelectorAll('button')].find((it) => it.textContent === '{word}')"
        await self.page.until(f"{button}?.checkVisibility()")
        await self.page.evaluate(f"{button}.click()")

    async def answer(self, selector: str) -> str:
        """Answer the question that is asked; what it was."""
        asked: str = await self.page.until(
            "document.querySelector('dialog')?.open && document.querySelector('dialog').innerText"
        )
        await self.page.evaluate(f"document.querySelector('{selector}').click()")
        return asked

    async def invite(self, person: str, squads: Sequence[str] = (), **chosen: str) -> str:
        """Make a code; the link that is shown."""
        for squad in squads:
            await self.page.evaluate(
                f"document.querySelector('#squads [value=' + {json.dumps(json.dumps(squad))} + ']').click()"
            )
        for field, value in {"person": person, **chosen}.items():
            await self.page.evaluate(f"document.querySelector('#{field}').value = {json.dumps(value)}")
        await self.page.evaluate("document.querySelector('#role').dispatchEvent(new Event('change'))")
        await self.page.evaluate("document.querySelector('#inviting form button').click()")
        link: str = await self.page.until("document.querySelector('#link').value")
        return link


@pytest.fixture(name="served")
async def _served(tmp_path: Path) -> AsyncIterator[Gateway]:
    """One that others find, too."""
    async with gateway(tmp_path, host="0.0.0.0") as served, served.listening():
        yield served


@pytest.fixture(name="seen")
async def _seen(browser_port: int, served: Gateway) -> AsyncIterator[Seen]:
    """The page before an admin, whose name is Kim."""
    async with opened(browser_port, f"{served.url}/web/live.css") as page:
        await served.let_in(page, Role.ADMIN)
        await _open(page, served)
        await page.until("document.querySelectorAll('#devices .card').length")
        yield Seen(page, served)
        assert page.complaints == []


async def _open(page: Page, served: Gateway, size: tuple[int, int] = WIDE) -> None:
    await page.resize(*size)
    await page.do("Page.navigate", url=f"{served.url}/access")
    await page.at(f"{served.url}/access")
    await page.until("document.querySelectorAll('nav a').length")


@pytest.mark.parametrize(
    ("role", "sections"),
    [
        (Role.VIEWER, []),
        (Role.TECHNICIAN, ["inviting", "releases"]),
        (Role.ADMIN, ["inviting", "devices", "releases", "audit"]),
    ],
)
async def test_each_role_has_what_it_may(browser_port: int, served: Gateway, role: Role, sections: list[str]) -> None:
    async with opened(browser_port, f"{served.url}/web/live.css") as page:
        await served.let_in(page, role)
        await _open(page, served)
        told = "document.querySelector('#devices .card, #releases .card') || !document.querySelector('#offline').hidden"
        await page.until(f"!!({told})")
        await page.until(f"JSON.stringify({SECTIONS}) === {json.dumps(json.dumps(sections, separators=(',', ':')))}")
        offline = await page.evaluate("document.querySelector('#offline').innerText")
        assert offline == ("Whoever follows athletes only has nothing to do here." if role is Role.VIEWER else "")
        if role is Role.TECHNICIAN:
            assert await page.evaluate("[...document.querySelectorAll('#role option')].map((it) => it.value)") == [
                "viewer"
            ]
            assert not await page.evaluate("document.querySelector('#giving').checkVisibility()")
        assert page.complaints == []


async def test_a_code_is_shown_as_a_picture_and_a_link_and_lets_in(
    seen: Seen, browser_port: int, served: Gateway
) -> None:
    offered = "[...document.querySelectorAll('#squads label')].map((it) => it.textContent)"
    assert await seen.page.evaluate(offered) == list(SQUADS), "nobody has to type one, or can mistype it"
    link = await seen.invite("Lou", squads=["U19", "First team"], days="30")
    assert urlsplit(link).hostname not in {"localhost", "127.0.0.1"}
    assert "camera" in await seen.page.evaluate("document.querySelector('#how').innerText")
    assert await seen.page.evaluate("document.querySelector('#whose').innerText") == "For one device of Lou, as viewer."
    drawn = "document.querySelector('#qr').complete && document.querySelector('#qr').naturalWidth"
    assert await seen.page.until(drawn) > 20
    assert await seen.page.evaluate("document.activeElement.id") == "code"
    left = "/^Good once, for [45]:\\d\\d more.$/.test(document.querySelector('#left').innerText)"
    assert await seen.page.evaluate(left)
    fragment = link.partition("#")[2]
    async with opened(browser_port, f"{served.url}/pair#{fragment}", landing=f"{served.url}/pair") as page:
        await page.evaluate("document.querySelector('#enter').click()")
        await page.at(f"{served.url}/")
    _, grant = served.doorkeeper.grants
    assert (grant.person, grant.created_by, grant.role) == ("Lou", "Kim", Role.VIEWER)
    assert grant.scope == Scope(frozenset({"U19", "First team"}))
    await seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await seen.page.until(seen.card("devices", "Lou") + " !== undefined")


async def test_what_only_this_machine_can_open_is_no_picture_for_a_phone(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, is_open=True) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/access") as page,
    ):
        await page.until("document.querySelector('#inviting').checkVisibility()")
        link = await Seen(page, served).invite("Lou")
        assert urlsplit(link).hostname == "localhost"
        assert not await page.evaluate("document.querySelector('#qr').checkVisibility()")
        assert "Only this machine can open it" in await page.evaluate("document.querySelector('#how').innerText")


async def test_a_technician_chooses_among_the_squads_too(browser_port: int, served: Gateway) -> None:
    async with opened(browser_port, f"{served.url}/web/live.css") as page:
        await served.let_in(page, Role.TECHNICIAN)
        await _open(page, served)
        await page.until("document.querySelectorAll('#squads input').length === 3")


async def test_on_a_phone_lists_are_folded_and_their_heads_say_how_many(browser_port: int, served: Gateway) -> None:
    await served.releases.give(["Ada Lindqvist"], "consent", ROOT)
    async with opened(browser_port, f"{served.url}/web/live.css") as page:
        await served.let_in(page, Role.ADMIN)
        await _open(page, served, PHONE)
        await page.until("document.querySelectorAll('#devices .card, #releases .card').length === 5")
        assert not await page.evaluate("document.querySelector('.card').checkVisibility()")
        heads = "[...document.querySelectorAll('main summary')].slice(0, 2).map((it) => it.innerText)"
        assert await page.evaluate(heads) == ["Devices that are let in 1", "Athletes who may be seen 1 of 4"]
        await page.evaluate("document.querySelector('#devices summary').click()")
        await page.until("document.querySelector('#devices .card').checkVisibility()")


async def test_where_no_release_is_asked_for_nobody_is_called_unreleased(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, is_open=True, is_release_required=False) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/access") as page,
    ):
        badges = "[...document.querySelectorAll('#releases .badge')].map((it) => it.innerText)"
        await page.until(f"{badges}.length === 4")
        assert await page.evaluate(badges) == ["Shown"] * 4
        assert "everybody is shown" in await page.evaluate("document.querySelector('#released').innerText")
        assert (await page.evaluate("document.body.innerText")).count("Not released") == 0


async def test_a_code_is_gone_when_its_time_is_over(seen: Seen) -> None:
    await seen.page.evaluate("(window.real = performance.now.bind(performance), performance.now = () => real() + 0)")
    await seen.invite("Lou")
    await seen.page.evaluate("performance.now = () => real() + 310_000")
    await seen.page.until("document.querySelector('#code').hidden")
    assert await seen.page.evaluate("document.querySelector('#link').value") == ""
    assert not await seen.page.evaluate("document.querySelector('#qr').hasAttribute('src')")


async def test_only_a_viewer_can_be_limited(seen: Seen) -> None:
    shown = "document.querySelector('#limits').checkVisibility()"
    assert await seen.page.evaluate(shown)
    await seen.page.evaluate("document.querySelector('#gnss').checked = true")
    await seen.invite("Lou", squads=["U19"], role="technician")
    assert not await seen.page.evaluate(shown)
    assert await seen.page.evaluate("document.querySelector('#whose').innerText.endsWith('as technician.')")


async def test_what_the_gateway_refuses_stands_at_the_form(seen: Seen) -> None:
    await seen.page.evaluate("document.querySelector('#person').value = 'x'.repeat(500)")
    await seen.page.evaluate("document.querySelector('#inviting form').dispatchEvent(new Event('submit'))")
    error = await seen.page.until("document.querySelector('#inviting .error').innerText")
    assert error.startswith("The name of a person has 1 to ")


async def test_a_device_is_thrown_out_after_a_question(seen: Seen, served: Gateway) -> None:
    hostile, _ = await served.doorkeeper.create(NewGrant(HOSTILE, "phone"), ROOT)
    await seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert "Never here yet." in await seen.page.until(f"{seen.card('devices', HOSTILE)}?.innerText")
    await seen.click("devices", HOSTILE, "Throw out")
    assert f"Throw out phone of {HOSTILE}?" in await seen.answer("#no")
    assert hostile.id in {grant.id for grant in served.doorkeeper.grants}
    await seen.click("devices", HOSTILE, "Throw out")
    await seen.answer("#yes")
    await seen.page.until(f"!{seen.card('devices', HOSTILE)}")
    assert hostile.id not in {grant.id for grant in served.doorkeeper.grants}
    assert await seen.page.evaluate("document.activeElement.innerText") == "Devices that are let in 1"
    assert await seen.page.evaluate("document.querySelectorAll('.card img').length") == 0
    assert "This device." in await seen.page.evaluate(f"{seen.card('devices', 'Kim')}.innerText")


async def test_who_throws_their_own_device_out_is_out(seen: Seen) -> None:
    await seen.click("devices", "Kim", "Throw out")
    await seen.answer("#yes")
    await seen.page.at(f"{seen.gateway.url}/pair")


async def test_an_athlete_is_released_on_a_basis_and_withdrawn_after_a_question(seen: Seen, served: Gateway) -> None:
    name = "Ada Lindqvist"
    released = "document.querySelector('#released').innerText"
    assert (await seen.page.evaluate(released)).startswith("0 of 4 are released.")
    await seen.click("releases", name, "Release")
    assert "on what basis" in await seen.page.until("document.querySelector('#refused').innerText")
    assert await seen.page.evaluate("document.activeElement.id") == "basis"
    await seen.page.evaluate("document.querySelector('#basis').value = 'consent of 1 July'")
    await seen.click("releases", name, "Release")
    await seen.page.until(f"{released}.startsWith('1 of 4')")
    assert "consent of 1 July · released by Kim" in await seen.page.evaluate(f"{seen.card('releases', name)}.innerText")
    assert await seen.page.evaluate("document.querySelector('#refused').innerText") == ""
    assert served.releases.is_released("SN-1")
    await seen.page.evaluate("document.querySelector('#everybody').click()")
    await seen.page.until(f"{released}.startsWith('4 of 4')")
    assert not await seen.page.evaluate("document.querySelector('#giving').checkVisibility()"), "nobody is left"
    await seen.click("releases", name, "Withdraw")
    assert "wiped" in await seen.answer("#yes")
    await seen.page.until(f"{released}.startsWith('3 of 4')")
    assert not served.releases.is_released("SN-1")


async def test_what_is_typed_is_not_disturbed_by_what_is_looked_up(seen: Seen) -> None:
    await seen.page.evaluate("document.querySelector('#basis').focus()")
    await seen.page.do("Input.insertText", text="cons")
    await seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await seen.gateway.releases.give(["Bea Okafor"], "theirs", ROOT)
    await seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await seen.page.until("document.querySelector('#released').innerText.startsWith('1 of 4')")
    await seen.page.do("Input.insertText", text="ent")
    assert await seen.page.evaluate("document.querySelector('#basis').value") == "consent"


async def test_who_did_what_is_told_newest_first_and_further_back_on_demand(seen: Seen) -> None:
    for number in range(60):
        seen.gateway.audit.note(ROOT, "revoked", f"person {number}")
    await seen.page.evaluate("document.querySelector('#audit summary').click()")
    lines = "[...document.querySelectorAll('#audit li')].map((it) => it.textContent)"
    await seen.page.until(f"{lines}.length === 50")
    newest = (await seen.page.evaluate(lines))[0]
    assert "pi (this machine)" in newest
    assert newest.endswith("revoked person 59")
    await seen.page.evaluate("document.querySelector('#older').click()")
    await seen.page.until(f"{lines}.length >= 60")
    told = await seen.page.evaluate(lines)
    assert len(set(told)) == len(told)
    assert not await seen.page.evaluate("document.querySelector('#older').checkVisibility()")


async def test_what_was_not_done_does_not_read_as_if_it_was(seen: Seen) -> None:
    for _ in range(2):
        seen.gateway.audit.note(Caller("Tom", "phone", Role.TECHNICIAN), "invited", "Zed", "denied", "10.0.0.7")
    await seen.page.evaluate("document.querySelector('#audit summary').click()")
    line = await seen.page.until("document.querySelector('#audit li')?.textContent")
    assert "Tom (phone) from 10.0.0.7 · denied: made a code for Zed" in line


@pytest.mark.parametrize("width", WIDTHS)
async def test_it_can_be_read_and_touched_outdoors(seen: Seen, width: int) -> None:
    await seen.gateway.releases.give(["Ada Lindqvist"], "consent", ROOT)
    await seen.invite("Lou")
    await seen.page.evaluate("document.querySelector('#audit summary').click()")
    await seen.page.until("document.querySelectorAll('#audit li').length")
    await assert_readable(seen.page, width)

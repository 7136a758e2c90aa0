"""The page that lets a device in, in a real browser: by a link, by hand, and what it says of a code that is none."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.access.caller import Scope
from gateway.access.roles import Role
from tests.live.browser import BROWSER, Page, opened
from tests.live.gateways import ROOT, Gateway, gateway
from tests.live.reading import WIDTHS, assert_readable

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: install the package chromium")

ENTER = "document.querySelector('#enter').click()"


@pytest.fixture(name="served")
async def _served(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path) as served, served.listening():
        yield served


@pytest.fixture(name="page")
async def _page(browser_port: int, served: Gateway) -> AsyncIterator[Page]:
    """The page as somebody has it who has typed the address."""
    async with opened(browser_port, f"{served.url}/pair") as page:
        yield page
        assert page.complaints == []


async def test_a_link_lets_in_and_leaves_nothing_of_the_code_behind(browser_port: int, served: Gateway) -> None:
    code = await served.code(Role.VIEWER, "Kim", Scope(frozenset({"U19"})))
    link = f"{served.url}/pair#code={code}&fp={'0' * 64}"
    async with opened(browser_port, link, landing=f"{served.url}/pair") as page:
        assert not await page.evaluate("document.querySelector('#code').checkVisibility()"), (
            "nothing to type but a name"
        )
        assert await page.evaluate("document.querySelector('#device').value") == "Chrome on Linux"
        await page.evaluate("document.querySelector('#device').value = 'Kim\\'s tablet'")
        await page.evaluate(ENTER)
        await page.at(f"{served.url}/")
        await page.until("document.querySelector('.who')?.textContent === \"Kim, Kim's tablet\"")
        (grant,) = served.doorkeeper.grants
        assert (grant.person, grant.device, grant.role) == ("Kim", "Kim's tablet", Role.VIEWER)
        assert grant.scope == Scope(frozenset({"U19"}))
        history = await page.do("Page.getNavigationHistory")
        assert code not in json.dumps(history)
        assert await page.evaluate("document.cookie") == "", "no program of a page can read what lets in"
        (cookie,) = (await page.do("Network.getCookies", urls=[served.url]))["cookies"]
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
        assert await page.evaluate("JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"


async def test_a_code_counts_once(browser_port: int, served: Gateway) -> None:
    code = await served.code()
    for person, _ in enumerate(("first", "second")):
        link = f"{served.url}/pair#code={code}"
        async with opened(browser_port, link, landing=f"{served.url}/pair") as page:
            await page.evaluate(ENTER)
            if person == 0:
                await page.at(f"{served.url}/")
                continue
            text = await page.until("document.querySelector('#wrong').innerText")
            assert text.count(".") == 1, "one sentence"
            assert "code" in text
            assert await page.evaluate("document.activeElement.id") == "code", "where a new one is to be pasted"
            assert "paste the link" in await page.evaluate("document.body.innerText")
    assert len(served.doorkeeper.grants) == 1


@pytest.mark.parametrize("is_link", [True, False])
async def test_a_link_or_a_code_can_be_pasted(page: Page, served: Gateway, *, is_link: bool) -> None:
    code = await served.code()
    pasted = f" {served.url}/pair#code={code}&fp=00 " if is_link else f" {code}\n"
    await page.evaluate(f"document.querySelector('#code').value = {json.dumps(pasted)}")
    await page.evaluate(ENTER)
    await page.at(f"{served.url}/")
    assert len(served.doorkeeper.grants) == 1


async def test_what_is_no_code_is_not_even_sent(page: Page) -> None:
    for pasted in ("", "hello", "http://127.0.0.1/pair", "#code=", "<img src=x>"):
        await page.evaluate("document.querySelector('#wrong').textContent = ''")
        await page.evaluate(f"document.querySelector('#code').value = {json.dumps(pasted)}")
        await page.evaluate(ENTER)
        assert "That is no code" in await page.until("document.querySelector('#wrong').innerText")
    sent = "performance.getEntriesByType('resource').filter((it) => it.name.endsWith('/api/v1/pair')).length"
    assert await page.evaluate(sent) == 0


async def test_a_link_that_was_cut_short_says_so(browser_port: int, served: Gateway) -> None:
    cut = f"{served.url}/pair#code=abc"
    async with opened(browser_port, cut, landing=f"{served.url}/pair") as page:
        assert "paste the whole link" in await page.until("document.querySelector('#wrong').innerText")


async def test_another_link_in_the_same_window_counts(page: Page, served: Gateway) -> None:
    """Somebody taps a new link while the page with the old one is still open."""
    code = await served.code()
    await page.evaluate(f"location.hash = 'code={code}'")
    await page.until("location.hash === '' && !document.querySelector('#code').checkVisibility()")
    await page.evaluate(ENTER)
    await page.at(f"{served.url}/")


async def test_with_the_keyboard_alone(page: Page, served: Gateway) -> None:
    code = await served.code()
    for _ in range(10):
        await page.press("Tab")
        if await page.evaluate("document.activeElement.id === 'code'"):
            break
    await page.do("Input.insertText", text=code)
    await page.press("Enter", "\r")
    await page.at(f"{served.url}/")


async def test_who_is_let_in_already_is_told_so(page: Page, served: Gateway) -> None:
    await served.let_in(page, Role.VIEWER)
    await page.do("Page.reload")
    assert "let in already, as laptop of Kim" in await page.until(
        "document.querySelector('#now')?.checkVisibility() && document.querySelector('#now').innerText"
    )


async def test_who_is_new_is_not_told_of_any_throwing_out(page: Page) -> None:
    await page.until("document.querySelector('#site').innerText")
    sent = "performance.getEntriesByType('resource').some((it) => it.name.endsWith('/api/v1/me') && it.responseStatus)"
    await page.until(sent)
    assert not await page.evaluate("document.querySelector('#out').checkVisibility()")


async def test_who_was_thrown_out_is_told_why_and_what_to_do(browser_port: int, served: Gateway) -> None:
    async with opened(browser_port, f"{served.url}/web/live.css") as page:
        await served.let_in(page, Role.VIEWER)
        await page.do("Page.navigate", url=f"{served.url}/")
        await page.at(f"{served.url}/")
        await page.until("document.querySelectorAll('tbody tr').length")
        (grant,) = served.doorkeeper.grants
        await served.doorkeeper.revoke(grant.id, ROOT)
        await page.at(f"{served.url}/pair")
        out = "document.querySelector('#out').checkVisibility() && document.querySelector('#out').innerText"
        told = await page.until(out)
        assert "thrown out" in told
        assert "ask for a new code" in told
        code = await served.code()
        await page.evaluate(f"location.hash = 'code={code}'")
        await page.until("!document.querySelector('#code').checkVisibility()")
        await page.evaluate(ENTER)
        await page.at(f"{served.url}/")


async def test_a_device_has_a_name_that_its_owner_knows_it_by(page: Page) -> None:
    webkit = "AppleWebKit/537.36"
    agents = {
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/126.0 Safari/537.36": "Chrome on Windows",
        f"Mozilla/5.0 (Windows NT 10.0) {webkit} Chrome/126.0 Safari/537.36 Edg/126.0": "Edge on Windows",
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) {webkit} Version/17.5 Safari/605.1": "Safari on Mac",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1": "Safari on iPhone",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) CriOS/126.0 Safari/604.1": "Chrome on iPhone",
        "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0": "Firefox on Android",
        "something": "Browser",
    }
    named = f"import('/web/devices.js').then(({{ deviceName }}) => {json.dumps(list(agents))}.map(deviceName))"
    assert await page.evaluate(named) == list(agents.values())


@pytest.mark.parametrize("width", WIDTHS)
async def test_it_can_be_read_and_touched_outdoors(page: Page, width: int) -> None:
    await page.evaluate(ENTER)
    await page.until("document.querySelector('#wrong').innerText")
    await assert_readable(page, width)

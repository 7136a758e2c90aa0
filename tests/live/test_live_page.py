"""The live table in a real browser: what a coach sees of each athlete, and what stands there when it is not so."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.access.caller import Scope
from gateway.access.roles import Role
from tests.live.browser import BROWSER, Page, opened
from tests.live.gateways import HOSTILE, NOW_MS, Gateway, gateway, rows, wall_ms
from tests.live.reading import WIDTHS, assert_readable

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: install the package chromium")


@dataclass
class Seen:
    """The page before a coach."""

    page: Page
    gateway: Gateway
    doors: AsyncExitStack

    def line(self, name: str) -> str:
        """An expression for the line of an athlete."""
        named = f"it.querySelector('.name').textContent === {json.dumps(name)}"
        return f"[...document.querySelectorAll('tbody tr')].find((it) => {named})"

    def cell(self, name: str, column: str) -> str:
        return f"{self.line(name)}?.querySelector('.{column}').textContent"

    async def until(self, name: str, **cells: str) -> None:
        """Wait until cells of an athlete say something."""
        for column, text in cells.items():
            await self.page.until(f"{self.cell(name, column)} === {json.dumps(text)}")


@pytest.fixture(name="seen")
async def _seen(browser_port: int, tmp_path: Path) -> AsyncIterator[Seen]:
    async with gateway(tmp_path, is_open=True) as served, AsyncExitStack() as doors:
        await doors.enter_async_context(served.listening())
        async with opened(browser_port, f"{served.url}/") as page:
            await page.until("document.querySelectorAll('tbody tr').length")
            yield Seen(page, served, doors)
            assert page.complaints == []


async def test_each_athlete_has_a_line_with_the_values_of_now(seen: Seen) -> None:
    seen.gateway.rows_came(1, rows(wall_ms() - 1900, speed=5.0, heart_rate=151.4, power=243.5, battery=83))
    await seen.until("Ada Lindqvist", number="10", heart_rate="151", speed="18.0", power="244", battery="83", state="")
    await seen.page.until(f"/^[1-9]\\d* s$/.test({seen.cell('Ada Lindqvist', 'age')})")
    order = await seen.page.evaluate("[...document.querySelectorAll('tbody .name')].map((it) => it.textContent)")
    assert order == ["Bea Okafor", HOSTILE, "Ada Lindqvist", "SN-4"], "by number; who has no name is their tracker"
    assert await seen.page.evaluate("document.querySelectorAll('img').length") == 0, "a name is only a name"
    assert await seen.page.evaluate("document.querySelector('#summary').textContent") == "1 live · 3 no data yet"


async def test_a_column_in_which_nobody_has_anything_takes_no_room(seen: Seen) -> None:
    seen.gateway.rows_came(1, rows(NOW_MS, speed=5.0))
    await seen.until("Ada Lindqvist", speed="18.0")
    shown = "[...document.querySelectorAll('thead th')].filter((it) => it.checkVisibility()).map((it) => it.className)"
    assert await seen.page.evaluate(shown) == ["number", "name", "speed", "battery", "age", "state"]
    seen.gateway.rows_came(2, rows(NOW_MS, power=0.0, heart_rate=60))
    await seen.page.until(f"{shown}.includes('power') && {shown}.includes('heart_rate')")
    await seen.until("Bea Okafor", power="0")
    await seen.until("Ada Lindqvist", power="—")


async def test_a_value_stands_there_only_while_it_is_the_athletes(seen: Seen) -> None:
    seen.gateway.rows_came(1, rows(NOW_MS, speed=5.0))
    await seen.until("Ada Lindqvist", speed="18.0", state="")
    for presence, word, speed in (
        ("stale", "stale", "18.0"),
        ("lost", "lost", "—"),
        ("live", "", "18.0"),
        ("behind", "behind", "—"),
        ("unclaimed", "not ours", "—"),
        ("unreleased", "not released", "—"),
        ("a word of tomorrow", "a word of tomorrow", "—"),
    ):
        seen.gateway.board.presence_changed(seen.gateway.channels[1], presence)
        await seen.until("Ada Lindqvist", state=word, speed=speed)


async def test_an_old_heart_rate_is_no_longer_the_athletes(seen: Seen) -> None:
    seen.gateway.rows_came(1, rows(NOW_MS, speed=5.0, heart_rate=151))
    await seen.until("Ada Lindqvist", heart_rate="151")
    seen.gateway.rows_came(1, rows(NOW_MS + 5000, count=20, speed=2.5))
    await seen.until("Ada Lindqvist", speed="9.0", heart_rate="—")


async def test_a_tracker_that_was_anothers_shows_nothing_of_before(seen: Seen) -> None:
    seen.gateway.rows_came(1, rows(NOW_MS, speed=5.0))
    await seen.until("Ada Lindqvist", speed="18.0")
    channel = seen.gateway.channels[1]
    channel.device_id = None
    seen.gateway.board.channel_changed(channel)
    await seen.until("Ada Lindqvist", speed="—", age="")


async def test_of_who_is_not_released_only_the_tracker_is_named(seen: Seen) -> None:
    seen.gateway.rows_came(1, rows(NOW_MS, speed=5.0))
    await seen.until("Ada Lindqvist", speed="18.0")
    channel = seen.gateway.channels[1]
    channel.since_ms = None
    channel.lose()
    seen.gateway.board.channel_changed(channel)
    seen.gateway.board.presence_changed(channel, channel.presence(0.0))
    await seen.until("SN-1", number="10", speed="—", state="not released", age="")
    assert "Ada" not in await seen.page.evaluate("document.body.innerText")


async def test_what_is_wrong_stands_above_and_goes(seen: Seen) -> None:
    board = seen.gateway.board
    assert await seen.page.evaluate("document.querySelector('#problems').hidden")
    for code in ("one", "two", "three"):
        board.state_changed(
            f"problem/{code}/", "open", text=f"Thing {code} is wrong", action="mend it", since_ms=NOW_MS
        )
    await seen.page.until("document.querySelector('#problems summary').innerText === '1 more'")
    first = await seen.page.evaluate("document.querySelector('#first').innerText.split('\\n')")
    assert first == ["Thing one is wrong: mend it.", "Thing two is wrong: mend it."]
    assert not await seen.page.evaluate("document.querySelector('#rest').checkVisibility()")
    await seen.page.evaluate("document.querySelector('#problems summary').click()")
    await seen.page.until("document.querySelector('#rest').innerText === 'Thing three is wrong: mend it.'")
    for code in ("one", "two", "three"):
        board.forget_state(f"problem/{code}/")
    await seen.page.until("document.querySelector('#problems').hidden")


async def test_a_cut_is_told_until_it_is_over(seen: Seen) -> None:
    await seen.doors.aclose()
    offline = "document.querySelector('#offline')"
    told = await seen.page.until(f"!{offline}.hidden && {offline}.innerText")
    assert told in (
        "The gateway stops: wait until it has started again. Trying again …",
        "The gateway does not answer. Trying again …",
    )
    await seen.doors.enter_async_context(seen.gateway.listening())
    await seen.page.until(f"{offline}.hidden")
    seen.gateway.rows_came(2, rows(NOW_MS, speed=5.0))
    await seen.until("Bea Okafor", speed="18.0")


async def test_who_is_too_slow_is_told_so(seen: Seen) -> None:
    slow = "document.querySelector('#slow')"
    seen.gateway.board.state_changed("connection", "conflated")
    assert "too slow" in await seen.page.until(f"!{slow}.hidden && {slow}.innerText")
    seen.gateway.board.state_changed("connection", "normal")
    await seen.page.until(f"{slow}.hidden")


async def test_a_word_that_is_old_by_our_own_clock_counts_no_more(seen: Seen) -> None:
    """The gateway may be silent before the connection is known to be cut."""
    script = """import("/web/athletes.js").then(({ Team }) => {
      const team = new Team();
      team.connected({ utc_ms: 50_000 }, true, 1000);
      team.channels([{ ch: 1, device_id: 1, withdrawn: 0, serial_number: "SN", name: null, number: null }]);
      team.state({ key: "channel/1", ch: 1, value: "live", clock_error_ms: null });
      team.rows({ ch: 1, times: [49_000], values: { speed: [1] }, isMisdated: false }, 1000);
      return [1000, 3999, 4000, 10_999, 11_000].map((now) => team.lines(now)[0])
        .map(({ state, speed, ageMs }) => [state, speed, ageMs]);
    })"""
    assert await seen.page.evaluate(script) == [
        ["live", 1, 1000],
        ["live", 1, 3999],
        ["stale", 1, 4000],
        ["stale", 1, 10_999],
        ["lost", None, 11_000],
    ]


@pytest.mark.parametrize("width", WIDTHS)
async def test_it_can_be_read_and_touched_outdoors(seen: Seen, width: int) -> None:
    for ch in (1, 2, 3):
        seen.gateway.rows_came(ch, rows(NOW_MS, speed=11.1, heart_rate=188, power=1288, battery=100 - 30 * ch))
    for ch, presence in ((2, "stale"), (3, "lost")):
        seen.gateway.board.presence_changed(seen.gateway.channels[ch], presence)
    text = "Tracker SN-1 belongs to another account"
    seen.gateway.board.state_changed(
        "problem/foreign/SN-1", "open", text=text, action="ask its owner to release it", since_ms=NOW_MS
    )
    await seen.until("Ada Lindqvist", power="1288")
    await seen.until("Bea Okafor", state="stale")
    await seen.until(HOSTILE, state="lost")
    await seen.page.until("!document.querySelector('#problems').hidden")
    await assert_readable(seen.page, width)


@pytest.mark.parametrize(("width", "height"), [(360, 800), (390, 844)])
async def test_on_a_phone_the_heads_take_one_line_each(
    browser_port: int, tmp_path: Path, width: int, height: int
) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/live.css") as page,
    ):
        await served.let_in(page, Role.ADMIN, "Katharina Elisabeth Bergström")
        await page.resize(width, height)
        await page.do("Page.navigate", url=f"{served.url}/")
        seen = Seen(page, served, AsyncExitStack())
        served.rows_came(1, rows(wall_ms(), speed=5.0, heart_rate=151, power=240, battery=83))
        await seen.until("Ada Lindqvist", power="240")
        assert await page.evaluate("document.querySelectorAll('nav a').length") == 3
        assert await page.evaluate("document.querySelector('nav').getBoundingClientRect().height") < 60
        assert await page.evaluate("document.querySelector('thead').getBoundingClientRect().height") < 40
        await page.evaluate("document.querySelector('nav summary').click()")
        await page.until("document.querySelector('.who').checkVisibility()")
        await assert_readable(page, width)


async def test_by_ear_it_is_a_table_on_a_phone_too(seen: Seen) -> None:
    seen.gateway.rows_came(1, rows(NOW_MS, speed=5.0))
    await seen.until("Ada Lindqvist", speed="18.0")
    for width in WIDTHS:
        await seen.page.resize(width, 700)
        tree = (await seen.page.do("Accessibility.getFullAXTree"))["nodes"]
        roles = [node.get("role", {}).get("value") for node in tree if not node.get("ignored")]
        assert roles.count("table") == 1
        assert roles.count("row") == 5
        assert roles.count("rowheader") == 4
        assert roles.count("columnheader") >= 6


async def test_who_may_not_see_heart_rates_asks_for_none(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/live.css") as page,
    ):
        await served.let_in(page, Role.VIEWER, scope=Scope(is_gnss_only=True))
        await page.do("Page.navigate", url=f"{served.url}/")
        seen = Seen(page, served, AsyncExitStack())
        served.rows_came(1, rows(NOW_MS, speed=5.0, heart_rate=151))
        await seen.until("Ada Lindqvist", speed="18.0")
        text = await page.evaluate("document.body.innerText")
        assert "151" not in text
        assert "bpm" not in text
        links = await page.evaluate("[...document.querySelectorAll('nav a')].map((it) => it.textContent)")
        assert links == ["Live"], "a coach has one page"
        assert await page.evaluate("document.querySelector('.who').textContent") == "Kim, laptop"


async def test_who_may_see_nobody_is_told_so(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/live.css") as page,
    ):
        await served.let_in(page, Role.VIEWER, scope=Scope(frozenset({"a squad of nobody"})))
        await page.do("Page.navigate", url=f"{served.url}/")
        summary = "document.querySelector('#summary')?.textContent"
        await page.until(f"{summary} === 'There is no athlete here whom you may see.'")
        assert not await page.evaluate("document.querySelector('table').checkVisibility()")


async def test_who_is_not_let_in_comes_to_the_page_that_lets_in(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/", landing=f"{served.url}/pair") as page,
    ):
        assert "Ask a technician" in await page.evaluate("document.body.innerText")


async def test_who_signs_out_is_out(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/live.css") as page,
    ):
        await served.let_in(page, Role.TECHNICIAN)
        await page.do("Page.navigate", url=f"{served.url}/")
        await page.until("document.querySelectorAll('nav a').length === 3")
        assert not await page.evaluate("document.querySelector('nav button').checkVisibility()")
        await page.evaluate("document.querySelector('nav summary').click()")
        await page.until("document.querySelector('nav button').checkVisibility()")
        await page.evaluate("document.querySelector('nav button').click()")
        await page.until("document.querySelector('dialog')?.open")
        await page.evaluate("document.querySelector('#yes').click()")
        await page.at(f"{served.url}/pair")
        assert not served.doorkeeper.grants

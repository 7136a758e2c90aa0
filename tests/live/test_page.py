"""The files of the pages: all are served and packed, and an address that there is not has a page with a way back."""

from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import aiohttp
import pytest
from hatchling.builders.wheel import WheelBuilder

from gateway.live.routes.page import PAGE
from tests.live.browser import BROWSER, opened
from tests.live.gateways import Gateway, gateway
from tests.live.reading import WIDTHS, assert_readable

BROWSERS_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
NAMES = {file.name for file in (files("gateway") / "web").iterdir()}


@pytest.fixture(name="served")
async def _served(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path) as served, served.listening():
        yield served


def test_every_file_has_an_address() -> None:
    assert {name for name, _ in PAGE.values()} | {"nowhere.html"} == NAMES


def test_every_file_is_in_the_wheel() -> None:
    root = Path(__file__).parents[2]
    packed = {file.distribution_path for file in WheelBuilder(str(root)).recurse_included_files()}
    assert {f"gateway/web/{name}" for name in NAMES} <= packed


async def test_a_wrong_address_has_a_page_for_people(served: Gateway) -> None:
    async with aiohttp.ClientSession(headers={"Accept": BROWSERS_ACCEPT}) as http:
        async with http.get(f"{served.url}/pair") as answer:
            usual = {name: value for name, value in answer.headers.items() if name not in {"Content-Length", "Date"}}
        for path in ("/acces", "/recordings/", "/api/v2/hello"):
            async with http.get(f"{served.url}{path}") as answer:
                assert (answer.status, answer.content_type) == (404, "text/html")
                assert usual.items() <= answer.headers.items(), "all that a page may do is forbidden here, too"
                assert '<a class="way" href="/">' in await answer.text()
            async with http.head(f"{served.url}{path}") as answer:
                assert (answer.status, answer.content_type, await answer.read()) == (404, "text/html", b"")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html;q=0.1, */*", "application/json, text/html"])
async def test_a_wrong_address_is_json_for_programs(served: Gateway, accept: str) -> None:
    async with aiohttp.ClientSession(headers={"Accept": accept}) as http, http.get(f"{served.url}/acces") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "unknown_path")


async def test_what_is_sent_to_a_wrong_address_is_refused_in_json(served: Gateway) -> None:
    headers = {"Accept": BROWSERS_ACCEPT}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(f"{served.url}/acces") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "unknown_path")


@pytest.mark.skipif(BROWSER is None, reason="needs a browser: install the package chromium")
@pytest.mark.parametrize("width", WIDTHS)
async def test_from_a_wrong_address_one_finds_back(browser_port: int, served: Gateway, width: int) -> None:
    async with opened(browser_port, f"{served.url}/nobody/knows") as page:
        await assert_readable(page, width)
        await page.evaluate("document.querySelector('a').click()")
        await page.at(f"{served.url}/pair")
        assert page.complaints == []

"""The page of the recordings in a real browser: dropped and chosen files, answers, keyboard, screens, hostile names."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.live.board import Board
from gateway.live.server import LiveServer
from gateway.live.session import Hub
from tests.live.browser import BROWSER, Page, browser, opened
from tests.live.shelf import Shelf, full_shelf

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: install the package chromium")

# Of every text that can be seen: how far its colour is from what is behind it (WCAG), and how large it is.
CONTRASTS = """
(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map((v) => v / 255)
      .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !node.checkVisibility()) continue;
    let behind = node;
    while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    const style = getComputedStyle(node);
    const [a, b] = [light(style.color), light(getComputedStyle(behind ?? document.body).backgroundColor)];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), parseFloat(style.fontSize), node.textContent]);
  }
  return found;
})()
"""
TARGETS = """
[...document.querySelectorAll("button, select, input:not([type=checkbox])")].filter((it) => it.checkVisibility())
  .map((it) => [it.getBoundingClientRect().height, it.outerHTML])
"""


@dataclass
class Seen:
    """The page before somebody, and what is behind it."""

    page: Page
    shelf: Shelf

    def card(self, name: str) -> str:
        """An expression for the card with a name."""
        cards = "[...document.querySelectorAll('.card')]"
        return f"{cards}.find((it) => it.querySelector('h3').textContent === {json.dumps(name)})"

    async def text(self, name: str) -> str:
        told: str = await self.page.until(f"{self.card(name)}?.innerText")
        return told

    async def click(self, name: str, word: str) -> None:
        """Click a button of a card."""
        button = f"[...{self.card(name)}.querySelectorAll('button')].find((it) => it.textContent === '{word}')"
        await self.page.until(f"{button}?.checkVisibility() && !{button}.disabled")
        await self.page.evaluate(f"{button}.click()")


@pytest.fixture(name="port", scope="module")
def _port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with browser(tmp_path_factory.mktemp("browser")) as port:
        yield port


@pytest.fixture(name="seen")
async def _seen(port: int) -> AsyncIterator[Seen]:
    shelf = full_shelf()
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with (
        LiveServer(hub, dict, recordings=shelf).listening("127.0.0.1", 0) as served,
        opened(port, f"http://127.0.0.1:{served}/recordings") as page,
    ):
        await page.until("document.querySelectorAll('#yours .card').length")
        yield Seen(page, shelf)
        assert page.complaints == [] or shelf.is_down


def asi(folder: Path, name: str, size: int = 20_000) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"ASI" + name.encode() + bytes(size))
    return path


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 800)])
async def test_it_can_be_read_and_touched_outdoors(seen: Seen, width: int, height: int, tmp_path: Path) -> None:
    await seen.page.resize(width, height)
    await seen.page.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000
    assert await seen.page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off"
    for contrast, size, text in await seen.page.evaluate(CONTRASTS):
        assert contrast >= 7, text
        assert size >= 16, text
    for pixels, what in await seen.page.evaluate(TARGETS):
        assert pixels >= 44, what

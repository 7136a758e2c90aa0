"""Whether a page can be read and used outdoors: contrast, size, nothing cut off, by day and by night."""

from tests.live.browser import Page

WIDTHS = [360, 1280]
"""Of the smallest phone and of a laptop, pixels."""

_HEIGHT = 760

# Of every text that can be seen: how far its colour is from what is behind it (WCAG), and how large it is.
_CONTRASTS = """
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
_TARGETS = """
[...document.querySelectorAll("button, select, input:not([type=checkbox])")].filter((it) => it.checkVisibility())
  .map((it) => [it.getBoundingClientRect().height, it.outerHTML])
"""

# Who uses a page by ear hears a name for everything that can be used.
_NAMELESS = """
[...document.querySelectorAll("a, button, select, input, img, nav, section")].filter((it) => it.checkVisibility())
  .filter((it) => !(it.ariaLabel || it.getAttribute("aria-labelledby") || it.labels?.length || it.alt
    || it.textContent.trim())).map((it) => it.outerHTML)
"""


async def assert_readable(page: Page, width: int) -> None:
    """A page as it is now, on a screen so many pixels wide."""
    await page.resize(width, _HEIGHT)
    wide = f"[...document.querySelectorAll('*')].filter((it) => it.getBoundingClientRect().right > {width})"
    assert await page.evaluate(f"{wide}.map((it) => it.outerHTML)") == [], "nothing is cut off"
    assert await page.evaluate(_NAMELESS) == []
    for pixels, what in await page.evaluate(_TARGETS):
        assert pixels >= 44, what
    for scheme in ("light", "dark"):
        await page.prefer(scheme)
        for contrast, size, text in await page.evaluate(_CONTRASTS):
            assert contrast >= 7, (scheme, text)
            assert size >= 16, text

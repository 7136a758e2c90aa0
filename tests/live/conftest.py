"""One browser for all pages of this folder; each page has a profile of its own."""

from collections.abc import Iterator

import pytest

from tests.live.browser import BROWSER, browser


@pytest.fixture(name="browser_port", scope="session")
def _browser_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if BROWSER is None:
        pytest.skip("needs a browser: install the package chromium")
    with browser(tmp_path_factory.mktemp("browser")) as port:
        yield port

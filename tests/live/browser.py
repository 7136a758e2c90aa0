"""A real browser without a window, driven over its own debugging protocol."""

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--lang=en-GB",
    "--remote-debugging-port=0",
    # Nothing but this machine, whatever the browser itself would like to ask somebody.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_START_S, _ANSWER_S = 30.0, 20.0


class Page:
    """One page.

    Attributes:
        complaints: What the browser has said against the page: errors of its program, and what its policy forbids.
    """

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self._ws = ws
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def read(self) -> None:
        """Take what the browser says, until it is closed."""
        async for message in self._ws:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            elif told["method"] == "Runtime.exceptionThrown":
                details = told["params"]["exceptionDetails"]
                self.complaints.append(str(details.get("exception", details)))
            elif told["method"] == "Log.entryAdded":
                entry = told["params"]["entry"]
                # That a request was refused is the page's own affair.
                if entry["level"] == "error" and entry["source"] != "network":
                    self.complaints.append(entry["text"])

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._ws.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(_ANSWER_S):
            told = await answer
        if "error" in told:
            raise AssertionError(f"{method}: {told['error']}")
        result: dict[str, Any] = told["result"]
        return result

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = await self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise AssertionError(str(told["exceptionDetails"]))
        return told["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true in the page."""
        value = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                while not (value := await self.evaluate(script)):
                    await asyncio.sleep(0.02)
        if not value:
            text = await self.evaluate("document.body.innerText")
            raise AssertionError(f"{script} never became true; the page says:\n{text}\n{self.complaints}")
        return value

    async def at(self, url: str) -> None:
        """Wait until the page with an address is there, all of it."""
        await self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    async def prefer(self, scheme: str) -> None:
        """Let somebody prefer "light" or "dark" pages."""
        await self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def resize(self, width: int, height: int) -> None:
        """Give it the size of another screen; a narrow one is touched and not clicked."""
        is_mobile = width < 600
        await self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_mobile
        )

    async def press(self, key: str, text: str = "") -> None:
        """Press a key of the keyboard, "Tab" for example."""
        for kind in ("keyDown", "keyUp"):
            code = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40}.get(key, 0)
            typed = {"text": text} if text and kind == "keyDown" else {}
            await self.do("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **typed)

    async def choose(self, selector: str, *paths: Path) -> None:
        """Choose files in a field of the page."""
        root = (await self.do("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.do("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.do("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    async def drop(self, x: int, y: int, *paths: Path) -> None:
        """Drop files or folders at a place of the page."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await self.do("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    async def picture(self, path: Path) -> None:
        """Save what the page looks like, all of it, as PNG."""
        told = await self.do("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(told["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[int]:
    """A browser, for as long as the context is open.

    Args:
        profile: An empty folder of its own.

    Yields:
        The port for `opened`.
    """
    assert BROWSER is not None
    command = [BROWSER, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield _port(profile / "DevToolsActivePort")
        finally:
            process.terminate()


@asynccontextmanager
async def opened(port: int, url: str, landing: str | None = None) -> AsyncIterator[Page]:
    """A page with an address, in a profile of its own: no cookie of another one is there. Closed in the end.

    Args:
        port: Of the browser.
        url: Where it goes.
        landing: Where that leads, if it leads elsewhere.
    """
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
        async with http.get(f"http://127.0.0.1:{port}/json/version") as answer:
            address = (await answer.json())["webSocketDebuggerUrl"]
        async with http.ws_connect(address, max_msg_size=0) as browser_ws:
            whole = Page(browser_ws)
            readings = [tasks.create_task(whole.read())]
            profile = await whole.do("Target.createBrowserContext", disposeOnDetach=True)
            target = await whole.do("Target.createTarget", url="about:blank", **profile)
            page_address = f"ws://127.0.0.1:{port}/devtools/page/{target['targetId']}"
            async with http.ws_connect(page_address, max_msg_size=0) as ws:
                page = Page(ws)
                readings.append(tasks.create_task(page.read()))
                for domain in ("Page", "Runtime", "Log", "DOM", "Network"):
                    await page.do(f"{domain}.enable")
                await page.do("Page.navigate", url=url)
                await page.at(landing or url)
                yield page
                await whole.do("Target.disposeBrowserContext", **profile)
            for reading in readings:
                reading.cancel()


def _port(told: Path) -> int:
    until_s = time.monotonic() + _START_S
    while not (lines := told.read_text(encoding="ascii").split() if told.exists() else []):
        if time.monotonic() > until_s:
            raise AssertionError("the browser did not start")
        time.sleep(0.05)
    return int(lines[0])

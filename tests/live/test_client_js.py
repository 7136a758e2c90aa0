"""The stream's JavaScript module in a real browser: rows as they were sent, no hole and no repeat across cuts, and what
it does when nobody answers. Against the real server; where the server must misbehave, against sockets and a clock that
a test moves by hand.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.access.grants import NewGrant
from gateway.access.roles import Role
from insiders_codecs.samples import SampleBlock
from tests.live.browser import BROWSER, Page, opened
from tests.live.gateways import NOW_MS, ROOT, Gateway, gateway, rows

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: install the package chromium")

# What the stream tells and what it sends, as lists that a test can read.
HARNESS = """
(async () => {
  const { LiveStream } = await import("/web/client.js");
  window.told = [];
  window.sent = [];
  const plain = (it) => it instanceof Float64Array ? [...it].map((v) => Number.isNaN(v) ? null : v) : it;
  const note = (name) => (...details) => told.push([name, ...details]);
  const names = ["connected", "channels", "gap", "state", "refused", "disconnected", "unauthorized"];
  const handlers = Object.fromEntries(names.map((name) => [name, note(name)]));
  handlers.rows = (run) => {
    if (run.values.speed?.[0] === window.badSpeed) throw new Error("the page has a fault");
    const values = Object.fromEntries(Object.entries(run.values).map(([name, cells]) => [name, plain(cells)]));
    told.push(["rows", { ...run, channel: run.channel.name, times: plain(run.times), values }]);
  };
  const openSocket = (url, protocol) => {
    const socket = new WebSocket(url, protocol), send = socket.send.bind(socket);
    socket.send = (text) => {
      sent.push(JSON.parse(text));
      send(text);
    };
    return window.socket = socket;
  };
  window.stream = new LiveStream(handlers, { openSocket, ...OPTIONS });
  return true;
})()
"""

# A stream over sockets that a test plays the gateway of, and by a clock that it moves.
BY_HAND = """
(async () => {
  const { LiveStream } = await import("/web/client.js");
  window.told = [];
  window.sockets = [];
  let nowMs = 0, timers = [];
  const clock = {
    now: () => nowMs,
    after(ms, act) {
      const timer = { due: nowMs + ms, act };
      timers.push(timer);
      return () => { timers = timers.filter((it) => it !== timer); };
    },
  };
  window.pass = async (ms) => {
    for (const end = nowMs + ms; ;) {
      const next = timers.filter((it) => it.due <= end).sort((a, b) => a.due - b.due)[0];
      if (!next) return void (nowMs = end);
      timers = timers.filter((it) => it !== next);
      nowMs = Math.max(nowMs, next.due);
      next.act();
      for (let turn = 0; turn < 20; turn++) await null;
    }
  };
  const openSocket = () => {
    const socket = {
      sent: [], isClosed: false,
      send(text) { this.sent.push(JSON.parse(text)); },
      close() { this.isClosed = true; },
      say(message) { this.onmessage?.({ data: JSON.stringify(message) }); },
      cut(code) { this.onclose?.({ code }); },
    };
    sockets.push(socket);
    return socket;
  };
  window.hello = { op: "hello", epoch: "e", utc_ms: 0 };
  const note = (name) => (...details) => told.push([name, ...details]);
  const names = ["connected", "disconnected", "unauthorized", "rows"];
  const handlers = Object.fromEntries(names.map((name) => [name, note(name)]));
  const url = location.origin.replace("http", "ws") + "/api/v1/stream";
  window.stream = new LiveStream(handlers, { url, openSocket, clock });
  return true;
})()
"""


@dataclass
class Reader:
    """A page with the module, and the gateway that it reads."""

    page: Page
    gateway: Gateway
    doors: AsyncExitStack

    async def follow(self, **options: Any) -> None:
        await self.page.evaluate(HARNESS.replace("OPTIONS", json.dumps(options)))

    async def restart(self, epoch: str = "e", *, meanwhile: Sequence[SampleBlock] = ()) -> None:
        """The gateway stops, rows come that nobody hears, and it is there again at the same address."""
        await self.doors.aclose()
        await self.page.until("told.some(([name]) => name === 'disconnected')")
        for block in meanwhile:
            self.gateway.rows_came(1, block)
        self.gateway.epoch = epoch
        await self.doors.enter_async_context(self.gateway.listening())
        await self.page.evaluate("stream.hurry()")

    async def told(self, name: str) -> list[Any]:
        found: list[Any] = await self.page.evaluate(f"told.filter(([name]) => name === '{name}').map((it) => it[1])")
        return found

    async def until_row(self, number: int, after: int = 0) -> list[dict[str, Any]]:
        """All runs of the first channel after the first so many, when they have reached a row."""
        runs = f"told.filter(([name, it]) => name === 'rows' && it.ch === 1).map((it) => it[1]).slice({after})"
        await self.page.until(f"{runs}.some((it) => it.n0 + it.times.length > {number})")
        found: list[dict[str, Any]] = await self.page.evaluate(runs)
        return found


@pytest.fixture(name="reader")
async def _reader(browser_port: int, tmp_path: Path) -> AsyncIterator[Reader]:
    async with gateway(tmp_path, is_open=True) as served, AsyncExitStack() as doors:
        await doors.enter_async_context(served.listening())
        # A file that shows nothing and runs nothing, of the same origin.
        async with opened(browser_port, f"{served.url}/web/recordings.css") as page:
            yield Reader(page, served, doors)


def numbers(runs: Sequence[dict[str, Any]]) -> list[int]:
    return [run["n0"] + row for run in runs for row in range(len(run["times"]))]


async def test_rows_come_with_their_numbers_times_and_values(reader: Reader) -> None:
    reader.gateway.rows_came(1, rows(NOW_MS, count=3, speed=1.5))
    await reader.follow(columns=["heart_rate", "speed"], batchMs=50)
    (past,) = await reader.until_row(3)
    assert (past["n0"], past["isPast"], past["isLate"], past["isMisdated"]) == (1, True, False, False)
    assert past["times"] == [NOW_MS, NOW_MS + 100, NOW_MS + 200]
    assert past["values"] == {"heart_rate": None, "speed": [1.5, 1.5, 1.5]}
    assert past["channel"] == "Ada Lindqvist"
    reader.gateway.rows_came(1, rows(NOW_MS + 300, count=2, speed=2.5, heart_rate=151))
    (now,) = await reader.until_row(5, after=1)
    assert (now["n0"], now["isPast"]) == (4, False)
    assert now["values"] == {"heart_rate": [151, 151], "speed": [2.5, 2.5]}
    reader.gateway.rows_came(1, rows(NOW_MS - 1000, count=1, speed=0.5))
    (late,) = await reader.until_row(6, after=2)
    assert (late["n0"], late["times"], late["isLate"]) == (6, [NOW_MS - 1000], True)
    assert late["values"]["heart_rate"] is None, "what was not measured is no zero"


async def test_a_message_is_taken_apart_as_the_protocol_says(reader: Reader) -> None:
    """The message of docs/live-protocol.md that shows everything there is."""
    message = {
        "op": "d",
        "blocks": [
            {"ch": 1, "n0": 1001, "rows": 3, "t0": 597, "dt": 100},
            {"ch": 7, "n0": 88, "rows": 2, "t0": 113, "t": [113, 413], "late": True, "misdated": True},
        ],
        "columns": [[11.4, 0, None, -3.25, 9.9], [151.0, None, None, None, None], None],
    }
    script = f"""import("/web/client.js").then(({{ runsOf }}) =>
      [...runsOf({json.dumps(message)}, ["a", "b", "c"])].map((run) => ({{ ...run, times: [...run.times],
        values: Object.values(run.values).map((it) => it && [...it].map(String)) }})))"""
    first, second = await reader.page.evaluate(script)
    assert (first["ch"], first["n0"], first["times"]) == (1, 1001, [597, 697, 797])
    assert first["values"] == [["11.4", "0", "NaN"], ["151", "NaN", "NaN"], None]
    assert (second["ch"], second["n0"], second["times"]) == (7, 88, [113, 413])
    assert second["values"] == [["-3.25", "9.9"], ["NaN", "NaN"], None]
    assert (first["isLate"], first["isMisdated"]) == (False, False)
    assert (second["isLate"], second["isMisdated"]) == (True, True)


async def test_a_restart_leaves_neither_hole_nor_repeat(reader: Reader) -> None:
    reader.gateway.rows_came(1, rows(NOW_MS, speed=1.0))
    await reader.follow(columns=["speed"])
    await reader.until_row(10)
    meanwhile = [rows(NOW_MS + 1000, speed=2.0), rows(NOW_MS - 60_000, count=5, speed=3.0)]
    await reader.restart(meanwhile=meanwhile)
    assert numbers(await reader.until_row(25)) == list(range(1, 26)), "rows that came late meanwhile are among them"
    told = await reader.page.evaluate("told.filter(([name]) => name === 'connected').map((it) => it[2])")
    assert told == [True, False]
    (cut,) = [it for it in await reader.told("disconnected") if "stops" in it["text"]]
    assert cut["retryMs"] >= 2000, "the gateway has said how long to wait"


async def test_another_epoch_begins_anew(reader: Reader) -> None:
    reader.gateway.rows_came(1, rows(NOW_MS, speed=1.0))
    await reader.follow(columns=["speed"])
    await reader.until_row(10)
    await reader.restart("another")
    again = await reader.until_row(10, after=1)
    assert numbers(again) == list(range(1, 11))
    assert again[0]["isPast"]
    assert await reader.page.evaluate("told.filter(([name]) => name === 'connected').at(-1)[2]") is True


async def test_what_was_handled_is_acknowledged_and_what_was_not_is_not(reader: Reader) -> None:
    await reader.follow(columns=["speed"], batchMs=50)
    reader.gateway.rows_came(1, rows(NOW_MS, speed=1.0))
    await reader.until_row(10)
    acks = "sent.filter((it) => it.op === 'ack').map((it) => it.subs[0])"
    seqs = f"JSON.stringify({acks}.at(-1))"
    before = await reader.page.until(f"{seqs} !== undefined && {seqs}")
    await reader.page.evaluate("window.badSpeed = 9")
    reader.gateway.rows_came(1, rows(NOW_MS + 1000, speed=9.0))
    while not reader.page.complaints:
        await asyncio.sleep(0.01)
    assert await reader.page.evaluate(seqs) == before
    assert "the page has a fault" in reader.page.complaints.pop()


async def test_what_cannot_be_had_is_told(reader: Reader) -> None:
    await reader.follow(columns=["no such column"])
    await reader.page.until("told.some(([name]) => name === 'refused')")
    (refused,) = await reader.told("refused")
    assert refused["code"] == "unknown_column"


async def test_whoever_is_not_let_in_is_told_so_and_asks_no_more(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/recordings.css") as page,
    ):
        await Reader(page, served, AsyncExitStack()).follow()
        (_, told) = await page.until("told.find(([name]) => name === 'unauthorized')")
        assert told["text"].endswith(".")
        assert await page.evaluate("told.map(([name]) => name)") == ["unauthorized"]


async def test_a_token_is_shown_in_the_first_message(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/recordings.css") as page,
    ):
        _, token = await served.doorkeeper.create(NewGrant("Kim", "program"), ROOT)
        served.rows_came(1, rows(NOW_MS, speed=1.0))
        reader = Reader(page, served, AsyncExitStack())
        await reader.follow(columns=["speed"], token=token.reveal())
        assert numbers(await reader.until_row(10)) == list(range(1, 11))
        assert await page.evaluate("sent.map((it) => it.op).slice(0, 2)") == ["auth", "sub"]
        assert await page.evaluate("told.filter(([name]) => name === 'connected').map((it) => it[2])") == [True]


async def test_a_token_that_is_none_is_told_so(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/recordings.css") as page,
    ):
        await Reader(page, served, AsyncExitStack()).follow(token="igw_" + "x" * 43)
        await page.until("told.some(([name]) => name === 'unauthorized')")


async def test_who_is_thrown_out_is_told_so(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/recordings.css") as page,
    ):
        await served.let_in(page, Role.VIEWER)
        await Reader(page, served, AsyncExitStack()).follow()
        await page.until("told.some(([name]) => name === 'connected')")
        (grant,) = served.doorkeeper.grants
        await served.doorkeeper.revoke(grant.id, ROOT)
        await page.until("told.some(([name]) => name === 'unauthorized')")


class TestByHand:
    """The gateway and the clock are the test's."""

    @pytest.fixture(autouse=True)
    async def _begin(self, reader: Reader) -> None:
        self.page = reader.page
        await reader.page.evaluate(BY_HAND)

    async def sockets(self) -> int:
        count: int = await self.page.evaluate("sockets.length")
        return count

    async def test_a_silent_gateway_is_left_after_ten_seconds(self) -> None:
        await self.page.evaluate("sockets[0].say(hello)")
        await self.page.evaluate("pass(6000)")
        await self.page.evaluate("sockets[0].say({ op: 'time', utc_ms: 0 })")
        await self.page.evaluate("pass(9000)")
        assert not await self.page.evaluate("sockets[0].isClosed")
        await self.page.evaluate("pass(2000)")
        assert await self.page.evaluate("sockets[0].isClosed")
        assert "10 s" in await self.page.evaluate("told.at(-1)[1].text")
        await self.page.evaluate("pass(500)")
        assert await self.sockets() == 2

    async def test_pauses_grow_at_random_to_ten_seconds(self) -> None:
        for failures, longest_ms in enumerate((500, 1000, 2000, 4000, 8000, 10_000, 10_000)):
            await self.page.evaluate(f"sockets[{failures}].cut(1006)")
            retry_ms = await self.page.until(f"told.length === {failures + 1} && told.at(-1)[1].retryMs + 1e-9")
            assert 0 < retry_ms <= longest_ms
            await self.page.evaluate(f"pass({longest_ms})")
            assert await self.sockets() == failures + 2
        pauses = "import('/web/client.js').then(({ pauseMs }) => [pauseMs(3, 0, () => 1), pauseMs(9, 0, () => 0.5)])"
        assert await self.page.evaluate(pauses) == [4000, 5000]

    async def test_a_word_of_the_gateway_begins_the_pauses_anew(self) -> None:
        for failures in range(4):
            await self.page.evaluate(f"sockets[{failures}].cut(1006)")
            await self.page.until(f"told.length === {failures + 1}")
            await self.page.evaluate("pass(10_000)")
        await self.page.evaluate("(sockets[4].say(hello), sockets[4].cut(1006))")
        assert await self.page.until("told.at(-1)[0] === 'disconnected' && told.at(-1)[1].retryMs + 1e-9") <= 500

    @pytest.mark.parametrize(("asked_ms", "waited_ms"), [(7000, 7000), (3_600_000, 60_000)])
    async def test_a_pause_that_the_gateway_asks_for_is_kept(self, asked_ms: int, waited_ms: int) -> None:
        bye = {"op": "bye", "code": 4408, "text": "Too slow.", "retry_after_ms": asked_ms, "resumable": True}
        await self.page.evaluate(f"(sockets[0].say(hello), sockets[0].say({json.dumps(bye)}), sockets[0].cut(4408))")
        assert await self.page.until("told.at(-1)[1]?.text === 'Too slow.' && told.at(-1)[1].retryMs") == waited_ms
        await self.page.evaluate("stream.hurry()")
        await self.page.evaluate(f"pass({waited_ms - 1})")
        assert await self.sockets() == 1, "not before, whoever hurries"
        await self.page.evaluate("pass(1)")
        assert await self.sockets() == 2

    async def test_who_hurries_does_not_wait(self) -> None:
        await self.page.evaluate("(sockets[0].say(hello), sockets[0].cut(1006))")
        await self.page.until("told.at(-1)[0] === 'disconnected'")
        await self.page.evaluate("stream.hurry()")
        await self.page.until("sockets.length === 2")

    @pytest.mark.parametrize("code", [4401, 4403])
    async def test_who_may_not_any_more_stays_away(self, code: int) -> None:
        await self.page.evaluate(f"(sockets[0].say(hello), sockets[0].cut({code}))")
        await self.page.until("told.at(-1)[0] === 'unauthorized'")
        await self.page.evaluate("pass(100_000)")
        assert await self.sockets() == 1

    async def test_a_closed_stream_says_nothing_more(self) -> None:
        await self.page.evaluate("(sockets[0].say(hello), stream.close(), sockets[0].cut(1000))")
        await self.page.evaluate("pass(100_000)")
        assert await self.page.evaluate("told.map(([name]) => name)") == ["connected"]
        assert await self.sockets() == 1

    async def say(self, socket: int, *messages: dict[str, Any]) -> None:
        for message in messages:
            await self.page.evaluate(f"sockets[{socket}].say({json.dumps(message)})")

    async def come(self, socket: int, n0: int, count: int) -> None:
        block = {"ch": 1, "n0": n0, "rows": count, "t0": n0 * 100, "dt": 100}
        await self.say(socket, {"op": "d", "sub": 1, "seq": 1, "blocks": [block], "columns": []})

    async def asked(self, socket: int) -> Any:
        """Where the subscription of a connection begins."""
        return await self.page.evaluate(f"sockets[{socket}].sent.find((it) => it.op === 'sub').from.cursors")

    async def numbers(self) -> list[int]:
        runs = await self.page.evaluate(
            "told.filter(([name]) => name === 'rows').map(([, it]) => [it.n0, it.times.length, it.times[0]])"
        )
        assert all(first_ms == n0 * 100 for n0, _, first_ms in runs)
        return [number for n0, count, _ in runs for number in range(n0, n0 + count)]

    async def back(self, socket: int) -> None:
        await self.page.evaluate(f"sockets[{socket}].cut(1006)")
        await self.page.evaluate("pass(10_000)")
        await self.page.until(f"sockets.length === {socket + 2}")
        await self.page.evaluate(f"sockets[{socket + 1}].say(hello)")

    async def test_what_was_left_out_comes_after_a_cut_and_nothing_comes_twice(self) -> None:
        hello: Any = {"op": "hello", "epoch": "e", "utc_ms": 0}
        begun: Any = {
            "op": "sub_ok",
            "sub": 1,
            "columns": [],
            "channels": [{"ch": 1, "recovered": "fresh", "cursor": 0}],
        }
        left_out: Any = {"op": "gap", "ch": 1, "sub": 1, "reason": "slow_consumer"}
        await self.say(0, hello, begun)
        await self.come(0, 1, 10)
        await self.say(0, left_out | {"state": "open", "after": 10, "rows": None})
        await self.come(0, 15, 1)
        await self.come(0, 18, 2)
        await self.back(0)
        assert await self.asked(1) == [[1, 10]]
        begun["channels"] = [{"ch": 1, "recovered": "exact", "cursor": 10}]
        await self.say(1, begun)
        await self.come(1, 11, 7)
        await self.back(1)
        assert await self.asked(2) == [[1, 17]], "what comes again moves the cursor as ever"
        begun["channels"] = [{"ch": 1, "recovered": "exact", "cursor": 17}]
        await self.say(2, begun)
        await self.come(2, 18, 5)
        assert sorted(await self.numbers()) == list(range(1, 23))
        await self.say(2, left_out | {"state": "open", "after": 22, "rows": None})
        await self.come(2, 30, 1)
        await self.say(2, left_out | {"state": "closed", "after": 35, "rows": 12})
        await self.back(2)
        assert await self.asked(3) == [[1, 35]], "what was told exactly is told"

    async def test_rows_that_were_taken_back_are_not_asked_for(self) -> None:
        begun = {"op": "sub_ok", "sub": 1, "columns": [], "channels": [{"ch": 1, "recovered": "fresh", "cursor": 0}]}
        gap = {"op": "gap", "ch": 1, "sub": 1, "reason": "slow_consumer", "state": "open", "after": 0, "rows": None}
        await self.say(0, {"op": "hello", "epoch": "e", "utc_ms": 0}, begun, gap)
        await self.say(0, {"op": "channels", "channels": [{"ch": 1, "withdrawn": 40}]})
        await self.come(0, 41, 2)
        await self.back(0)
        assert await self.asked(1) == [[1, 42]]

    async def test_acknowledgements_are_gathered_for_half_a_second(self) -> None:
        block = {"ch": 1, "n0": 1, "rows": 0, "t0": 0, "dt": 100}
        acks = "JSON.stringify(sockets[0].sent.filter((it) => it.op === 'ack').map((it) => it.subs))"
        await self.page.evaluate("sockets[0].say(hello)")
        for seq in (1, 2, 3):
            message = {"op": "d", "sub": 1, "seq": seq, "blocks": [block], "columns": []}
            await self.page.evaluate(f"sockets[0].say({json.dumps(message)})")
        assert await self.page.evaluate(acks) == "[[[1,1]]]"
        await self.page.evaluate("pass(499)")
        assert await self.page.evaluate(acks) == "[[[1,1]]]"
        await self.page.evaluate("pass(1)")
        assert await self.page.evaluate(acks) == "[[[1,1]],[[1,3]]]"

"""What a gateway is missing, asked for over HTTP."""

import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import msgspec
import numpy as np
import pytest
from aiohttp import web

from gateway.live.board import Board
from gateway.live.gaps import GapReport, record, report_gaps
from gateway.live.hub import Hub
from gateway.live.requests import RequestError
from gateway.live.server import LiveServer
from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.holes import GapReason
from gateway.terminal.questions import fetch_gaps
from insiders_codecs.samples import QUANTITIES, SampleBlock
from insiders_gateway_client.errors import GatewayError


def rows(*times: int) -> SampleBlock:
    return SampleBlock(np.array(times, np.int64), np.ones((len(QUANTITIES), len(times))))


def seconds(start: int, stop: int) -> SampleBlock:
    return rows(*range(start * 1000, stop * 1000, 100))


@dataclass
class Fleet:
    """Two trackers: one with every kind of gap, one with none."""

    ada: Channel
    bea: Channel

    @property
    def channels(self) -> dict[int, Channel]:
        return {1: self.ada, 2: self.bea}

    def hub(self) -> Hub:
        return Hub(self.channels, Board(), "e", "Test", "0.0", 60.0, lambda: 99_000, lambda: True)


@pytest.fixture(name="fleet")
def _fleet() -> Fleet:
    ada, bea = Channel(1, Wearer("SN-1", "Ada", 10), 1000), Channel(2, Wearer("SN-2"), 1000)
    ada.rows_came(seconds(0, 1), 0.0)
    ada.gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 9.0)
    ada.rows_came(seconds(11, 20), 0.0)  # 100 rows missing
    ada.gaps.poll_failed(GapReason.UPSTREAM_RATE_LIMITED, 9.0)
    ada.rows_came(seconds(21, 30), 0.0)  # 10 rows missing
    ada.rows_came(seconds(20, 21), 0.0)  # and come
    ada.rows_came(seconds(1, 5), 0.0)  # 40 of the 100 come
    ada.rows_came(seconds(32, 40), 0.0)  # 20 rows of silence
    ada.gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 9.0)
    bea.rows_came(seconds(0, 1), 0.0)
    return Fleet(ada, bea)


@pytest.fixture(name="url")
async def _url(fleet: Fleet) -> AsyncIterator[str]:
    async with LiveServer(fleet.hub(), dict, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
        yield f"ws://127.0.0.1:{port}/api/v1/stream"


def test_every_kind_of_gap_is_told_with_what_came_and_what_did_not(fleet: Fleet) -> None:
    report = report_gaps(fleet.channels, "e", 99_000, {})
    assert (report.epoch, report.utc_ms) == ("e", 99_000)
    ada, bea = report.channels
    assert (ada.serial_number, ada.name, ada.number, ada.rows_received) == ("SN-1", "Ada", 10, 320)
    assert (bea.serial_number, bea.name, bea.number, bea.rows_received, bea.gaps) == ("SN-2", None, None, 10, ())
    told = {(gap.reason, gap.state): (gap.from_ms, gap.to_ms, gap.rows, gap.rows_repaired) for gap in ada.gaps}
    assert told == {
        ("upstream_outage", "closed"): (4_900, 11_000, 60, 40),
        ("upstream_rate_limited", "repaired"): (19_900, 21_000, 0, 10),
        ("device_silent", "closed"): (29_900, 32_000, 20, 0),
        ("upstream_outage", "open"): (39_900, None, None, 0),
    }


def test_the_totals_add_up_to_the_records_and_to_the_rows_received(fleet: Fleet) -> None:
    report = report_gaps(fleet.channels, "e", 0, {})
    assert report.totals.gaps == {"open": 1, "closed": 2, "repaired": 1}
    assert report.totals.gaps_forgotten == 0
    assert report.totals.rows_missing == {"upstream_outage": 60, "device_silent": 20}
    assert report.totals.rows_repaired == 50
    assert report.channels[0].rows_received + sum(report.totals.rows_missing.values()) == 400


def test_one_tracker_may_be_asked_for(fleet: Fleet) -> None:
    report = report_gaps(fleet.channels, "e", 0, {"device": "SN-2"})
    assert [channel.serial_number for channel in report.channels] == ["SN-2"]
    assert report.totals.rows_missing == {}
    for unknown in ("SN-3", ""):
        with pytest.raises(RequestError, match="SERIAL_NUMBER"):
            report_gaps(fleet.channels, "e", 0, {"device": unknown})


def test_gaps_that_are_not_remembered_any_more_are_counted(fleet: Fleet) -> None:
    for second in range(50, 1300, 2):
        fleet.bea.rows_came(seconds(second, second + 1), 0.0)
    totals = report_gaps(fleet.channels, "e", 0, {}).totals
    listed = len(fleet.bea.gaps.gaps)
    assert totals.gaps_forgotten == fleet.bea.gaps.totals.gaps - listed > 0
    assert totals.rows_missing["device_silent"] > 10 * listed


def test_the_websocket_tells_the_same_record(fleet: Fleet) -> None:
    board = Board()
    for gap in fleet.ada.gaps.gaps:
        board.gap_changed(fleet.ada, gap)
    on_socket = [{k: v for k, v in told.items() if k not in {"op", "ch"}} for told in board.since(0)]
    assert on_socket == [msgspec.to_builtins(record(gap)) for gap in fleet.ada.gaps.gaps]


async def test_the_document_is_plain_json_and_comes_back_as_it_was(url: str, fleet: Fleet) -> None:
    body = await fetch_gaps(url)
    assert json.loads(body)["op"] == "gaps"
    assert set(json.loads(body)["channels"][0]["gaps"][0]) == {
        *("id", "from_ms", "to_ms", "rows", "rows_repaired", "reason", "state", "settled")
    }
    assert msgspec.json.decode(body, type=GapReport) == report_gaps(fleet.channels, "e", 99_000, {})


async def test_an_unknown_tracker_is_an_error_with_a_code(url: str) -> None:
    asked = url.replace("ws:", "http:").replace("stream", "gaps?device=nobody")
    async with aiohttp.ClientSession() as http, http.get(asked) as answer:
        assert answer.status == 400
        assert (await answer.json())["code"] == "unknown_device"


async def test_where_nothing_answers_one_sentence_says_what_to_do() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(GatewayError, match=f"Nothing answers at 127.0.0.1:{port}: start the gateway"):
            await fetch_gaps(f"ws://127.0.0.1:{port}/api/v1/stream")


@pytest.mark.parametrize(
    ("status", "says"), [(404, "HTTP 404"), (421, "by this name"), (500, "HTTP 500"), (200, "HTTP 200")]
)
async def test_what_is_no_gateway_or_an_old_one_is_said_to_be_that(status: int, says: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="<html>")

    app = web.Application()
    app.router.add_get("/api/v1/gaps", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with pytest.raises(GatewayError, match=says):
            await fetch_gaps(f"ws://127.0.0.1:{runner.addresses[0][1]}/api/v1/stream")
    finally:
        await runner.cleanup()


@pytest.mark.looptime
async def test_a_gateway_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(GatewayError, match="did not answer"):
        await fetch_gaps(f"ws://127.0.0.1:{deaf.getsockname()[1]}/api/v1/stream")

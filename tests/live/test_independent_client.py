"""The protocol document suffices: a client written from it alone follows, resumes and reads both codecs alike."""

from contextlib import aclosing

import pytest

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.cloud import decode_rows
from tests.live.independent_client import Client, Codec, Row

FIRST_MS = 1_795_000_000_597


def second(number: int) -> bytes:
    """One second of rows as the cloud sends them, each with numbers of its own."""
    rows = [
        f'{{"gnss.timestamp": {FIRST_MS + row * 100}, "gnss.latitude": {46.5 + row / 1e7:.7f}, "gnss.longitude": -7.25,'
        f' "gnss.speed": {row % 9000 / 1000}, "ecg.hr": {100 + number if row % 10 == 0 else "null"}}}'
        for row in range(10 * number, 10 * number + 10)
    ]
    return f"[{','.join(reversed(rows))}]".encode()


async def followed(port: int, channel: Channel, codec: Codec) -> tuple[list[Row], list[str]]:
    """All rows of two minutes, with the connection cut after every tenth message, and the verdicts of the resumes."""
    client = Client(f"ws://127.0.0.1:{port}/api/v1/stream", codec, last_s=0, options={"batch_ms": 50})
    rows: list[Row] = []
    verdicts: list[str] = []
    seconds, heard = 0, 0
    async with aclosing(client.events()) as events:
        async for event in events:
            if isinstance(event, Row):
                rows.append(event)
                continue
            heard += 1
            if event["op"] == "sub_ok":
                verdicts += [entry["recovered"] for entry in event["channels"]]
            if event["op"] in {"sub_ok", "d"}:
                channel.rows_came(decode_rows(second(seconds)).block, 0.0)
                seconds += 1
            if heard % 10 == 0 and client.socket is not None:
                client.socket.transport.abort()
            if len(rows) >= 1200:
                return rows, verdicts
    raise AssertionError("the stream ended")


@pytest.mark.looptime
async def test_a_strangers_client_has_every_row_once_across_cuts_and_the_same_in_both_codecs() -> None:
    seen = []
    for codec in ("json", "msgpack"):
        channel = Channel(1, Wearer("SN-1"), 18_000)
        board = Board()
        board.channel_changed(channel)
        hub = Hub({1: channel}, board, "e", "Test", "0.0", 60.0, lambda: 0, lambda: True)
        async with LiveServer(hub, dict, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
            rows, verdicts = await followed(port, channel, codec)
        assert verdicts[0] == "fresh"
        assert set(verdicts[1:]) == {"exact"}
        assert len(verdicts) > 5
        assert [row.n for row in rows] == list(range(1, len(rows) + 1))
        seen.append([(row.n, row.t, row.values) for row in rows[:1200]])
    assert seen[0] == seen[1]
    assert seen[0][10][1:] == (
        FIRST_MS + 1000,
        {"latitude": 46.500001, "longitude": -7.25, "speed": 0.01, "heart_rate": 101}
        | dict.fromkeys(("altitude", "power", "cadence", "battery", "standstill")),
    )

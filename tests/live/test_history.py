"""The past over HTTP, as somebody sees it who may see neither heart rate nor what else a body tells."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from gateway.access.caller import Scope
from gateway.access.roles import Role
from gateway.telemetry.channel import Channel
from gateway.telemetry.holes import GapReason
from insiders_codecs.samples import COLUMN_NAMES, QUANTITIES, Column, SampleBlock
from insiders_gateway_client.messages import Codec, decode, decode_rows
from tests.live.house import House, opened

GNSS_ONLY = Scope(is_gnss_only=True)
SHOWN = {"latitude", "longitude", "altitude", "speed", "battery", "standstill"}
HIDDEN = [name for name in COLUMN_NAMES if name not in SHOWN]
FORMS = {Codec.JSON: "application/json", Codec.MSGPACK: "application/msgpack"}


@pytest.fixture(name="house")
async def _house(tmp_path: Path) -> AsyncIterator[House]:
    """With somebody of whom all is measured, but for ten seconds of an outage."""
    async with opened(tmp_path) as house:
        channel = house.hub.channels[1]
        assert isinstance(channel, Channel)
        values = np.ones((len(QUANTITIES), 10))
        values[Column.HEART_RATE] = 187
        channel.rows_came(SampleBlock(np.arange(0, 1000, 100), values), 0.0)
        channel.gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 9.0)
        channel.rows_came(SampleBlock(np.arange(11_000, 12_000, 100), values), 12.0)
        yield house


async def asked(house: House, scope: Scope, codec: Codec, **query: str) -> tuple[int, str, bytes]:
    """Status, form and body of what a viewer is answered who asks for a second of the past."""
    headers = {"Authorization": f"Bearer {await house.token(Role.VIEWER, scope)}", "Accept": FORMS[codec]}
    query = {"device": "SN-1", "from": "0", "to": "1000", **query}
    url = f"{house.base}/api/v1/history"
    async with aiohttp.ClientSession() as http, http.get(url, params=query, headers=headers) as answer:
        return answer.status, answer.content_type, await answer.read()


@pytest.mark.parametrize("codec", Codec)
async def test_by_itself_it_holds_only_the_columns_that_there_are_for_who_asks(house: House, codec: Codec) -> None:
    for scope, names in ((GNSS_ONLY, SHOWN), (Scope(), set(COLUMN_NAMES))):
        status, form, body = await asked(house, scope, codec)
        assert (status, form) == (200, FORMS[codec])
        told = decode(body.decode() if codec is Codec.JSON else body, codec)
        assert {column["name"] for column in told["schema"]} == names
        assert len(told["columns"]) == len(names)
        (run,) = decode_rows(told, told["schema"])
        assert (len(run), set(run.columns)) == (10, names)
        assert any((cells == 187).any() for cells in run.columns.values()) is ("heart_rate" in names)


async def test_rows_under_wrong_times_are_not_among_those_of_that_time(house: House) -> None:
    channel = house.hub.channels[1]
    assert isinstance(channel, Channel)
    wrong = SampleBlock(np.array([150, 950]), np.ones((len(QUANTITIES), 2)))
    assert len(channel.ring.append(wrong, is_misdated=True)) == 2
    _, _, body = await asked(house, Scope(), Codec.JSON)
    told = decode(body.decode(), Codec.JSON)
    (run,) = decode_rows(told, told["schema"])
    assert run.t_ms.tolist() == list(range(0, 1000, 100))


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("name", HIDDEN)
async def test_what_there_is_not_for_them_cannot_be_asked_for_either(house: House, name: str, codec: Codec) -> None:
    status, _, body = await asked(house, GNSS_ONLY, codec, columns=f"speed,{name}")
    told = decode(body.decode(), Codec.JSON)
    assert (status, told["code"]) == (400, "unknown_column")
    assert not any(hidden in told["text"] for hidden in HIDDEN)
    assert (await asked(house, Scope(), codec, columns=f"speed,{name}"))[0] == 200


async def test_a_gap_tells_when_and_how_much_and_nothing_that_was_measured(house: House) -> None:
    token = await house.token(Role.VIEWER, GNSS_ONLY)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as http, http.get(f"{house.base}/api/v1/gaps", headers=headers) as answer:
        told = await answer.text()
        channel, _ = (await answer.json())["channels"]
    (gap,) = channel["gaps"]
    assert set(channel) == {"ch", "serial_number", "name", "number", "rows_received", "gaps"}
    assert set(gap) == {"id", "from_ms", "to_ms", "rows", "rows_repaired", "reason", "state", "settled"}
    assert (gap["from_ms"], gap["to_ms"], gap["rows"]) == (900, 11_000, 100)
    assert not any(name in told for name in COLUMN_NAMES)

"""What a notebook asks for: the newest values, the last minutes, what comes in ten seconds."""

import asyncio

import numpy as np
import pytest

from insiders_gateway_client.errors import GatewayError, RefusalError
from insiders_gateway_client.gateway import Gateway
from tests.client.ground import Ground, free_port, seconds

pytestmark = pytest.mark.looptime


async def test_the_newest_values_of_every_tracker(ground: Ground) -> None:
    async with ground.running():
        latest = await Gateway(ground.url).latest()
    assert list(latest) == ["SN-1"]
    assert dict(latest["SN-1"].values) == {"speed": 1.5}
    assert dict(latest["SN-1"].t_ms) == {"speed": 59_900}
    assert latest["SN-1"].presence == "live"


async def test_the_past_of_a_tracker_however_long(ground: Ground) -> None:
    ground.channel.rows_came(seconds(60, 1500), 0.0)
    async with ground.running():
        gateway = Gateway(ground.url)
        samples = await gateway.history("SN-1", 1_000, 1_400_000)
        assert samples.t_ms.tolist() == list(range(1_000, 1_400_000, 100))
        assert set(samples["speed"]) == {1.5}
        assert np.isnan(samples["heart_rate"]).all()
        assert list((await gateway.history("SN-1", 0, 500, ["speed"])).columns) == ["speed"]
        assert len(await gateway.history("SN-1", 0, 0)) == 0
        with pytest.raises(RefusalError) as refused:
            await gateway.history("SN-2", 0, 500)
        assert refused.value.code == "unknown_device"


async def test_what_comes_in_ten_seconds(ground: Ground) -> None:
    async def play() -> None:
        for second in range(60, 90):
            await asyncio.sleep(1)
            ground.channel.rows_came(seconds(second, second + 1), 0.0)

    async with ground.running(), asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(play())
        samples = (await Gateway(ground.url).collect(10, columns=["speed"]))["SN-1"]
        playing.cancel()
    assert 80 <= len(samples) <= 100
    assert samples.t_ms.tolist() == list(range(60_000, 60_000 + 100 * len(samples), 100))
    assert list(samples.columns) == ["speed"]


async def test_what_was_asked_for_and_is_not_there_is_an_error_and_no_endless_wait(ground: Ground) -> None:
    async with ground.running():
        for columns, devices, code in ((["sped"], None, "unknown_column"), (None, ["SN-9"], "unknown_device")):
            with pytest.raises(RefusalError) as refused:
                await Gateway(ground.url).collect(10, columns=columns, devices=devices)
            assert refused.value.code == code
    nowhere = Gateway(str(free_port()))
    with pytest.raises(GatewayError, match=r"^Nothing answers at"):
        await nowhere.collect(10)
    with pytest.raises(GatewayError, match=r"^Nothing answers at"):
        await nowhere.latest()

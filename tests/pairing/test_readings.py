"""Which sensors the cloud says each tracker listens to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.cloud.errors import Broken, CloudError, Throttled, Unreachable
from gateway.cloud.models import BluetoothConfig, Pairing, PairingSet
from gateway.pairing.readings import PERIOD_S, RETRY_CAP_S, Readings

pytestmark = pytest.mark.looptime


def config(device_id: int) -> BluetoothConfig:
    pairings = PairingSet(pairing_1=Pairing(f"a0:9e:1a:00:00:{device_id:02x}", f"Polar H10 {device_id:08X}"))
    return BluetoothConfig(pairings, pairings)


class Cloud:
    """Answers with a sensor made of the device's id, unless it is told to fail."""

    def __init__(self) -> None:
        self.asked = Counter[int]()
        self.error: Exception | None = None

    async def bluetooth_config(self, device_id: int) -> BluetoothConfig:
        self.asked[device_id] += 1
        await asyncio.sleep(0.1)
        if self.error is not None:
            raise self.error
        return config(device_id)


@asynccontextmanager
async def reading(cloud: Cloud) -> AsyncIterator[Readings]:
    readings = Readings(cloud, lambda: 0.5)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(readings.run())
        yield readings
        task.cancel()


async def test_every_tracker_is_read_at_once_and_then_once_a_period() -> None:
    cloud = Cloud()
    async with reading(cloud) as readings:
        is_complete = [readings.is_complete]  # nobody knows which trackers there are
        readings.assign({"A": 1, "B": 2})
        is_complete.append(readings.is_complete)
        await asyncio.sleep(2)
        assert readings.current == {"A": config(1), "B": config(2)}
        assert [*is_complete, readings.is_complete] == [False, False, True]
        await asyncio.sleep(3 * PERIOD_S)
    assert cloud.asked == {1: 4, 2: 4}


async def test_what_is_lost_is_forgotten_and_what_is_new_is_read_soon() -> None:
    cloud = Cloud()
    async with reading(cloud) as readings:
        readings.assign({"A": 1, "B": 2})
        await asyncio.sleep(2)
        readings.assign({"B": 2, "C": 3})
        assert readings.current == {"B": config(2)}
        await asyncio.sleep(2)
        assert readings.current == {"B": config(2), "C": config(3)}
        readings.assign({"B": 9})  # the same label, another device
        assert readings.current == {}
    assert cloud.asked == {1: 1, 2: 1, 3: 1}


async def test_what_is_lost_while_another_is_read_is_not_asked_for() -> None:
    cloud = Cloud()
    async with reading(cloud) as readings:
        readings.assign({"A": 1, "B": 2})
        await asyncio.sleep(0.05)  # the first of them is being read
        assert cloud.asked == {1: 1}
        readings.assign({"A": 1})
        await asyncio.sleep(2)
    assert cloud.asked == {1: 1}


@pytest.mark.parametrize(
    "error", [Unreachable("bluetooth_config", Broken.TIMEOUT), RuntimeError("nobody foresaw this")]
)
async def test_what_was_read_last_holds_while_the_cloud_is_away(error: Exception) -> None:
    cloud = Cloud()
    async with reading(cloud) as readings:
        readings.assign({"A": 1})
        await asyncio.sleep(2)
        cloud.error = error
        await asyncio.sleep(20 * PERIOD_S)
        assert readings.current == {"A": config(1)}
        failed = cloud.asked[1]
        assert failed < 20 * PERIOD_S / RETRY_CAP_S * 4
        cloud.error = None
        await asyncio.sleep(PERIOD_S + 2)
        assert cloud.asked[1] > failed


async def test_a_pause_that_the_cloud_asks_for_is_kept() -> None:
    cloud = Cloud()
    cloud.error = Throttled("bluetooth_config", retry_after_s=600.0)
    async with reading(cloud) as readings:
        readings.assign({"A": 1})
        await asyncio.sleep(590)
    assert isinstance(cloud.error, CloudError)
    assert cloud.asked[1] == 1

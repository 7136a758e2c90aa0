"""Virtual time and a real bus: the clock stands still while anything is under way, and jumps when nothing is."""

import asyncio
import contextlib
from typing import Self

import pytest
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from gateway.simulator.bluez.bus import Bus
from tests.bluetooth.conftest import bus

__all__ = ["bus"]

pytestmark = pytest.mark.looptime


class Echo:
    """A service that answers whatever it is told, of any size, and a client of it."""

    def __init__(self) -> None:
        self.name = ""

    async def __aenter__(self) -> Self:
        self._service = await MessageBus(bus_type=BusType.SYSTEM).connect()
        self._service.add_message_handler(self._answer)
        self._client = await MessageBus(bus_type=BusType.SYSTEM).connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in (self._client, self._service):
            connection.disconnect()
            with contextlib.suppress(EOFError):  # the bus had died before
                await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]

    async def say(self, text: bytes) -> bytes:
        message = Message(self._service.unique_name, "/", "test.Echo", "Say", signature="ay", body=[text])
        reply = await self._client.call(message)
        return bytes(reply.body[0])

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is MessageType.METHOD_CALL:
            return Message.new_method_return(message, "ay", message.body)
        return None


@pytest.mark.usefixtures("bus")
async def test_no_time_passes_while_a_message_is_on_its_way() -> None:
    """Whatever its size: the daemon reads in small pieces, and is another process."""
    loop = asyncio.get_running_loop()

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.001)

    async with Echo() as echo, asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(tick())
        for size in (1, 100, 10_000, 1_000_000) * 10:
            before_s = loop.time()
            assert len(await echo.say(bytes(size))) == size
            assert loop.time() == before_s
            await asyncio.sleep(0.01)
        ticking.cancel()


@pytest.mark.usefixtures("bus")
async def test_no_time_passes_before_the_end_of_a_connection_is_known() -> None:
    loop = asyncio.get_running_loop()
    seen_s: list[float] = []

    def saw(message: Message) -> None:
        if message.member == "NameOwnerChanged" and not message.body[2]:
            seen_s.append(loop.time())

    observer = await MessageBus(bus_type=BusType.SYSTEM).connect()
    observer.add_message_handler(saw)
    rule = Message(
        "org.freedesktop.DBus",
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "AddMatch",
        signature="s",
        body=["member='NameOwnerChanged'"],
    )
    await observer.call(rule)
    closed_s = []
    for _ in range(100):
        connection = await MessageBus(bus_type=BusType.SYSTEM).connect()
        connection.disconnect()
        closed_s.append(loop.time())
        await asyncio.sleep(0.001)
    assert seen_s == closed_s
    observer.disconnect()
    await observer.wait_for_disconnect()  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("bus")
async def test_an_hour_passes_in_no_time() -> None:
    loop = asyncio.get_running_loop()
    before_s = loop.time()
    for _ in range(60):
        await asyncio.sleep(60)
    assert loop.time() - before_s == pytest.approx(3600)


async def test_time_goes_on_when_the_bus_has_died(bus: Bus) -> None:
    loop = asyncio.get_running_loop()
    async with Echo() as echo:
        assert await echo.say(b"Hello") == b"Hello"
        await bus.kill()
        before_s = loop.time()
        await asyncio.sleep(60)
        assert loop.time() - before_s == pytest.approx(60)
        await bus.restart()
    async with Echo() as echo:
        before_s = loop.time()
        async with asyncio.timeout(1):
            assert await echo.say(bytes(100_000)) == bytes(100_000)
        assert loop.time() == before_s

"""The adapters over a connection of our own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message, MessageFlag

from gateway.bluetooth import adapters as module
from gateway.bluetooth.adapters import CALL_TIMEOUT_S, Adapters
from gateway.bluetooth.radio import Adapter, RadioError, RadioState
from gateway.simulator.bluez.bus import Bus
from gateway.simulator.bluez.service import FakeBluez
from tests.bluetooth.listening import now_s, running, strap

pytestmark = pytest.mark.looptime


class Watch(Adapters):
    """With all that it is told."""

    def __init__(self, sysfs: Path) -> None:
        self.changed = asyncio.Event()
        self.told: list[str] = []
        super().__init__(self.changed, sysfs)

    def _take(self, message: Message) -> None:
        self.told.append(message.member or "")
        super()._take(message)


@pytest.fixture
async def adapters(tmp_path: Path) -> AsyncIterator[Watch]:
    watch = Watch(tmp_path)
    yield watch
    await watch.close()


@contextlib.asynccontextmanager
async def change(adapters: Watch) -> AsyncIterator[None]:
    """The block causes at least one change, which is told at once."""
    adapters.changed.clear()
    yield
    async with asyncio.timeout(0.5):
        await adapters.changed.wait()
    await asyncio.sleep(0.1)


async def test_what_bluez_says_of_an_adapter(bluez: FakeBluez, adapters: Watch) -> None:
    bluez.plug("hci1", is_central=False)
    assert await adapters.read() == (
        Adapter("hci0", is_powered=True),
        Adapter("hci1", is_powered=True, is_central=False),
    )
    bluez.block("hci0")
    assert (await adapters.read())[0] == Adapter("hci0", is_powered=False, is_blocked=True)


async def test_every_change_of_an_adapter_is_told_at_once(bluez: FakeBluez, adapters: Watch) -> None:
    await adapters.read()
    async with change(adapters):
        bluez.power("hci0", is_on=False)
    async with change(adapters):
        bluez.power("hci0", is_on=True)
    async with change(adapters):
        bluez.plug("hci1")
    assert [adapter.name for adapter in await adapters.read()] == ["hci0", "hci1"]
    async with change(adapters):
        bluez.unplug("hci0")
    assert [adapter.name for adapter in await adapters.read()] == ["hci1"]
    async with change(adapters):
        await bluez.kill()
    with pytest.raises(RadioError) as caught:
        await adapters.read()
    assert caught.value.state is RadioState.NO_SERVICE
    async with change(adapters):
        await bluez.start()
    assert [adapter.name for adapter in await adapters.read()] == ["hci1"]


@pytest.mark.parametrize("member", ["NameHasOwner", "GetManagedObjects"])
async def test_what_comes_while_the_answer_is_on_its_way_is_not_missed(
    bus: Bus, adapters: Watch, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    """Bluetoothd takes its name a moment before it knows its adapters: both are asked for just then."""
    bluez = FakeBluez(bus.address, adapters=())
    call = module._call

    async def overtaken(*args: Any) -> list[Any]:
        answer = await call(*args)
        if member in args:
            monkeypatch.undo()
            async with change(adapters):
                if member == "NameHasOwner":
                    await bluez.start()
                bluez.plug("hci0")
        return answer

    async with contextlib.AsyncExitStack() as stack:
        if member == "GetManagedObjects":
            await stack.enter_async_context(bluez.running())
        else:
            stack.push_async_callback(bluez.terminate)
        monkeypatch.setattr(module, "_call", overtaken)
        await adapters.read()
        assert [adapter.name for adapter in await adapters.read()] == ["hci0"]


async def test_what_ends_scans_is_counted_and_what_makes_them_possible_is_not(
    bluez: FakeBluez, adapters: Watch
) -> None:
    await adapters.read()
    other = adapters.losses("hci0")
    before = adapters.losses("hci1")
    async with change(adapters):
        bluez.plug("hci1")
    async with change(adapters):
        bluez.power("hci1", is_on=False)
    assert adapters.losses("hci1") > before
    before = adapters.losses("hci1")
    async with change(adapters):
        bluez.power("hci1", is_on=True)
    assert adapters.losses("hci1") == before
    async with change(adapters):
        bluez.unplug("hci1")
    assert adapters.losses("hci1") > before
    assert adapters.losses("hci0") == other
    bluez._adapters["hci0"]._discoveries.add(":1.99")
    async with change(adapters):
        bluez._adapters["hci0"]._tell_discovering()
    assert adapters.losses("hci0") == other
    bluez._adapters["hci0"]._discoveries.clear()
    async with change(adapters):
        bluez._adapters["hci0"]._tell_discovering()
    assert adapters.losses("hci0") > other
    other = adapters.losses("hci0")
    async with change(adapters):
        await bluez.kill()
    assert adapters.losses("hci0") > other


async def test_a_connection_that_is_made_by_half_is_closed_and_the_next_is_whole(
    bluez: FakeBluez, adapters: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> list[Any]:
        raise RadioError(RadioState.FAILED, "no answer")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_call", refuse)
        with pytest.raises(RadioError, match="no answer"):
            await adapters.read()
    assert [adapter.name for adapter in await adapters.read()] == ["hci0"]
    async with change(adapters):
        bluez.plug("hci1")


async def test_devices_in_the_air_are_none_of_its_business(bluez: FakeBluez, adapters: Watch) -> None:
    """Hundreds of changes in a second are told to bleak; they must not be told twice."""
    await adapters.read()
    bluez._adapters["hci0"]._discoveries.add(":1.99")
    adapters.told.clear()
    for _ in range(50):
        bluez.hear(strap(), -60)
    await asyncio.sleep(0.1)
    assert "PropertiesChanged" not in adapters.told
    assert not adapters.changed.is_set()


async def test_a_bus_that_was_lost_is_said_once_and_found_again(bus: Bus, bluez: FakeBluez, adapters: Watch) -> None:
    await adapters.read()
    await bus.restart()
    await bluez.start()
    await asyncio.sleep(0.1)
    adapters.changed.clear()
    with pytest.raises(RadioError) as caught:
        await adapters.read()
    assert caught.value.state is RadioState.NO_BUS
    assert adapters.changed.is_set()
    assert [adapter.name for adapter in await adapters.read()] == ["hci0"]


async def test_a_service_that_does_not_answer_is_given_up(bluez: FakeBluez, adapters: Watch) -> None:
    bluez.hang("GetAll")
    began_s = now_s()
    with pytest.raises(RadioError) as caught:
        await adapters.read()
    assert caught.value.state is RadioState.FAILED
    assert now_s() - began_s == pytest.approx(CALL_TIMEOUT_S, abs=0.1)


async def test_a_service_that_dies_while_it_is_asked(bluez: FakeBluez, adapters: Watch) -> None:
    await adapters.read()
    bluez.hang("GetAll")

    async def kill() -> None:
        await asyncio.sleep(1)
        await bluez.kill()

    async with running(kill()):
        with pytest.raises(RadioError) as caught:
            await adapters.read()
    assert caught.value.state is RadioState.NO_SERVICE


async def test_an_adapter_that_goes_while_it_is_asked_is_left_out(bluez: FakeBluez, adapters: Watch) -> None:
    bluez.plug("hci1")
    await adapters.read()
    adapters._paths = ("/org/bluez/hci0", "/org/bluez/hci9")
    assert [adapter.name for adapter in await adapters.read()] == ["hci0"]
    assert [adapter.name for adapter in await adapters.read()] == ["hci0", "hci1"]


async def test_no_service_is_started_by_asking(bus: Bus, adapters: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stopped bluetoothd does not want it back because a gateway looks after it every two seconds."""
    sent = list[Message]()

    def message(**fields: Any) -> Message:
        sent.append(Message(**fields))
        return sent[-1]

    monkeypatch.setattr("gateway.bluetooth.adapters.Message", message)
    for _ in range(3):
        with pytest.raises(RadioError):
            await adapters.read()
    assert {message.destination for message in sent} == {"org.freedesktop.DBus"}
    async with FakeBluez(bus.address).running():
        await asyncio.sleep(0.1)
        await adapters.read()
    assert "org.bluez" in {message.destination for message in sent}
    assert all(message.flags is MessageFlag.NO_AUTOSTART for message in sent)


@pytest.mark.parametrize(
    ("device", "is_on_board"),
    [
        ("platform/soc/3f201000.serial/tty/ttyAMA0/bluetooth", True),
        ("platform/soc/usb1/1-1/1-1.3/1-1.3:1.0/bluetooth", False),
        ("virtual/bluetooth", None),
    ],
)
async def test_the_kernel_tells_what_an_adapter_is_attached_to(
    bluez: FakeBluez, adapters: Watch, tmp_path: Path, device: str, is_on_board: bool | None
) -> None:
    folder = tmp_path / "devices" / device / "hci0"
    folder.mkdir(parents=True)
    (tmp_path / "hci0").symlink_to(folder)
    [adapter] = await adapters.read()
    assert adapter.is_on_board is is_on_board


@pytest.mark.parametrize(("soft", "hard", "is_blocked"), [("0", "0", False), ("1", "0", True), ("0", "1", True)])
async def test_the_kernel_tells_of_rfkill_where_an_older_bluez_does_not(
    bluez: FakeBluez, adapters: Watch, tmp_path: Path, soft: str, hard: str, is_blocked: bool
) -> None:
    switch = tmp_path / "hci0" / "rfkill3"
    switch.mkdir(parents=True)
    (switch / "soft").write_text(f"{soft}\n")
    (switch / "hard").write_text(f"{hard}\n")
    [adapter] = await adapters.read()
    assert adapter.is_blocked is is_blocked

"""What a technician types, against the whole daemon and the simulated cloud, in virtual time."""

import asyncio

import msgspec
import pytest

from gateway.pair.approving import apply
from gateway.pair.explaining import explain
from gateway.pair.listing import list_pairings
from gateway.pair.planning import show_plan
from gateway.pair.setting import clear, set_sensor
from gateway.pair.steering import Verb, steer
from gateway.pairing.documents import Slot
from gateway.pairing.report import PairingReport, PairingsReport
from gateway.terminal.errors import CommandError
from gateway.terminal.questions import fetch_pairings
from tests.fakes.clouds import wall_ms
from tests.terminal.person import person, pipe
from tests.test_gateway import World, world

pytestmark = pytest.mark.looptime

SPARE = "a0:9e:1a:00:8d:3e"
OTHERS = {"mac_address": "a0:9e:1a:99:99:99", "name": "Polar H10 99999999"}


@pytest.fixture(autouse=True)
def _the_wall_clock_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.parts.utc_ms", wall_ms)


async def tracker(w: World, place: int) -> PairingReport:
    report = msgspec.json.decode(await fetch_pairings(w.url), type=PairingsReport)
    return report.trackers[place]


async def stands(w: World, place: int, *states: str, within_s: float = 300.0) -> PairingReport:
    """Wait until a tracker stands somewhere."""
    async with asyncio.timeout(within_s):
        while (one := await tracker(w, place)).state not in states:
            await asyncio.sleep(1)
    return one


async def off_and_on(w: World, number: int) -> None:
    await w.control(f"devices/{w.device_id(number)}/power", on=False)
    await asyncio.sleep(40)
    await w.control(f"devices/{w.device_id(number)}/power", on=True)


async def known(w: World) -> tuple[str, str]:
    """Wait until all trackers were read; the serial numbers of two of them."""
    for place in (0, 1):
        await stands(w, place, "unmanaged")
    return w.cloud.devices[0].serial_number, w.cloud.devices[1].serial_number


async def test_a_strap_is_set_the_tracker_is_switched_off_and_on_and_all_is_right() -> None:
    async with world(trackers=3) as w:
        ada, _ = await known(w)
        talk, out = pipe()
        await set_sensor(w.url, talk, ada, SPARE, name="Polar H10 8D3E", slot=Slot.HEART_RATE, is_during_session=True)
        assert out.getvalue().splitlines()[-1].endswith(f"Switch {ada} off and on.")
        with pytest.raises(CommandError, match="Exactly that is wanted"):
            await set_sensor(w.url, talk, ada, SPARE, name="Polar H10 8D3E", slot=Slot.HEART_RATE)
        await off_and_on(w, 1)
        await stands(w, 0, "in_sync")
        talk, out = pipe()
        await list_pairings(w.url, talk)
        await explain(w.url, talk, ada)
        assert "3 trackers, nothing to do." in out.getvalue()
        assert "  Heart-rate strap: Polar H10 8D3E, as wanted." in out.getvalue().splitlines()


async def test_two_exchange_their_straps_with_approval_and_both_steps() -> None:
    async with world(trackers=3) as w:
        ada, bea = await known(w)
        talk, out = pipe()
        for serial in (ada, bea):
            await steer(w.url, talk, Verb.ADOPT, [serial])
        straps = [(await tracker(w, place)).slots[0].desired for place in (0, 1)]
        wanted = msgspec.to_builtins(straps[1])
        async with person() as one:
            one.answer("[y/N]", b"y\n")
            await set_sensor(
                w.url,
                one.talk,
                ada,
                wanted["address"],
                name=wanted["name"],
                slot=Slot.HEART_RATE,
                is_swap=True,
                is_during_session=True,
            )
        assert "→" in one.text
        for _ in range(2):  # both let go, and both take over
            async with asyncio.TaskGroup() as tasks:
                for number in (1, 2):
                    tasks.create_task(off_and_on(w, number))
            await asyncio.sleep(30)
        for place in (0, 1):
            await stands(w, place, "in_sync")
        assert [(await tracker(w, place)).slots[0].current for place in (0, 1)] == straps[::-1]
        await show_plan(w.url, talk)
        assert out.getvalue().endswith("Nothing is to change.\n")


async def test_an_exchange_that_waits_for_approval_is_taken_back_by_adopting_both() -> None:
    async with world(trackers=3) as w:
        ada, bea = await known(w)
        talk, out = pipe()
        for serial in (ada, bea):
            await steer(w.url, talk, Verb.ADOPT, [serial])
        straps = [(await tracker(w, place)).slots[0].desired for place in (0, 1)]
        wanted = msgspec.to_builtins(straps[1])
        how = {"name": wanted["name"], "slot": Slot.HEART_RATE, "is_swap": True}
        await set_sensor(w.url, talk, ada, wanted["address"], is_during_session=True, **how)
        await stands(w, 0, "awaiting_approval")
        with pytest.raises(CommandError, match="shall have"):
            await steer(w.url, talk, Verb.ADOPT, [ada])
        await steer(w.url, talk, Verb.ADOPT, [ada, bea])
        assert [(await tracker(w, place)).slots[0].desired for place in (0, 1)] == straps
        await show_plan(w.url, talk)
        assert out.getvalue().endswith("Nothing is to change.\n")


async def test_what_somebody_else_writes_is_shown_and_proposed_and_taken_over_by_a_person() -> None:
    async with world(trackers=3) as w:
        ada, _ = await known(w)
        talk, out = pipe()
        await steer(w.url, talk, Verb.ADOPT, [ada])
        await stands(w, 0, "in_sync")
        await w.control(f"devices/{w.device_id(1)}/pairings", pairing_1=OTHERS)
        await stands(w, 0, "drifted", "awaiting_approval")
        await show_plan(w.url, talk)
        assert "needs you: somebody else has changed it" in out.getvalue()
        with pytest.raises(CommandError, match="Say what you approve with --approve"):
            await apply(w.url, talk)
        await steer(w.url, talk, Verb.ADOPT, [ada], reason="it was the coach")
        await off_and_on(w, 1)
        await stands(w, 0, "in_sync")
        await clear(w.url, talk, ada, slot=Slot.HEART_RATE, is_unmanaged=True)
        await stands(w, 0, "unmanaged")

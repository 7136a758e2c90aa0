"""A technician sets, clears, exchanges and approves: over a real pseudo-terminal, against the gateway's own server."""

import msgspec
import pytest

from gateway.live.requests import ErrorCode, RequestError
from gateway.pair.approving import apply
from gateway.pair.setting import clear, set_sensor
from gateway.pair.steering import Verb, steer
from gateway.pairing.documents import Slot, Wish
from gateway.terminal.errors import CommandError
from insiders_gateway_client.errors import GatewayError
from tests.pair.desk import H9, H10, METER, OFF_AND_ON, SPARE, Desk, change, condition, group, slot, tracker
from tests.terminal.person import person, pipe
from tests.test_scan import NOW_MS, sensor

pytestmark = pytest.mark.looptime

ADA = tracker(1, "Ada", slot("heart_rate", H10, H10), slot("power", METER, METER))
BEA = tracker(2, "Bea", slot("heart_rate", H9, H9))
STRAPS = (
    sensor(SPARE.name, address=SPARE.address),
    sensor(H10.name, address=H10.address),
    sensor(H9.name, address=H9.address),
)
WRITING = ("The gateway is telling the cloud", "")
SESSION = RequestError(
    ErrorCode.SESSION_RUNNING, "Athletes train: wait, or do it with --during-session.", {"session_until_ms": NOW_MS}
)
TAKEN = RequestError(ErrorCode.SENSOR_TAKEN, "Polar H9 0C4FA154 is what Bea shall have: exchange them with --swap.")
SPARE_TOLD = {"address": SPARE.address, "name": SPARE.name}


def desk() -> Desk:
    return Desk([ADA, BEA], sensors=lambda: STRAPS)


async def test_a_strap_is_set_and_what_happens_next_is_told_until_it_needs_somebody() -> None:
    """The user's story: one line to type, and the tracker has to be switched off and on."""
    (talk, out), gateway = pipe(), desk()
    as_before = (ADA.state, ADA.text, ADA.action)  # it takes a second until there is a new plan
    steps = iter([as_before, ("writing", *WRITING), ("writing", *WRITING), ("awaiting_device", *OFF_AND_ON)])

    def goes_on() -> tuple[object, ...]:
        if gateway.asked and (step := next(steps, None)):
            gateway.put(0, state=step[0], text=step[1], action=step[2])
        return STRAPS

    gateway.report, report = lambda: (goes_on(), report())[1], gateway.report  # type: ignore[method-assign]
    async with gateway.open() as url:
        await set_sensor(url, talk, "Ada", "8D3E", reason="lost the other one")
    (what, serial, body) = gateway.asked[0]
    assert (what, serial) == ("set", "SIM-0001")
    assert body.pop("author")
    assert body == {
        "heart_rate": SPARE_TOLD,
        "reason": "lost the other one",
        "is_scanned": False,
        "immediate": False,
        "during_session": False,
    }
    assert out.getvalue().splitlines() == [
        "7 Ada shall have the heart-rate strap Polar H10 8D3E.",
        "7 Ada: It listens to what is wanted.",
        "7 Ada: The gateway is telling the cloud.",
        "7 Ada: Polar H10 8D3E waits in the cloud since 14:02 for SIM-0001. Switch SIM-0001 off and on.",
    ]


async def test_what_takes_longer_than_a_while_is_left_to_the_gateway() -> None:
    (talk, out), gateway = pipe(), desk()
    gateway.put(0, state="writing", text=WRITING[0])
    async with gateway.open() as url:
        await set_sensor(url, talk, "Ada", "8D3E")
    assert out.getvalue().splitlines()[-1].startswith("It goes on by itself: `insiders-gateway pair list --url ")


async def test_while_athletes_train_it_asks_in_a_terminal_and_is_refused_elsewhere() -> None:
    talk, _ = pipe()
    gateway = desk()
    gateway.refusals = [SESSION]
    async with gateway.open() as url:
        with pytest.raises(CommandError, match="wait, or do it with --during-session"):
            await set_sensor(url, talk, "Ada", "8D3E")
    for typed, is_done in ((b"y\n", True), (b"\n", False)):
        gateway = desk()
        gateway.refusals = [SESSION]
        async with gateway.open() as url, person({"at least). Change it now? [y/N]": typed}) as one:
            if is_done:
                await set_sensor(url, one.talk, "Ada", "8D3E")
            else:
                with pytest.raises(CommandError, match="Left as it was"):
                    await set_sensor(url, one.talk, "Ada", "8D3E")
        assert [body["during_session"] for _, _, body in gateway.asked] == [False, True][: 1 + is_done]


async def test_one_question_is_about_all_of_an_exchange_and_nothing_is_sent_before_it_is_answered() -> None:
    """Whose sensor it is, what becomes of both, that athletes train, and the approval."""
    gateway = desk()
    gateway.told = {"session_until_ms": NOW_MS}
    other = group("01c0ffee0000", change(ADA, METER, None, "power"), why=("bulk",))
    gateway.groups = [group("0123456789ab", change(ADA, H10, H9), change(BEA, H9, H10)), other]
    async with gateway.open() as url, person({"[y/N]": b"yes\n"}) as one:
        await set_sensor(url, one.talk, "Ada", "0C4F")
        await one.saw("shall exchange their heart-rate straps")
    assert "7 Ada, heart-rate strap: Polar H10 AE60D42F → Polar H9 0C4FA154." in one.lines
    assert "8 Bea, heart-rate strap: Polar H9 0C4FA154 → Polar H10 AE60D42F." in one.lines
    assert "at least). Shall 7 Ada and 8 Bea exchange theirs now? [y/N]" in one.text
    assert one.text.count("[y/N]") == 1
    assert [what for what, _, _ in gateway.asked] == ["import", "apply"]
    assert gateway.asked[0][2]["trackers"] == EXCHANGED
    approval = gateway.asked[1][2]
    assert (approval["approve"], approval["during_session"]) == ("0123456789ab", True), "and nothing else"


async def test_an_exchange_that_nobody_agrees_to_is_not_even_wanted() -> None:
    gateway = desk()
    async with gateway.open() as url, person({"exchange theirs? [y/N]": b"n\n"}) as one:
        with pytest.raises(CommandError, match=r"^Left as it was\.$"):
            await set_sensor(url, one.talk, "Ada", "0C4F", is_swap=True)
    assert not gateway.asked


async def test_without_a_terminal_the_sensor_of_another_is_refused_by_the_gateway() -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.refusals = [TAKEN]
    async with gateway.open() as url:
        with pytest.raises(CommandError, match="exchange them with --swap"):
            await set_sensor(url, talk, "Ada", "0C4F")
    assert [what for what, _, _ in gateway.asked] == ["set"]


async def test_a_strap_that_its_tracker_is_about_to_lose_is_just_set() -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.trackers = [ADA, tracker(2, "Bea", slot("heart_rate", Wish.NONE, None, current=H9))]
    async with gateway.open() as url:
        await set_sensor(url, talk, "Ada", "0C4F", is_swap=True)
    assert [what for what, _, _ in gateway.asked] == ["set"]


async def test_what_is_said_after_a_power_meter_was_set_is_about_the_power_meter() -> None:
    (talk, out), gateway = pipe(), desk()
    conditions = tuple(
        condition("DeviceConverged", "false", "AwaitingPowerCycle", f"The cloud has {what}", "switch it", slot=name)
        for name, what in (("heart_rate", "the strap"), ("power", "the meter"))
    )
    gateway.put(0, state="awaiting_device", text="The cloud has the strap", action="switch it", conditions=conditions)
    async with gateway.open() as url:
        await set_sensor(url, talk, "Ada", METER.address, name=METER.name, slot=Slot.POWER)
        await set_sensor(url, talk, "Ada", "8D3E")
    assert out.getvalue().splitlines()[1::2] == [
        "7 Ada: The cloud has the meter. Switch it.",
        "7 Ada: The cloud has the strap. Switch it.",
    ]


H9_TOLD, H10_TOLD, METER_TOLD = (msgspec.to_builtins(one) for one in (H9, H10, METER))
EXCHANGED = [
    {"serial_number": "SIM-0001", "heart_rate": H9_TOLD, "power": METER_TOLD, "generation": 1},
    {"serial_number": "SIM-0002", "heart_rate": H10_TOLD, "power": "unmanaged", "generation": 1},
]


async def test_with_swap_nothing_is_asked_and_the_approval_that_it_needs_is_told_with_its_command() -> None:
    (talk, out), gateway = pipe(), desk()
    told = ("A sensor moves, so a person has to agree", "type `insiders-gateway pair apply --approve 0123456789ab`")
    gateway.put(0, state="awaiting_approval", text=told[0], action=told[1])
    gateway.groups = [group("0123456789ab", change(ADA, H10, H9), change(BEA, H9, H10))]
    async with gateway.open() as url:
        await set_sensor(url, talk, "Ada", "0C4F", is_swap=True)
    assert [what for what, _, _ in gateway.asked] == ["import"]
    assert gateway.asked[0][2]["trackers"] == EXCHANGED
    assert "  → insiders-gateway pair apply --approve 0123456789ab" in out.getvalue()


async def test_with_swap_a_sensor_that_nobody_has_is_just_set() -> None:
    (talk, _), gateway = pipe(), desk()
    async with gateway.open() as url:
        await set_sensor(url, talk, "Ada", "8D3E", is_swap=True)
    assert [what for what, _, _ in gateway.asked] == ["set"]


async def test_a_strap_that_only_the_cloud_has_for_another_is_exchanged_too() -> None:
    """Of whom nothing is wanted, the sensor that he has is what is given in return; who has none gives none."""
    (talk, _), gateway = pipe(), desk()
    gateway.trackers = [
        tracker(1, "Ada", slot("heart_rate", Wish.UNMANAGED, H10)),
        tracker(2, "Bea", slot("heart_rate", Wish.UNMANAGED, H9)),
        tracker(3, "Cat"),
    ]
    async with gateway.open() as url:
        await set_sensor(url, talk, "Ada", "0C4F", is_swap=True)
        await set_sensor(url, talk, "Cat", "D42F", is_swap=True)
    given = [body["trackers"][1] for _, _, body in gateway.asked]
    assert given == [
        {"serial_number": "SIM-0002", "heart_rate": H10_TOLD, "power": "unmanaged", "generation": 1},
        {"serial_number": "SIM-0001", "heart_rate": "none", "power": "unmanaged", "generation": 1},
    ]


async def test_a_sensor_that_two_others_have_is_not_exchanged_blindly() -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.trackers.append(tracker(3, "Cat", slot("heart_rate", Wish.UNMANAGED, H9)))
    async with gateway.open() as url:
        with pytest.raises(CommandError, match="8 Bea and 9 Cat both have this sensor: clear it at one of them first"):
            await set_sensor(url, talk, "Ada", "0C4F", is_swap=True)
    assert not gateway.asked


async def test_a_refusal_is_the_gateways_sentence() -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.refusals = [RequestError(ErrorCode.FILE_MANAGED, "The configuration says so: change\x1b it there.")]
    async with gateway.open() as url:
        with pytest.raises(CommandError, match=r"^The configuration says so: change it there\.$"):
            await set_sensor(url, talk, "Ada", "8D3E")


async def test_to_clear_is_to_clear_what_is_managed_or_the_slot_that_was_named() -> None:
    (talk, out), gateway = pipe(), desk()
    async with gateway.open() as url:
        await clear(url, talk, "Bea")
        await clear(url, talk, "Ada", slot=Slot.POWER, is_unmanaged=True, is_immediate=True)
    wanted = [{slot: body[slot] for slot in ("heart_rate", "power") if slot in body} for _, _, body in gateway.asked]
    assert wanted == [{"heart_rate": "none"}, {"power": "unmanaged"}]
    assert [body["immediate"] for _, _, body in gateway.asked] == [False, True]
    assert "8 Bea: heart-rate strap to be cleared." in out.getvalue()


async def test_of_two_sensors_nobody_clears_both_without_saying_so() -> None:
    (talk, _), gateway = pipe(), desk()
    async with gateway.open() as url:
        with pytest.raises(
            CommandError, match=r"7 Ada has .*AE60D42F.* and .*17287L.*: say with --slot heart_rate or "
        ):
            await clear(url, talk, "Ada")
    assert not gateway.asked
    for typed, cleared in ((b"1\n", ["heart_rate"]), (b"2\n", ["power"]), (b"B\n", ["heart_rate", "power"])):
        gateway = desk()
        async with gateway.open() as url, person({"[1/2/b]": typed}) as one:
            await clear(url, one.talk, "Ada")
        assert [slot for slot in ("heart_rate", "power") if slot in gateway.asked[0][2]] == cleared
    gateway = desk()
    async with gateway.open() as url, person({"[1/2/b]": b"y\n"}) as one:
        with pytest.raises(CommandError, match="Left as it was"):
            await clear(url, one.talk, "Ada")
    assert not gateway.asked


async def test_the_sensors_of_a_tracker_that_others_manage_are_not_cleared_unless_named() -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.trackers = [tracker(1, "Ada", slot("heart_rate", Wish.UNMANAGED, H10))]
    async with gateway.open() as url:
        with pytest.raises(CommandError, match="No sensor of 7 Ada is managed by this gateway: say with --slot"):
            await clear(url, talk, "Ada")
    assert not gateway.asked


@pytest.mark.parametrize("verb", list(Verb))
async def test_what_a_person_decides_is_for_one_tracker_or_for_all(verb: Verb) -> None:
    (talk, out), gateway = pipe(), desk()
    async with gateway.open() as url:
        await steer(url, talk, verb, ["Bea"], reason="match day")
        await steer(url, talk, verb, [])
    assert [(what, serial, body["reason"]) for what, serial, body in gateway.asked] == [
        (verb, "SIM-0002", "match day"),
        (verb, None, ""),
    ]
    assert out.getvalue().startswith("8 Bea: stopped." if verb is Verb.SUSPEND else "8 Bea: It listens")
    assert out.getvalue().endswith("Adopted: 0 trackers.\n" if verb is Verb.ADOPT else "2 trackers.\n")


async def test_to_adopt_all_says_of_how_many_trackers_that_was_nothing_and_why() -> None:
    (talk, out), gateway = pipe(), desk()
    gateway.trackers = [
        *(tracker(n, f"New {n}", state="unmanaged", managed_by="nobody", generation=0) for n in range(8)),
        *(tracker(n, None, state="unknown", managed_by="nobody", generation=0, read_ms=None) for n in range(10, 32)),
        *(tracker(n, None, managed_by="file") for n in (40, 41)),
        tracker(50, "Eve", state="awaiting_approval", change_set="0123456789ab"),
    ]

    def adopt() -> None:
        for place in range(8):
            gateway.put(place, generation=1, managed_by="field")

    gateway.on_asked = adopt
    async with gateway.open() as url:
        await steer(url, talk, Verb.ADOPT, [])
    assert out.getvalue().splitlines() == [
        "Adopted: 8 trackers.",
        "Not read from the cloud yet: 22: wait, then type it again.",
        "Left to config.toml: 2.",
        "To be changed otherwise, and left so: 1. Name them, together, to keep what the cloud has.",
    ]


async def test_to_adopt_before_anything_was_read_says_so() -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.trackers = [tracker(n, None, state="unknown", managed_by="nobody", read_ms=None) for n in (1, 2)]
    gateway.refusals = [RequestError(ErrorCode.NOTHING_TO_DO, "There is nothing to adopt.")]
    async with gateway.open() as url:
        with pytest.raises(CommandError, match=r"^Nothing was adopted\. Not read from the cloud yet: 2: wait, then"):
            await steer(url, talk, Verb.ADOPT, [])
        gateway.put(0, read_ms=NOW_MS)
        with pytest.raises(CommandError, match="SIM-0002 was not read from the cloud yet"):
            await steer(url, talk, Verb.ADOPT, ["0001", "0002"])


async def test_what_several_trackers_have_is_adopted_at_once_so_that_an_exchange_can_be_taken_back() -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.trackers = [
        tracker(1, "Ada", slot("heart_rate", H9, H10), slot("power", Wish.UNMANAGED, METER)),
        tracker(2, "Bea", slot("heart_rate", H10, None)),
        tracker(3, "Cat", slot("heart_rate", Wish.UNMANAGED, SPARE), managed_by="nobody"),
    ]
    async with gateway.open() as url:
        await steer(url, talk, Verb.ADOPT, ["Ada", "Bea", "Cat", "Ada"])
    [(what, _, body)] = gateway.asked
    assert what == "import"
    assert [(one["heart_rate"], one["power"]) for one in body["trackers"]] == [
        (H10_TOLD, "unmanaged"),
        ("none", "unmanaged"),
        (SPARE_TOLD, "unmanaged"),
    ]


SWAP = group("0123456789ab", change(ADA, H10, H9), change(BEA, H9, H10))
BULK = group("01c0ffee0000", change(ADA, METER, None, "power"), why=("bulk",))
FREE = group("feedfeedfeed", change(BEA, None, METER, "power"), why=(), is_approved=True)


@pytest.mark.parametrize(
    ("typed", "hash_"),
    [("0123456789ab", "0123456789ab"), ("0123", "0123456789ab"), ("FEED", "feedfeedfeed"), ("a11a", "a11a11a11a11")],
)
async def test_changes_are_approved_by_their_hash_or_its_beginning(typed: str, hash_: str) -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.groups = [SWAP, BULK, FREE]
    async with gateway.open() as url:
        await apply(url, talk, approve=typed, is_unconfirmed_ok=True)
    assert [(body["approve"], body["unconfirmed"]) for _, _, body in gateway.asked] == [(hash_, True)]


@pytest.mark.parametrize("typed", ["01", "012", "beef", "", "0123456789abc"])
async def test_a_hash_that_is_too_short_or_unknown_approves_nothing(typed: str) -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.groups = [SWAP, BULK]
    async with gateway.open() as url:
        with pytest.raises(
            CommandError, match="is not what is to change, or not any more: `insiders-gateway pair plan"
        ):
            await apply(url, talk, approve=typed)
    assert not gateway.asked


async def test_nothing_to_change_is_nothing_to_approve() -> None:
    (talk, out), gateway = pipe(), desk()
    async with gateway.open() as url:
        await apply(url, talk)
        with pytest.raises(CommandError, match="Nothing is to change"):
            await apply(url, talk, approve="0123456789ab")
    assert out.getvalue() == "Nothing is to change.\n"


async def test_without_a_hash_all_that_needs_somebody_is_shown_and_asked_for_once() -> None:
    gateway = desk()
    gateway.groups = [SWAP, BULK, FREE]
    async with gateway.open() as url, person({"[y/N]": b"y\n"}) as one:
        await apply(url, one.talk)
    assert "Approve all 2 of them? [y/N]" in one.text
    assert "feedfeedfeed" not in one.text
    assert [body["approve"] for _, _, body in gateway.asked] == ["0123456789ab", "01c0ffee0000"]


async def test_while_athletes_train_one_question_is_about_both() -> None:
    gateway = desk()
    gateway.groups, gateway.told = [SWAP, BULK], {"session_until_ms": NOW_MS}
    async with gateway.open() as url, person({"[y/N]": b"y\n"}) as one:
        await apply(url, one.talk)
    assert "at least). Approve all 2 of them, and change it now? [y/N]" in one.text
    assert [body["during_session"] for _, _, body in gateway.asked] == [True, True]


async def test_without_a_terminal_nothing_is_approved_that_was_not_named() -> None:
    (talk, _), gateway = pipe(), desk()
    gateway.groups = [SWAP]
    async with gateway.open() as url:
        with pytest.raises(CommandError, match="Say what you approve with --approve and its hash"):
            await apply(url, talk)
    assert not gateway.asked


async def test_what_was_not_agreed_to_is_not_approved() -> None:
    gateway = desk()
    gateway.groups = [SWAP]
    async with gateway.open() as url, person({"[y/N]": b"no\n"}) as one:
        with pytest.raises(CommandError, match="Left as it was"):
            await apply(url, one.talk)
        await one.saw("Not approved: nothing of it changes before somebody does. To keep what the cloud has:")
    assert not gateway.asked


async def test_who_does_not_approve_what_was_asked_for_is_told_how_to_take_it_back() -> None:
    gateway = desk()
    gateway.put(0, state="awaiting_approval")
    gateway.groups = [SWAP]
    async with gateway.open() as url, person({"Approve it? [y/N]": b"n\n"}) as one:
        await set_sensor(url, one.talk, "Ada", "8D3E")
        await one.saw("To keep what the cloud has: → insiders-gateway pair adopt SIM-0001 SIM-0002 --url ")
    assert [what for what, _, _ in gateway.asked] == ["set"]


async def test_a_gateway_that_is_not_there_is_one_sentence() -> None:
    talk, _ = pipe()
    with pytest.raises(GatewayError, match=r"Nothing answers at .*: start the gateway"):
        await set_sensor("ws://127.0.0.1:1/api/v1/stream", talk, "Ada", "8D3E")

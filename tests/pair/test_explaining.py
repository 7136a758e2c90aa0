"""How one tracker stands, and what is to change, in words."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.pair.explaining import explain, explained
from gateway.pair.planning import planned, show_plan
from gateway.pairing.documents import Wish
from gateway.pairing.report import ChangeSetReport, PairingReport, PlanReport
from gateway.terminal.addressing import gateway_url
from gateway.terminal.errors import CommandError
from tests.pair.desk import H9, H10, METER, SPARE, Desk, change, condition, event, group, slot, tracker
from tests.terminal.person import person, pipe
from tests.test_scan import NOW_MS

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
URL = "ws://127.0.0.1:8770/api/v1/stream"

WAITS = ("Polar H10 8D3E waits in the cloud since 07:00 for SIM-0001", "switch SIM-0001 off and on")
ADA = tracker(
    1,
    "Ada Lindqvist",
    slot("heart_rate", SPARE, SPARE, current=H10),
    slot("power", Wish.UNMANAGED, METER),
    "awaiting_device",
    WAITS,
    conditions=(
        condition("Ready", "false", "AwaitingPowerCycle", *WAITS),
        condition("Suspended", "false", "Ok", "Nobody has stopped changes of SIM-0001"),
        condition("CloudReachable", "true", "Ok", "The cloud tells what SIM-0001 listens to"),
        condition("DeviceConverged", "false", "AwaitingPowerCycle", *WAITS, slot="heart_rate"),
        condition("SensorSeen", "unknown", "NoAdapter", "Not known: no adapter", "plug one in", slot="heart_rate"),
        condition("SensorMatched", "unknown", "AwaitingDevice", "It does not listen to it yet", slot="heart_rate"),
        condition("SensorDelivering", "unknown", "AwaitingDevice", "It does not listen to it yet", slot="heart_rate"),
        condition("Reconciling", "true", "Waiting", "The gateway waits for the tracker"),
        condition("Stalled", "false", "Ok", "SIM-0001 is not stuck"),
    ),
    events=tuple(event(f"The cloud was told, {n}", 2 * n, author="kim", slot="heart_rate", count=n) for n in range(20)),
)
BEA = tracker(
    2,
    "Bea",
    slot("heart_rate", H9, H9),
    conditions=(
        condition("Ready", "true", "Ok", "It listens to what is wanted"),
        condition("SensorDelivering", "true", "Ok", "It sends heart rates"),
        condition("Stalled", "false", "Ok", "It is not stuck"),
    ),
)


def told(report: PairingReport, width: int = 80) -> list[str]:
    return [line.plain for line in explained(report, URL, NOW, width, 3)]


def test_what_is_not_right_has_one_sentence_and_one_action_each() -> None:
    assert "\n".join(told(ADA)) == EXPLAINED.strip("\n")


EXPLAINED = """
7 Ada Lindqvist (SIM-0001): not in tracker.
  Heart-rate strap: Polar H10 8D3E is wanted; the tracker has Polar H10
  AE60D42F, and the cloud Polar H10 8D3E for it.
  Power meter: not managed; the tracker has ASSIOMA17287L.
! Heart-rate strap: Polar H10 8D3E waits in the cloud since 07:00 for SIM-0001.
  → Switch SIM-0001 off and on.
? Heart-rate strap: Not known: no adapter (since 07:00).
  → Plug one in.
? Heart-rate strap: It does not listen to it yet (since 07:00).
… The gateway waits for the tracker (since 07:00).
Lately:
  08:00  Heart-rate strap: The cloud was told, 0 (by kim)
  07:58  Heart-rate strap: The cloud was told, 1 (by kim)
  07:56  Heart-rate strap: The cloud was told, 2 (by kim), 2 times
"""


def test_where_all_is_right_it_says_so_and_a_condition_that_is_false_for_the_better_is_no_trouble() -> None:
    assert told(BEA)[3:] == ["All is right."]


@pytest.mark.parametrize("type_", ["Suspended", "Stalled"])
def test_some_conditions_are_trouble_if_they_are_true(type_: str) -> None:
    stuck = msgspec.structs.replace(BEA, conditions=(condition(type_, "true", "X", "It is stuck", "do something"),))
    assert told(stuck)[3:] == ["! It is stuck (since 07:00).", "  → Do something."]


def test_the_summary_is_told_only_where_nothing_else_says_what_is_wrong() -> None:
    lost = msgspec.structs.replace(
        BEA, state="unknown", conditions=(condition("Ready", "false", "NotOurs", "It is another's", "claim it"),)
    )
    assert told(lost)[3:] == ["! It is another's (since 07:00).", "  → Claim it."]


def test_what_is_not_managed_is_neither_right_nor_wrong() -> None:
    alone = tracker(3, "Cat", None, None, "unmanaged", ("Nothing is wanted of it, so it is left alone", ""))
    assert told(alone)[-1] == "Nothing is wrong: Nothing is wanted of it, so it is left alone."


async def test_a_tracker_is_found_by_any_part_and_told_with_all_that_has_happened_into_a_pipe() -> None:
    talk, out = pipe()
    async with Desk([ADA, BEA]).open() as url:
        await explain(url, talk, "ada")
        with pytest.raises(CommandError, match="No tracker and no athlete is called 'Zed'"):
            await explain(url, talk, "Zed")
    assert out.getvalue().count("The cloud was told") == 20
    assert max(map(len, out.getvalue().splitlines())) > 80  # nothing is wrapped
    async with Desk([ADA]).open() as url, person() as one:
        await explain(url, one.talk, "7")
        await one.saw("Lately:")
        await one.saw("The cloud was told, 4")
        assert "told, 5" not in one.text


async def test_as_json_a_tracker_is_one_document() -> None:
    talk, out = pipe()
    async with Desk([ADA, BEA]).open() as url:
        await explain(url, talk, "SIM-0002", is_json=True)
    assert msgspec.json.decode(out.getvalue(), type=PairingReport) == BEA


SWAP = group("0123456789ab", change(ADA, H10, H9), change(BEA, H9, H10))
DRIFT = group("c0ffee000000", change(ADA, None, METER, "power"), why=("drift", "bulk"))
FREE = group("feedfeedfeed", change(BEA, None, METER, "power"), why=(), is_approved=True)


def plan(*groups: ChangeSetReport) -> PlanReport:
    return Desk(groups=list(groups)).plan()


def test_what_is_to_change_can_be_read_aloud_with_what_to_type() -> None:
    shown = "\n".join(line.plain for line in planned(plan(SWAP, DRIFT, FREE), URL, NOW, 80))
    assert shown == PLANNED.strip("\n")


PLANNED = """
3 groups of changes, 2 of them need you.

Group 0123456789ab: needs you: a sensor moves from one tracker to another.
  7 Ada Lindqvist, heart-rate strap: Polar H10 AE60D42F → Polar H9 0C4FA154.
  8 Bea, heart-rate strap: Polar H9 0C4FA154 → Polar H10 AE60D42F.
  → insiders-gateway pair apply --approve 0123456789ab

Group c0ffee000000: needs you: somebody else has changed it, many trackers
change at once.
  7 Ada Lindqvist, power meter: none → ASSIOMA17287L.
  → insiders-gateway pair apply --approve c0ffee000000

Group feedfeedfeed: needs nobody.
  8 Bea, power meter: none → ASSIOMA17287L (to be approved).

All of it:
  → insiders-gateway pair apply --approve a11a11a11a11
"""


def test_without_changes_the_plan_says_so_and_a_session_says_until_when_they_wait() -> None:
    assert [line.plain for line in planned(plan(), URL, NOW, 80)] == ["Nothing is to change."]
    until = msgspec.structs.replace(plan(FREE), session_until_ms=NOW_MS + 120_000)
    assert planned(until, URL, NOW, 80)[1].plain == "Athletes train (until 08:02 at least): changes wait."


def test_the_command_to_approve_names_the_gateway_if_it_is_another_one_and_fits_the_window() -> None:
    shown = [line.plain for line in planned(plan(DRIFT), "ws://127.0.0.1:65535/api/v1/stream", NOW, 80)]
    assert shown[-1] == "  → insiders-gateway pair apply --approve c0ffee000000 --url 127.0.0.1:65535"
    assert len(shown[-1]) <= 80


def test_what_to_do_next_names_the_gateway_in_an_explanation() -> None:
    stuck = msgspec.structs.replace(
        BEA, conditions=(condition("Stalled", "true", "X", "It is stuck", "type `insiders-gateway pair retry X`"),)
    )
    lines = [line.plain for line in explained(stuck, gateway_url("9000"), NOW, 80, 3)]
    assert lines[-1] == "  → Type `insiders-gateway pair retry X --url 127.0.0.1:9000`."


def test_of_what_has_happened_no_more_lines_are_told_than_there_is_room_for() -> None:
    long = msgspec.structs.replace(ADA, events=tuple(event("It has happened. " * 8, n) for n in range(4)))
    lines = [line.plain for line in explained(long, URL, NOW, 80, 5)]
    assert 0 < len(lines) - lines.index("Lately:") - 1 <= 5


def test_a_tracker_that_somebody_has_stopped_is_not_called_in_order_and_nobody_is_named_twice() -> None:
    stopped = condition("Suspended", "true", "OperatorSuspend", "All changes were stopped", "type resume")
    nameless = tracker(5, None, conditions=(stopped,), managed_by="file")
    assert told(nameless)[0] == "11 SIM-0005: stopped. Only the configuration says what it shall have."


async def test_as_json_the_plan_is_one_document() -> None:
    talk, out = pipe()
    async with Desk([ADA], [SWAP]).open() as url:
        await show_plan(url, talk, is_json=True)
    assert msgspec.json.decode(out.getvalue(), type=PlanReport) == plan(SWAP)

"""What a technician with cold hands reads: one sentence and one thing to do, a line each on a small screen."""

from datetime import UTC, timedelta, timezone
from string import Formatter

import pytest

from gateway.pairing.conditions import ConditionType, Finding, Reason, Status
from gateway.pairing.desired import Origin
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.planning.sentences import SENTENCES, called, clock, condition, slot_facts, taking, tracker_facts

COLUMNS = 80
NOON_MS = 1_700_049_600_000
"""2023-11-15 12:00 UTC."""

STRAP = Sensor("a0:9e:1a:8d:3e:12", "Polar H10 8D3E1234")
OTHERS = {
    "other": "SIM-0002",
    "taking": taking("SIM-0002", Origin.FIELD, Slot.HEART_RATE),
    "release": "switch SIM-0002 off and on",
    "since": "14:02",
    "until": "14:32",
    "read": "last read at 14:02",
    "author": "somebody1",
    "why": "A sensor moves to another tracker",
    "hash": "3f2a9c0d11e2",
    "new": "a0:9e:1a:8d:3e:13",
    "radio": "Bluetooth has heard no device at all for a while",
    "remedy": "plug in an adapter",
    "outage": "The cloud cannot be reached at api.example.org, no connection",
    "remark": "",
}


def facts(origin: Origin, slot: Slot) -> dict[str, str]:
    return {**slot_facts(tracker_facts("SIM-0001", origin), origin, slot, STRAP, STRAP), **OTHERS}


def test_every_reason_has_a_sentence() -> None:
    assert set(Reason) <= set(SENTENCES)


def test_every_condition_that_holds_says_so_in_its_own_words() -> None:
    holding = {type_ for type_ in ConditionType if (type_, Reason.OK) in SENTENCES}
    assert holding == set(ConditionType) - {ConditionType.RECONCILING}


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("slot", Slot)
@pytest.mark.parametrize("key", SENTENCES)
def test_a_sentence_and_what_to_do_next(key: Reason | tuple[ConditionType, Reason], slot: Slot, origin: Origin) -> None:
    type_, reason = key if isinstance(key, tuple) else (ConditionType.READY, key)
    told = condition(type_, slot, Finding(Status.FALSE, reason), facts(origin, slot))
    assert told.text[0].isupper()
    assert told.text[-1] not in ".!?,:;"
    assert len(told.text) <= COLUMNS, told.text
    assert len(told.action) <= COLUMNS, told.action
    assert not told.action or told.action[0].islower()
    assert not told.action.endswith(".")
    assert told.action.count("`") % 2 == 0


def test_only_known_facts_are_named() -> None:
    known = set(facts(Origin.FIELD, Slot.HEART_RATE))
    for sentence in SENTENCES.values():
        for text in sentence:
            assert {name for _, name, _, _ in Formatter().parse(text) if name} <= known


def test_who_is_managed_by_the_file_is_not_sent_to_a_command_that_refuses() -> None:
    for slot in Slot:
        for reason in Reason:
            told = condition(ConditionType.VALID, slot, Finding(Status.FALSE, reason), facts(Origin.FILE, slot))
            for command in ("pair set", "pair adopt"):
                assert command not in told.action
    assert "pair" not in taking("SIM-0002", Origin.FILE, Slot.POWER)


def test_what_is_wrong_with_a_reason_of_its_own_says_what_to_do() -> None:
    """Nothing to be done is said only where waiting is no work, or where another condition says it."""
    silent = {reason for reason in Reason if not SENTENCES[reason].action}
    assert silent == {
        Reason.OK,
        Reason.UNMANAGED,
        Reason.CLOUD_AWAY,
        Reason.NOTHING_TO_APPROVE,
        Reason.NOT_WRITTEN,
        Reason.WRITING,
        Reason.WRITE_FAILED,
        Reason.OUTCOME_UNKNOWN,
        Reason.HELD_BY_TRACKER,
        Reason.TARGET_UNWANTED,
        Reason.NOT_BROADCASTING,
        Reason.TOO_LITTLE,
        Reason.IDLE,
        Reason.WAITING,
        Reason.RETRYING,
    }


def test_what_a_person_types_is_whole() -> None:
    told = condition(
        ConditionType.APPROVED, None, Finding(Status.FALSE, Reason.APPROVAL_NEEDED), facts(Origin.FIELD, Slot.POWER)
    )
    assert told.action == "type `insiders-gateway pair apply --approve 3f2a9c0d11e2`"
    told = condition(
        ConditionType.VALID, Slot.POWER, Finding(Status.FALSE, Reason.BAD_MAC), facts(Origin.FIELD, Slot.POWER)
    )
    assert told.action == "type `insiders-gateway pair set SIM-0001 SENSOR --slot power`"


def test_a_sensor_is_called_by_its_name_and_by_its_address_if_it_has_none() -> None:
    assert called(STRAP, Slot.HEART_RATE) == "Polar H10 8D3E1234"
    assert called(Sensor(STRAP.address, ""), Slot.HEART_RATE) == STRAP.address
    assert called(None, Slot.POWER) == "no power meter"


@pytest.mark.parametrize(
    ("hours", "zone", "told"),
    [
        (0, UTC, "12:00"),
        (-11.5, UTC, "00:30"),
        (-13, UTC, "2023-11-14 23:00"),
        (0, timezone(timedelta(hours=5, minutes=30)), "17:30"),
        (-13, timezone(timedelta(hours=5)), "04:00"),
    ],
)
def test_times_are_those_of_the_place(hours: float, zone: timezone, told: str) -> None:
    assert clock(NOON_MS + hours * 3_600_000, NOON_MS, zone) == told

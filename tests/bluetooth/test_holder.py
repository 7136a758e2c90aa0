"""Who has a sensor: the sentence for each situation a technician meets, and what holds for every evidence there is."""

from dataclasses import replace

import pytest

from gateway.bluetooth.cautions import LOW_BATTERY_PERCENT
from gateway.bluetooth.evidence import Evidence
from gateway.bluetooth.holder import FAINT_DBM, FLAT_PERCENT, JUST_S, OVERLAP_S, Holder, Verdict, judge
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.presence import Presence
from gateway.bluetooth.radio import Radio, RadioState
from gateway.telemetry.delivery import WITHIN_MS

TRACKER = "TRK-2026-00147"
LONGEST_SENTENCE = 80

STRAP = Evidence(is_listening=True, presence=Presence.SEEN, kind=SensorKind.HEART_RATE, rssi_dbm=-60, is_worn=True)
"""A strap of nobody, near and worn."""
OURS = replace(STRAP, tracker=TRACKER, delivers=False, unused_for_s=JUST_S)
"""A strap whose tracker is on and gets nothing."""
METER = replace(OURS, kind=SensorKind.POWER, is_worn=None)
BOTH = replace(OURS, delivers=True, both_for_s=OVERLAP_S)


def gone(evidence: Evidence) -> Evidence:
    return replace(evidence, presence=Presence.GONE)


def never(evidence: Evidence) -> Evidence:
    return replace(gone(evidence), was_heard=False, rssi_dbm=None, is_worn=None)


SITUATIONS = {
    "a spare strap on the table, on": (STRAP, Holder.FREE, "Visible and free", ""),
    "taken off a moment ago": (replace(STRAP, is_worn=False), Holder.FREE, "not worn", ""),
    "assigned, and the tracker was not on since": (
        replace(OURS, is_applied=False, delivers=True),
        Holder.FREE,
        "its tracker has not taken it over",
        "switch the tracker off and on",
    ),
    "the tracker lies in its box": (replace(OURS, delivers=None), Holder.FREE, "is silent", "switch the tracker on"),
    "the tracker is on and does not find the strap": (OURS, Holder.NOT_USED, "gets no heart rate", "off and on"),
    "the tracker is on and does not find the power meter": (METER, Holder.NOT_USED, "gets no power", "off and on"),
    "the strap has a new address since its battery was changed": (
        replace(OURS, has_new_address=True),
        Holder.NOT_USED,
        "under a new address",
        "assign it to the tracker again",
    ),
    "advertising and dry": (replace(OURS, is_worn=False), Holder.NOT_WORN, "without skin contact", "wet"),
    "dual link": (BOTH, Holder.SHARED, "gets heart rate, probably from it", ""),
    "heard once more while its tracker took it": (replace(BOTH, both_for_s=3.0), Holder.TRACKER, "In use by", ""),
    "new address, and heart rate comes all the same": (
        replace(BOTH, has_new_address=True),
        Holder.SHARED,
        "perhaps from another sensor",
        "compare",
    ),
    "held by its tracker": (gone(BOTH), Holder.TRACKER, f"In use by {TRACKER}, which gets its heart rate", ""),
    "held by its tracker, never heard by us": (never(BOTH), Holder.TRACKER, "In use by", ""),
    "just taken by its tracker": (replace(BOTH, presence=Presence.QUIET), Holder.TRACKER, "In use by", ""),
    "the tracker may have it, or the one before it": (
        replace(gone(BOTH), is_applied=False),
        Holder.UNKNOWN,
        "from it or from another",
        "off and on",
    ),
    "vanished a moment ago": (replace(gone(OURS), silent_s=29.0), Holder.UNKNOWN, "some seconds", "wait"),
    "vanished, and its tracker has it already": (
        replace(gone(OURS), silent_s=12.0, delivers=True),
        Holder.TRACKER,
        "In use by",
        "",
    ),
    "quiet for some seconds": (replace(OURS, presence=Presence.QUIET), Holder.UNKNOWN, "some seconds", "wait"),
    "taken by the athlete's phone": (gone(OURS), Holder.ELSEWHERE, "probably held by a phone or watch", "phone"),
    "a spare strap taken by a phone": (gone(STRAP), Holder.ELSEWHERE, "probably held by a phone", "phone"),
    "vanished, and it never told whether it was worn": (
        replace(gone(OURS), is_worn=None),
        Holder.ELSEWHERE,
        "taken off, or held by",
        "wet and worn; then",
    ),
    "vanished, and nobody knows the trackers": (
        replace(gone(STRAP), are_trackers_known=False),
        Holder.UNKNOWN,
        "held by a tracker, phone or watch",
        "",
    ),
    "power meter vanished, and nobody knows the trackers": (
        replace(gone(METER), tracker=None, delivers=None, are_trackers_known=False),
        Holder.UNKNOWN,
        "asleep, or held by a tracker",
        "",
    ),
    "power meter vanished": (gone(METER), Holder.ELSEWHERE, "asleep, or held by", "turn the cranks; then"),
    "taken off": (replace(gone(OURS), is_worn=False), Holder.NOT_WORN, "probably taken off", "wet"),
    "in the bag since morning": (never(OURS), Holder.NOT_WORN, "probably not worn", "wet a strap's electrodes"),
    "tracker and strap in the bag": (
        never(replace(OURS, delivers=None)),
        Holder.NOT_WORN,
        "its tracker is silent: not worn, or held by it",
        "wet",
    ),
    "bicycle in the stand": (never(METER), Holder.NOT_WORN, "probably asleep", "turn the cranks"),
    "carried away": (replace(gone(OURS), rssi_dbm=FAINT_DBM), Holder.OUT_OF_REACH, "probably out of reach", "closer"),
    "an old battery": (
        replace(gone(OURS), battery_percent=FLAT_PERCENT),
        Holder.FLAT,
        f"{FLAT_PERCENT} % left: probably flat",
        "battery",
    ),
    "its tracker is out of reach of the network": (
        replace(gone(OURS), delivers=None),
        Holder.UNKNOWN,
        "is silent and may hold it",
        "switch the tracker on",
    ),
    "we look at it": (replace(gone(OURS), is_linked=True), Holder.GATEWAY, "looking at it now", ""),
    "the radio has only begun": (
        replace(OURS, presence=Presence.UNKNOWN),
        Holder.UNKNOWN,
        "just begun to listen",
        "wait",
    ),
    "the radio has only begun, and the tracker knows better": (
        replace(OURS, presence=Presence.UNKNOWN, delivers=True),
        Holder.TRACKER,
        f"In use by {TRACKER}",
        "",
    ),
    "nobody is on the pitch": (
        replace(OURS, presence=Presence.UNKNOWN, radio_text="Nothing was heard", radio_action="hold a phone near"),
        Holder.UNKNOWN,
        "Nothing was heard",
        "hold a phone near",
    ),
    "a spare strap, and nobody knows the trackers": (
        replace(STRAP, are_trackers_known=False),
        Holder.UNKNOWN,
        "only a gateway knows",
        "",
    ),
    "switched on a moment ago": (replace(OURS, unused_for_s=29.0), Holder.UNKNOWN, "about to take it", "wait"),
    "dual link, and its tracker has lost the network": (
        replace(BOTH, delivers=None, delivered_ago_s=20.0),
        Holder.UNKNOWN,
        "is silent, and may have it all the same",
        "has network",
    ),
    "held by its tracker, which has lost the network": (
        replace(gone(OURS), delivers=None, silent_s=900.0, delivered_ago_s=20.0),
        Holder.UNKNOWN,
        "is silent, and had it last",
        "network",
    ),
    "never heard, held by its tracker, which has lost the network": (
        replace(never(OURS), delivers=None, silent_s=900.0, delivered_ago_s=20.0),
        Holder.UNKNOWN,
        "is silent, and had it last",
        "network",
    ),
    "heard since its tracker, which is off now, had it": (
        replace(gone(OURS), delivers=None, silent_s=60.0, delivered_ago_s=300.0),
        Holder.UNKNOWN,
        "is silent and may hold it",
        "switch the tracker on",
    ),
    "the gateway has only begun": (replace(never(OURS), silent_s=29.0), Holder.UNKNOWN, "Not seen yet", "wait"),
    "who knows what": (replace(STRAP, kind=SensorKind.UNKNOWN), Holder.UNKNOWN, "perhaps not a sensor", ""),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_technician_is_told_what_is_likely_and_what_to_do(situation: str) -> None:
    evidence, holder, text, action = SITUATIONS[situation]
    verdict = judge(evidence)
    assert verdict.holder is holder
    assert text in verdict.text
    assert action in verdict.action
    assert bool(action) == bool(verdict.action)


def test_a_faint_sensor_is_out_of_reach_and_a_strong_one_is_not() -> None:
    assert judge(replace(gone(OURS), rssi_dbm=FAINT_DBM + 1)).holder is Holder.ELSEWHERE


def test_a_battery_that_lasts_is_no_reason() -> None:
    assert judge(replace(gone(OURS), battery_percent=FLAT_PERCENT + 1)).holder is Holder.ELSEWHERE


def everything() -> list[Evidence]:
    """Every combination of what can be known."""
    return [
        Evidence(
            is_listening=is_listening,
            radio_text="Bluetooth adapter hci0 is switched off",
            radio_action="run `bluetoothctl power on`",
            presence=presence,
            kind=kind,
            is_linked=is_linked,
            was_heard=was_heard,
            rssi_dbm=rssi_dbm,
            is_worn=is_worn,
            battery_percent=battery_percent,
            tracker=tracker,
            is_applied=is_applied,
            delivers=delivers,
            both_for_s=both_for_s,
            has_new_address=has_new_address,
        )
        for is_listening in (False, True)
        for presence in Presence
        for kind in SensorKind
        for is_linked in (False, True)
        for was_heard, rssi_dbm in ((False, None), (True, None), (True, -60), (True, -95))
        for is_worn in (None, False, True)
        for battery_percent in (None, 5, 90)
        for tracker in (None, TRACKER)
        for is_applied in (False, True)
        for delivers in (None, False, True)
        for both_for_s in (0.0, 60.0)
        for has_new_address in (False, True)
        if was_heard or presence is not Presence.SEEN
        if tracker is not None or delivers is None
    ]


@pytest.fixture(scope="module", name="judged")
def _judged() -> list[tuple[Evidence, Verdict]]:
    return [(evidence, judge(evidence)) for evidence in everything()]


def test_a_deaf_radio_knows_nothing_whatever_else_is_known(judged: list[tuple[Evidence, Verdict]]) -> None:
    for evidence, verdict in judged:
        if not evidence.is_listening:
            assert verdict.holder is Holder.UNKNOWN
            assert evidence.radio_text in verdict.text
            assert verdict.action == evidence.radio_action


def test_where_nothing_follows_from_silence_only_a_tracker_knows_better(
    judged: list[tuple[Evidence, Verdict]],
) -> None:
    for evidence, verdict in judged:
        if evidence.is_listening and evidence.presence is Presence.UNKNOWN and not evidence.is_linked:
            is_delivered = evidence.delivers and evidence.is_applied
            assert verdict.holder is (Holder.TRACKER if is_delivered else Holder.UNKNOWN)


def test_a_tracker_has_a_sensor_only_if_it_delivers_and_has_taken_it_over(
    judged: list[tuple[Evidence, Verdict]],
) -> None:
    for evidence, verdict in judged:
        if verdict.holder in {Holder.TRACKER, Holder.SHARED}:
            assert evidence.delivers
            assert evidence.is_applied
            assert TRACKER in verdict.text
        if verdict.holder is Holder.SHARED:
            assert evidence.presence is Presence.SEEN
            assert evidence.both_for_s >= OVERLAP_S


def test_nothing_that_is_missing_is_free_or_unused(judged: list[tuple[Evidence, Verdict]]) -> None:
    for evidence, verdict in judged:
        if verdict.holder in {Holder.FREE, Holder.NOT_USED}:
            assert evidence.presence is Presence.SEEN


def test_only_we_ourselves_hold_what_we_look_at(judged: list[tuple[Evidence, Verdict]]) -> None:
    for evidence, verdict in judged:
        assert (verdict.holder is Holder.GATEWAY) == (evidence.is_linked and evidence.is_listening)


def test_whatever_is_in_the_way_has_an_action(judged: list[tuple[Evidence, Verdict]]) -> None:
    fine = {Holder.TRACKER, Holder.SHARED, Holder.GATEWAY, Holder.FREE}
    for evidence, verdict in judged:
        is_strangers = evidence.kind is SensorKind.UNKNOWN and evidence.tracker is None
        assert verdict.action or verdict.holder in fine or is_strangers, verdict


def test_what_is_guessed_does_not_sound_certain(judged: list[tuple[Evidence, Verdict]]) -> None:
    guessed = {Holder.ELSEWHERE, Holder.FLAT, Holder.OUT_OF_REACH}
    for evidence, verdict in judged:
        is_guess = verdict.holder in guessed or (
            verdict.holder is Holder.NOT_WORN and evidence.presence is not Presence.SEEN
        )
        if is_guess:
            assert "probably" in verdict.text or ", or " in verdict.text, verdict


def test_electrodes_and_cranks_come_before_any_advice_about_radio(judged: list[tuple[Evidence, Verdict]]) -> None:
    for evidence, verdict in judged:
        if evidence.is_listening and not evidence.was_heard and verdict.holder is Holder.NOT_WORN:
            assert {SensorKind.HEART_RATE: "wet", SensorKind.POWER: "cranks"}.get(evidence.kind, "") in verdict.action
        if verdict.holder is Holder.ELSEWHERE and not evidence.is_worn:
            assert verdict.action.startswith(("turn the cranks", "make sure that it is wet"))


def test_sentences_fit_a_line_and_are_one_sentence(judged: list[tuple[Evidence, Verdict]]) -> None:
    for verdict in {verdict for _, verdict in judged}:
        for text in (verdict.text, verdict.action):
            assert len(text) <= LONGEST_SENTENCE, text
            assert "." not in text
            assert "None" not in text
        assert verdict.text[0].isupper()
        assert verdict.action[:1].islower() or not verdict.action


@pytest.mark.parametrize("state", [state for state in RadioState if state is not RadioState.LISTENING])
def test_each_trouble_of_the_radio_is_named(state: RadioState) -> None:
    radio = Radio(state, "hci0")
    verdict = judge(replace(OURS, is_listening=radio.is_listening, radio_text=radio.text, radio_action=radio.action))
    assert verdict == Verdict(Holder.UNKNOWN, f"Unknown: {radio.text}", radio.action)


def test_a_tracker_that_has_lost_the_sensor_counts_as_delivering_for_less_long_than_makes_it_shared() -> None:
    assert OVERLAP_S * 1000 > WITHIN_MS


def test_what_is_faint_or_flat_is_no_matter_of_taste() -> None:
    """A strap that is heard with two bars was not carried away, and one with a fifth of its battery is not empty."""
    assert -90 <= FAINT_DBM < -80
    assert FLAT_PERCENT < LOW_BATTERY_PERCENT

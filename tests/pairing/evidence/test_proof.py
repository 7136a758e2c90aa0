"""Whose heart rate a strap broadcasts: thirty athletes who do the same drill, with lag, holes and values that stand."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.pairing.evidence.proof import FEWEST_S, GAP_S, LAG_S, SPAN_S, Rates, whose
from gateway.pairing.observation import Match

TEAM = 30
SERIAL_NUMBERS = tuple(f"SIM-{number:04}" for number in range(TEAM))
NAN = np.float32(np.nan)
DURATION_S = 600
HEARD = slice(DURATION_S - LAG_S - SPAN_S, DURATION_S - LAG_S)
SENT = slice(HEARD.start - LAG_S, HEARD.stop + LAG_S)

Floats = NDArray[np.float64]


def hearts(rng: np.random.Generator, spread: float = 1.0, hardest: float = 0.95) -> Floats:
    """Heart rates of a team that does the same drill, one a second, bpm, shape (athletes, seconds).

    Args:
        rng: Draws the drill and the athletes.
        spread: How much the athletes differ: 1 as people do, 0 not at all.
        hardest: The hardest effort of the drill, as a share of what they can.
    """
    efforts = list[float]()
    while len(efforts) < DURATION_S:
        efforts += [rng.uniform(0.2, hardest)] * int(rng.integers(15, 120))
    resting = 55 + spread * rng.uniform(-9, 9, TEAM)
    maximal = 190 + spread * rng.uniform(-12, 12, TEAM)
    gain = 1 + spread * rng.normal(0, 0.07, TEAM)
    reaction_s = rng.integers(0, 4, TEAM)
    rise_s, fall_s = (mean_s * (1 + spread * rng.uniform(-0.2, 0.2, TEAM)) for mean_s in (30, 60))
    level, zeal, variability = efforts[0] * gain, np.zeros(TEAM), np.zeros(TEAM)
    rates = np.empty((TEAM, DURATION_S))
    for second in range(DURATION_S):
        zeal = 0.97 * zeal + rng.normal(0, 0.02 * spread, TEAM)
        variability = 0.9 * variability + rng.normal(0, 0.5, TEAM)
        asked = np.clip(np.array(efforts)[np.maximum(0, second - reaction_s)] * gain + zeal, 0, 1)
        level = level + (asked - level) / np.where(asked > level, rise_s, fall_s)
        rates[:, second] = resting + (maximal - resting) * level + variability
    return rates


def sent(rng: np.random.Generator, rates: Floats, lag_s: int = 0, lost: float = 0.05) -> Rates:
    """What the trackers send of it: whole numbers, by another clock, with holes, the newest seconds not yet here."""
    series = np.rint(np.roll(rates, lag_s, axis=1)).astype(np.float32)
    is_lost = rng.random(series.shape) < lost
    is_lost[:, :: GAP_S - 1] = False  # so long a hole would be a tracker that takes another strap
    series[is_lost] = NAN
    series[:, DURATION_S - LAG_S - 8 :] = NAN
    return series[:, SENT]


def heard(rng: np.random.Generator, rates: Floats, lost: float = 0.3) -> Rates:
    """What a strap broadcasts of its own: where an advertisement is lost the last value stands, for up to 5 s."""
    series = np.rint(rates).astype(np.float32)
    stood_s = 0
    for second in range(1, len(series)):
        stood_s = stood_s + 1 if rng.random() < lost and stood_s < 4 else 0
        if stood_s:
            series[second] = series[second - 1]
    return series[HEARD]


def sine(phase_s: float = 0.0) -> Floats:
    """A heart that rises and falls by 30 bpm in two minutes, shape (1, seconds)."""
    return np.array([140 + 30 * np.sin((np.arange(DURATION_S) + phase_s) * 2 * np.pi / 120)])


# --- how often it errs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spread", "found"), [(1.0, 0.97), (0.5, 0.9)])
@pytest.mark.parametrize("hardest", [0.95, 0.4])
def test_of_thirty_who_do_the_same_drill_it_finds_the_one_and_never_another(
    spread: float, found: float, hardest: float
) -> None:
    rng = np.random.default_rng(1)
    told = Counter[str]()
    for _team in range(6):
        rates = hearts(rng, spread, hardest)
        trackers = sent(rng, rates, lag_s=int(rng.integers(-3, 4)))
        for athlete, serial_number in enumerate(SERIAL_NUMBERS):
            broadcast = heard(rng, rates[athlete])
            match = whose(broadcast, SERIAL_NUMBERS, trackers)
            told["found" if match.serial_number == serial_number else match.serial_number or "nobody"] += 1
            without = np.delete(trackers, athlete, axis=0)
            others = whose(broadcast, SERIAL_NUMBERS[:athlete] + SERIAL_NUMBERS[athlete + 1 :], without)
            told["a stranger's"] += others.serial_number is not None
    assert told["found"] >= found * 6 * TEAM
    assert told["found"] + told["nobody"] == 6 * TEAM
    assert told["a stranger's"] <= (0 if spread == 1.0 else 1)


def test_of_a_heart_that_differs_from_all_others_it_says_that_no_tracker_sends_it() -> None:
    rng = np.random.default_rng(2)
    match = whose(heard(rng, 70 - sine()[0] / 10), SERIAL_NUMBERS, sent(rng, hearts(rng)))
    assert match.serial_number is None
    assert match.confidence > 0.9


@given(
    st.integers(0, 2**32),
    st.integers(-LAG_S + 1, LAG_S - 1),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
    st.integers(0, TEAM - 1),
)
def test_lag_holes_and_values_that_stand_do_not_hide_the_only_one_that_fits(
    seed: int, lag_s: int, lost: float, stood: float, athlete: int
) -> None:
    rng = np.random.default_rng(seed)
    rates = np.array([sine(4 * place)[0] + 12 * (place % 3) for place in range(TEAM)])  # 16 bpm a quarter minute
    match = whose(heard(rng, rates[athlete], stood), SERIAL_NUMBERS, sent(rng, rates, lag_s, lost))
    assert match.serial_number in {SERIAL_NUMBERS[athlete], None}
    alone = whose(
        heard(rng, rates[athlete], stood), ("SIM-0001",), sent(rng, rates[athlete : athlete + 1], lag_s, lost)
    )
    assert alone.serial_number == "SIM-0001"
    assert alone.confidence >= 0.8


# --- when nothing can be said -----------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.integers(40, 180), st.integers(0, 6))
def test_hearts_that_stay_where_they_are_prove_nothing(seed: int, rate: int, range_bpm: int) -> None:
    rng = np.random.default_rng(seed)
    rates = rate + rng.integers(0, range_bpm + 1, (3, DURATION_S)).astype(np.float64)
    match = whose(np.rint(rates[0]).astype(np.float32)[HEARD], SERIAL_NUMBERS[:3], sent(rng, rates))
    assert match.serial_number is None
    assert match.confidence < 0.8


@pytest.mark.parametrize("seconds", [0, 1, FEWEST_S - 1])
def test_less_than_a_minute_of_both_proves_nothing(seconds: int) -> None:
    broadcast, trackers = sine()[0].astype(np.float32)[HEARD], sine().astype(np.float32)[:, SENT]
    broadcast[: SPAN_S - seconds] = NAN
    assert whose(broadcast, SERIAL_NUMBERS[:1], trackers) == Match(None, 0.0, seconds)


def test_a_minute_is_enough() -> None:
    broadcast, trackers = sine()[0].astype(np.float32)[HEARD], sine().astype(np.float32)[:, SENT]
    broadcast[: SPAN_S - FEWEST_S] = NAN
    assert whose(broadcast, SERIAL_NUMBERS[:1], trackers) == Match("SIM-0000", 1.0, FEWEST_S)


@pytest.mark.parametrize(
    "trackers", [np.empty((0, SPAN_S + 2 * LAG_S), np.float32), np.full((2, SPAN_S + 2 * LAG_S), NAN)]
)
def test_trackers_that_send_nothing_prove_nothing(trackers: Rates) -> None:
    assert whose(sine()[0].astype(np.float32)[HEARD], SERIAL_NUMBERS, trackers) == Match(None, 0.0, 0)


def test_two_trackers_that_send_the_same_are_not_told_apart() -> None:
    trackers = np.repeat(sine(), 2, axis=0).astype(np.float32)[:, SENT]
    match = whose(sine()[0].astype(np.float32)[HEARD], SERIAL_NUMBERS, trackers)
    assert (match.serial_number, match.confidence) == (None, 0.0)


# --- straps that change hands -----------------------------------------------------------------------------------------


def after_handover(ago_s: int, silent_s: int) -> Callable[[Rates, Rates], Rates]:
    """A tracker that has taken another strap some time ago, and was without heart rate while it did."""

    def series(before: Rates, after: Rates) -> Rates:
        made = before.copy()
        taken = len(made) - LAG_S - ago_s
        made[taken:] = after[taken:]
        made[max(0, taken - silent_s) : taken] = NAN
        return made

    return series


@pytest.mark.parametrize("ago_s", [1, 10, 30, 50, 70, 100, 170])
def test_a_strap_that_was_handed_over_is_never_said_to_be_where_it_was_nor_nowhere(ago_s: int) -> None:
    """Its new tracker may have sent it for a moment only, and the one before may have agreed for long."""
    one, other = sine()[0].astype(np.float32)[SENT], sine(60)[0].astype(np.float32)[SENT]
    changed = after_handover(ago_s, silent_s=GAP_S)
    trackers = np.array([changed(one, other), changed(other, one)])
    match = whose(one[LAG_S:-LAG_S], ("before", "now"), trackers)
    assert match.serial_number == ("now" if ago_s >= FEWEST_S else None)
    if match.serial_number is None:
        assert match.confidence < 0.5


def test_a_tracker_that_fell_silent_no_longer_proves_who_has_the_strap() -> None:
    trackers = sine().astype(np.float32)[:, SENT]
    trackers[:, -40:] = NAN
    assert whose(sine()[0].astype(np.float32)[HEARD], ("before",), trackers).serial_number is None


def test_a_tracker_that_took_the_strap_without_a_pause_is_believed_when_it_agrees_now() -> None:
    one, other = sine()[0].astype(np.float32)[SENT], sine(60)[0].astype(np.float32)[SENT]
    trackers = np.array([after_handover(25, silent_s=0)(one, other)])
    assert whose(one[LAG_S:-LAG_S], ("before",), trackers).serial_number is None

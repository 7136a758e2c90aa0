"""What a device is, from what it advertises."""

import json
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.bluetooth.identity import (
    LONGEST_NAME,
    Model,
    SensorKind,
    advertised_heart_rate,
    advertised_id,
    clean_name,
    kind_of,
    model_of,
)
from insiders_codecs.polar import POLAR_COMPANY
from tests.bluetooth.adverts import HEART_RATE, POWER, advertisement, polar_data

KNOWN = {
    # name: (advertised ID, model, kind)
    "Polar H10 AE60D42F": ("polar-h10-ae60d42f", "Polar H10", SensorKind.HEART_RATE),
    "polar h10 ae60d42f": ("polar-h10-ae60d42f", "Polar H10", SensorKind.HEART_RATE),
    "Polar H9 12345678": ("polar-h9-12345678", "Polar H9", SensorKind.HEART_RATE),
    "Polar H7 12345678": ("polar-h7-12345678", "Polar H7", SensorKind.HEART_RATE),
    "Polar OH1 5F3A2B1C": ("polar-oh1-5f3a2b1c", "Polar OH1", SensorKind.HEART_RATE),
    "Polar Sense 0C301E3F": ("polar-sense-0c301e3f", "Polar Verity Sense", SensorKind.HEART_RATE),
    "Polar Verity Sense": (None, "Polar Verity Sense", SensorKind.HEART_RATE),
    "TICKR 1A2B": ("tickr-1a2b", "Wahoo TICKR", SensorKind.HEART_RATE),
    "TICKR X A23F": ("tickr-x-a23f", "Wahoo TICKR X", SensorKind.HEART_RATE),
    "TICKR FIT 00FF": ("tickr-fit-00ff", "Wahoo TICKR FIT", SensorKind.HEART_RATE),
    "HRM-Dual:084939": ("hrm-dual-084939", "Garmin HRM-Dual", SensorKind.HEART_RATE),
    "HRM-Pro:123456": ("hrm-pro-123456", "Garmin HRM-Pro", SensorKind.HEART_RATE),
    "HRM-Fit:123456": ("hrm-fit-123456", "Garmin HRM", SensorKind.HEART_RATE),
    "WHOOP 4C0434567": ("whoop-4c0434567", "WHOOP", SensorKind.HEART_RATE),
    "COOSPO HW807": (None, "CooSpo", SensorKind.HEART_RATE),
    "ASSIOMA17287L": ("assioma17287l", "Favero Assioma", SensorKind.POWER),
    "ASSIOMA17287R": ("assioma17287r", "Favero Assioma", SensorKind.POWER),
    "Stages 62144": ("stages-62144", "Stages", SensorKind.POWER),
    "Vector 3": (None, "Garmin Vector", SensorKind.POWER),
    "Rally RS200": (None, "Garmin Rally", SensorKind.POWER),
    "POWRLINK ZERO 796B": ("powrlink-zero-796b", "Wahoo POWRLINK Zero", SensorKind.POWER),
    "QUARQ Red DZero": (None, "Quarq", SensorKind.POWER),
    "4iiiis": (None, "4iiii", SensorKind.POWER),
    "PowerTap P1": (None, "PowerTap P1", SensorKind.POWER),
    "KICKR 1A2B": ("kickr-1a2b", "Wahoo KICKR", SensorKind.POWER),
    "KICKR CORE 5638": ("kickr-core-5638", "Wahoo KICKR", SensorKind.POWER),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_family_tells_kind_model_and_id_by_its_name_alone(name: str) -> None:
    own_id, model, kind = KNOWN[name]
    assert advertised_id(name) == own_id
    known = model_of(name)
    assert known is not None
    assert known.name == model
    assert kind_of(advertisement(1, name)) is kind


@pytest.mark.parametrize(
    "name",
    [
        *(None, "", "Ada's TV", "Polar", "Polar Vantage V", "Stages of grief", "Rally car", "Vectorworks"),
        *("XTICKR 1A2B", "TICKRS", "my Polar H10 AE60D42F", "KICKR HEADWIND 1A2B", "KICKR CLIMB 1A2B"),
    ],
)
def test_a_name_of_no_known_family_tells_nothing(name: str | None) -> None:
    assert advertised_id(name) is None
    assert model_of(name) is None
    assert kind_of(advertisement(1, name)) is SensorKind.UNKNOWN


@pytest.mark.parametrize("name", ["Polar H10", "Polar H10 AE60", "Polar H10 AE60D42F Ada", "TICKR 1A2", "HRM-Dual:1"])
def test_a_name_that_is_cut_off_or_longer_has_no_id_but_a_model(name: str) -> None:
    assert advertised_id(name) is None
    assert model_of(name) is not None


def test_links_are_told_only_where_they_are_known() -> None:
    assert model_of("Polar H10 AE60D42F") == Model("Polar H10", 1)
    assert model_of("POWRLINK ZERO 796B") == Model("Wahoo POWRLINK Zero", 3)
    assert model_of("TICKR 1A2B") == Model("Wahoo TICKR", None)


@pytest.mark.parametrize(
    ("appearance", "kind"),
    [
        (832, SensorKind.HEART_RATE),
        (833, SensorKind.HEART_RATE),
        (1156, SensorKind.POWER),
        (1157, SensorKind.UNKNOWN),  # speed and cadence
        (64, SensorKind.UNKNOWN),  # a phone
        (0, SensorKind.UNKNOWN),
        (None, SensorKind.UNKNOWN),
    ],
)
def test_an_appearance_tells_the_kind(appearance: int | None, kind: SensorKind) -> None:
    assert kind_of(advertisement(1, appearance=appearance)) is kind


def test_services_and_polar_data_tell_the_kind() -> None:
    assert kind_of(advertisement(1, services=HEART_RATE)) is SensorKind.HEART_RATE
    assert kind_of(advertisement(1, services=POWER)) is SensorKind.POWER
    assert kind_of(advertisement(1, services=HEART_RATE | POWER)) is SensorKind.BOTH
    assert kind_of(advertisement(1, manufacturer_data=polar_data(60, 1))) is SensorKind.HEART_RATE
    assert kind_of(advertisement(1, "Ada's phone")) is SensorKind.UNKNOWN


@given(st.lists(st.sampled_from(SensorKind), min_size=1))
def test_kinds_merge_to_the_same_in_any_order(kinds: list[SensorKind]) -> None:
    merged, backwards = SensorKind.UNKNOWN, SensorKind.UNKNOWN
    for kind in kinds:
        merged = merged.merged(kind)
    for kind in reversed(kinds):
        backwards = backwards.merged(kind)
    assert merged is backwards
    assert merged.measures_heart_rate == any(kind.measures_heart_rate for kind in kinds)
    assert merged.measures_power == any(kind.measures_power for kind in kinds)


NAMES = st.one_of(st.text(), st.builds(lambda name, tail: name + tail, st.sampled_from(sorted(KNOWN)), st.text()))


@given(NAMES)
@example("\x1b[2J\x07evil\r\nPolar H10")
@example("\u202ePolar H10 AE60D42F")
@example("\ud800")
@example("\u200b" * 200 + "x" * 200)
def test_any_name_becomes_one_that_can_be_shown(name: str) -> None:
    cleaned = clean_name(name)
    if cleaned is None:
        return
    assert 0 < len(cleaned) <= LONGEST_NAME
    assert not any(unicodedata.category(character)[0] == "C" for character in cleaned)
    assert cleaned == " ".join(cleaned.split())
    assert clean_name(cleaned) == cleaned
    json.dumps(cleaned, ensure_ascii=False).encode()


@given(NAMES)
def test_any_id_is_a_slug_for_urls(name: str) -> None:
    own_id = advertised_id(name)
    if own_id is not None:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", own_id)
        assert len(own_id) <= LONGEST_NAME
        assert advertised_id(clean_name(name)) == own_id


def test_a_name_without_anything_to_show_is_none() -> None:
    assert clean_name(None) is None
    assert clean_name(" \t\u200b\x00 ") is None
    assert clean_name("Ada\u00a0 \n TV") == "Ada TV"


@given(st.binary(max_size=300))
def test_hostile_manufacturer_data_is_no_heart_rate_and_no_error(payload: bytes) -> None:
    heard = advertisement(1, manufacturer_data={POLAR_COMPANY: payload})
    assert kind_of(heard).measures_heart_rate == (advertised_heart_rate(heard) is not None)

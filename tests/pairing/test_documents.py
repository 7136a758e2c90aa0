"""What the documents of the cloud say, and what is sent to change one: both slots in full, and nothing besides."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from gateway.cloud.models import BluetoothConfig, Pairing, PairingSet, decode_bluetooth
from gateway.pairing.documents import (
    ClearForm,
    Document,
    Documents,
    Sensor,
    Slot,
    document_of,
    documents_of,
    request_of,
)

STRAP = Sensor("a0:9e:1a:00:00:01", "Polar H10 AE60D42F")
METER = Sensor("e8:fe:6e:00:00:01", "ASSIOMA17287L")
EMPTY = [UNSET, None, Pairing(), Pairing("", ""), Pairing(None, "a name without an address")]


def pairing(sensor: Sensor) -> Pairing:
    return Pairing(sensor.address, sensor.name)


@pytest.mark.parametrize("empty", EMPTY)
def test_whatever_stands_for_no_sensor_is_none(empty: Pairing | UnsetType | None) -> None:
    assert document_of(PairingSet(empty, pairing(METER))) == Document(None, METER)


def test_an_answer_of_the_cloud_becomes_two_documents() -> None:
    """The documented sample of the vendor's REST page, shortened, with an address in capitals."""
    body = b"""{"status": "success", "data": {
        "current": {"pairing_1": {"mac_address": "A0:9E:1A:00:00:01", "name": "Polar H10 AE60D42F"}},
        "target": {"pairing_2": {"mac_address": "e8:fe:6e:00:00:01", "name": "ASSIOMA17287L"}}}}"""
    assert documents_of(decode_bluetooth(body)) == Documents(Document(None, METER), Document(STRAP, None))


def test_an_address_that_is_none_is_kept_as_it_stands() -> None:
    assert document_of(PairingSet(Pairing("n/a", None))) == Document(Sensor("n/a", ""))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (ClearForm.NULL, b'{"pairing_1":null}'),
        (ClearForm.EMPTY_OBJECT, b'{"pairing_1":{}}'),
        (ClearForm.EMPTY_STRINGS, b'{"pairing_1":{"mac_address":"","name":""}}'),
    ],
)
def test_a_slot_is_cleared_in_the_form_that_is_configured(form: ClearForm, expected: bytes) -> None:
    body = request_of(PairingSet(pairing(STRAP)), {Slot.HEART_RATE: None}, form)
    assert msgspec.json.encode(body) == expected


@pytest.mark.parametrize("empty", EMPTY)
def test_what_is_empty_and_stays_so_is_left_out(empty: Pairing | UnsetType | None) -> None:
    body = request_of(PairingSet(empty, empty), {Slot.HEART_RATE: None}, ClearForm.NULL)
    assert msgspec.json.encode(body) == b"{}"


def test_a_slot_that_is_not_changed_goes_back_exactly_as_it_came() -> None:
    odd = Pairing("E8-FE-6E-00-00-01", "")
    body = request_of(PairingSet(UNSET, odd), {Slot.HEART_RATE: STRAP}, ClearForm.NULL)
    assert body == PairingSet(pairing(STRAP), odd)


sensors = st.sampled_from([STRAP, METER, Sensor("d4:3a:2e:00:00:03", "TICKR 0003")])
pairings = st.one_of(st.sampled_from(EMPTY), sensors.map(pairing), st.just(Pairing("nonsense", "x")))


@given(
    target=st.builds(PairingSet, pairings, pairings),
    changes=st.dictionaries(st.sampled_from(Slot), st.one_of(st.none(), sensors)),
    form=st.sampled_from(ClearForm),
    is_merging=st.booleans(),
)
def test_a_cloud_that_merges_and_one_that_replaces_end_with_the_same_target(
    target: PairingSet, changes: dict[Slot, Sensor | None], form: ClearForm, is_merging: bool
) -> None:
    sent = request_of(target, changes, form)
    before = target if is_merging else PairingSet()
    after = PairingSet(
        before.pairing_1 if sent.pairing_1 is UNSET else sent.pairing_1,
        before.pairing_2 if sent.pairing_2 is UNSET else sent.pairing_2,
    )
    expected = document_of(target)
    for slot, sensor in changes.items():
        expected = expected.with_(slot, sensor)
    assert document_of(after) == expected


def test_no_answer_is_read_into_a_sensor_that_it_does_not_name() -> None:
    assert documents_of(BluetoothConfig(PairingSet(), PairingSet())) == Documents(Document(), Document())


def test_a_tracker_that_acknowledges_addresses_only_has_what_the_target_names() -> None:
    nameless = PairingSet(Pairing(STRAP.address, None), Pairing("e8:fe:6e:00:00:02", None))
    told = documents_of(BluetoothConfig(nameless, PairingSet(pairing(STRAP), pairing(METER))))
    assert told.current == Document(STRAP, Sensor("e8:fe:6e:00:00:02", ""))

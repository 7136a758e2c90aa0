"""What the API answers with, in all the shapes its documents show."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.models import (
    Account,
    Device,
    Job,
    JobState,
    Ownership,
    Pairing,
    PairingSet,
    Range,
    TimestampAnswer,
    decode_bluetooth,
    decoder,
    page_decoder,
)
from gateway.cloud.times import TimeMs, parse_time


@pytest.mark.parametrize(
    ("text", "t_ms"),
    [
        ("2020-02-20T13:00:45.000Z", 1_582_203_645_000),
        ("2020-02-20T13:00:45.1Z", 1_582_203_645_100),
        ("2020-02-20T13:00:59Z", 1_582_203_659_000),
        ("2020-02-20T13:00:00.000000Z", 1_582_203_600_000),
        ("2020-02-20T13:00Z", 1_582_203_600_000),
        ("2020-02-20T13:00:00.123999+00:00", 1_582_203_600_123),
        ("2020-02-20T13:00:00+0100", 1_582_200_000_000),
        ("2020-02-20T13:00:00", 1_582_203_600_000),
        (" 2020-02-20 13:00:00Z ", 1_582_203_600_000),
        ("1969-12-31T23:59:59.999Z", -1),
        (1_582_203_600_000, 1_582_203_600_000),
    ],
)
def test_times_are_read_in_every_shape_the_api_writes(text: object, t_ms: int) -> None:
    assert parse_time(text) == t_ms


@pytest.mark.parametrize("value", ["", "now", "2020-13-01T00:00:00Z", "99999-01-01T00:00:00Z", True, None, 1.5, [], {}])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no time"):
        parse_time(value)


@given(st.text())
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(parse_time(text), TimeMs)


@given(st.datetimes())
def test_a_time_written_by_python_is_read_back(time: object) -> None:
    assert isinstance(parse_time(str(time)), TimeMs)


def test_a_device_needs_no_more_than_its_id_and_may_have_more_than_we_know() -> None:
    decode = decoder(Device)
    assert decode(b'{"id": 7}') == Device(7)
    assert decode(
        b'{"id": "7", "serial_number": "012345", "device_name": null, "firmware_version": null, "battery": {"x": [1]}}'
    ) == Device(7, "012345")


@pytest.mark.parametrize("body", [b"{}", b'{"id": null}', b'{"id": true}', b'{"id": "x"}', b'{"id": 1.5}', b"[]"])
def test_a_device_without_a_usable_id_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoder(Device)(body)


def test_one_unreadable_item_is_counted_and_does_not_hide_the_others() -> None:
    page = page_decoder(Device)(
        b'{"count": 3, "page": 1, "next": 2, "previous": null, "results": [{"id": 1}, {"id": {}}, 4, {"id": 2}]}'
    )
    assert (page.items, page.rejected, page.next_page, page.count) == ((Device(1), Device(2)), 2, 2, 3)


def test_an_ownership_ends_never_or_at_its_end() -> None:
    decode = decoder(Ownership)
    times = b'"start_time": "2020-02-20T13:00:45.000Z", "end_time": '
    device = b'"device": 7, "manager": 3, "device_details": {"id": 7, "serial_number": "012345", "device_name": "a1"}'
    now = decode(b'{"id": 1, ' + times + b'"2999-12-31T23:59:59.999999Z", ' + device + b"}")
    assert now.has_open_end
    assert now.device_details == Device(7, "012345", "a1")
    past = decode(b'{"id": 1, ' + times + b'"2021-01-01T00:00:00Z"}')
    assert not past.has_open_end
    assert (past.start_ms, past.end_ms) == (1_582_203_645_000, 1_609_459_200_000)
    assert decode(b'{"id": 1, ' + times + b"null}").has_open_end


def test_ranges_timestamps_and_accounts_are_read() -> None:
    assert decoder(Range)(b'{"start": "2020-02-20T13:00Z", "stop": 1582203600100, "size": 2}') == Range(
        TimeMs(1_582_203_600_000), TimeMs(1_582_203_600_100), 2
    )
    assert decoder(TimestampAnswer)(b'{"timestamp": 1582203600000, "datetime": "x"}').t_ms == 1_582_203_600_000
    assert decoder(TimestampAnswer)(b'{"timestamp": null}').t_ms is None
    account = decoder(Account)(b'{"role": "MANAGER", "manager_profile": {"id": 3, "first_name": "A"}}')
    assert account.manager_profile is not None
    assert account.manager_profile.id == 3


@pytest.mark.parametrize(
    ("state", "meaning"),
    [
        ("SUCCESS", JobState.DONE),
        ("FAILURE", JobState.FAILED),
        ("revoked", JobState.FAILED),
        ("ERROR", JobState.FAILED),
        ("PENDING", JobState.RUNNING),
        ("QUANTUM", JobState.RUNNING),
    ],
)
def test_only_the_known_ends_end_a_job(state: str, meaning: JobState) -> None:
    body = msgspec.json.encode({"id": 1, "job_id": "job-1", "state": state, "details": {"a": 1}})
    assert decoder(Job)(body).meaning is meaning


def test_a_bluetooth_configuration_tells_absent_from_null() -> None:
    config = decode_bluetooth(
        b'{"status": "success", "data": {"current": {"pairing_1": {"mac_address": "a0:9e:1a:00:00:01", "name": "H10"}},'
        b' "target": {"pairing_1": null}}}'
    )
    assert config.current == PairingSet(pairing_1=Pairing("a0:9e:1a:00:00:01", "H10"))
    assert config.current.pairing_2 is msgspec.UNSET
    assert config.target.pairing_1 is None
    assert config.status == "success"


@pytest.mark.parametrize("data", [b"{}", b'{"current": null, "target": null}'])
def test_a_bluetooth_configuration_may_be_empty(data: bytes) -> None:
    config = decode_bluetooth(b'{"status": "success", "data": ' + data + b"}")
    assert (config.current, config.target) == (PairingSet(), PairingSet())


def test_a_change_says_null_for_none_and_nothing_for_unset() -> None:
    assert msgspec.json.encode(PairingSet(pairing_2=None)) == b'{"pairing_2":null}'
    assert msgspec.json.encode(PairingSet(pairing_1=Pairing("a0:9e:1a:00:00:01"))) == (
        b'{"pairing_1":{"mac_address":"a0:9e:1a:00:00:01"}}'
    )

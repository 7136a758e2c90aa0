"""Messages as events."""

import numpy as np
import pytest

from insiders_gateway_client.events import (
    CaughtUp,
    Connected,
    Disconnected,
    Event,
    Expiring,
    Gap,
    Reader,
    Resumed,
    Rows,
    State,
    Tracker,
    Trackers,
)
from insiders_gateway_client.messages import Message, Run
from insiders_gateway_client.samples import Collection

HELLO = {"op": "hello", "epoch": "e", "site": "Test", "version": "1"}
ADA = {"ch": 1, "serial_number": "SN-1", "name": "Ada", "number": 10, "device_id": 7, "withdrawn": 0, "rate_hz": 10}
CHANNELS = {"op": "channels", "columns": [], "channels": [ADA]}


def run(n0: int, *t_ms: int, is_misdated: bool = False) -> Run:
    return Run(1, n0, np.array(t_ms, np.int64), {"speed": np.array(t_ms, float) / 1000}, is_misdated=is_misdated)


def read(*messages: Message, reader: Reader | None = None, runs: tuple[Run, ...] = ()) -> list[Event]:
    reader = reader or Reader()
    return [event for message in messages for event in reader.read(message, runs if "blocks" in message else ())]


def test_a_connection_says_whether_what_was_known_still_holds() -> None:
    reader = Reader()
    assert read(HELLO, HELLO, {**HELLO, "epoch": "f"}, reader=reader) == [
        Connected("Test", "1", "e", is_anew=True),
        Connected("Test", "1", "e", is_anew=False),
        Connected("Test", "1", "f", is_anew=True),
    ]
    assert read({"op": "disconnected", "text": "why", "retry_s": 0.5}, reader=reader) == [Disconnected("why", 0.5)]


def test_rows_know_whose_they_are_and_the_past_ends() -> None:
    snap = {"op": "snap", "blocks": [], "end": True}
    *_, rows, end = read(HELLO, CHANNELS, snap, runs=(run(5, 1000, 1100),))
    assert isinstance(rows, Rows)
    assert (rows.serial_number, rows.name, rows.n0, rows.last, len(rows)) == ("SN-1", "Ada", 5, 6, 2)
    assert (rows.is_past, rows.is_late, rows.is_misdated) == (True, False, False)
    assert end == CaughtUp()


def test_everything_else_is_told_with_names() -> None:
    gap = {"op": "gap", "ch": 1, "id": 5, "from_ms": 1, "to_ms": None, "rows": None, "rows_repaired": 3}
    told = read(
        HELLO,
        CHANNELS,
        {"op": "sub_ok", "channels": [{"ch": 1, "serial_number": "SN-1", "recovered": "partial", "missing_rows": 58}]},
        {**gap, "reason": "upstream_outage", "state": "open", "settled": False},
        {"op": "gap", "ch": 1, "sub": 1, "from_ms": 1, "to_ms": 2, "rows": 9, "reason": "x", "state": "closed"},
        {"op": "state", "key": "channel/1", "ch": 1, "value": "stale", "newest_ms": 5},
        {"op": "state", "key": "bluetooth", "value": "listening"},
        {"op": "auth_expiring", "expires_ms": 99},
        {"op": "of_a_later_version"},
    )
    assert told[1:] == [
        Trackers((Tracker("SN-1", "Ada", 10, is_released=True, withdrawn=0),)),
        Resumed("SN-1", "partial", 58),
        Gap("SN-1", 5, 1, None, None, 3, "upstream_outage", "open", is_settled=False),
        Gap("SN-1", None, 1, 2, 9, 0, "x", "closed", is_settled=True),
        State("channel/1", "stale", "SN-1", {"newest_ms": 5}),
        State("bluetooth", "listening", None, {}),
        Expiring(99),
    ]


def test_what_is_gathered_is_in_order_each_instant_once_and_wrong_times_are_counted() -> None:
    reader, collection = Reader(), Collection()
    runs = (run(5, 3000, 3100), run(7, 1000, 3000), run(9, 7, is_misdated=True))
    for event in read(HELLO, CHANNELS, {"op": "d", "blocks": []}, reader=reader, runs=runs):
        collection.take(event)
    samples = collection.samples()["SN-1"]
    assert samples.t_ms.tolist() == [1000, 3000, 3100]
    assert samples["speed"].tolist() == [1.0, 3.0, 3.1]
    assert (samples.name, samples.misdated_rows, len(samples)) == ("Ada", 1, 3)


@pytest.mark.parametrize("change", [{"withdrawn": 6}, {"released": False, "name": None}])
def test_what_is_withdrawn_is_forgotten(change: Message) -> None:
    reader, collection = Reader(), Collection()
    told = read(HELLO, CHANNELS, {"op": "d", "blocks": []}, reader=reader, runs=(run(5, 3000, 3100),))
    told += read({**CHANNELS, "channels": [ADA | change]}, reader=reader)
    for event in told:
        collection.take(event)
    assert collection.samples() == {}

"""What a client remembers between two connections, and when it tells how far it has come."""

from insiders_gateway_client.cursors import ACK_EVERY_BYTES, ACK_EVERY_S, Acks, Cursors


def test_a_resume_names_the_last_row_of_each_channel() -> None:
    cursors = Cursors()
    assert cursors.start(9.0) == {"last_s": 9.0}
    cursors.take({"op": "hello", "epoch": "e"})
    assert cursors.start(9.0) == {"last_s": 9.0}
    cursors.take({"op": "sub_ok", "channels": [{"ch": 1, "cursor": 10}, {"ch": 2, "cursor": 0}]})
    assert cursors.start(9.0)["cursors"] == [[1, 10], [2, 0]]
    cursors.take({"op": "snap", "blocks": [{"ch": 1, "n0": 11, "rows": 5}, {"ch": 1, "n0": 16, "rows": 1}]})
    cursors.take({"op": "d", "blocks": [{"ch": 2, "n0": 1, "rows": 3}]})
    cursors.take({"op": "time"})
    assert cursors.start(9.0) == {"epoch": "e", "cursors": [[1, 16], [2, 3]], "last_s": 9.0}
    cursors.take({"op": "hello", "epoch": "e"})
    assert cursors.by_channel == {1: 16, 2: 3}
    cursors.take({"op": "hello", "epoch": "f"})
    assert cursors.start(9.0) == {"last_s": 9.0}


def test_what_was_consumed_is_told_at_once_and_then_twice_a_second() -> None:
    acks = Acks()
    assert acks.wait_s(0.0) is None
    acks.consumed({"op": "snap", "sub": 1, "seq": 1}, 100)
    assert acks.wait_s(0.0) == 0.0
    assert acks.take(0.0) == {"op": "ack", "subs": [[1, 1]]}
    assert acks.wait_s(0.1) is None
    for seq in (2, 3):
        acks.consumed({"op": "d", "sub": 1, "seq": seq}, 100)
    acks.consumed({"op": "d", "sub": 9, "seq": 1}, 100)
    assert acks.wait_s(0.2) == ACK_EVERY_S - 0.2
    assert acks.wait_s(7.0) == 0.0
    assert acks.take(7.0) == {"op": "ack", "subs": [[1, 3], [9, 1]]}


def test_many_bytes_are_told_sooner() -> None:
    acks = Acks()
    acks.take(0.0)
    acks.consumed({"op": "d", "sub": 1, "seq": 1}, ACK_EVERY_BYTES - 1)
    assert acks.wait_s(0.0) == ACK_EVERY_S
    acks.consumed({"op": "d", "sub": 1, "seq": 2}, 1)
    assert acks.wait_s(0.0) == 0.0


def test_what_has_no_samples_needs_no_word() -> None:
    acks = Acks()
    for message in ({"op": "time"}, {"op": "gap", "sub": 1}, {"op": "sub_ok", "sub": 1}):
        acks.consumed(message, ACK_EVERY_BYTES)
    assert acks.wait_s(0.0) is None

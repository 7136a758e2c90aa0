"""What somebody may see: squads, columns, and messages of the board; what no rule names is for technicians."""

import pytest

from gateway.access.caller import Caller, Scope
from gateway.access.roles import Role
from gateway.cloud import errors
from gateway.fleet.claim import ClaimStatus
from gateway.fleet.ownership import CODES
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.visibility import GNSS_COLUMNS, VIEWERS_PROBLEMS, Sight
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import Message
from insiders_codecs.samples import COLUMN_NAMES
from tests.live.listening import Client
from tests.live.test_session import EPOCH, ops, seconds

EVERYBODY, FIRST, NOBODY = Scope(), Scope(frozenset({"first"})), Scope(frozenset())
CHANNELS = {
    1: Channel(1, Wearer("SN-1", "Ada", 1, ("first", "women")), 600),
    2: Channel(2, Wearer("SN-2", "Bea", 2, ("second",)), 600),
    3: Channel(3, Wearer("SN-3"), 600),
}


@pytest.mark.parametrize(
    ("scope", "seen"),
    [(EVERYBODY, [1, 2, 3]), (FIRST, [1]), (NOBODY, []), (Scope(frozenset({"women", "second"})), [1, 2])],
)
def test_the_channels_of_ones_squads(scope: Scope, seen: list[int]) -> None:
    assert list(Sight(Role.VIEWER, scope).channels(CHANNELS)) == seen


def test_gnss_without_heart_rate() -> None:
    names = Sight(Role.VIEWER, Scope(is_gnss_only=True)).column_names
    assert names == ("latitude", "longitude", "altitude", "speed", "battery", "standstill")
    assert Sight(Role.VIEWER, EVERYBODY).column_names == COLUMN_NAMES


def test_what_tells_of_a_body_is_no_position() -> None:
    assert {COLUMN_NAMES[column] for column in set(range(len(COLUMN_NAMES))) - set(GNSS_COLUMNS)} == {
        "heart_rate",
        "power",
        "cadence",
    }


def state(key: str) -> Message:
    return {"op": "state", "key": key, "value": "x"}


HEARD = [
    # message, a viewer of all, a viewer of one squad, a technician
    (state("sensor/h10"), False, False, True),
    (state("bluetooth"), False, False, True),
    (state("pairings"), False, False, True),
    (state("pairing/SN-1"), False, False, True),
    (state("recording/8006390a"), False, False, True),
    (state("problem/cloud_unreachable/"), True, True, True),
    (state("problem/insecure_lan/"), True, True, True),
    (state("problem/bluetooth_off/"), False, False, True),
    (state("problem/pairing_stalled/SN-1"), False, False, True),
    (state("problem/certificate_expiring/"), False, False, True),
    (state("problem/something_new/"), False, False, True),
    (state("problem/something_new/SN-1"), False, False, True),
    (state("problem/tracker_foreign/SN-1"), True, True, True),
    (state("problem/tracker_foreign/SN-2"), True, False, True),
    (state("problem/tracker_foreign/SN-9"), False, False, True),
    (state("something/new"), False, False, True),
    (state(""), False, False, True),
    ({"op": "novelty"}, False, False, True),
    ({"op": "channels", "ch": 1}, True, True, True),
    ({"op": "channels", "ch": 2}, True, False, True),
    ({"op": "gap", "ch": 2, "id": 1}, True, False, True),
    ({"op": "state", "key": "channel/2", "ch": 2}, True, False, True),
    ({"op": "gap", "ch": 9, "id": 1}, False, False, False),
]


@pytest.mark.parametrize(("message", "viewer", "of_squad", "technician"), HEARD)
def test_who_hears_what(message: Message, *, viewer: bool, of_squad: bool, technician: bool) -> None:
    assert Sight(Role.VIEWER, EVERYBODY).hears(message, CHANNELS) is viewer
    assert Sight(Role.VIEWER, FIRST).hears(message, CHANNELS) is of_squad
    assert Sight(Role.TECHNICIAN, EVERYBODY).hears(message, CHANNELS) is technician
    assert Sight(Role.ADMIN, EVERYBODY).hears(message, CHANNELS) is technician


def test_a_viewer_is_told_of_every_trouble_with_the_cloud() -> None:
    codes = {it.code for it in vars(errors).values() if isinstance(it, type) and issubclass(it, errors.CloudError)}
    assert codes | {CODES[ClaimStatus.FOREIGN], "tracker_clock", "insecure_lan"} == VIEWERS_PROBLEMS


def test_a_viewer_of_one_squad_without_heart_rate_is_sent_nothing_else_whatever_they_ask() -> None:
    channels = {ch: Channel(ch, channel.wearer, 600) for ch, channel in CHANNELS.items()}
    board = Board()
    for channel in channels.values():
        board.channel_changed(channel)
        board.presence_changed(channel, "live")
        channel.rows_came(seconds(0, 5), 0.0)
    board.state_changed("pairing/SN-1", "in_sync", athlete="Ada")
    hub = Hub(channels, board, EPOCH, "", "", 60.0, lambda: 0, lambda: None)
    caller = Caller("Kim", "phone", Role.VIEWER, Scope(frozenset({"first"}), is_gnss_only=True))
    client = Client(hub, caller=caller)
    client.say(**{"op": "sub", "sub": 1, "from": {"last_s": 60}})
    for number, asked in enumerate([{"devices": ["SN-2"]}, {"columns": ["heart_rate"]}], start=2):
        assert ops(client.say(op="sub", sub=number, **asked)) == ["error"]
    client.say(**{"op": "sub", "sub": 4, "from": {"epoch": EPOCH, "cursors": [[1, 0], [2, 0]]}})
    channels[2].rows_came(seconds(5, 6), 0.0)
    channels[1].rows_came(seconds(5, 6), 0.0)
    client.wait(5.0)
    everything = b"".join(payload for _, payload in client.frames)
    for hidden in (b"Bea", b"SN-2", b"SN-3", b'heart_rate","unit', b"pairing"):
        assert hidden not in everything.replace(b'no column \\"heart_rate\\"', b"").replace(b'\\"SN-2\\"', b"")
    blocks = [block for message in client.heard if message["op"] in {"snap", "d"} for block in message["blocks"]]
    assert {block["ch"] for block in blocks} == {1}
    assert all(len(message["columns"]) == 6 for message in client.heard if message["op"] in {"snap", "d"})
    assert [pair[0] for message in client.heard if message["op"] == "time" for pair in message["newest"]] == [1, 1]


def test_the_samples_of_viewers_and_admins_who_see_the_same_are_shared_and_of_others_not() -> None:
    assert Sight(Role.VIEWER, FIRST) == Sight(Role.VIEWER, Scope(frozenset({"first"})))
    assert Sight(Role.VIEWER, FIRST) != Sight(Role.VIEWER, EVERYBODY)

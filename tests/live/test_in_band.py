"""Who shows a token in the first message; what is told before; what expires, is renewed and revoked; in manual time."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.access.audit import ADMISSION
from gateway.access.caller import Caller, Scope
from gateway.access.errors import NotAdmittedError, Reason
from gateway.access.roles import MAY, Action, Role
from gateway.live.hub import Hub
from gateway.live.limits import LIMITS
from gateway.live.stream.pump import Pump
from gateway.live.stream.session import NEEDED, CloseCode
from gateway.live.stream.shared import Shared
from gateway.secret import Secret
from gateway.telemetry.channel import Channel
from insiders_codecs.live import Codec, Message
from tests.live.listening import CLOSE, Client
from tests.live.test_session import EPOCH, _hub, _one, ops, seconds

__all__ = ["_hub", "_one"]

KIM = Caller("Kim", "phone", Role.VIEWER, Scope(frozenset({"first"}), is_gnss_only=True), "g1", 2_000_000_000_000)


class Doorkeeper:
    """Knows some tokens."""

    def __init__(self, **known: Caller) -> None:
        self.known = known
        self.wait_s = 0.0

    def admit(self, token: Secret, address: str, now_s: float) -> Caller:
        assert address == "192.0.2.7"
        if self.wait_s:
            raise NotAdmittedError(Reason.TOO_MANY_ATTEMPTS, self.wait_s)
        if token.reveal() not in self.known:
            raise NotAdmittedError(Reason.UNKNOWN)
        return self.known[token.reveal()]

    def holds(self, caller: Caller) -> bool:
        return caller in self.known.values()


class Audit:
    """Writes nothing down."""

    def __init__(self) -> None:
        self.lines: list[tuple[str | None, str, str]] = []

    def note(
        self, caller: Caller | None, deed: str, subject: str = "", outcome: str = "done", address: str = ""
    ) -> None:
        assert address == "192.0.2.7"
        self.lines.append((None if caller is None else caller.person, deed, outcome))


class House:
    """A pump behind a door."""

    def __init__(self, hub: Hub, **known: Caller) -> None:
        self.utc_ms = 1_700_000_000_000
        self.hub = replace(hub, utc_ms=lambda: self.utc_ms)
        self.doorkeeper, self.audit = Doorkeeper(**known), Audit()
        self.pump = Pump(Shared(self.hub, doorkeeper=self.doorkeeper, audit=self.audit))

    def visit(self, caller: Caller | None = None, codec: Codec = Codec.JSON) -> Client:
        return Client(self.hub, codec, pump=self.pump, caller=caller)


@pytest.mark.parametrize("codec", Codec)
def test_before_a_token_is_shown_nothing_is_told_but_who_we_are(hub: Hub, one: Channel, codec: Codec) -> None:
    visitor = House(hub, token=KIM).visit(codec=codec)
    one.rows_came(seconds(0, 1), 0.0)
    hub.board.presence_changed(one, "live")
    visitor.wait(4.0)
    (hello,) = visitor.heard
    assert hello == {
        "op": "hello",
        "server": "insiders-gateway",
        "version": "0",
        "site": "Test",
        "epoch": EPOCH,
        "protocols": [str(codec) for codec in Codec],
        "path": "/api/v1/stream",
        "auth": "required",
        "limits": LIMITS.announced(),
    }


def test_who_shows_a_token_is_told_who_they_are_and_then_everything_from_the_beginning(hub: Hub) -> None:
    house = House(hub, token=KIM)
    visitor = house.visit()
    heard = visitor.say(op="auth", token="token", id=5)
    assert ops(heard)[:2] == ["auth_ok", "hello"]
    you = {
        "person": "Kim",
        "device": "phone",
        "role": "viewer",
        "squads": ["first"],
        "gnss_only": True,
        "expires_ms": 2_000_000_000_000,
    }
    assert heard[0] == {"op": "auth_ok", "id": 5, **you}
    assert heard[1]["you"] == you
    assert "auth" not in heard[1]
    assert house.audit.lines == [("Kim", "looked", "done")]


def test_who_does_not_wait_for_answers_is_served_in_order(hub: Hub) -> None:
    visitor = Client(hub, pump=House(hub, token=replace(KIM, scope=Scope())).pump, caller=None, is_hasty=True)
    visitor.session.receive(b'{"op": "auth", "token": "token"}', visitor.now_s)
    heard = ops(visitor.say(op="sub", sub=1))
    assert heard == ["hello", "auth_ok", "hello", "channels", "sub_ok", "time", "snap"]


@pytest.mark.parametrize("op", NEEDED)
def test_nothing_is_done_for_who_has_shown_nothing(hub: Hub, op: str) -> None:
    visitor = House(hub, token=KIM).visit()
    (error,) = visitor.say(op=op, sub=1, subs=[])
    assert (error["op"], error["code"], error["sub"]) == ("error", "unauthorized", 1)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("op", NEEDED)
def test_every_message_needs_its_action(hub: Hub, role: Role, op: str) -> None:
    """One table: what a role may do, and what a message needs."""
    caller = Caller("", "", role)
    codes = {message.get("code") for message in House(hub, token=caller).visit(caller).say(op=op, sub=1, subs=[])}
    assert ("forbidden" in codes) is (NEEDED[op] not in MAY[role])


@pytest.mark.parametrize("op", NEEDED)
def test_a_message_that_needs_what_a_role_may_not_is_not_obeyed(
    hub: Hub, op: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may come in may say all of them as things are, so whether that is asked shows only where it is not so."""
    monkeypatch.setitem(NEEDED, op, Action.MANAGE_ACCESS)
    for role in Role:
        caller = Caller("", "", role)
        heard = House(hub, token=caller).visit(caller).say(op=op, sub=1, subs=[])
        told = [message["text"] for message in heard if message.get("code") == "forbidden"]
        text = f"A {role} may not do this (manage_access): ask an admin for another role."
        assert told == ([] if role is Role.ADMIN else [text])


@pytest.mark.parametrize("is_in_band", [False, True])
def test_a_role_that_is_in_no_table_may_nothing(hub: Hub, *, is_in_band: bool) -> None:
    role: Any = "groundskeeper"
    caller = Caller("", "", role)
    visitor = House(hub, token=caller).visit(None if is_in_band else caller)
    visitor.say(op="auth", token="token")
    assert [(m["op"], m.get("code")) for m in visitor.heard if m.get("auth") is None] == [("bye", 4403)]


def test_who_shows_nothing_for_five_seconds_has_to_go(hub: Hub) -> None:
    visitor = House(hub, token=KIM).visit()
    assert visitor.wait(4.4) == []
    (bye,) = visitor.wait(1.6)
    assert (bye["op"], bye["code"]) == ("bye", CloseCode.NOT_ADMITTED)
    assert visitor.frames[-1] == (CLOSE, (4401).to_bytes(2, "big"))


def test_who_shows_a_wrong_token_has_to_go_and_is_noted(hub: Hub) -> None:
    house = House(hub, token=KIM)
    visitor = house.visit()
    (bye,) = visitor.say(op="auth", token="tok")
    assert (bye["op"], bye["code"], bye["retry_after_ms"]) == ("bye", 4401, 0)
    assert "tok" not in bye["text"].split()
    assert house.audit.lines == [(None, ADMISSION, "denied")]


def test_who_guesses_is_told_how_long_to_wait(hub: Hub) -> None:
    house = House(hub, token=KIM)
    house.doorkeeper.wait_s = 8.0
    (bye,) = house.visit().say(op="auth", token="token")
    assert (bye["code"], bye["retry_after_ms"]) == (4401, 8000)


def test_a_gateway_without_tokens_says_so(hub: Hub) -> None:
    (error,) = Client(hub, pump=Pump(Shared(hub)), caller=None).say(op="auth", token="token")
    assert error["code"] == "unauthorized"
    assert "connect without one" in error["text"]


@pytest.mark.parametrize("message", [{}, {"token": 5}, {"token": ""}, {"token": "x" * 201}])
def test_a_token_that_is_none_is_a_bad_message_and_is_not_repeated(hub: Hub, message: Message) -> None:
    (error,) = House(hub, token=KIM).visit().say(op="auth", **message)
    assert error["code"] == "bad_message"
    assert "xxx" not in error["text"]


def test_who_is_thrown_out_is_gone_within_two_seconds_and_hears_why(hub: Hub, one: Channel) -> None:
    house = House(hub, token=replace(KIM, scope=Scope()))
    visitor = house.visit(house.doorkeeper.known["token"])
    visitor.say(op="sub", sub=1)
    visitor.wait(3.0)
    house.doorkeeper.known.clear()
    heard = visitor.wait(0.5)
    assert (heard[-1]["op"], heard[-1]["code"]) == ("bye", 4401)
    assert visitor.frames[-1] == (CLOSE, (4401).to_bytes(2, "big"))
    one.rows_came(seconds(0, 1), 0.0)
    assert visitor.wait(1.2) == []
    assert visitor.kernel.is_cut


def test_who_is_thrown_out_and_never_reads_is_gone_within_two_seconds(hub: Hub, one: Channel) -> None:
    house = House(hub, token=replace(KIM, scope=Scope()))
    visitor = house.visit(house.doorkeeper.known["token"])
    visitor.say(op="sub", sub=1)
    visitor.kernel.bytes_per_s = 0
    one.rows_came(seconds(0, 1), 0.0)
    visitor.wait(3.0)
    assert visitor.kernel.waiting
    house.doorkeeper.known.clear()
    visitor.wait(1.9)
    assert visitor.kernel.is_cut


def test_whose_time_runs_out_is_warned_a_minute_ahead_and_may_show_another_token(hub: Hub) -> None:
    first = replace(KIM, expires_ms=1_700_000_100_000)
    later = replace(first, grant="g2", expires_ms=1_700_009_999_000)
    house = House(hub, first=first, later=later)
    visitor = house.visit(first)
    house.utc_ms += 39_000
    assert "auth_expiring" not in ops(visitor.wait(1.0))
    house.utc_ms += 1_000
    warned = [message for message in visitor.wait(5.0) if message["op"] == "auth_expiring"]
    assert warned == [{"op": "auth_expiring", "expires_ms": 1_700_000_100_000}]
    (answer,) = visitor.say(op="auth", token="later")
    assert (answer["op"], answer["expires_ms"]) == ("auth_ok", 1_700_009_999_000)
    del house.doorkeeper.known["first"]
    assert set(ops(visitor.wait(5.0))) == {"time"}
    assert visitor.session.closing is None


def test_another_token_of_other_rights_has_to_connect_anew(hub: Hub) -> None:
    house = House(hub, first=KIM, all=replace(KIM, scope=Scope()))
    visitor = house.visit(KIM)
    assert [m["code"] for m in visitor.say(op="auth", token="all")] == ["forbidden"]
    assert [m["code"] for m in visitor.say(op="auth", token="none")] == ["unauthorized"]
    assert visitor.session.closing is None
    assert visitor.session.caller == KIM


def test_a_client_that_gives_no_sign_of_life_is_pinged_and_cut(hub: Hub) -> None:
    visitor = Client(hub, is_silent=True)
    visitor.wait(LIMITS.silence_s * 2 / 3 - 1)
    assert all(kind == 1 for kind, _ in visitor.frames)
    visitor.wait(2.0)
    assert (9, b"") in visitor.frames
    visitor.wait(LIMITS.silence_s / 3 - 2)
    assert not visitor.kernel.is_cut
    visitor.wait(2.0)
    assert visitor.kernel.is_cut


def test_any_byte_is_a_sign_of_life(hub: Hub) -> None:
    visitor = Client(hub, is_silent=True)
    for _ in range(10):
        visitor.wait(LIMITS.silence_s - 1)
        visitor.ear.heard_s = visitor.now_s
    assert not visitor.kernel.is_cut

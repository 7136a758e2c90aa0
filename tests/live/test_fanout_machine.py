"""Whatever happens to a client, it gets every row once or is told how many it did not; and nobody else notices."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.access.caller import Caller
from gateway.access.errors import NotAdmittedError, Reason
from gateway.access.roles import Role
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.stream.pump import Pump
from gateway.live.stream.session import CloseCode
from gateway.live.stream.shared import Shared
from gateway.secret import Secret
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import Codec, Message
from insiders_gateway_client.cursors import Cursors
from tests.live.listening import CLOSE, Client
from tests.live.test_session import EPOCH, seconds

CHANNELS = (1, 2, 3)
ROWS = 400
"""In a ring: 40 s, so that rows are overwritten before a client that is shed hears of it."""


class Keys:
    """Lets in whoever shows the name of a grant that holds."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    def admit(self, token: Secret, address: str, now_s: float) -> Caller:
        caller = Caller("Kim", "laptop", Role.VIEWER, grant=token.reveal())
        if not self.holds(caller):
            raise NotAdmittedError(Reason.UNKNOWN)
        return caller

    def holds(self, caller: Caller) -> bool:
        return caller.grant not in self.revoked


class Follower:
    """What a program that follows everything knows: the rows it has, and how many it was told that it has not.

    It goes on after a cut as our own client does, and numbers jump only where rows are being left out.
    """

    def __init__(self, pump: Pump, hub: Hub, codec: Codec, on_slow: str, caller: Caller | None, now_s: float) -> None:
        self.pump, self.hub, self.codec, self.on_slow, self.caller = pump, hub, codec, on_slow, caller
        self.got: dict[int, set[int]] = {ch: set() for ch in CHANNELS}
        self.missing = dict.fromkeys(CHANNELS, 0)
        self.cursors = Cursors()
        self.connect(now_s, caller)

    def connect(self, now_s: float, caller: Caller | None, token: str | None = None) -> None:
        self.last = dict.fromkeys(CHANNELS, 0)  # in this connection
        self.jumping: set[int] = set()
        self.seq = 0
        self.client = Client(self.hub, self.codec, now_s, self.pump, caller, is_hasty=True)
        if token is not None:
            self.client.say(op="auth", token=token)
        known = self.cursors.by_channel or dict.fromkeys(CHANNELS, 0)
        start = {"epoch": EPOCH, "cursors": list(known.items())}
        self.client.say(**{"op": "sub", "sub": 1, "from": start, "on_slow": self.on_slow})

    def cut(self) -> None:
        """The connection is gone, with whatever had not come."""
        self.client.kernel.abort()
        self.client.leave()

    def acknowledge(self) -> None:
        if self.seq:
            self.client.say(op="ack", subs=[[1, self.seq]])

    def read(self) -> None:
        self.client.take()
        new, self.client.heard = self.client.heard, []
        for message in new:
            self.cursors.take(message)
            match message["op"]:
                case "sub_ok":
                    for verdict in message["channels"]:
                        self.missing[verdict["ch"]] += verdict.get("missing_rows", 0)
                        self.last[verdict["ch"]] = verdict["cursor"]
                case "gap":
                    self._gap(message)
                case "snap" | "d":
                    assert message["seq"] == self.seq + 1
                    self.seq += 1
                    for run in message["blocks"]:
                        self._rows(run)

    def _gap(self, message: Message) -> None:
        ch = message["ch"]
        if message["state"] == "open":
            assert self.on_slow == "conflate"
            assert ch not in self.jumping
            assert message["after"] == self.last[ch]
            self.jumping.add(ch)
            return
        assert (message["reason"] == "slow_consumer") == (ch in self.jumping)
        self.jumping.discard(ch)
        self.missing[ch] += message["rows"]
        self.last[ch] = message["after"]

    def _rows(self, run: Message) -> None:
        ch, n0 = run["ch"], run["n0"]
        assert n0 > self.last[ch], "a row came twice"
        assert n0 == self.last[ch] + 1 or ch in self.jumping, "rows are lost untold"
        self.last[ch] = n0 + run["rows"] - 1
        new = {n0 + row for first, end in run.get("new", [(0, run["rows"])]) for row in range(first, end)}
        assert not new & self.got[ch], "a row counts twice"
        self.got[ch] |= new


class Crowd(RuleBasedStateMachine):
    """One client that is cut, slow, thrown out and back, and another one that always reads."""

    @initialize(
        codec=st.sampled_from(Codec),
        on_slow=st.sampled_from(["conflate", "drop_oldest", "close"]),
        is_acking=st.booleans(),
    )
    def connect(self, codec: Codec, on_slow: str, is_acking: bool) -> None:
        self.channels = {ch: Channel(ch, Wearer(f"SN-{ch}"), ROWS) for ch in CHANNELS}
        board = Board()
        for channel in self.channels.values():
            board.channel_changed(channel)
        self.hub = Hub(self.channels, board, EPOCH, "", "", 40.0, lambda: 0, lambda: None)
        self.keys = Keys()
        self.pump = Pump(Shared(self.hub, doorkeeper=self.keys))
        self.now_s, self.next_s, self.grants = 1000.0, 0, 0
        self.one = Follower(self.pump, self.hub, codec, on_slow, None, self.now_s)
        self.one.cut()
        self.one.connect(self.now_s, None, "grant 0")
        self.other = Follower(self.pump, self.hub, codec, "conflate", Caller("", "", Role.VIEWER), self.now_s)
        self.is_acking = is_acking

    @rule(channels=st.sets(st.sampled_from(CHANNELS), min_size=1), count=st.integers(1, 5), skip=st.integers(0, 1))
    def rows_come(self, channels: set[int], count: int, skip: int) -> None:
        start = self.next_s + skip
        for ch in channels:
            self.channels[ch].rows_came(seconds(start, start + count), 0.0)
        self.next_s = start + count

    @rule(ch=st.sampled_from(CHANNELS), back=st.integers(2, 9))
    def rows_come_late(self, ch: int, back: int) -> None:
        if self.next_s > back:
            self.channels[ch].rows_came(seconds(self.next_s - back, self.next_s - back + 1), 0.0)

    @rule(count=st.integers(1, 15), channels=st.sets(st.sampled_from(CHANNELS), min_size=1))
    def athletes_run(self, count: int, channels: set[int]) -> None:
        for _ in range(count):
            self.rows_come(channels, 1, 0)
            self.time_passes(1.0)

    @rule(bytes_per_s=st.sampled_from([0, 50, 500]), count=st.integers(8, 40))
    def the_line_is_bad_for_a_while(self, bytes_per_s: float, count: int) -> None:
        self.the_line_changes(bytes_per_s)
        self.athletes_run(count, set(CHANNELS))
        self.the_line_changes(None)

    @rule(count=st.integers(3, 40))
    def the_laptop_hangs(self, count: int) -> None:
        """What is sent comes, and nobody deals with it."""
        is_acking, self.is_acking = self.is_acking, False
        self.athletes_run(count, set(CHANNELS))
        self.is_acking = is_acking

    @rule(duration_s=st.sampled_from([0.05, 0.3, 1.0, 4.0]))
    def time_passes(self, duration_s: float) -> None:
        end_s = self.now_s + duration_s
        while self.now_s < end_s:
            due_s = self.pump.turn(self.now_s)
            self.now_s = min(end_s, max(self.now_s + 0.001, due_s))
            for follower in (self.one, self.other):
                follower.client.now_s = self.now_s
                follower.read()
            if self.is_acking and int(self.now_s) != int(self.now_s - 0.05):
                self.one.acknowledge()

    @rule(bytes_per_s=st.sampled_from([0, 100, 1000, 10_000, None]))
    def the_line_changes(self, bytes_per_s: float | None) -> None:
        self.one.client.kernel.bytes_per_s = bytes_per_s

    @rule(is_so=st.integers(0, 2).map(lambda drawn: drawn == 0))
    def the_connection_is_cut(self, *, is_so: bool) -> None:
        if is_so:
            self._back()

    @rule(is_so=st.integers(0, 4).map(lambda drawn: drawn == 0))
    def they_are_thrown_out(self, *, is_so: bool) -> None:
        if not is_so:
            return
        self.keys.revoked.add(f"grant {self.grants}")
        self.grants += 1
        self.time_passes(2.0)
        assert self.one.client.kernel.is_cut or self.one.client.frames[-1][0] == CLOSE
        self._back()

    @precondition(lambda self: hasattr(self, "one") and self.one.client.session.closing is not None)
    @rule()
    def they_come_back(self) -> None:
        assert self.one.client.session.closing is CloseCode.TOO_SLOW
        self._back()

    @invariant()
    def what_waits_is_bounded(self) -> None:
        """A message with samples, and the news of a moment: never what came while somebody did not read."""
        if hasattr(self, "one"):
            assert self.one.client.kernel.most_waiting < 40_000
            assert not self.other.jumping
            assert self.other.client.session.closing is None

    def teardown(self) -> None:
        if not hasattr(self, "one"):
            return
        self.one.client.kernel.bytes_per_s = None
        self.is_acking = True
        if self.one.client.session.closing is not None:
            self._back()
        self.time_passes(30.0)
        for ch, channel in self.channels.items():
            newest = channel.ring.newest
            assert len(self.other.got[ch]) + self.other.missing[ch] == newest
            assert len(self.one.got[ch]) + self.one.missing[ch] == newest

    def _back(self) -> None:
        self.one.cut()
        self.one.connect(self.now_s, None, f"grant {self.grants}")


TestCrowd = Crowd.TestCase
TestCrowd.settings = settings(max_examples=30, stateful_step_count=25)

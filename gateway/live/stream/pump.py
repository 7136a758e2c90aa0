"""Drives all sessions from one place: nobody waits for a socket, and who is slow is passed over and not waited for.

`turn` is told the time and does all that is due; around it there is one loop, in `gateway.live.stream.streaming`.
"""

from collections.abc import Iterable
from itertools import islice
from math import inf

from gateway.access.caller import Caller
from gateway.live.stream.groups import BLOCKED_POLL_S
from gateway.live.stream.session import CloseCode, Session
from gateway.live.stream.shared import Shared
from gateway.live.stream.times import next_s
from gateway.live.stream.wire import Wire
from insiders_codecs.live import Codec

POLL_S = 0.2
"""How soon the board is looked at again."""

WATCH_S = 0.7
"""How often each client is judged: slow or not, silent or not, still let in or not. The loop does not wake up for
that: with `POLL_S` it is at least once a second."""

GREETED_AT_ONCE = 8
"""Who has come is told all that there is, which takes a while: of two hundred who come at once, so many with each turn,
and between the turns everybody else has theirs."""

GOODBYE_S = 1.0
"""How long a client may take to hear why it ends, and to end its side. With `WATCH_S` and `POLL_S`, who is
thrown out is out within 2 s."""


class Pump:
    """All clients of one server."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._wires: dict[Session, Wire] = {}
        self._arriving: dict[Session, None] = {}  # whom nothing was said to yet
        self._speaking: dict[Session, None] = {}  # to whom there may be something to say
        self._ending: dict[Session, float] = {}  # until when they have time
        self._revision = 0
        self._channels = 0
        self._time_due_s = -inf
        self._watch_due_s = -inf

    def __len__(self) -> int:
        return len(self._wires)

    def join(self, wire: Wire, codec: Codec, now_s: float, caller: Caller | None, address: str) -> Session:
        """Somebody has connected."""
        session = Session(self._shared, wire, codec, now_s, caller, address)
        self._wires[session] = wire
        self._arriving[session] = None
        wire.is_held = True
        return session

    def leave(self, session: Session) -> None:
        """Their connection is gone."""
        session.end()
        for sessions in (self._wires, self._arriving, self._speaking, self._ending):
            sessions.pop(session, None)

    def wake(self, session: Session) -> None:
        """There is something to say to somebody."""
        self._speaking[session] = None

    def say_goodbye(self, *, is_resumable: bool) -> None:
        """Tell everybody that the gateway stops."""
        text = "The gateway stops: wait until it has started again."
        for session in self._wires:
            session.say_goodbye(CloseCode.RESTART, text, 2000, is_resumable=is_resumable)
            self.wake(session)

    def turn(self, now_s: float) -> float:
        """Do what is due.

        Returns:
            When there is something to do next, if nobody says anything before.
        """
        if not self._wires:
            return inf
        if now_s >= self._watch_due_s:
            self._watch_due_s = now_s + WATCH_S
            self._watch(now_s)
        for session, due_s in self._ending.items():
            if now_s >= due_s:
                self._wires[session].abort()
                self._ending[session] = inf
        self._greet()
        hub = self._shared.hub
        has_news = hub.board.revision != self._revision or len(hub.channels) != self._channels
        if has_news or now_s >= self._time_due_s:
            self._revision, self._channels = hub.board.revision, len(hub.channels)
            self._time_due_s = next_s(now_s)
            self._speak(tuple(self._wires), now_s)
        else:
            self._speak(tuple(self._speaking), now_s)
        self._shared.groups.turn(hub.channels, now_s)
        if self._arriving:
            return now_s
        return min(
            now_s + (BLOCKED_POLL_S if self._speaking else POLL_S),
            self._time_due_s,
            self._shared.groups.due_s(now_s),
            *self._ending.values(),
        )

    def abort(self) -> None:
        """Cut all connections."""
        for wire in self._wires.values():
            wire.abort()

    def _greet(self) -> None:
        for session in tuple(islice(self._arriving, GREETED_AT_ONCE)):
            del self._arriving[session]
            self._wires[session].is_held = False
            self._speaking[session] = None

    def _speak(self, sessions: Iterable[Session], now_s: float) -> None:
        for session in sessions:
            wire = self._wires[session]
            wire.flush(now_s)
            self._speaking[session] = None
            while wire.is_ready and session in self._speaking:
                wire.gather()
                if session.speak(now_s):
                    del self._speaking[session]
                wire.release()
            if session.closing is not None:
                self._end(session, wire, now_s)

    def _end(self, session: Session, wire: Wire, now_s: float) -> None:
        if session.is_over and session.closing is not None:
            wire.close(session.closing, now_s)
        if wire.is_over:
            self._speaking.pop(session, None)
        self._ending.setdefault(session, now_s + GOODBYE_S)

    def _watch(self, now_s: float) -> None:
        silence_s = self._shared.limits.silence_s
        for session, wire in self._wires.items():
            if session in self._ending:
                continue
            quiet_s = now_s - wire.heard_s
            if quiet_s >= silence_s:
                wire.abort()
            elif quiet_s >= silence_s * 2 / 3:
                wire.ping(now_s)
            session.check_access(now_s)
            session.judge(now_s, wire.blocked_s(now_s))
            if session.closing is not None:
                self._speaking[session] = None

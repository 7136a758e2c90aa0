"""What becomes of a client that is too slow: fewer rows, then none, then an end. Pure: it is told times, and decides.

A step up is taken as soon as its bound is passed; the way back leads to the bottom, once the client has kept up for a
while. So a client on a line that is nearly good enough goes up and down every few seconds and not with every message.
"""

from enum import IntEnum

GRACE_S = 10.0
"""After connecting nobody is called slow: a laptop draws its first screen, and a snapshot has to go through."""

CONFLATE_LAG_S = 2.0
SHED_LAG_S = 8.0
SHED_BLOCKED_S = 4.0
CLOSE_LAG_S = 30.0

CALM_S = 5.0
"""How long it must have kept up to be treated like everybody again."""

CONFLATE_CALM_LAG_S = 0.5
SHED_CALM_LAG_S = 1.0


class Level(IntEnum):
    """How much a client gets."""

    NORMAL = 0  # what it has asked for
    CONFLATED = 1  # the newest of each channel, now and then
    SHED = 2  # no rows
    LOST = 3  # it is to be closed


_CALM_LAG_S = {Level.CONFLATED: CONFLATE_CALM_LAG_S, Level.SHED: SHED_CALM_LAG_S}


class Ladder:
    """Where one client stands."""

    def __init__(self, now_s: float) -> None:
        self.level = Level.NORMAL
        self._grace_until_s = now_s + GRACE_S
        self._calm_since_s: float | None = None

    def step(self, now_s: float, lag_s: float, blocked_s: float, *, is_excused: bool) -> Level:
        """Judge a client; to be called once a second or so.

        Args:
            now_s: Now.
            lag_s: How long ago the oldest message went that it has not acknowledged and ought to have; 0.0 if none.
            blocked_s: For how long its connection has not taken all that was given to it; 0.0 if it has.
            is_excused: Whether it is being sent the past that it has asked for.
        """
        lag_s = max(lag_s, blocked_s)
        if lag_s > CLOSE_LAG_S:
            self.level = Level.LOST
        elif now_s < self._grace_until_s or is_excused:
            pass
        elif lag_s > SHED_LAG_S or blocked_s > SHED_BLOCKED_S:
            self.level = max(self.level, Level.SHED)
        elif lag_s > CONFLATE_LAG_S:
            self.level = max(self.level, Level.CONFLATED)
        self._calm_down(now_s, lag_s)
        return self.level

    def _calm_down(self, now_s: float, lag_s: float) -> None:
        if lag_s >= _CALM_LAG_S.get(self.level, 0.0):
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        elif now_s - self._calm_since_s >= CALM_S:
            self.level = Level.NORMAL
            self._calm_since_s = None

"""A football session: players run towards changing points at changing paces, limited by what legs can accelerate.

The session is a chain of ten-minute periods. Each begins and ends with everybody standing at the own post and with
a settled heart, so that any period can be computed without those before it; within a period the blocks follow in order.
"""

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from gateway.simulator.motion import SECONDS_PER_BLOCK, TICK_S, TICKS_PER_BLOCK, TICKS_PER_SECOND, Motion
from gateway.simulator.physiology import Floats, Hearts, breathing, follow

PITCH_LENGTH_M = 105.0
PITCH_WIDTH_M = 68.0
PITCH_ALTITUDE_M = 34.0

BLOCKS_PER_PERIOD = 10
_REST_TICKS = 35 * TICKS_PER_SECOND  # the walk back to the post and a moment of standing there
_RETURN_S = 18.0
_PERIODS_KEPT = 3

# Players turn this far before a line, so that neither a swerve nor the receiver's noise puts them outside.
_MARGIN_M = 5.0
_ACCELERATION = 4.5  # m/s², a good start; also how hard a turn or a stop can be
_BRAKING = 3.0  # m/s², planned before a point is reached
_SETTLE_PER_S = 2.0  # the last metre: speed is at most this times the distance left

# Bouts: probability, slowest and fastest pace in m/s, shortest and longest duration in s.
_BOUTS = np.array(
    [
        (0.16, 0.0, 0.0, 3.0, 8.0),  # stand
        (0.26, 1.1, 1.8, 3.0, 9.0),  # walk
        (0.28, 2.3, 3.4, 3.0, 8.0),  # jog
        (0.20, 4.0, 5.6, 2.5, 6.0),  # run
        (0.10, 6.8, 8.6, 2.0, 4.5),  # sprint
    ]
)
_THRESHOLDS = np.cumsum(_BOUTS[:, 0])[:-1]
_START_LEVEL = 0.6


class Squad:
    """All players of the session."""

    def __init__(self, players: int, seed: int) -> None:
        rng = np.random.default_rng((seed, 1))
        self._players = players
        self._seed = seed
        self._posts = _inside(rng.uniform(-42, 42, players) + 1j * rng.uniform(-26, 26, players))
        self._hearts = Hearts(players, rng)
        self._periods: OrderedDict[int, _Period] = OrderedDict()

    def block(self, number: int) -> Motion:
        """The block with this number, counted from the start of the world."""
        index, within = divmod(number, BLOCKS_PER_PERIOD)
        period = self._periods.get(index)
        if period is None:
            period = self._periods[index] = _Period(self._posts, np.random.default_rng((self._seed, 2, index)))
        self._periods.move_to_end(index)
        if len(self._periods) > _PERIODS_KEPT:
            self._periods.popitem(last=False)
        positions, velocities, levels = period.block(within)
        nothing = np.full((SECONDS_PER_BLOCK, self._players), -1.0)
        return Motion(
            east=positions.real,
            north=positions.imag,
            speed=np.abs(velocities),
            altitude=np.full(positions.shape, PITCH_ALTITUDE_M),
            heart_rate=breathing(self._hearts.rates(levels), np.random.default_rng((self._seed, 5, number))),
            power=nothing,
            cadence=nothing,
        )


_Plane = NDArray[np.complex128]  # east + north·i, so that a direction is one number


class _Period:
    """Ten minutes, computed block by block."""

    def __init__(self, posts: _Plane, rng: np.random.Generator) -> None:
        self._posts = posts
        self._rng = rng
        self._position = posts.copy()
        self._velocity = np.zeros_like(posts)
        self._target = posts.copy()
        self._pace = np.zeros(posts.size)
        self._until = np.zeros(posts.size)
        self._level = np.full(posts.size, _START_LEVEL)
        self._blocks: list[tuple[_Plane, _Plane, Floats]] = []

    def block(self, within: int) -> tuple[_Plane, _Plane, Floats]:
        """Positions in m, velocities in m/s, and heart levels of one block of the period."""
        while len(self._blocks) <= within:
            self._blocks.append(self._next(len(self._blocks)))
        return self._blocks[within]

    def _next(self, within: int) -> tuple[_Plane, _Plane, Floats]:
        choices = self._rng.random((TICKS_PER_BLOCK, 5, self._posts.size))
        positions = np.empty((TICKS_PER_BLOCK, self._posts.size), dtype=np.complex128)
        velocities = np.empty_like(positions)
        rest_from = BLOCKS_PER_PERIOD * TICKS_PER_BLOCK - _REST_TICKS
        for row in range(TICKS_PER_BLOCK):
            tick = within * TICKS_PER_BLOCK + row
            if tick == rest_from:
                self._return_to_posts()
            elif tick < rest_from:
                self._decide(tick, choices[row])
            self._step()
            positions[row] = self._position
            velocities[row] = self._velocity
        levels = follow(_effort(velocities), self._level)
        self._level = levels[-1].copy()
        if within == BLOCKS_PER_PERIOD - 1:
            # Hearts settle to where the next period begins, gradually, however long the period was.
            share = np.linspace(0, 1, SECONDS_PER_BLOCK)[:, None]
            weight = share * share * (3 - 2 * share)
            levels = levels * (1 - weight) + _START_LEVEL * weight
        return positions, velocities, levels

    def _decide(self, tick: int, choices: Floats) -> None:
        due = self._until <= tick
        if not due.any():
            return
        kind, pace, duration, along, across = choices[:, due]
        bouts = _BOUTS[np.searchsorted(_THRESHOLDS, kind)]
        self._pace[due] = bouts[:, 1] + pace * (bouts[:, 2] - bouts[:, 1])
        self._until[due] = tick + TICKS_PER_SECOND * (bouts[:, 3] + duration * (bouts[:, 4] - bouts[:, 3]))
        # Runs and sprints go anywhere near, slow paces stay around the post.
        reach = np.where(self._pace[due] > 4, 34.0, 14.0)
        offset = reach * ((2 * along - 1) + 1j * (2 * across - 1))
        self._target[due] = _inside(self._posts[due] + offset)

    def _return_to_posts(self) -> None:
        self._target = self._posts.copy()
        self._pace = np.maximum(1.5, np.abs(self._posts - self._position) / _RETURN_S)

    def _step(self) -> None:
        way = self._target - self._position
        distance = np.abs(way)
        pace = np.minimum(np.minimum(self._pace, np.sqrt(2 * _BRAKING * distance)), _SETTLE_PER_S * distance)
        change = way * (pace / np.maximum(distance, 1e-9)) - self._velocity
        possible = _ACCELERATION * TICK_S / np.maximum(np.abs(change), 1e-9)
        self._velocity = self._velocity + change * np.minimum(1.0, possible)
        self._position = self._position + self._velocity * TICK_S


def _inside(points: _Plane) -> _Plane:
    along = PITCH_LENGTH_M / 2 - _MARGIN_M
    across = PITCH_WIDTH_M / 2 - _MARGIN_M
    return np.clip(points.real, -along, along) + 1j * np.clip(points.imag, -across, across)


def _effort(velocities: _Plane) -> Floats:
    """Share of the heart-rate reserve the running of each second asks for, shape (seconds, players)."""
    speed = np.abs(velocities)
    gained = np.maximum(0, np.diff(speed, axis=0, prepend=speed[:1])) / TICK_S
    work = 0.3 + 0.16 * speed + 0.12 * gained
    seconds: Floats = work.reshape(-1, TICKS_PER_SECOND, work.shape[1]).mean(axis=1)
    return seconds.clip(0, 1)

"""Seconds of trackers as the bytes that are served: each is encoded once, however many requests it is part of."""

from collections.abc import Callable
from functools import lru_cache

import msgspec

from gateway.simulator.rows import Form, Missing, rest_rows, websocket_update
from gateway.simulator.world import Second

# The longest latest-data answer, and some more for those that come late.
_SECONDS_PER_TRACKER = 32

_encode = msgspec.json.Encoder().encode


class EncodedSeconds:
    """Answers by tracker, second of the world, and time of its first row as the cloud has it.

    Args:
        second: What a tracker recorded in a second of the world; of one that was asked for, it never changes.
        trackers: How many there are.

    Attributes:
        newest_first: (tracker, second, time in ms, form of a missing value, with a fix) -> the ten rows as the elements
            of a JSON array, without its brackets.
        update: (tracker, second, time in ms, form of a missing value, form of the groups, with a fix) -> the websocket
            message.
    """

    def __init__(self, second: Callable[[int, int], Second], trackers: int) -> None:
        def newest_first(tracker: int, number: int, time_ms: int, missing: Missing, fix: bool) -> bytes:  # noqa: FBT001
            rows = rest_rows(second(tracker, number), time_ms, missing, fix=fix)
            return _encode(rows[::-1])[1:-1]

        def update(
            tracker: int,
            number: int,
            time_ms: int,
            missing: Missing,
            form: Form,
            fix: bool,  # noqa: FBT001
        ) -> bytes:
            return _encode(websocket_update(second(tracker, number), time_ms, missing, form, fix=fix))

        self.newest_first = lru_cache(maxsize=_SECONDS_PER_TRACKER * trackers)(newest_first)
        self.update = lru_cache(maxsize=2 * trackers)(update)

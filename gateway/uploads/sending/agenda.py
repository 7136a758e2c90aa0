"""Which of many is due: without looking at each of them every time. Pure, told the time."""

import heapq
from collections.abc import Collection


class Agenda:
    """Keys, each with the time at which it is to be looked at."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def put(self, key: str, when_s: float) -> None:
        """Look at it then, and no more when that was said before."""
        self._times[key] = when_s
        heapq.heappush(self._heap, (when_s, key))

    def take(self, now_s: float) -> str | None:
        """Whichever is due longest, which is then not here any more; None if none is."""
        while self._heap and self._heap[0][0] <= now_s:
            when_s, key = heapq.heappop(self._heap)
            if self._times.get(key) == when_s:
                del self._times[key]
                return key
        return None

    def keep(self, keys: Collection[str]) -> None:
        """Forget all others."""
        self._times = {key: when_s for key, when_s in self._times.items() if key in keys}

"""How far a body has left, and how fast: pure, told the time."""

from collections import deque

from gateway.uploads.report import ProgressReport

WINDOW_S = 10.0
"""Over how long the rate is taken."""

_SHORTEST_S = 1.0
"""What leaves in less goes into buffers."""


class Progress:
    """Of one body."""

    def __init__(self, size: int, now_s: float) -> None:
        self._size = size
        self._marks = deque([(now_s, 0)])

    def moved(self, sent_bytes: int, now_s: float) -> None:
        """So many bytes of the recording have left by now."""
        self._marks.append((now_s, min(sent_bytes, self._size)))
        while self._marks[1][0] <= now_s - WINDOW_S:
            self._marks.popleft()

    def report(self, now_s: float) -> ProgressReport:
        """How it stands."""
        _, sent = self._marks[-1]
        since_s, before = next((mark for mark in reversed(self._marks) if mark[0] <= now_s - WINDOW_S), self._marks[0])
        elapsed_s = now_s - since_s
        per_s = (sent - before) / elapsed_s if elapsed_s >= _SHORTEST_S else None
        return ProgressReport(sent_bytes=sent, bytes_per_s=per_s, left_s=(self._size - sent) / per_s if per_s else None)

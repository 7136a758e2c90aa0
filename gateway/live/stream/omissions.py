"""Which rows were left out for a client that is slow: told when it begins, and counted until it ends."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.live.source import Channels
from gateway.live.stream.reading import Cursors, LeftOut


@dataclass(slots=True)
class _Omission:
    """Rows of a channel that are being left out."""

    after: int
    from_ms: int | None
    withdrawn: int
    rows: int = 0


class Omissions:
    """Those of one subscription; true while there are some."""

    def __init__(self) -> None:
        self._open: dict[int, _Omission] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def pass_over(self, passed: Sequence[LeftOut], channels: Channels) -> list[LeftOut]:
        """Rows are passed over: add them to what is missing of each channel.

        Args:
            passed: Which; a channel of which no row is yet may stand among them, for it to begin.
            channels: All that are followed.

        Returns:
            The first of each channel of which nothing was missing until now: what the client is to be told.
        """
        # Whoever is told that rows were taken back has forgotten what was missing of them.
        self._open = {ch: it for ch, it in self._open.items() if channels[ch].ring.withdrawn == it.withdrawn}
        begun = [left_out for left_out in passed if left_out.ch not in self._open]
        for left_out in begun:
            withdrawn = channels[left_out.ch].ring.withdrawn
            self._open[left_out.ch] = _Omission(left_out.after, left_out.from_ms, withdrawn)
        for left_out in passed:
            self._open[left_out.ch].rows += left_out.rows
        return begun

    def end(self, cursors: Cursors) -> list[LeftOut]:
        """No more are, from these cursors on; how many were."""
        ended = [(ch, it, cursors.positions[ch]) for ch, it in self._open.items()]
        self._open = {}
        return [LeftOut(ch, it.after, at.cursor, it.from_ms, at.last_ms, it.rows) for ch, it, at in ended]

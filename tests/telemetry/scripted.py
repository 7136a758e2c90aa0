"""A cloud that answers what a test has written down, in the bytes of the real one."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from insiders_codecs.cloud import DecodedRows, decode_rows

Decode = Callable[[bytes], DecodedRows]


def body(times: Iterable[int], **fields: object) -> bytes:
    """Rows of the latest-data endpoint."""
    return json.dumps([{"gnss.timestamp": t_ms, "gnss.speed": 1.0, **fields} for t_ms in times]).encode()


@dataclass
class ScriptedCloud:
    """Answers each request with the next thing of the script; the last one is repeated.

    Attributes:
        script: Bodies to answer with, or errors to raise.
        asked: Loop time, device, size and overdue seconds of every request.
    """

    script: list[bytes | Exception]
    asked: list[tuple[float, int, int, float]] = field(default_factory=list)
    latency_s: Callable[[], float] = lambda: 0.0

    async def latest_data(
        self, device_id: int, size: Callable[[], int], *, overdue_s: float = 0.0, decode: Decode = decode_rows
    ) -> DecodedRows:
        self.asked.append((asyncio.get_running_loop().time(), device_id, size(), overdue_s))
        await asyncio.sleep(self.latency_s())
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return decode(answer)
